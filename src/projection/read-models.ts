/**
 * The read models of a store, as an engine offers them: questions in SQL, waiting for what one has written, and what is
 * done to projections. The sink is opened when it is first needed; where the engine writes, its projector follows the log
 * from then on, and where it only reads, it runs for as long as a question needs it to.
 */
import type { ProjectionInfo, QueriesInfo, QueryPage, ReadModelQuery, ReadModels, Rebuilt } from '../engine.ts'
import { formatPosition, type Position } from '../entity/event.ts'
import type { JsonObject } from '../entity/json.ts'
import { inTimeline, invalidPosition } from '../entity/position.ts'
import { isKumaError, KumaError, shortened } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { Catalog, type Catalogued, type Failure, type Generation } from './catalog.ts'
import { looseParam, quoted } from './columns.ts'
import { ENTITY, type ProjectionDefinition } from './define-projection.ts'
import type { Filling } from './filling.ts'
import { tableName } from './generation-table.ts'
import { Projector, type ProjectorOptions } from './projector.ts'
import { rowsOf } from './query-rows.ts'
import { type Asked, Questions } from './questions.ts'
import { invalidQuery, type Query, type Scrubbed, type Sink } from './sink.ts'
import type { Source } from './source.ts'
import { mentions } from './sql-text.ts'

const SAMPLES = 10
/** Of one row of a query, as JSON: whoever passes it on has it in memory, a few times over. */
const ROW_BYTES_MAX = 16 * 1024 * 1024
/** what a timer takes */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

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
    this.opening ??= this.claim().catch((error) => {
      this.opening = null
      throw error
    })
    return this.opening
  }

  private async claim(): Promise<void> {
    await this.sink.open()
    await this.catalog.claim()
    if (this.options.follows) this.projector.start()
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
    if (after !== undefined) await this.awaitAll(this.meant(sql), after, signal)
    try {
      const memoryBytesMax = queryMemoryBytesMax ?? undefined
      const query = { sql, params: bound, rowBytesMax: ROW_BYTES_MAX, memoryBytesMax }
      yield* this.ask(query, { ...asked, timeoutMs })
    } catch (error) {
      throw await this.explained(error)
    }
  }

  /** In its turn; at once where nothing bounds it. */
  private ask(query: Query, { asker, timeoutMs, signal }: Asked): AsyncIterable<QueryPage> {
    const isBounded = [query.memoryBytesMax, timeoutMs, signal].some((bound) => bound !== undefined)
    if (!isBounded && !this.options.follows) return this.sink.query(query)
    const asked = { asker, timeoutMs, signal }
    return this.questions.ask(asked, (signal) => this.sink.query({ ...query, timeoutMs, signal }))
  }

  /** The projections whose tables a question speaks of; all of them if it names none. */
  private meant(sql: string): readonly string[] {
    const names = this.definitions.map(({ name }) => name)
    const meant = names.filter((name) => mentions(sql, name))
    return meant.length > 0 ? meant : names.filter((name) => !this.projector.failures.has(name))
  }

  private async explained(error: unknown): Promise<unknown> {
    if (!isKumaError(error, 'KUMA_INVALID_QUERY') || !/no such table/.test(error.message)) return error
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
    const failure = this.projector.failures.get(name)
    if (failure !== undefined) throw failed(name, failure)
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
        for await (const row of rowsOf(this.ask({ sql, params }, {}))) found.push(row)
        return found
      } catch (error) {
        if (!isKumaError(error, 'KUMA_INTERRUPTED')) throw error
      }
    }
  }

  // ---------------------------------------------------------------- operation

  async list(): Promise<readonly ProjectionInfo[]> {
    if (this.projector.isRunning) return this.now()
    await this.open()
    return this.projector.isRunning ? this.now() : this.listed(await this.catalog.load())
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
    const failure = projector.failures.get(name) ?? serving?.error ?? next?.error ?? null
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
    await this.open()
    const before = (await this.catalog.load()).get(name)
    if (before?.isPaused) throw usage(`${name} is paused`, `kuma projections resume ${name}`)
    const state = dryRun ? 'trial' : before?.serving ? 'building' : 'serving'
    const generation = await this.projector.begin(definition, state)
    this.projector.start()
    try {
      await this.projector.until(() => this.isComplete(name, generation), signal)
      const serving = before?.serving?.generation
      const difference = dryRun && serving !== undefined ? await this.difference(name, serving, generation) : null
      return { projection: name, generation, isTrial: dryRun, difference }
    } finally {
      if (dryRun) {
        await this.catalog.dropGeneration(name, generation)
        await this.projector.reload()
      }
    }
  }

  /** Has it taken its place, or, as a trial, come to where the one that serves is? */
  private isComplete(name: string, generation: number): boolean {
    const { failures, problem, catalogued } = this.projector
    const failure = failures.get(name)
    const filling = this.projector.fillingOf({ projection: name, generation })
    if (failure !== undefined && filling === undefined && catalogued.get(name)?.next?.generation === generation)
      throw failed(name, failure)
    if (!this.options.follows && problem !== null) throw problem
    if (filling?.of.state === 'serving') return true
    if (filling?.of.state !== 'trial') return false
    const serving = this.serving(name)
    return serving === undefined
      ? this.projector.lagOf(filling) === 0
      : serving.positions.join() === filling.positions.join()
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

function failed(projection: string, { message, position }: Failure): KumaError<'KUMA_PROJECTION_FAILED'> {
  const at = position === null ? '' : ` at ${position}`
  const hint =
    position === null
      ? '`kuma projections` tells how each of them does'
      : `mend it, then \`kuma projections resume ${projection}\`; or go on without that event: \`kuma projections skip ${projection} ${position} --reason ...\``
  return new KumaError(
    'KUMA_PROJECTION_FAILED',
    `${projection} stopped${at}: ${message}`,
    { projection, position },
    { hint },
  )
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
