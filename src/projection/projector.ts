/**
 * Brings what is recorded into the tables of a sink, for as long as it runs. There is one batch on its way to the sink at
 * most, and the next one collects meanwhile: so a batch is as large as the sink is slow, and up to 1 MB.
 *
 * What the sink says when a batch did not get through decides:
 *
 *     a guard failed        the checkpoint is elsewhere: another projector was there, or an answer was lost and the batch
 *                           is in; what the checkpoints say counts
 *     a statement failed    its generation stops, loudly and alone
 *     anything else         nobody knows what was done; after a while the checkpoints are read again
 *
 * In each case everything is read anew from the catalog: nothing of what was kept in memory is relied on.
 */
import { setTimeout } from 'node:timers/promises'
import type { Position } from '../entity/event.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { breathe } from '../store/slices.ts'
import { Batch } from './batch.ts'
import {
  type Begun,
  type Catalog,
  type Catalogued,
  type Checkpoint,
  type Generation,
  isGuardFailure,
  shapeOf,
} from './catalog.ts'
import type { ProjectionDefinition } from './define-projection.ts'
import { Filling } from './filling.ts'
import { tableName } from './generation-table.ts'
import { codeOf, makesTheSame } from './same-code.ts'
import type { Sink, Statement } from './sink.ts'
import type { Source } from './source.ts'
import type { Failure } from './stopped.ts'
import { type Known, Stopped, Track } from './track.ts'

/** So often the catalog is read for what others changed, while a projection does not go on. */
const LOOK_MS = 5_000
const RETRY_MS = 50
const RETRY_MS_MAX = 10_000
/** While events are recorded, the sink rests after a batch: so many times as long as that took, within bounds. */
const PAUSE_SHARE = 3
const PAUSE_MS_MIN = 10
const PAUSE_MS_MAX = 20
/** While appends wait for the disk, it works for one part in so many of the time. */
const SHARE = 6

export interface ProjectorOptions {
  /** Are there appends that wait? Then it takes its time. */
  readonly isBusy: () => boolean
  /** Told of a projection that stops. */
  readonly onFailed: (name: string, failure: Failure) => void
  /** Told of an entity that a projection leaves out, since its state is too large. */
  readonly onLeftOut: (name: string, entity: Pick<Known, 'id' | 'position'>) => void
  /** Told when the sink answers again, or for the first time. */
  readonly onReached: () => void
}

/** A generation that is asked for. */
interface Wanted {
  readonly definition: ProjectionDefinition
  readonly isTrial: boolean
  made: Begun | null
  begun(begun: Begun): void
  refused(error: unknown): void
}

export class Projector {
  /** by name: as the catalog had it */
  catalogued: ReadonlyMap<string, Catalogued> = new Map()
  /** those that cannot go on, by name */
  failures: ReadonlyMap<string, Failure> = new Map()
  /** how often the catalog was read */
  private loads = 0
  /** where the log ended when the shards were last gone through */
  private ends: readonly number[] = []
  /** The sink does not answer, or not as it should. */
  problem: KumaError | null = null
  fillings: readonly Filling[] = []
  private tracks: readonly Track[] = []
  private turn = 0
  private isStale = true
  private isClosed = false
  private writing: Promise<void> | null = null
  private pausedUntil = 0
  private writeError: { readonly error: unknown } | null = null
  private readonly listeners = new Set<() => void>()
  private wake: () => void = () => {}
  private readonly closing = new AbortController()
  private running: Promise<void> | null = null
  private wanted: Wanted[] = []
  /** tables that stand filled by code that makes other rows */
  private readonly otherwise = new Set<string>()

  /** @param only `trials`: fills nothing else, and begins nothing that is due */
  constructor(
    private readonly source: Source,
    private readonly catalog: Catalog,
    private readonly definitions: readonly ProjectionDefinition[],
    private readonly options: ProjectorOptions,
    private readonly only: 'trials' | null = null,
  ) {}

  private get sink(): Sink {
    return this.catalog.sink
  }

  start(): void {
    this.running ??= this.run()
  }

  get isRunning(): boolean {
    return this.running !== null && !this.isClosed
  }

  /** Reads the catalog again before it goes on: something in it was changed. Resolves when it has, or cannot. */
  async reload(): Promise<void> {
    this.isStale = true
    this.wake()
    const { loads } = this
    if (this.isRunning) await this.until(() => this.loads > loads || this.problem !== null).catch(() => {})
  }

  /** Resolves when the catalog was read for the first time. @throws KUMA_CLOSED, the signal's reason */
  async loaded(signal?: AbortSignal): Promise<void> {
    await this.until(() => this.loads > 0 || this.problem !== null, signal)
  }

  get isLoaded(): boolean {
    return this.loads > 0
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.closing.abort()
    this.wake()
    await this.running
    this.tell()
  }

  private async run(): Promise<void> {
    for (let tries = 0; !this.isClosed; ) {
      try {
        await this.load()
        if (this.problem !== null || tries === 0) this.options.onReached()
        this.problem = null
        this.tell()
        tries = 1
        await this.follow()
      } catch (error) {
        if (this.isClosed || isKumaError(error, 'KUMA_CLOSED')) break
        await this.settle()
        const problem = await this.recover(error).catch((again: unknown) => again)
        if (problem === null) continue
        this.refuseWanted(problem)
        this.problem = isKumaError(problem) ? problem : unexpected(problem)
        this.tell()
        const ms = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** tries++) * (0.5 + Math.random())
        await this.sleep(ms)
      }
    }
    await this.settle()
    this.refuseWanted(this.closed())
  }

  /** The batch on its way, whatever becomes of it. */
  private async settle(): Promise<void> {
    await this.writing
    this.writeError = null
    this.isStale = true
  }

  /** What is left of a problem: null if it is dealt with. @throws what the sink throws, which comes first then */
  private async recover(error: unknown): Promise<unknown> {
    if (error instanceof Stopped) {
      for (const filling of error.fillings) await this.fail(filling, error.position, error.cause)
      return null
    }
    if (!isGuardFailure(error)) return error
    // two projectors in turn: one of them comes first more often than not
    await this.sleep(RETRY_MS * Math.random())
    return null
  }

  private async fail({ name, generation }: Filling, position: Position | null, cause: unknown): Promise<void> {
    const code = isKumaError(cause) && cause.code !== 'KUMA_STATEMENT_FAILED' ? cause.code : 'KUMA_PROJECTION_FAILED'
    const message = cause instanceof Error ? cause.message : String(cause)
    await this.catalog.setFailure(name, generation, { code, message, position })
  }

  // ---------------------------------------------------------------- what is to be filled

  /**
   * A generation more of a projection, to take the place of the one that serves, or as a trial. It is begun where all others
   * are, in `load`: beside that, two could begin at once, and the one would take away the other's.
   * @throws KUMA_USAGE if it is paused, and what the sink throws
   */
  begin(definition: ProjectionDefinition, isTrial: boolean): Promise<Begun> {
    const begun = new Promise<Begun>((begun, refused) => {
      if (this.isClosed) refused(this.closed())
      else this.wanted.push({ definition, isTrial, made: null, begun, refused })
    })
    this.start()
    this.isStale = true
    this.wake()
    return begun
  }

  private async beginWanted(): Promise<void> {
    this.wanted = this.wanted.filter(({ definition: { name }, refused }) => {
      const isPaused = this.catalogued.get(name)?.isPaused === true
      if (isPaused) refused(paused(name))
      return !isPaused
    })
    for (const one of this.wanted) one.made ??= await this.beginOne(one)
    if (this.wanted.length > 0) this.catalogued = await this.catalog.load()
  }

  private async beginOne({ definition, isTrial }: Wanted): Promise<Begun> {
    if (!isTrial) await this.catalog.forgive(definition.name)
    return this.catalog.begin(definition, this.entitiesOf(definition), isTrial ? 'trial' : 'building')
  }

  private tellWanted(): void {
    const made = this.wanted.filter(({ made }) => made !== null)
    this.wanted = this.wanted.filter(({ made }) => made === null)
    for (const { begun, made: one } of made) begun(one!)
  }

  private refuseWanted(error: unknown): void {
    for (const { refused } of this.wanted.splice(0)) refused(error)
  }

  private closed(): KumaError<'KUMA_CLOSED'> {
    return new KumaError('KUMA_CLOSED', `${this.sink.name} is closed`, { path: this.sink.name })
  }

  private isForeignTrial({ projection, generation, state }: Generation): boolean {
    return state === 'trial' && !this.catalog.trials.has(tableName(projection, generation))
  }

  private async load(): Promise<void> {
    await this.catalog.claim()
    this.isStale = false
    // whoever begins tries again what failed for another
    if (this.loads === 0 && this.only === null)
      for (const { name } of this.definitions) await this.catalog.forgive(name)
    this.catalogued = await this.catalog.load()
    await this.beginWanted()
    let isNew = false
    if (this.only === null) for (const definition of this.definitions) if (await this.prepare(definition)) isNew = true
    if (isNew) this.catalogued = await this.catalog.load()
    if (this.only === null) for (const definition of this.definitions) await this.compareCode(definition)
    const failures = new Map<string, Failure>()
    this.fillings = this.definitions.flatMap((definition) => this.fillingsOf(definition, failures))
    for (const [name, failure] of failures)
      if (this.failures.get(name)?.message !== failure.message) this.options.onFailed(name, failure)
    this.failures = failures
    this.loads++
    this.ends = this.source.places()
    this.group()
    this.tellWanted()
  }

  /** Begins a generation where one is due. */
  private async prepare(definition: ProjectionDefinition): Promise<boolean> {
    const { serving = null, next = null } = this.catalogued.get(definition.name) ?? {}
    const entities = this.entitiesOf(definition)
    const newest = next === null || this.isForeignTrial(next) ? serving : next
    if (newest !== null && (newest.state === 'trial' || !isOlder(newest, definition, entities)))
      return this.meet(newest, entities)
    await this.catalog.begin(definition, entities, 'building')
    return true
  }

  /** Entity types that a generation has not met before are noted: a built-in table takes all there are. */
  private async meet(generation: Generation, entities: Generation['entities']): Promise<boolean> {
    if (Object.keys(entities).every((type) => Object.hasOwn(generation.entities, type))) return false
    const all = { ...entities, ...generation.entities }
    await this.catalog.setEntities(generation.projection, generation.generation, all)
    return true
  }

  /** Of generations that other code has filled: does this one make the same rows? */
  private async compareCode(definition: ProjectionDefinition): Promise<void> {
    const code = codeOf(definition)
    const known = this.catalogued.get(definition.name)
    if (code === null || known === undefined) return
    const entities = this.entitiesOf(definition)
    for (const generation of [known.serving, known.next]) {
      if (generation === null || generation.state === 'trial' || generation.codes?.includes(code)) continue
      const table = tableName(definition.name, generation.generation)
      if (this.otherwise.has(table) || isOlder(generation, definition, entities)) continue
      if (this.problemOf(generation, definition, entities) !== null) continue
      const filling = new Filling(definition, generation, known)
      const isSame = generation.codes === null || (await makesTheSame(filling, this.source, this.sink))
      if (!isSame) this.otherwise.add(table)
      else await this.catalog.setCodes(definition.name, generation.generation, [...(generation.codes ?? []), code])
    }
  }

  private entitiesOf({ rows, of }: ProjectionDefinition): Generation['entities'] {
    if (rows === null) return {}
    return Object.fromEntries((of ?? this.source.definitions.all).map(({ type, version }) => [type, version]))
  }

  private fillingsOf(definition: ProjectionDefinition, failures: Map<string, Failure>): Filling[] {
    const known = this.catalogued.get(definition.name)
    if (known === undefined || known.isPaused) return []
    const { serving, next } = known
    const entities = this.entitiesOf(definition)
    return [next, serving].flatMap((generation) => {
      if (generation === null || this.isForeignTrial(generation)) return []
      if (this.only === 'trials' && generation.state !== 'trial') return []
      // the one that serves stays as it is while a newer one is built
      if (generation === serving && next !== null && isOlder(generation, definition, entities)) return []
      const failure = generation.error ?? this.problemOf(generation, definition, entities)
      if (failure === null) return [this.filling(definition, generation, known)]
      failures.set(definition.name, failure)
      return []
    })
  }

  /** Why it would not go on, as far as that can be told before anything is done. */
  failureOf(definition: ProjectionDefinition, { serving, next }: Catalogued): Failure | null {
    const entities = this.entitiesOf(definition)
    for (const generation of [serving, next]) {
      if (generation === null || generation.state === 'trial') continue
      if (generation.error !== null) return generation.error
      if (isOlder(generation, definition, entities)) continue // a new one will be built
      const problem = this.problemOf(generation, definition, entities)
      if (problem !== null) return problem
    }
    return null
  }

  private filling(definition: ProjectionDefinition, generation: Generation, known: Catalogued): Filling {
    const filling = new Filling(definition, generation, known)
    filling.rate = this.fillingOf(generation)?.rate ?? filling.rate
    return filling
  }

  /** Where a generation has come to, if it is being filled. */
  fillingOf({ projection, generation }: Pick<Generation, 'projection' | 'generation'>): Filling | undefined {
    return this.fillings.find((one) => one.name === projection && one.generation === generation)
  }

  /** Why a generation cannot be filled by this definition. */
  private problemOf(
    generation: Generation,
    definition: ProjectionDefinition,
    entities: Generation['entities'],
  ): Failure | null {
    const { name, version } = definition
    const newer = Object.entries(entities).find(([type, version]) => (generation.entities[type] ?? 0) > version)
    if (generation.version > version || newer !== undefined) {
      const what = newer === undefined ? name : newer[0]
      return changed(`${name} was built by a newer version of ${what} than this one: another program is ahead`)
    }
    if (generation.shape !== shapeOf(definition))
      return changed(
        `${name} has other columns, keys, indexes or entities than when it was built, but the same version ${version}: raise its version, and it is built anew`,
      )
    if (this.otherwise.has(tableName(name, generation.generation)))
      return changed(
        `${name} makes other rows than those that stand in its table, but has the same version ${version}: raise it, and it is built anew`,
      )
    for (let shard = 0; shard < this.source.shards; shard++) {
      const checkpoint = generation.checkpoints.get(shard)
      if (checkpoint === undefined)
        return lost(`the checkpoint of ${name} in shard ${shard} was taken away: rebuild it`)
      if (this.isPlaceOf(generation, shard, checkpoint)) continue
      return lost(
        `the checkpoint of ${name} in shard ${shard} cannot be ${checkpoint.position}: it was moved, or the store was set back; rebuild it`,
      )
    }
    return null
  }

  /** Can a generation have come to that place in this log? */
  private isPlaceOf(generation: Generation, shard: number, { position, timeline, crc }: Checkpoint): boolean {
    const { source } = this
    if (position < (this.fillingOf(generation)?.positions[shard] ?? 0) || position > source.ends.of(shard)) return false
    if (position > source.sharedWith(timeline, shard)) return false
    return crc === 0 || [crc, 0].includes(source.crcAt(shard, position))
  }

  /** Those that stand at the same places advance together. */
  private group(): void {
    const groups = new Map<string, Filling[]>()
    for (const filling of this.fillings) {
      const places = filling.positions.join()
      groups.set(places, [...(groups.get(places) ?? []), filling])
    }
    const { onLeftOut } = this.options
    this.tracks = [...groups.values()].map((fillings) => new Track(this.source, fillings, onLeftOut))
  }

  // ---------------------------------------------------------------- filling it

  /** Until something has to be read anew. */
  private async follow(): Promise<void> {
    const { ends } = this.source
    let seen = ends.moves
    while (!this.isClosed && !this.isStale) {
      if (this.isUnsettled && (await this.settleDown())) return
      if (ends.moves !== seen) await this.pause()
      seen = ends.moves
      const batch = new Batch()
      await this.collect(batch)
      while (this.writing !== null && !batch.isFull && !this.isClosed && !this.isStale) {
        const { moves } = ends
        await Promise.race([this.writing, this.news(moves)])
        await this.collect(batch)
      }
      if (batch.isEmpty) {
        if (ends.isClosed) return
        await this.written()
        await this.news(seen)
      } else {
        const statements = batch.close()
        await this.written()
        this.writing = this.write(batch, statements)
      }
    }
    await this.written()
  }

  /**
   * While events are recorded, the sink is left alone for a while after each batch: the disk and this thread are for
   * those who append, and what is written seldom is written less often.
   */
  private async pause(): Promise<void> {
    await this.written()
    const ms = this.pausedUntil - performance.now()
    if (ms > 0) await this.sleep(ms)
  }

  private async write(batch: Batch, statements: readonly Statement[]): Promise<void> {
    const began = performance.now()
    try {
      await this.sink.write(statements)
      this.applied(batch)
    } catch (error) {
      this.writeError = { error: originOf(batch, error) }
    } finally {
      this.writing = null
      const ended = performance.now()
      this.pausedUntil = ended + Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, PAUSE_SHARE * (ended - began)))
    }
  }

  /** @throws what became of the batch before */
  private async written(): Promise<void> {
    await this.writing
    const { writeError } = this
    this.writeError = null
    if (writeError !== null) throw writeError.error
  }

  /** One pass over the shards, beginning with the one that was not read to its end. */
  private async collect(batch: Batch): Promise<void> {
    const ends = this.source.places()
    this.ends = ends
    for (const track of this.tracks) {
      for (let passed = 0; passed < ends.length; passed++) {
        for (;;) {
          if (batch.isFull || this.isClosed || this.isStale || this.writeError !== null) return
          const began = performance.now()
          if (!(await track.read(this.turn, ends[this.turn]!, batch))) break
          await this.rest(performance.now() - began)
        }
        this.turn = (this.turn + 1) % ends.length
      }
    }
  }

  private async rest(workedMs: number): Promise<void> {
    if (this.options.isBusy()) await this.sleep(workedMs * (SHARE - 1))
    else await breathe()
  }

  private async sleep(ms: number): Promise<void> {
    await setTimeout(ms, undefined, { signal: this.closing.signal }).catch(() => {})
  }

  /** Is there one that does not go on? Others may mend that. */
  private get hasStopped(): boolean {
    return this.failures.size > 0 || [...this.catalogued.values()].some(({ isPaused }) => isPaused)
  }

  /** Resolves when there may be more to do. */
  private news(moves: number): Promise<unknown> {
    if (this.isStale || this.isClosed) return Promise.resolve()
    const woken = new Promise<void>((resolve) => (this.wake = resolve))
    const heard = new AbortController()
    const { signal } = heard
    const news: Promise<unknown>[] = [this.source.ends.moved(moves, signal), woken]
    if (this.hasStopped)
      news.push(setTimeout(LOOK_MS, undefined, { signal, ref: false }).then(() => void this.reload()))
    return Promise.race(news)
      .catch(() => {})
      .finally(() => heard.abort())
  }

  private applied(batch: Batch): void {
    for (const { filling, shard, from, to } of batch.steps) {
      filling.positions[shard] = to
      filling.rate.add(to - from)
    }
    this.tell()
  }

  /** Is a generation built, or do some stand at other places than the rest? */
  private get isUnsettled(): boolean {
    return this.tracks.length > 1 || this.fillings.some(({ of }) => of.state === 'building')
  }

  /** What is built takes its place, and those that have come to the same places go on together. True if something changed. */
  private async settleDown(): Promise<boolean> {
    await this.written()
    for (const filling of this.fillings) {
      if (filling.of.state !== 'building' || !filling.isAt(this.ends)) continue
      const serving = this.catalogued.get(filling.name)?.serving ?? null
      await this.catalog.switch(filling.name, serving?.generation ?? null, filling.generation)
      this.isStale = true
    }
    if (new Set(this.fillings.map(({ positions }) => positions.join())).size < this.tracks.length) this.group()
    return this.isStale
  }

  lagOf({ positions }: Pick<Filling, 'positions'>): number {
    return positions.reduce((sum, position, shard) => sum + this.source.lag(shard, position), 0)
  }

  // ---------------------------------------------------------------- waiting for it

  private tell(): void {
    for (const listener of [...this.listeners]) listener()
  }

  /** Resolves when `isDone` is true, which is looked at whenever something changes. @throws what it throws, the signal's reason, KUMA_CLOSED */
  async until(isDone: () => boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        try {
          signal?.throwIfAborted()
          if (isDone()) end(resolve)
          else if (this.isClosed) throw this.closed()
        } catch (error) {
          end(() => reject(error))
        }
      }
      const end = (settle: () => void) => {
        this.listeners.delete(look)
        signal?.removeEventListener('abort', look)
        settle()
      }
      this.listeners.add(look)
      signal?.addEventListener('abort', look)
      look()
    })
  }
}

/** Was it filled by an older definition, of the projection or of an entity? */
function isOlder(generation: Generation, { version }: ProjectionDefinition, entities: Generation['entities']): boolean {
  if (generation.version !== version) return generation.version < version
  return Object.entries(entities).some(([type, version]) => (generation.entities[type] ?? version) < version)
}

function paused(name: string): KumaError<'KUMA_USAGE'> {
  return new KumaError('KUMA_USAGE', `${name} is paused`, {}, { hint: `kuma projections resume ${name}` })
}

function changed(message: string): Failure {
  return { code: 'KUMA_PROJECTION_CHANGED', message, position: null }
}

function lost(message: string): Failure {
  return { code: 'KUMA_PROJECTION_FAILED', message, position: null }
}

/** A statement that failed belongs to a generation, which stops. */
function originOf(batch: Batch, error: unknown): unknown {
  if (!isKumaError(error, 'KUMA_STATEMENT_FAILED') || isGuardFailure(error)) return error
  const { filling, position } = batch.originOf(error.details.index)
  return new Stopped([filling], position, error)
}

function unexpected(cause: unknown): KumaError {
  return new KumaError('KUMA_INTERNAL', cause instanceof Error ? cause.message : String(cause), {}, { cause })
}
