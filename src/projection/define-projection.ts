/**
 * A projection says which rows a table holds for an entity: made of its state (`.rows`), or of its events (`.on`). It is
 * pure, without I/O and safe to import anywhere.
 *
 * Each row belongs to one entity: `_entity` leads every key, so that erasing an entity is to delete its rows. What is
 * counted over several entities is a query's to add up.
 */
import type { AnyProjection, Columns, Projection, Row } from '../api.ts'
import { type Definition, definitionOf, type EntityDefinition } from '../entity/define-entity.ts'
import type { Event, NewEvent } from '../entity/event.ts'
import type { DeepReadonly, Extra, Facts } from '../entity/facts.ts'
import type { EarlierEvent } from '../entity/given.ts'
import type { Json } from '../entity/json.ts'
import { KumaError, quoted } from '../errors.ts'
import { meantBy, nearest } from '../nearest.ts'
import { type ColumnDefinition, parseColumn } from './columns.ts'
import { type GivenEntityEvent, givenRows } from './given-rows.ts'

/** SQL that a handler wants run, with what goes into its question marks. */
export interface TableStatement {
  readonly sql: string
  readonly params: readonly Json[]
}

type Numeric<C> = { [K in keyof C as C[K] extends 'integer' | 'real' ? K : never]?: number }
/** Of a row as it was made; of each of several. */
type CheckedRow<R, C> = [Extra<R extends readonly (infer X)[] ? X : NonNullable<R>, C>] extends [never]
  ? unknown
  : `the table has no column '${Extra<R extends readonly (infer X)[] ? X : NonNullable<R>, C>}'`

/** What a handler can do to the rows of the entity whose event it is given. */
export interface Table<C extends Columns, Key extends keyof C> {
  /** What `_entity` is in these rows: the entity's key. */
  readonly entity: string
  /** Writes a row, over the one with its key if there is one. */
  upsert(row: Row<C>): TableStatement
  /** Adds to numbers of a row, which is made if there is none, with 0 in the others. */
  increment(key: Pick<Row<C>, Key>, by: Numeric<C>): TableStatement
  remove(key: Pick<Row<C>, Key>): TableStatement
  /**
   * Any SQL that changes this table: `` table.sql`update turnover set cents = 0 where _entity = ${table.entity}` ``. The
   * projection's name in it stands for the table that is being filled.
   */
  sql(strings: TemplateStringsArray, ...params: readonly (string | number | boolean | null)[]): TableStatement
}

/** An entity as its rows are made. Times are milliseconds since 1970. */
export interface Projected {
  readonly id: string
  readonly version: number
  readonly createdAt: number
  readonly updatedAt: number
}

/** An event as a test gives it to a projection. */
export type ProjectedEvent<F extends Facts, Stored extends string> = (NewEvent<F> | EarlierEvent<Stored>) & {
  /** Whose it is. Default: one and the same for all events of an entity type. */
  readonly entity?: string | undefined
  /** Of the entity. Only needed where several types that the projection is made of have such an event. */
  readonly entityType?: F['type'] | undefined
  /** milliseconds since 1970. Default: as the event before it of that entity, 0 for the first. */
  readonly at?: number | undefined
}

/** A whole projection. `E` is what may be given to it. */
export interface DefinedProjection<N extends string, C extends Columns, E> extends Projection<N, C> {
  /**
   * Tests without a store: `accounts.given([...]).rows()` is what stands in the table after these events, entity by entity
   * and by the key. Events are given as to `given` of their definition, and checked and folded as there.
   */
  given(events: readonly E[]): { rows(): Row<C>[] }
}

/** The first half of a projection: a table. `.rows()` or `.on()` says what stands in it. */
export interface ProjectionShape<N extends string, C extends Columns, Key extends keyof C, E = never> {
  /** From state: one row an entity, none (`null`), or, with a `key`, several. Made anew whenever the state changes. */
  rows<F extends Facts, EC, R extends Row<C> | readonly Row<C>[] | null, S extends string = never>(
    of: EntityDefinition<F, EC, S>,
    row: (state: DeepReadonly<F['state']>, entity: Projected) => R & CheckedRow<R, C>,
  ): DefinedProjection<N, C, ProjectedEvent<F, S>>
  /** From events, each exactly once. May be said once for each entity type. */
  on<F extends Facts, EC, S extends string = never>(
    of: EntityDefinition<F, EC, S>,
    handlers: {
      [K in keyof F['events'] & string]?: (
        event: Event<F, K>,
        table: Table<C, Key>,
      ) => TableStatement | readonly TableStatement[] | undefined
    },
  ): DefinedProjection<N, C, E | ProjectedEvent<F, S>> &
    Pick<ProjectionShape<N, C, Key, E | ProjectedEvent<F, S>>, 'on'>
}

/** What a projection holds at run time, behind its public type. */
export interface ProjectionDefinition {
  readonly name: string
  readonly version: number
  readonly columns: readonly ColumnDefinition[]
  readonly key: readonly string[]
  readonly indexes: readonly (readonly string[])[]
  readonly rows: RowMaker | null
  /** of an entity type and an event type */
  handler(entityType: string, event: string): EventHandler | undefined
  /** The definitions that it is made of. Null: of all there are. */
  readonly of: readonly Definition[] | null
}

export type RowMaker = (state: unknown, entity: Projected, entityType: string) => unknown
export type EventHandler = (event: unknown, table: unknown) => unknown

const parts = Symbol.for('kuma.projection')

/** The run-time side of a projection, also of one made by another copy of the library. @throws KUMA_INVALID_CONFIG */
export function projectionOf(projection: AnyProjection): ProjectionDefinition {
  const found = (projection as { [parts]?: ProjectionDefinition } | null | undefined)?.[parts]
  if (found !== undefined) return found
  const hint = 'a projection is what defineProjection({...}).rows(...) or .on(...) returns'
  throw new KumaError('KUMA_INVALID_CONFIG', 'this is not a projection', { path: null }, { hint })
}

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,62}$/
const TAKEN = ['entities', 'events']

/**
 * Names a table, its columns, their key within one entity, and its indexes; then `.rows(...)` or `.on(...)` says what
 * stands in it.
 * @throws KUMA_INVALID_CONFIG
 */
export function defineProjection<
  const N extends string,
  const C extends Columns,
  const Key extends keyof C & string = never,
>(shape: {
  readonly name: N
  /** Raise it when anything else of the projection changes: the table is then built anew. Default: 1. */
  readonly version?: number | undefined
  readonly columns: C
  /** Within one entity: `_entity` is always the first part of the primary key. */
  readonly key?: readonly Key[] | undefined
  readonly indexes?: readonly (readonly (keyof C & string)[])[] | undefined
}): ProjectionShape<N, C, Key> {
  const { name, columns } = shape
  const table = tableOf(shape)
  const asPublic = (definition: ProjectionDefinition, more: object = {}) =>
    Object.freeze({
      name,
      columns,
      given: (events: readonly GivenEntityEvent[]) => givenRows(definition, events),
      [parts]: definition,
      ...more,
    }) as never
  return {
    rows: (of, row) => {
      const definition = definitionOf(of)
      if (typeof row !== 'function') throw malformed(name, '.rows needs a function from a state to a row')
      return asPublic({ ...table, rows: row as RowMaker, handler: () => undefined, of: [definition] })
    },
    on: (of, handlers) => chained(of, handlers, table, asPublic, []),
  }
}

type Chain = readonly { readonly of: Definition; readonly handlers: ReadonlyMap<string, EventHandler> }[]

function chained(
  of: EntityDefinition,
  given: object,
  table: ReturnType<typeof tableOf>,
  asPublic: (definition: ProjectionDefinition, more: object) => never,
  before: Chain,
): never {
  const { name } = table
  const definition = definitionOf(of)
  if (before.some((one) => one.of.type === definition.type))
    throw malformed(name, `has its .on(${definition.type}, ...) already`, 'say all of it in one .on')
  const handlers = new Map<string, EventHandler>()
  for (const [event, handler] of Object.entries(given ?? {})) {
    if (typeof handler !== 'function') throw malformed(name, `has something for ${event} that is no function`)
    const known = [...definition.events, 'Created']
    if (definition.events.length > 0 && !known.includes(event)) {
      const meant = nearest(event, known)
      const hint = meant === undefined ? `it has ${known.join(', ')}` : `did you mean ${meant}?`
      throw malformed(name, `has a handler for ${event}, which ${definition.type} has not`, hint)
    }
    handlers.set(event, handler)
  }
  const chain: Chain = [...before, { of: definition, handlers }]
  const byType = new Map(chain.map((one) => [one.of.type, one.handlers]))
  return asPublic(
    {
      ...table,
      rows: null,
      handler: (entityType, event) => byType.get(entityType)?.get(event),
      of: chain.map((one) => one.of),
    },
    { on: (next: EntityDefinition, more: object) => chained(next, more, table, asPublic, chain) },
  )
}

function tableOf(shape: {
  readonly name: string
  readonly version?: number | undefined
  readonly columns: Columns
  readonly key?: readonly string[] | undefined
  readonly indexes?: readonly (readonly string[])[] | undefined
}) {
  const { name, version = 1, key = [], indexes = [] } = shape
  checkName(name, name, 'its name')
  const other = Object.keys(shape).find((setting) => !SETTINGS.includes(setting))
  if (other !== undefined)
    throw malformed(name, `has a setting ${quoted(other)}, and there is no such one`, meantBy(other, SETTINGS))
  if (TAKEN.includes(name.toLowerCase())) throw malformed(name, 'has a name that is taken: that table is built in')
  if (name.toLowerCase().startsWith('kuma_') || name.toLowerCase().startsWith('sqlite_'))
    throw malformed(name, 'has a name that is kept for the engine')
  if (name.includes('__')) throw malformed(name, 'has a name with __ in it, which tells generations apart')
  if (!Number.isSafeInteger(version) || version < 1) throw malformed(name, 'has a `version` that is no whole number')
  const columns = Object.entries(shape.columns ?? {}).map(([column, type]) => {
    checkName(name, column, 'a column')
    if (column.toLowerCase() === name.toLowerCase()) throw malformed(name, 'has a column of its own name')
    const parsed = parseColumn(column, type)
    if (parsed === null) throw malformed(name, `has the column ${column} of type ${JSON.stringify(type)}`, TYPES)
    return parsed
  })
  if (columns.length === 0) throw malformed(name, 'has no columns')
  if (new Set(columns.map((column) => column.name.toLowerCase())).size < columns.length)
    throw malformed(name, 'has two columns whose names differ only in case')
  const known = new Map(columns.map((column) => [column.name, column]))
  for (const column of [...key, ...indexes.flat()])
    if (!known.has(column)) throw malformed(name, `has no column ${JSON.stringify(column)} for its key or index`)
  for (const column of key)
    if (known.get(column)!.isNullable) throw malformed(name, `has ${column} in its key, which may be null`)
  return { name, version, columns, key: [...key], indexes: indexes.map((columns) => [...columns]) }
}

const SETTINGS = ['name', 'version', 'columns', 'key', 'indexes']
const TYPES = "a column is 'text', 'integer', 'real', 'boolean' or 'json', each also with ' null' after it"

function checkName(projection: string, name: unknown, what: string): void {
  if (typeof name === 'string' && NAME.test(name)) return
  const hint = 'up to 63 letters, digits and _, a letter first'
  throw malformed(projection, `has ${JSON.stringify(name)} for ${what}`, hint)
}

function malformed(name: unknown, problem: string, hint?: string): KumaError<'KUMA_INVALID_CONFIG'> {
  const message = `the projection ${JSON.stringify(name)} ${problem}`
  return new KumaError('KUMA_INVALID_CONFIG', message, { path: null }, { hint })
}
