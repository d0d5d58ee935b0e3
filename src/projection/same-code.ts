/**
 * Does the code of a projection still make the rows that stand in its table? Its version may have been forgotten, and a table
 * that is half of the one and half of the other would lie. The catalog keeps digests of the code that filled a generation.
 * Where today's is another, that says little: the same code, built in another way, has another source. So a sample of
 * entities is projected anew, into a table in memory, and compared: equal, the digest is noted beside the others.
 *
 * What a handler calls elsewhere is not seen by its source.
 */
import { createHash } from 'node:crypto'
import type { Located } from '../actor/activate.ts'
import { formatPosition } from '../entity/event.ts'
import { CREATED, deepFreeze } from '../entity/fold.ts'
import { isKumaError } from '../errors.ts'
import { ENTITY, quoted } from './columns.ts'
import type { ProjectionDefinition } from './define-projection.ts'
import type { Filling } from './filling.ts'
import { tableName } from './generation-table.ts'
import type { Sink, SinkRow, Statement } from './sink.ts'
import type { Source } from './source.ts'
import { Scratch } from './sqlite-file.ts'

/** Of entities with rows; and of those that each shard had first, which may have none. */
const SAMPLES = 50
const FIRST = 4
/** Longer histories take their time; and so long it looks in all. */
const EVENTS_MAX = 10_000
const LOOK_MS = 1_000
const DIGEST_CHARS = 22

/** Null for what is built in. */
export function codeOf({ rows, of, handler }: ProjectionDefinition): string | null {
  if (of === null) return null
  const sources = of.flatMap(({ type, events }) =>
    [...new Set([CREATED, ...events])].map((event) => [type, event, String(handler(type, event))]),
  )
  const digest = createHash('sha256')
    .update(JSON.stringify([String(rows), sources]))
    .digest('base64url')
  return digest.slice(0, DIGEST_CHARS)
}

/** Does it make the rows that stand there, as far as a sample tells? */
export async function makesTheSame(filling: Filling, source: Source, sink: Sink): Promise<boolean> {
  const { table, name, generation } = filling
  const sql = `SELECT * FROM ${quoted(tableName(name, generation))} WHERE ${ENTITY} = ?`
  const scratch = new Scratch(table.create())
  try {
    const entities = await sample(filling, source, sink)
    const end = performance.now() + LOOK_MS
    for (const entity of entities) {
      if (performance.now() > end) break
      const located = source.standing(entity)
      if (located === null || !isComparable(filling, located, entity)) continue
      const made = await project(filling, source, entity, located)
      if (made === 'unknown') continue
      if (made === 'failed' || !scratch.run(made)) return false
      if (textOf(scratch.read(sql, entity)) !== textOf(await sink.read(sql, entity))) return false
    }
    return true
  } catch (error) {
    // somebody took the table away: who fills it will tell
    if (isKumaError(error, 'KUMA_STATEMENT_FAILED', 'KUMA_IO')) return true
    throw error
  } finally {
    scratch.close()
  }
}

/** As `_entity` names them. */
async function sample({ name, generation }: Filling, { shards }: Source, sink: Sink): Promise<Set<string>> {
  const table = quoted(tableName(name, generation))
  const some = (order: string) =>
    `SELECT * FROM (SELECT DISTINCT ${ENTITY} FROM ${table} ORDER BY 1 ${order} LIMIT ${SAMPLES / 2})`
  const rows = await sink.read(`${some('ASC')} UNION ${some('DESC')}`)
  const first = Array.from({ length: shards * FIRST }, (_, i) => formatPosition(i % shards, 1 + Math.floor(i / shards)))
  return new Set([...rows.map((row) => String(row[ENTITY])), ...first.slice(0, SAMPLES)])
}

/** Are its rows those of all of its events, and of its state? */
function isComparable({ positions, leftOut }: Filling, { reader, head }: Located, entity: string): boolean {
  return head.seq <= positions[reader.shard]! && head.version <= EVENTS_MAX && !leftOut.has(entity)
}

async function project(
  filling: Filling,
  source: Source,
  entity: string,
  located: Located,
): Promise<readonly Statement[] | 'unknown' | 'failed'> {
  const { definition, table } = filling
  const { id, type, createdAt } = located.entity
  const { version, at: updatedAt } = located.head
  const attempt = (make: () => readonly Statement[]) => {
    try {
      return make()
    } catch {
      return null
    }
  }
  const statements: Statement[] = []
  try {
    if (definition.rows !== null) {
      if (!filling.wants(type) || filling.isSkipped(located.reader.positionOf(located.head.seq))) return 'unknown'
      const state = deepFreeze(await source.stateOf(located))
      const entityNow = { id, version, createdAt, updatedAt }
      return attempt(() => table.rows({ entity, version }, definition.rows!(state, entityNow, type))) ?? 'failed'
    }
    for await (const event of source.history(located)) {
      const handler = definition.handler(event.entityType, event.type)
      if (handler === undefined || filling.isSkipped(event.position)) continue
      const owner = { entity, version: event.version }
      const made = attempt(() => table.statements(handler(event, table.of(owner))))
      if (made === null) return 'failed'
      statements.push(...made)
    }
    return statements
  } catch (error) {
    if (isKumaError(error, 'KUMA_CLOSED', 'KUMA_CORRUPT')) throw error
    return 'unknown' // its history cannot be read, or its model fails: that is not this code's fault
  }
}

/** The same for the same rows, whatever gave them. */
function textOf(rows: readonly SinkRow[]): string {
  const texts = rows.map((row) =>
    JSON.stringify(Object.values(row).map((value) => (typeof value === 'boolean' ? Number(value) : value))),
  )
  return texts.sort().join('\n')
}
