/** Tests of projections: these events, which rows then? The table is in memory: no store, no clock, no file. */
import type { Definition } from '../entity/define-entity.ts'
import { formatPosition, type RecordedEvent } from '../entity/event.ts'
import { CREATED, deepFreeze } from '../entity/fold.ts'
import { evolveStrictly } from '../entity/fold-check.ts'
import { firstState, type GivenEvent, happened } from '../entity/given.ts'
import { checkId } from '../entity/id.ts'
import type { Json } from '../entity/json.ts'
import { KumaError, quoted as shown } from '../errors.ts'
import { type Database, openMemory } from '../store/driver.ts'
import { ENTITY, quoted } from './columns.ts'
import type { ProjectionDefinition } from './define-projection.ts'
import { GenerationTable, tableName } from './generation-table.ts'
import { type Statement, shownValue } from './sink.ts'
import { bound } from './sqlite-file.ts'

export interface GivenEntityEvent extends GivenEvent {
  readonly entity?: string | undefined
  readonly entityType?: string | undefined
}

/** An entity where the events have come to. */
interface Entity {
  /** `_entity` in its rows */
  readonly key: string
  readonly id: string
  readonly definition: Definition
  readonly createdAt: number
  version: number
  at: number
  state: unknown
}

/** What one event writes. */
interface Written {
  readonly event: RecordedEvent
  readonly statements: readonly Statement[]
}

const GENERATION = 1

/**
 * @throws what appending these events to new entities would throw, what reading those of earlier forms would, and what the
 * projection's own functions do; `rows`: KUMA_PROJECTION_FAILED for a statement that cannot be run
 */
export function givenRows(
  projection: ProjectionDefinition,
  events: readonly GivenEntityEvent[],
): { rows(): { [column: string]: Json }[] } {
  const table = new GenerationTable(projection, GENERATION)
  const entities = new Map<string, Entity>()
  const written = events.map((event, i) => {
    const entity = entityOf(projection, event, entities)
    const { definition, id } = entity
    entity.version++
    entity.at = event.at ?? entity.at
    const position = formatPosition(0, i + 1)
    const read = { ...happened(definition, event, entity), position }
    if (projection.rows !== null) entity.state = deepFreeze(evolveStrictly(definition, entity.state, read))
    entities.set(id, entity)
    return { event: read, statements: statementsOf(projection, table, entity, read) }
  })
  return { rows: () => rowsOf(projection, table, written) }
}

/** Whose event it is: one that was met before, or a new one. @throws KUMA_USAGE, KUMA_INVALID_ID */
function entityOf(
  { name, of }: ProjectionDefinition,
  event: GivenEntityEvent,
  met: ReadonlyMap<string, Entity>,
): Entity {
  const known = event.entity === undefined ? undefined : met.get(event.entity)
  const definition = definitionOf(name, known === undefined ? of! : [known.definition], event)
  const id = event.entity ?? (of!.length === 1 ? 'given' : definition.type)
  checkId(id)
  const found = met.get(id)
  if (found !== undefined) return found
  const key = formatPosition(0, met.size + 1)
  return { key, id, definition, createdAt: event.at ?? 0, version: 0, at: 0, state: firstState(definition, id) }
}

/** @param all that it may be of */
function definitionOf(projection: string, all: readonly Definition[], event: GivenEntityEvent): Definition {
  const { type, entityType } = event
  const meant = entityType === undefined ? withEvent(all, type) : all.filter((one) => one.type === entityType)
  if (meant.length === 1) return meant[0]!
  const types = (meant.length === 0 ? all : meant).map((one) => one.type).join(', ')
  const given = `${shown(type)} was given to the projection ${shown(projection)}`
  if (meant.length > 1)
    throw new KumaError('KUMA_USAGE', `${given}, and may be of ${types}`, {}, { hint: 'say which: its `entityType`' })
  const problem = entityType === undefined ? `none of ${types} has such an event` : `it is of ${types} here`
  throw new KumaError('KUMA_USAGE', `${given}: ${problem}`, {})
}

/** The definitions that know an event of that name. One alone says itself what it does not know. */
function withEvent(all: readonly Definition[], type: string): readonly Definition[] {
  if (all.length === 1 || type === CREATED) return all
  return all.filter((one) => one.schema(type) !== undefined || one.upcaster(type) !== undefined)
}

function statementsOf(
  { rows, handler }: ProjectionDefinition,
  table: GenerationTable,
  { key, id, version, createdAt, at, state, definition: { type } }: Entity,
  event: RecordedEvent,
): readonly Statement[] {
  const owner = { entity: key, version }
  if (rows !== null) return table.rows(owner, rows(state, { id, version, createdAt, updatedAt: at }, type))
  const handled = handler(type, event.type)
  return handled === undefined ? [] : table.statements(handled(event, table.of(owner)))
}

/** Entity by entity, in the order in which they came, and by the key. */
function rowsOf(
  { name, columns, key }: ProjectionDefinition,
  table: GenerationTable,
  written: readonly Written[],
): { [column: string]: Json }[] {
  const db = openMemory()
  try {
    for (const statement of table.create()) run(db, statement)
    for (const { event, statements } of written)
      for (const statement of statements) {
        try {
          run(db, statement)
        } catch (cause) {
          throw failed(name, event, cause as Error)
        }
      }
    const selected = columns.map((column) => quoted(column.name)).join(', ')
    const order = [`length(${ENTITY})`, ENTITY, ...key.map(quoted)].join(', ')
    const statement = db.prepare(`SELECT ${selected} FROM ${quoted(tableName(name, GENERATION))} ORDER BY ${order}`)
    const types = statement.columns().map(({ type }) => type?.toUpperCase() ?? '')
    const rows = statement.raw().safeIntegers().all() as unknown[][]
    return rows.map((row) =>
      Object.fromEntries(columns.map((column, i) => [column.name, shownValue(row[i], types[i]!)])),
    )
  } finally {
    db.close()
  }
}

function run(db: Database, [sql, ...params]: Statement): void {
  db.prepare(sql).run(bound(params, 0, params.length))
}

function failed(projection: string, { type, position }: RecordedEvent, cause: Error) {
  const message = `the projection ${shown(projection)} failed on ${type} (event ${position}): ${cause.message}`
  return new KumaError('KUMA_PROJECTION_FAILED', message, { projection, position }, { cause })
}
