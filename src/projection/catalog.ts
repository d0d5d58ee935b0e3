/**
 * What a sink knows of its projections, in tables of the engine's own:
 *
 *     kuma_sink(store, format)              whose it is
 *     kuma_projection(name, serving, newest, is_paused)
 *     kuma_generation(projection, generation, version, shape, entities, state, error, codes)
 *     kuma_checkpoint(projection, generation, shard, position, crc, fence, timeline)
 *     kuma_skip(projection, shard, seq, reason, at, timeline)
 *     kuma_left_out(projection, generation, entity, position, at)
 *
 * **Exactly once.** A checkpoint moves in the transaction that writes the rows it stands for, and the first statement of
 * that transaction is a guard: it asks for the checkpoint to be where the batch begins, and fails if it is elsewhere or
 * not there at all, which takes the whole batch back. So a batch that is sent twice, or by two projectors, counts once.
 *
 * **The fence** is a number that a guard asks for as well. An erasure deletes rows and raises the fence of its shard in
 * one transaction: a batch that was read before it, and may bring the rows back, fails from then on, whoever sends it.
 *
 * **The timeline** says of which history of the store a place is (timeline.ts): one that lies behind where a restore has
 * parted from it is of events that are no more. A folder that was set back by a copy of it has no new timeline: there
 * **the crc** tells, which is that of the event at the position. What the rows were made of is not what such a log says now.
 *
 * **Codes** are digests of the code that filled a generation (same-code.ts).
 *
 * The first sinks did not have the columns of timelines and codes: they get them when they are opened, and `kuma_left_out`.
 */

import type { Rebuilt } from '../engine.ts'
import type { Position } from '../entity/event.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { quoted } from './columns.ts'
import type { ProjectionDefinition } from './define-projection.ts'
import { clear, dropTable, dropView, GenerationTable, tableName, viewOf } from './generation-table.ts'
import { codeOf } from './same-code.ts'
import type { Sink, SinkRow, Statement } from './sink.ts'
import type { Failure } from './stopped.ts'

const FORMAT = 1

type Difference = NonNullable<Rebuilt['difference']>

const LEFT_OUT =
  'CREATE TABLE IF NOT EXISTS kuma_left_out (projection TEXT NOT NULL, generation INTEGER NOT NULL, entity TEXT NOT NULL, position TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (projection, generation, entity)) WITHOUT ROWID'
const SCHEMA = [
  'CREATE TABLE IF NOT EXISTS kuma_sink (store TEXT NOT NULL PRIMARY KEY, format INTEGER NOT NULL)',
  'CREATE TABLE IF NOT EXISTS kuma_projection (name TEXT NOT NULL PRIMARY KEY, serving INTEGER, newest INTEGER NOT NULL, is_paused INTEGER NOT NULL)',
  'CREATE TABLE IF NOT EXISTS kuma_generation (projection TEXT NOT NULL, generation INTEGER NOT NULL, version INTEGER NOT NULL, shape TEXT NOT NULL, entities TEXT NOT NULL, state TEXT NOT NULL, error TEXT, codes TEXT, PRIMARY KEY (projection, generation))',
  'CREATE TABLE IF NOT EXISTS kuma_checkpoint (projection TEXT NOT NULL, generation INTEGER NOT NULL, shard INTEGER NOT NULL, position INTEGER NOT NULL, crc INTEGER NOT NULL, fence INTEGER NOT NULL, updated_at INTEGER NOT NULL, timeline TEXT, PRIMARY KEY (projection, generation, shard)) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS kuma_skip (projection TEXT NOT NULL, shard INTEGER NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL, timeline TEXT, PRIMARY KEY (projection, shard, seq)) WITHOUT ROWID',
  LEFT_OUT,
]

/** `serving` is asked; `building` takes its place when it has caught up; `trial` is only compared with it. */
export type GenerationState = 'serving' | 'building' | 'trial'

export interface Generation {
  readonly projection: string
  readonly generation: number
  /** of the definition that fills it */
  readonly version: number
  readonly shape: string
  /** versions of the entity definitions, by type */
  readonly entities: { readonly [type: string]: number }
  readonly state: GenerationState
  /** why it stopped */
  readonly error: Failure | null
  /** digests of the code that makes its rows; null: it is not known */
  readonly codes: readonly string[] | null
  /** By shard. A shard that is missing here was taken away by someone. */
  readonly checkpoints: ReadonlyMap<number, Checkpoint>
  readonly leftOut: readonly LeftOut[]
}

/** An entity that has no rows, since its state is too large. */
export interface LeftOut {
  /** as `_entity` names it */
  readonly entity: string
  /** of its last event when that was seen, and when that was */
  readonly position: Position
  readonly at: number
}

export interface Checkpoint {
  readonly position: number
  /** null: the first */
  readonly timeline: string | null
  /** of the event there; 0 if it is not known */
  readonly crc: number
  readonly fence: number
}

export interface Skip {
  readonly shard: number
  readonly seq: number
  /** in which the event was recorded; null: the first */
  readonly timeline: string | null
  readonly reason: string
  readonly at: number
}

/** A projection as the sink knows it. */
export interface Catalogued {
  readonly name: string
  readonly isPaused: boolean
  readonly serving: Generation | null
  /** The one that is being built beside it. */
  readonly next: Generation | null
  readonly skips: readonly Skip[]
}

/** A generation that was begun. */
export interface Begun {
  readonly generation: number
  /** that served then */
  readonly serving: number | null
}

/** A checkpoint's step from one place to another, as a part of a batch. */
export interface Step {
  readonly projection: string
  readonly generation: number
  readonly shard: number
  readonly from: number
  readonly to: number
  /** null: the first */
  readonly timeline: string | null
  /** of the event at `to` */
  readonly crc: number
  readonly fence: number
}

const PROJECTIONS = 'SELECT name, serving, newest, is_paused FROM kuma_projection ORDER BY name'
const STANDS =
  'FROM kuma_checkpoint WHERE projection = ? AND generation = ? AND shard = ? AND position = ? AND fence = ?'

/** Fails unless the checkpoint stands where the step begins: then there is nothing to take `position` from. */
export function guard({ projection, generation, shard, from, to, timeline, crc, fence }: Step, now: number): Statement {
  const sql = `INSERT INTO kuma_checkpoint (projection, generation, shard, timeline, crc, fence, updated_at, position) VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT ? ${STANDS})) ON CONFLICT DO UPDATE SET position = excluded.position, timeline = excluded.timeline, crc = excluded.crc, updated_at = excluded.updated_at`
  return [sql, projection, generation, shard, timeline, crc, fence, now, to, projection, generation, shard, from, fence]
}

/** Notes that an entity has no rows. */
export function leaveOut(projection: string, generation: number, { entity, position, at }: LeftOut): Statement {
  const sql =
    'INSERT OR REPLACE INTO kuma_left_out (projection, generation, entity, position, at) VALUES (?, ?, ?, ?, ?)'
  return [sql, projection, generation, entity, position, at]
}

export function letIn(projection: string, generation: number, entity: string): Statement {
  const sql = 'DELETE FROM kuma_left_out WHERE projection = ? AND generation = ? AND entity = ?'
  return [sql, projection, generation, entity]
}

/** How guards fail: of a checkpoint, of what serves, and where two begin a generation at the same time. */
const GUARDS = /kuma_checkpoint\.position|kuma_projection\.newest|kuma_generation\.generation/

/** Is this how a guard fails? */
export function isGuardFailure(error: unknown): boolean {
  return isKumaError(error, 'KUMA_STATEMENT_FAILED') && GUARDS.test(error.message)
}

/** What tells two tables apart: a change of it without a higher version is refused. */
export function shapeOf({ columns, key, indexes, rows, of }: ProjectionDefinition): string {
  const named = columns.map(({ name, type, isNullable }) => `${name} ${type}${isNullable ? ' null' : ''}`)
  const types = of?.map(({ type }) => type).sort() ?? null
  return JSON.stringify({ columns: named, key, indexes, from: rows === null ? 'events' : 'state', of: types })
}

export class Catalog {
  /** The tables of trials that were begun through it: those of others are theirs to fill. */
  readonly trials = new Set<string>()

  constructor(
    readonly sink: Sink,
    private readonly store: string,
    private readonly shards: number,
  ) {}

  /** Makes the sink this store's, if it is nobody's. @throws KUMA_WRONG_SINK, KUMA_NEWER_FORMAT and what sinks throw */
  async claim(): Promise<void> {
    const found = await this.owner()
    if (found === null) {
      const mine: Statement = [
        'INSERT INTO kuma_sink (store, format) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM kuma_sink)',
        this.store,
        FORMAT,
      ]
      await this.sink.write([...SCHEMA.map((sql): Statement => [sql]), mine])
    }
    const owner = found ?? (await this.owner())
    const { name } = this.sink
    if (owner?.['store'] !== this.store) {
      const hint = 'each store needs a database of its own: name another one, or empty this one'
      throw new KumaError('KUMA_WRONG_SINK', `${name} holds the read models of another store`, { sink: name }, { hint })
    }
    const format = Number(owner['format'])
    if (format > FORMAT)
      throw new KumaError('KUMA_NEWER_FORMAT', `${name} was written by a newer version of Kuma`, { path: name, format })
    if (found === null) return
    await this.addColumns(['kuma_checkpoint', 'kuma_skip'], 'timeline')
    await this.addColumns(['kuma_generation'], 'codes')
    if (!(await this.has('kuma_left_out'))) await this.sink.write([[LEFT_OUT]])
  }

  private async has(table: string): Promise<boolean> {
    const found = await this.sink.read("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", table)
    return found.length > 0
  }

  private async hasColumn(table: string, column: string): Promise<boolean> {
    const sql = 'SELECT 1 AS found FROM sqlite_schema WHERE name = ? AND sql LIKE ?'
    return (await this.sink.read(sql, table, `% ${column} TEXT%`)).length > 0
  }

  /** That the first ones did not have. */
  private async addColumns(tables: readonly string[], column: string): Promise<void> {
    if (await this.hasColumn(tables[0]!, column)) return
    try {
      await this.sink.write(tables.map((table): Statement => [`ALTER TABLE ${table} ADD COLUMN ${column} TEXT`]))
    } catch (error) {
      if (!(await this.hasColumn(tables[0]!, column))) throw error // else another projector was first
    }
  }

  /** Null if the sink is nobody's yet. */
  private async owner(): Promise<SinkRow | null> {
    const [table] = await this.sink.read(
      "SELECT 1 AS found FROM sqlite_schema WHERE type = 'table' AND name = 'kuma_sink'",
    )
    if (table === undefined) return null
    const [row] = await this.sink.read('SELECT store, format FROM kuma_sink')
    return row ?? null
  }

  async load(): Promise<Map<string, Catalogued>> {
    const { sink } = this
    const projections = await sink.read(PROJECTIONS)
    const generations = await sink.read('SELECT * FROM kuma_generation ORDER BY generation')
    const checkpoints = await sink.read(
      'SELECT projection, generation, shard, position, timeline, crc, fence FROM kuma_checkpoint',
    )
    const skips = await sink.read(
      'SELECT projection, shard, seq, timeline, reason, at FROM kuma_skip ORDER BY shard, seq',
    )
    const leftOut = await sink.read(
      'SELECT projection, generation, entity, position, at FROM kuma_left_out ORDER BY at',
    )
    // read one after the other: what was begun or switched meanwhile would be there in part
    if (JSON.stringify(projections) !== JSON.stringify(await sink.read(PROJECTIONS))) return this.load()
    const all = generations.map((row) => generationOf(row, checkpoints, leftOut))
    return new Map(
      projections.map((row) => {
        const name = String(row['name'])
        const own = all.filter(({ projection }) => projection === name)
        return [
          name,
          {
            name,
            isPaused: row['is_paused'] === 1,
            serving: own.find(({ generation }) => generation === row['serving']) ?? null,
            next: own.findLast(({ generation }) => generation !== row['serving']) ?? null,
            skips: skips.filter(({ projection }) => projection === name).map(skipOf),
          },
        ]
      }),
    )
  }

  /** A new generation, at the beginning of every shard; others than the one that serves go. Where none serves, it does at once. */
  async begin(
    definition: ProjectionDefinition,
    entities: Generation['entities'],
    purpose: 'building' | 'trial',
  ): Promise<Begun> {
    const { name } = definition
    const [known] = await this.sink.read('SELECT newest, serving FROM kuma_projection WHERE name = ?', name)
    const newest = Number(known?.['newest'] ?? 0)
    const serving = (known?.['serving'] ?? null) as number | null
    const generation = newest + 1
    const state: GenerationState = purpose === 'building' && serving === null ? 'serving' : purpose
    const table = new GenerationTable(definition, generation)
    const leftovers = await this.generationsOf(name)
    const statements: Statement[] = [
      // who else begins one at this moment has the same number: one of both fails
      [
        'INSERT INTO kuma_generation (projection, generation, version, shape, entities, state, codes) VALUES (?, ?, ?, ?, ?, ?, ?)',
        name,
        generation,
        definition.version,
        shapeOf(definition),
        JSON.stringify(entities),
        state,
        JSON.stringify([codeOf(definition)]),
      ],
      [
        `INSERT INTO kuma_projection (name, serving, newest, is_paused) VALUES (?, NULL, ?, 0) ON CONFLICT DO UPDATE SET newest = excluded.newest`,
        name,
        generation,
      ],
      this.asserted(name, 'serving IS ?', serving),
      ...leftovers.filter((old) => old !== serving).flatMap((old) => this.drop(name, old)),
      ...table.create(),
      [
        'WITH RECURSIVE shards(shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard + 1 < ?) INSERT INTO kuma_checkpoint (projection, generation, shard, position, crc, fence, updated_at) SELECT ?, ?, shard, 0, 0, 0, 0 FROM shards',
        this.shards,
        name,
        generation,
      ],
      ...(state === 'serving' ? this.serve(name, generation) : []),
    ]
    await this.sink.write(statements)
    if (state === 'trial') this.trials.add(tableName(name, generation))
    return { generation, serving }
  }

  private async generationsOf(name: string): Promise<number[]> {
    const rows = await this.sink.read('SELECT generation FROM kuma_generation WHERE projection = ?', name)
    return rows.map((row) => Number(row['generation']))
  }

  private serve(name: string, generation: number): Statement[] {
    return [
      ['UPDATE kuma_projection SET serving = ? WHERE name = ?', generation, name],
      ["UPDATE kuma_generation SET state = 'serving' WHERE projection = ? AND generation = ?", name, generation],
      ...viewOf(name, generation),
    ]
  }

  private drop(name: string, generation: number): Statement[] {
    return [
      dropTable(name, generation),
      ['DELETE FROM kuma_generation WHERE projection = ? AND generation = ?', name, generation],
      ['DELETE FROM kuma_checkpoint WHERE projection = ? AND generation = ?', name, generation],
      ['DELETE FROM kuma_left_out WHERE projection = ? AND generation = ?', name, generation],
    ]
  }

  /** A guard: fails unless this holds of the projection, since others may have begun or switched a generation meanwhile. */
  private asserted(name: string, condition: string, param: number | null): Statement {
    return [`UPDATE kuma_projection SET newest = CASE WHEN ${condition} THEN newest END WHERE name = ?`, param, name]
  }

  /** From one generation to the next, in one transaction: whoever asks sees the one or the other. */
  async switch(name: string, from: number | null, to: number): Promise<void> {
    const isThere = 'EXISTS (SELECT 1 FROM kuma_generation WHERE projection = name AND generation = ?)'
    await this.sink.write([
      this.asserted(name, 'serving IS ?', from),
      this.asserted(name, isThere, to),
      ...this.serve(name, to),
      ...(from === null ? [] : this.drop(name, from)),
    ])
  }

  /** Takes a projection away, with all of its tables. */
  async forget(name: string): Promise<void> {
    const generations = await this.generationsOf(name)
    await this.sink.write([
      dropView(name),
      ...generations.flatMap((generation) => this.drop(name, generation)),
      ['DELETE FROM kuma_skip WHERE projection = ?', name],
      ['DELETE FROM kuma_projection WHERE name = ?', name],
    ])
  }

  /** Not the one that serves: false if it is that by now. */
  async dropGeneration(name: string, generation: number): Promise<boolean> {
    try {
      await this.sink.write([this.asserted(name, 'serving IS NOT ?', generation), ...this.drop(name, generation)])
      return true
    } catch (error) {
      if (isGuardFailure(error)) return false
      throw error
    }
  }

  async setPaused(name: string, isPaused: boolean): Promise<void> {
    const sql = 'UPDATE kuma_projection SET is_paused = ? WHERE name = ?'
    await this.sink.write([[sql, isPaused ? 1 : 0, name], this.stop(name)])
  }

  /** Whoever fills it has to look here again. */
  private stop(name: string): Statement {
    return ['UPDATE kuma_checkpoint SET fence = fence + 1 WHERE projection = ?', name]
  }

  async setFailure(name: string, generation: number, failure: Failure): Promise<void> {
    const sql = 'UPDATE kuma_generation SET error = ? WHERE projection = ? AND generation = ?'
    await this.sink.write([[sql, JSON.stringify(failure), name, generation]])
  }

  /** It is tried again. */
  async forgive(name: string): Promise<void> {
    await this.sink.write([['UPDATE kuma_generation SET error = NULL WHERE projection = ?', name]])
  }

  /** Versions of entity types that a generation meets for the first time. */
  async setEntities(name: string, generation: number, entities: Generation['entities']): Promise<void> {
    const sql = 'UPDATE kuma_generation SET entities = ? WHERE projection = ? AND generation = ?'
    await this.sink.write([[sql, JSON.stringify(entities), name, generation]])
  }

  async setCodes(name: string, generation: number, codes: readonly string[]): Promise<void> {
    const sql = 'UPDATE kuma_generation SET codes = ? WHERE projection = ? AND generation = ?'
    await this.sink.write([[sql, JSON.stringify(codes), name, generation]])
  }

  async skip(name: string, { shard, seq, timeline, reason, at }: Skip): Promise<void> {
    const sql =
      'INSERT OR REPLACE INTO kuma_skip (projection, shard, seq, timeline, reason, at) VALUES (?, ?, ?, ?, ?, ?)'
    await this.sink.write([[sql, name, shard, seq, timeline, reason, at]])
  }

  /**
   * Deletes the rows of entities in every generation of every projection, and raises the fences of their shards. Messages
   * of failures may speak of them, and go too.
   * @param entities by shard, as `_entity` names them
   */
  async erase(entities: ReadonlyMap<number, readonly string[]>): Promise<void> {
    const generations = await this.sink.read('SELECT projection, generation FROM kuma_generation')
    const tables = await this.sink.read("SELECT name FROM sqlite_schema WHERE type = 'table'")
    const known = new Set(tables.map((row) => row['name']))
    const statements: Statement[] = [...entities.keys()].map((shard) => [
      'UPDATE kuma_checkpoint SET fence = fence + 1 WHERE shard = ?',
      shard,
    ])
    const said = 'it failed; what it said may have been personal, and was erased'
    statements.push([
      "UPDATE kuma_generation SET error = json_set(error, '$.message', ?) WHERE error IS NOT NULL",
      said,
    ])
    for (const row of generations) {
      const [projection, generation] = [String(row['projection']), Number(row['generation'])]
      if (!known.has(tableName(projection, generation))) continue
      for (const entity of [...entities.values()].flat())
        statements.push(clear(projection, generation, entity), letIn(projection, generation, entity))
    }
    await this.sink.write(statements)
  }

  /** Names of the projections that can be asked. */
  async names(): Promise<string[]> {
    const rows = await this.sink.read('SELECT name FROM kuma_projection WHERE serving IS NOT NULL ORDER BY name')
    return rows.map((row) => String(row['name']))
  }

  /** How many rows two generations have, and how many only the one of them. */
  async compare(
    name: string,
    serving: number,
    next: number,
  ): Promise<Pick<Difference, 'rowsBefore' | 'rowsAfter' | 'onlyBefore' | 'onlyAfter'>> {
    const [a, b] = [quoted(tableName(name, serving)), quoted(tableName(name, next))]
    const counts = {
      rowsBefore: `SELECT 1 FROM ${a}`,
      rowsAfter: `SELECT 1 FROM ${b}`,
      onlyBefore: `SELECT * FROM ${a} EXCEPT SELECT * FROM ${b}`,
      onlyAfter: `SELECT * FROM ${b} EXCEPT SELECT * FROM ${a}`,
    }
    const columns = Object.entries(counts).map(([as, sql]) => `(SELECT count(*) FROM (${sql})) AS ${as}`)
    const [row] = await this.sink.read(`SELECT ${columns.join(', ')}`)
    return row as never
  }
}

function generationOf(row: SinkRow, checkpoints: readonly SinkRow[], leftOut: readonly SinkRow[]): Generation {
  const [projection, generation] = [String(row['projection']), Number(row['generation'])]
  const isOwn = (one: SinkRow) => one['projection'] === projection && one['generation'] === generation
  const own = checkpoints.filter(isOwn)
  return {
    projection,
    generation,
    version: Number(row['version']),
    shape: String(row['shape']),
    entities: JSON.parse(String(row['entities'])) as Generation['entities'],
    state: row['state'] as GenerationState,
    error: row['error'] === null ? null : (JSON.parse(String(row['error'])) as Failure),
    codes: row['codes'] === null ? null : (JSON.parse(String(row['codes'])) as Generation['codes']),
    checkpoints: new Map(
      own.map((one) => [
        Number(one['shard']),
        {
          position: Number(one['position']),
          timeline: one['timeline'] as string | null,
          crc: Number(one['crc']),
          fence: Number(one['fence']),
        },
      ]),
    ),
    leftOut: leftOut.filter(isOwn).map(({ entity, position, at }) => {
      return { entity: String(entity), position: String(position), at: Number(at) }
    }),
  }
}

function skipOf(row: SinkRow): Skip {
  return {
    shard: Number(row['shard']),
    seq: Number(row['seq']),
    timeline: row['timeline'] as string | null,
    reason: String(row['reason']),
    at: Number(row['at']),
  }
}
