/**
 * The read models of a store, as an engine offers them: questions in SQL, waiting for what one has written, and what is
 * done to projections. The sink is opened when it is first needed; where the engine writes, its projector follows the log
 * from then on, and where it only reads, it runs for as long as a question needs it to.
 */
import type { Behind } from '../api.ts'
import type { ProjectionInfo, QueriesInfo, QueryPage, ReadModelQuery, ReadModels, Rebuilt } from '../engine.ts'
import { formatPosition, type Position } from '../entity/event.ts'
import type { JsonObject } from '../entity/json.ts'
import { inTimeline, invalidPosition } from '../entity/position.ts'
import { isKumaError, KumaError, shortened } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { Catalog, type Catalogued, type Generation } from './catalog.ts'
import { ENTITY, looseParam, quoted } from './columns.ts'
import type { ProjectionDefinition } from './define-projection.ts'
import type { Filling } from './filling.ts'
import { projectionIn, tableName } from './generation-table.ts'
import { Projector, type ProjectorOptions } from './projector.ts'
import { rowsOf } from './query-rows.ts'
import { type Asked, Questions } from './questions.ts'
import { invalidQuery, type Query, type Scrubbed, type Sink } from './sink.ts'
import type { Source } from './source.ts'
import { type Failure, stopped } from './stopped.ts'

const SAMPLES = 10
/** Of one row of a query, as JSON: whoever passes it on has it in memory, a few times over. */
const ROW_BYTES_MAX = 16 * 1024 * 1024
/** what a timer takes */
const TIMEOUT_MS_MAX = 2 ** 31 - 1
const EXPLAIN = /^\s*explain(?:\s+query\s+plan)?\b/i
const AS_IT_IS = 'or ask the table as it is: --stale, { stale: true }'

type Answer<T> = (query: Query, begins?: () => void) => AsyncIterable<T>

export type QueryBounds = Omit<QueriesInfo, 'running' | 'waiting'>

export interface ReadModelsOptions extends ProjectorOptions {
  readonly queries: QueryBounds
  /** Does it follow the log, or only catch up when it is asked to? */
  readonly follows: boolean
  /** Is there anything in the sink, as far as one can tell without opening it? */
  readonly isInUse: () => boolean
  /** The embedded sink, if it was used once and is not the one of today's config. To be closed again. */
  readonly former: () => Sink | null
}

export class StoreReadModels implements ReadModels {
  private readonly catalog: Catalog
  private readonly projector: Projector
  private readonly questions: Questions
  private opening: Promise<void> | null = null
  /** how many trials are under way for which nothing else is projected */
  private trials = 0

  constructor(
    private readonly sink: Sink,
    private readonly source: Source,
    private readonly definitions: readonly ProjectionDefinition[],
    private readonly placeOf: (id: string) => { readonly shard: number; readonly entity: number } | null,
    private readonly options: ReadModelsOptions,
  ) {
    this.catalog = new Catalog(sink, source.store, source.shards)
    this.projector = new Projector(source, this.catalog, definitions, options)
    this.questions = new Questions(options.queries.queriesMax)
  }

  /** Opens the sink, and follows the log if that is its business. @throws KUMA_WRONG_SINK and what opening a sink throws */
  open(): Promise<void> {
    if (this.projector.isRunning) return Promise.resolve() // it opens it as often as it has to
    return this.reach().then(() => {
      if (this.options.follows) this.projector.start()
    })
  }

  private async reach(): Promise<void> {
    if (this.projector.isRunning) return
    this.opening ??= this.claim().catch((error) => {
      this.opening = null
      throw error
    })
    await this.opening
  }

  private async claim(): Promise<void> {
    await this.sink.open()
    await this.catalog.claim()
  }

  /** The same, but for a sink that does not answer: then it is tried again and again. @throws KUMA_WRONG_SINK */
  async follow(): Promise<void> {
    await this.open().catch((error) => {
      if (!isKumaError(error, 'KUMA_SINK_UNAVAILABLE', 'KUMA_LOCKED', 'KUMA_DISK_FULL')) throw error
      this.projector.start()
    })
  }

  async close(): Promise<void> {
    const { name } = this.sink
    this.questions.close(new KumaError('KUMA_CLOSED', `the read models in ${name} are closed`, { path: name }))
    await this.projector.close()
    await this.sink.close()
  }

  // ---------------------------------------------------------------- questions

  get queries(): QueriesInfo {
    return { ...this.questions.counts, ...this.options.queries }
  }

  async *query({ sql, params = [], after, stale, onCatchUp, ...asked }: ReadModelQuery): AsyncGenerator<QueryPage> {
    const { queryMemoryBytesMax, queryTimeoutMs } = this.options.queries
    const { timeoutMs = queryTimeoutMs ?? undefined, signal } = asked
    if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX))
      throw invalidQuery(`a query can take from 1 to ${TIMEOUT_MS_MAX} ms, not ${timeoutMs}`)
    const bound = params.map((param) => {
      try {
        return looseParam(param)
      } catch (error) {
        throw invalidQuery((error as Error).message)
      }
    })
    await this.open()
    if (this.options.follows) await this.projector.loaded(signal)
    else if (!stale) await this.catchUp(onCatchUp, signal)
    const memoryBytesMax = queryMemoryBytesMax ?? undefined
    const query = { sql, params: bound, rowBytesMax: ROW_BYTES_MAX, memoryBytesMax }
    const bounds = { ...asked, timeoutMs }
    try {
      if (after !== undefined) await this.awaitAll(await this.meant(query, bounds), after, signal)
      yield* this.ask(query, bounds, (query, begins) => this.answer(query, stale, begins))
    } catch (error) {
      throw await this.explained(error, stale)
    }
  }

  /** In its turn; at once where nothing bounds it. */
  private ask<T>(query: Query, { asker, timeoutMs, signal }: Asked, answer: Answer<T>): AsyncIterable<T> {
    const isBounded = [query.memoryBytesMax, timeoutMs, signal].some((bound) => bound !== undefined)
    if (!isBounded && !this.options.follows) return answer(query)
    const asked = { asker, timeoutMs, signal }
    return this.questions.ask(asked, (signal, begins) => answer({ ...query, timeoutMs, signal }, begins))
  }

  private async *answer(query: Query, stale = false, begins = () => {}): AsyncGenerator<QueryPage> {
    const behind = await this.behind(await this.read(query), stale)
    begins()
    let isFirst = true
    for await (const page of this.sink.query(query)) {
      yield isFirst && behind.length > 0 ? { ...page, behind } : page
      isFirst = false
    }
  }

  /** The projections whose tables a question reads. @throws KUMA_INVALID_QUERY */
  private async read(query: Query): Promise<readonly string[]> {
    const sql = query.sql.replace(EXPLAIN, '')
    const tables = await this.sink.tables({ ...query, sql, timeoutMs: undefined })
    if (sql !== query.sql) return [] // of how it would be answered
    return [...new Set(tables.map(projectionIn).filter((name) => name !== null))]
  }

  /** The projections for which a question waits: those that it reads; if there are none, all that go on. */
  private async meant(query: Query, bounds: Asked): Promise<readonly string[]> {
    const read: string[] = []
    const reading = this.ask(query, bounds, (query) => once(() => this.read(query)))
    for await (const names of reading) read.push(...names)
    if (read.length > 0) return this.definitions.map(({ name }) => name).filter((name) => read.includes(name))
    return this.definitions.map(({ name }) => name).filter((name) => this.stopOf(name) === null)
  }

  /**
   * What is to be told of the tables that a question reads.
   * @throws KUMA_PROJECTION_FAILED, KUMA_PROJECTION_CHANGED of one that has stopped, unless it is asked for as it is
   */
  private async behind(read: readonly string[], stale: boolean): Promise<readonly Behind[]> {
    if (!stale)
      for (const name of read) {
        const stop = this.stopOf(name)
        if (stop !== null) throw stopped(name, stop, AS_IT_IS)
      }
    const lags = read.filter((name) => stale || this.serving(name) === undefined)
    if (lags.length === 0) return []
    const all = this.projector.isLoaded ? this.now() : this.listed(await this.catalog.load())
    return all
      .filter(({ name, lagEvents }) => lags.includes(name) && (stale || lagEvents > 0))
      .map(({ name, state, lagEvents, lagSeconds, error }) => ({
        projection: name,
        state,
        lagEvents,
        lagSeconds,
        error,
      }))
  }

  /** Why the table that serves does not go on; null if it does. */
  private stopOf(name: string): Failure | null {
    return this.serving(name) === undefined ? (this.projector.failures.get(name) ?? null) : null
  }

  private async explained(error: unknown, stale = false): Promise<unknown> {
    if (!isKumaError(error, 'KUMA_INVALID_QUERY')) return error
    const lacking = /no such table: (?:main\.)?(\S+)/.exec(error.message)?.[1]
    if (lacking === undefined) return error
    const name = projectionIn(lacking) // somebody has taken away what its view stands for
    const stop = name === null || stale ? null : this.stopOf(name)
    if (name !== null && stop !== null) return stopped(name, stop)
    const names = await this.catalog.names().catch(() => [])
    return invalidQuery(error.message, `there are: ${names.join(', ')}`)
  }

  async waitFor(projection: string | null, position: Position | null, signal?: AbortSignal): Promise<void> {
    if (projection !== null) this.checkName(projection)
    await this.open()
    await this.awaitAll(projection === null ? this.definitions.map(({ name }) => name) : [projection], position, signal)
  }

  private async awaitAll(names: readonly string[], position: Position | null, signal?: AbortSignal): Promise<void> {
    const seqs = position === null ? this.source.places() : this.reachable(position)
    this.projector.start()
    await this.projector.until(() => names.every((name) => this.isAt(name, seqs)), signal)
  }

  /** @throws KUMA_INVALID_POSITION */
  private reachable(position: Position): number[] {
    const seqs = this.source.placeIn(position)
    for (const [shard, seq] of seqs.entries())
      if (seq > this.source.ends.of(shard)) throw invalidPosition(position, `lies beyond the end of shard ${shard}`)
    return seqs
  }

  private isAt(name: string, seqs: readonly number[]): boolean {
    const stop = this.stopOf(name)
    if (stop !== null) throw stopped(name, stop)
    if (!this.options.follows && this.projector.problem !== null) throw this.projector.problem
    return this.serving(name)?.isAt(seqs) ?? false
  }

  private serving(name: string): Filling | undefined {
    return this.projector.fillings.find((filling) => filling.name === name && filling.of.state === 'serving')
  }

  async catchUp(told?: (leftEvents: number) => void, signal?: AbortSignal): Promise<void> {
    await this.open()
    const ends = this.source.places()
    this.projector.start()
    await this.projector.until(() => {
      if (this.projector.problem !== null) throw this.projector.problem
      if (!this.projector.isLoaded) return false
      const { fillings } = this.projector
      told?.(Math.max(0, ...fillings.map((filling) => this.projector.lagOf(filling))))
      return fillings.every((filling) => filling.isAt(ends) && filling.of.state !== 'building')
    }, signal)
  }

  async rowsOf(id: string): Promise<{ [table: string]: JsonObject[] }> {
    const place = this.placeOf(id)
    if (place === null || !this.options.isInUse()) return {}
    await this.open()
    const rows: { [table: string]: JsonObject[] } = {}
    for (const name of await this.catalog.names()) {
      const sql = `SELECT * FROM ${quoted(name)} WHERE ${ENTITY} = ?`
      const found = await this.objects(sql, formatPosition(place.shard, place.entity))
      if (found.length > 0) rows[name] = found
    }
    return rows
  }

  /** For an answer of its own, in which nothing may lack. */
  private async objects(sql: string, ...params: string[]): Promise<JsonObject[]> {
    for (;;) {
      try {
        const found: JsonObject[] = []
        const pages = this.ask({ sql, params }, {}, (query) => this.sink.query(query))
        for await (const row of rowsOf(pages)) found.push(row)
        return found
      } catch (error) {
        if (!isKumaError(error, 'KUMA_INTERRUPTED')) throw error
      }
    }
  }

  // ---------------------------------------------------------------- operation

  async list(): Promise<readonly ProjectionInfo[]> {
    await (this.trials > 0 ? this.reach() : this.open())
    if (!this.projector.isRunning) return this.listed(await this.catalog.load())
    await this.projector.loaded()
    return this.now()
  }

  /** What the projector knows. */
  now(): readonly ProjectionInfo[] {
    return this.projector.isRunning ? this.listed(this.projector.catalogued) : []
  }

  private listed(catalogued: ReadonlyMap<string, Catalogued>): readonly ProjectionInfo[] {
    const known = this.definitions.map(({ name }) => name)
    const orphans = [...catalogued.keys()].filter((name) => !known.includes(name))
    return [...known, ...orphans].map((name) => this.info(name, catalogued.get(name)))
  }

  private info(name: string, catalogued: Catalogued | undefined): ProjectionInfo {
    const { projector } = this
    const { serving = null, next = null, skips = [] } = catalogued ?? {}
    const failure = this.failureOf(name, catalogued)
    const filling = this.serving(name)
    const positions = this.positionsOf(serving)
    return {
      name,
      sink: this.sink.name,
      state: this.stateOf(name, catalogued, failure),
      generation: serving?.generation ?? null,
      version: serving?.version ?? this.definitions.find((one) => one.name === name)?.version ?? 1,
      lagEvents: projector.lagOf({ positions }),
      lagSeconds: this.lagSeconds(positions),
      eventsPerSecond: filling?.rate.now() ?? 0,
      error:
        failure ??
        (projector.problem && { code: projector.problem.code, message: projector.problem.message, position: null }),
      building: next && {
        generation: next.generation,
        isTrial: next.state === 'trial',
        lagEvents: projector.lagOf({ positions: this.positionsOf(next) }),
      },
      skipped: skips.map(({ shard, seq, timeline, reason, at }) => {
        return { position: inTimeline(formatPosition(shard, seq), timeline), reason, at }
      }),
      leftOut: [...(filling?.leftOut.values() ?? serving?.leftOut ?? [])].flatMap(({ entity, position, at }) => {
        const id = this.source.nameOf(entity)
        return id === null ? [] : [{ entity: id, position, at }]
      }),
    }
  }

  private failureOf(name: string, catalogued: Catalogued | undefined): Failure | null {
    const { projector } = this
    const definition = this.definitions.find((one) => one.name === name)
    if (projector.isLoaded || definition === undefined || catalogued === undefined)
      return projector.failures.get(name) ?? catalogued?.serving?.error ?? catalogued?.next?.error ?? null
    return projector.failureOf(definition, catalogued)
  }

  private stateOf(name: string, catalogued: Catalogued | undefined, failure: Failure | null): ProjectionInfo['state'] {
    if (!this.definitions.some((one) => one.name === name)) return 'orphaned'
    if (catalogued?.isPaused) return 'paused'
    if (failure !== null) return 'failed'
    if (this.projector.problem !== null) return 'waiting'
    return this.projector.isRunning ? 'following' : 'idle'
  }

  private positionsOf(generation: Generation | null): number[] {
    const filling = generation && this.projector.fillingOf(generation)
    if (filling != null) return filling.positions
    return Array.from({ length: this.source.shards }, (_, shard) => generation?.checkpoints.get(shard)?.position ?? 0)
  }

  private lagSeconds(positions: readonly number[]): number {
    const oldest = positions.map(
      (position, shard) => this.source.recordedAt(shard, position + 1) ?? Number.POSITIVE_INFINITY,
    )
    return Math.max(0, (Date.now() - Math.min(...oldest)) / 1_000)
  }

  async rebuild(
    name: string,
    {
      dryRun = false,
      signal,
    }: { readonly dryRun?: boolean | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Rebuilt> {
    const definition = this.checkName(name)
    if (dryRun) return this.tried(definition, signal)
    await this.reach() // and not more: what follows the log would begin at once what is due
    return this.switched(definition, signal)
  }

  /** Who interrupts it leaves nothing behind, unless it was finished in that moment. */
  private async switched(definition: ProjectionDefinition, signal?: AbortSignal): Promise<Rebuilt> {
    const { name } = definition
    const ends = this.source.places()
    const { generation } = await this.projector.begin(definition, false)
    try {
      await this.projector.until(() => this.isComplete(this.projector, name, generation, ends), signal)
    } catch (error) {
      if (!signal?.aborted || (await this.withdrawn(name, generation))) throw error
    }
    return { projection: name, generation, isTrial: false, difference: null }
  }

  /** False if it serves. */
  private async withdrawn(name: string, generation: number): Promise<boolean> {
    const isWithdrawn = await this.catalog.dropGeneration(name, generation)
    await this.projector.reload()
    return isWithdrawn
  }

  /** Where nothing follows the log, nothing but the trial is filled, or begun. */
  private async tried(definition: ProjectionDefinition, signal?: AbortSignal): Promise<Rebuilt> {
    this.trials++
    try {
      await this.reach()
      if (this.projector.isRunning) return await this.triedBy(this.projector, definition, signal)
      const projector = new Projector(this.source, this.catalog, [definition], this.options, 'trials')
      return await this.triedBy(projector, definition, signal).finally(() => projector.close())
    } finally {
      this.trials--
    }
  }

  private async triedBy(
    projector: Projector,
    definition: ProjectionDefinition,
    signal?: AbortSignal,
  ): Promise<Rebuilt> {
    const { name } = definition
    const ends = this.source.places()
    const { generation, serving } = await projector.begin(definition, true)
    try {
      await projector.until(() => this.isComplete(projector, name, generation, ends), signal)
      const difference = serving === null ? null : await this.difference(name, serving, generation)
      return { projection: name, generation, isTrial: true, difference }
    } finally {
      await this.withdrawn(name, generation)
    }
  }

  /** Has it taken its place, or, as a trial, come to where the one that serves is? @param ends where the log ended when it was begun */
  private isComplete(projector: Projector, name: string, generation: number, ends: readonly number[]): boolean {
    const { serving = null, next = null } = projector.catalogued.get(name) ?? {}
    const made = [serving, next].find((one) => one?.generation === generation)
    if (made == null) throw superseded(name)
    const filling = projector.fillingOf({ projection: name, generation })
    const failure = made.error ?? projector.failures.get(name)
    if (failure != null && filling === undefined) throw stopped(name, failure)
    if (!this.options.follows && projector.problem !== null) throw projector.problem
    if (filling === undefined || !filling.isAt(ends)) return false
    if (made.state !== 'trial') return made === serving
    const old = serving && projector.fillingOf(serving)
    return old == null || old.positions.join() === filling.positions.join()
  }

  private async difference(name: string, serving: number, next: number): Promise<Rebuilt['difference']> {
    const [a, b] = [quoted(tableName(name, serving)), quoted(tableName(name, next))]
    const only = (one: string, other: string) => `SELECT * FROM ${one} EXCEPT SELECT * FROM ${other} LIMIT ${SAMPLES}`
    return {
      ...(await this.catalog.compare(name, serving, next)),
      samplesBefore: await this.objects(only(a, b)),
      samplesAfter: await this.objects(only(b, a)),
    }
  }

  async pause(name: string): Promise<void> {
    await this.known(name)
    await this.catalog.setPaused(name, true)
    await this.projector.reload()
  }

  async resume(name: string): Promise<void> {
    await this.known(name)
    await this.catalog.setPaused(name, false)
    await this.catalog.forgive(name)
    await this.projector.reload()
  }

  async drop(name: string): Promise<void> {
    await this.known(name)
    if (this.definitions.some((one) => one.name === name))
      throw usage(
        `${name} is filled by a projection of the config`,
        'take it out of the config first; to fill it anew: rebuild',
      )
    await this.catalog.forget(name)
    await this.projector.reload()
  }

  async skip(name: string, position: Position, reason: string): Promise<void> {
    await this.known(name)
    const seqs = this.reachable(position)
    const [[shard, seq] = [0, 0], ...more] = [...seqs.entries()].filter(([, seq]) => seq > 0)
    if (more.length > 0 || seq === 0) throw invalidPosition(position, 'is not the position of one event')
    await this.catalog.skip(name, { shard, seq, timeline: this.source.timelineOf(shard, seq), reason, at: Date.now() })
    await this.catalog.forgive(name)
    await this.projector.reload()
  }

  /** @throws KUMA_UNKNOWN_PROJECTION */
  private async known(name: string): Promise<Catalogued> {
    await this.open()
    const isDefined = this.definitions.some((one) => one.name === name)
    if (isDefined && !this.projector.isLoaded) await this.begun()
    const all = await this.catalog.load()
    const found = all.get(name)
    if (found === undefined) throw unknown(name, [...all.keys()])
    return found
  }

  /** Resolves when the catalog has all that is defined, which the projector enters as it starts. @throws why it cannot */
  private async begun(): Promise<void> {
    this.projector.start()
    await this.projector.loaded()
    if (this.projector.problem !== null) throw this.projector.problem
  }

  private checkName(name: string): ProjectionDefinition {
    const found = this.definitions.find((one) => one.name === name)
    if (found !== undefined) return found
    throw unknown(
      name,
      this.definitions.map((one) => one.name),
    )
  }

  // ---------------------------------------------------------------- erasure

  /** The nodes of the rqlite that it is in. */
  get nodes(): readonly string[] {
    return this.sink.nodes
  }

  /**
   * Deletes the rows of entities wherever they are, and takes their bytes out of the sink's files.
   * @param entities keys by shard
   * @throws KUMA_SINK_UNAVAILABLE and what else writing throws: then nobody knows whether they are gone
   */
  async erase(entities: readonly { readonly shard: number; readonly entity: number }[]): Promise<Scrubbed> {
    const byShard = new Map<number, string[]>()
    for (const { shard, entity } of entities)
      byShard.set(shard, [...(byShard.get(shard) ?? []), formatPosition(shard, entity)])
    const former = await this.eraseInFormer(byShard)
    if (!this.options.isInUse()) return former
    await this.open()
    await this.catalog.erase(byShard)
    void this.projector.reload()
    const { reached, notReached } = await this.sink.scrub((act) => this.questions.without(act))
    return { reached: [...former.reached, ...reached], notReached: [...former.notReached, ...notReached] }
  }

  private async eraseInFormer(byShard: ReadonlyMap<number, readonly string[]>): Promise<Scrubbed> {
    const sink = this.options.former()
    if (sink === null) return { reached: [], notReached: [] }
    try {
      await sink.open()
      const catalog = new Catalog(sink, this.source.store, this.source.shards)
      await catalog.claim()
      await catalog.erase(byShard)
      return await sink.scrub((act) => act()) // which nobody asks
    } finally {
      await sink.close()
    }
  }
}

async function* once<T>(act: () => Promise<T>): AsyncGenerator<T> {
  yield await act()
}

function superseded(projection: string): KumaError<'KUMA_PROJECTION_FAILED'> {
  const message = `the new table of ${projection} was taken away: somebody else has begun another one`
  const hint = '`kuma projections` tells how it does'
  return new KumaError('KUMA_PROJECTION_FAILED', message, { projection, position: null }, { hint })
}

function unknown(projection: string, names: readonly string[]): KumaError<'KUMA_UNKNOWN_PROJECTION'> {
  const meant = nearest(projection, names)
  const hint = meant === undefined ? `there are: ${names.join(', ')}` : `did you mean ${meant}?`
  return new KumaError(
    'KUMA_UNKNOWN_PROJECTION',
    `there is no projection ${shortened(projection)}`,
    { projection },
    { hint },
  )
}

function usage(message: string, hint: string): KumaError<'KUMA_USAGE'> {
  return new KumaError('KUMA_USAGE', message, {}, { hint })
}
