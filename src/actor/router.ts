/**
 * Finds the actor of an id, or brings it to life: id -> shard -> actor. Whatever reaches an actor while it loads waits
 * in its mailbox, in the order of the calls, and keeps the async context of its caller (AsyncLocalStorage).
 */
import { AsyncResource } from 'node:async_hooks'
import type { Inspected } from '../api.ts'
import { type Caller, telling } from '../callers-line.ts'
import type { GroupCommit } from '../commit/group-commit.ts'
import type { AppendRequest, AppendResult, CopyRequest, ExecuteRequest, ExecuteResult, Found } from '../engine.ts'
import { DOCUMENT } from '../entity/document.ts'
import { inPlace } from '../entity/fold.ts'
import { checkId } from '../entity/id.ts'
import { copyPlain, type JsonObject } from '../entity/json.ts'
import type { KumaError } from '../errors.ts'
import { HIDDEN } from '../store/erasure.ts'
import { corrupt } from '../store/manifest.ts'
import { type Place, type Readers, storeClosed } from '../store/readers.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import { breathe, inSlice, inSlices, PRESENT } from '../store/slices.ts'
import { NOWHERE, standAt } from './activate.ts'
import {
  Actor,
  erased,
  MAILBOX_MAX,
  notFound,
  overloaded,
  type RevertToRequest,
  type Shard,
  type Traffic,
} from './actor.ts'
import type { Definitions } from './definitions.ts'
import { DocumentStand } from './document-stand.ts'
import { snapshotOf } from './snapshot.ts'

/** How many actors are looked at for one that can leave, when a new one comes. */
const LEAVERS_LOOKED_AT = 64
/** And how many when the last look found nobody. */
const LOOKED_AT_CROWDED = 2
/** An actor leaves when it was idle in so many rounds of the search: after `actorIdleMs`, or a quarter more. */
const IDLE_ROUNDS = 4
/** Actors that such a round looks at in one turn of the event loop. */
const IDLE_SLICE = 5_000

export interface RouterOptions {
  readonly actorsMax: number
  readonly actorIdleMs: number
  readonly decideTimeoutMs: number
}

interface Visit {
  run(actor: Actor): void
  reject(error: unknown): void
}

/** An actor that is not there yet, and who waits for it. */
type Mailbox = Visit[]

/** What is told of one that is not there. */
export interface Waited {
  readonly shard: number
  readonly waiting: number
  /** It was here, and is taken out. */
  readonly isHeld: boolean
}

export class Router {
  readonly traffic: Traffic = {
    reads: 0,
    waiting: 0,
    deciding: 0,
    decisions: new Set(),
    givenUp: null,
    seconds: seconds(),
    isWatched: false,
  }
  /** Actors that are being brought to life. */
  loading = 0
  private readonly actors = new Map<string, Actor | Mailbox>()
  private readonly shards: (Shard | undefined)[] = []
  private closed = false
  /** Why nothing is taken any more, unless its owner closed it. */
  private reason: KumaError | null = null
  /** At the last look nobody could leave. */
  private crowded = false
  /**
   * Where the search for leavers has come to. It is kept: a Map walked from its beginning passes all holes that those who
   * left have made. And given up where it is not needed: it would hold on to the tables that the Map has left behind.
   */
  private round: MapIterator<[string, Actor | Mailbox]> | null = null
  private readonly idleTimer: NodeJS.Timeout
  private readonly clock: NodeJS.Timeout
  /** Those that are taken out. */
  private readonly held = new Set<Mailbox>()

  constructor(
    private readonly readers: Readers,
    private readonly commits: GroupCommit,
    private readonly definitions: Definitions,
    private readonly options: RouterOptions,
  ) {
    this.clock = setInterval(() => {
      this.traffic.seconds = seconds()
    }, 1_000).unref()
    this.idleTimer = setInterval(() => void this.dropIdle(), options.actorIdleMs / IDLE_ROUNDS).unref()
  }

  /** Entities that are held in memory. */
  get size(): number {
    return this.actors.size
  }

  /** @param caller the public function that was called, if that has not returned */
  append(request: AppendRequest, caller?: Caller): Promise<AppendResult> {
    const known = this.actors.get(request.id)
    if (!(known instanceof Actor) || this.closed) {
      const kept = copyPlain(request) // it waits for the actor, and the caller goes on
      return telling(this.visit(request.id, (actor) => actor.append(kept)))
    }
    known.touch()
    return known.append(request, caller) // as `visit` would, without a promise around a promise
  }

  appendCopy(request: CopyRequest): Promise<AppendResult> {
    const kept = copyPlain(request)
    return this.visit(request.id, (actor) => actor.appendCopy(kept))
  }

  /** @param caller the public function that was called, if that has not returned */
  execute(request: ExecuteRequest, caller?: Caller): Promise<ExecuteResult> {
    if (this.actors.get(request.id) instanceof Actor)
      return this.visit(request.id, (actor) => actor.execute(request, caller))
    const kept = copyPlain(request)
    return this.visit(request.id, (actor) => actor.execute(kept))
  }

  revert(request: RevertToRequest): Promise<ExecuteResult> {
    return this.visit(request.id, (actor) => actor.revert(request))
  }

  /** The entity as it durably stands, without bringing its actor to life. */
  async find(id: string): Promise<Found | null> {
    if (this.actors.has(id)) return this.visit(id, summaryOf)
    checkId(id)
    this.assertOpen()
    const place = this.readers.place(id)
    const { reader } = await this.shard(place) // recovered: the heads on disk are the newest
    if (this.actors.has(id)) return this.visit(id, summaryOf)
    return inSlice(() => findOnDisk(reader, id, place), PRESENT)
  }

  /** Where an entity is kept, once what was accepted of it is on disk. @throws KUMA_NOT_FOUND */
  async keyOf(id: string): Promise<{ readonly shard: number; readonly entity: number }> {
    if (this.actors.has(id)) await this.visit(id, (actor) => actor.atRest())
    checkId(id)
    this.assertOpen()
    const place = this.readers.place(id)
    const { reader } = await this.shard(place)
    const entity = reader.find(id, place.idHash)
    if (entity === null) throw notFound(id)
    return { shard: place.shard, entity: entity.key }
  }

  inspect(id: string): Promise<Inspected> {
    this.traffic.reads++
    return this.visit(id, inspected)
  }

  /** Runs `use` on the actor of an id, after everything that came to it before. */
  private visit<T>(id: string, use: (actor: Actor) => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.assertOpen()
      const known = this.actors.get(id)
      if (known instanceof Actor) {
        known.touch()
        resolve(use(known))
        return
      }
      const own = new AsyncResource('KUMA_CALL')
      const run = (actor: Actor) => {
        try {
          resolve(own.runInAsyncScope(use, undefined, actor))
        } catch (error) {
          reject(error)
        }
      }
      this.enqueue(id, known, { run, reject })
    })
  }

  private enqueue(id: string, known: Mailbox | undefined, visit: Visit): void {
    if (known === undefined) {
      checkId(id)
      this.activate(id, [visit])
    } else if (known.length < MAILBOX_MAX) {
      this.traffic.waiting++
      known.push(visit)
    } else throw overloaded(id)
  }

  private activate(id: string, mailbox: Mailbox): void {
    this.actors.set(id, mailbox)
    this.traffic.waiting++
    this.loading++
    const settle = (actor: Actor) => {
      this.loaded(mailbox)
      this.makeRoom()
      this.actors.set(id, actor)
      for (const visit of mailbox) visit.run(actor)
    }
    const fail = (error: unknown) => {
      this.loaded(mailbox)
      this.actors.delete(id)
      for (const visit of mailbox) visit.reject(error)
    }
    try {
      const actor = this.load(id)
      if (actor instanceof Actor) settle(actor)
      else actor.then(settle).catch(fail)
    } catch (error) {
      fail(error)
    }
  }

  private loaded(mailbox: Mailbox): void {
    this.loading--
    this.traffic.waiting -= mailbox.length
  }

  private load(id: string): Actor | Promise<Actor> {
    const place = this.readers.place(id)
    const shard = this.shards[place.shard]
    return shard === undefined
      ? this.shard(place).then((opened) => inSlices(this.loadFrom(id, place, opened), PRESENT))
      : inSlices(this.loadFrom(id, place, shard), PRESENT)
  }

  /** What all actors of a shard share. Opening it recovers it, if that is due. */
  private async shard({ shard }: Place): Promise<Shard> {
    const lane = await this.commits.lane(shard)
    const { definitions, traffic } = this
    const { decideTimeoutMs } = this.options
    this.readers.isOf(shard, lane.files)
    this.shards[shard] ??= { reader: this.readers.at(shard), lane, definitions, traffic, decideTimeoutMs }
    return this.shards[shard]
  }

  /**
   * The head on disk is the newest: the shard was recovered when it was opened, and no actor leaves before its head is
   * flushed. Snapshots that are missing on the way (those of a definition before this one do not count) are made.
   */
  private *loadFrom(id: string, { idHash }: Place, shard: Shard): Generator<void, Actor> {
    const { reader, definitions, lane } = shard
    const entity = reader.find(id, idHash)
    if (entity === null) return new Actor(id, idHash, 0, null, NOWHERE, shard)
    const head = reader.flushedHead(entity.key)
    if (head === null) throw corrupt(reader.path, `the head of ${JSON.stringify(id)} is missing`)
    const definition = definitions.of(entity.type)
    const stand = yield* standAt({ reader, entity, head }, inPlace(definition), undefined, (passed) => {
      const row = snapshotOf(entity.key, passed, definition, definitions)
      if (row !== null) lane.addSnapshot(row)
    })
    const loaded = stand !== null && entity.type === DOCUMENT ? DocumentStand.onDisk(stand) : stand
    return new Actor(id, idHash, entity.key, entity.type, loaded ?? NOWHERE, shard)
  }

  /**
   * Second chance, in rounds: who was used since the last look stays until the next. Who has events that the heads on disk
   * do not know yet must stay, so his shard is asked to write them; while nobody can leave, few are looked at.
   */
  private makeRoom(): void {
    let looks = this.crowded ? LOOKED_AT_CROWDED : LEAVERS_LOOKED_AT
    while (this.actors.size > this.options.actorsMax) {
      if (looks-- === 0) {
        this.crowded = true
        return
      }
      const [id, actor] = this.nextLookedAt()
      if (!(actor instanceof Actor)) continue
      if (actor.canLeave && actor.idleRounds > 0) {
        this.actors.delete(id)
        this.crowded = false
        continue
      }
      actor.idleRounds++
      actor.askForHead()
    }
    if (this.actors.size < this.options.actorsMax) this.round = null
  }

  private nextLookedAt(): readonly [id: string, actor: Actor | Mailbox] {
    const next = this.round?.next()
    if (next !== undefined && !next.done) return next.value
    this.round = this.actors.entries()
    return this.round.next().value! // only a full house is searched
  }

  /** One round of the search for actors that nobody has used for a while. */
  private async dropIdle(): Promise<void> {
    let looks = 0
    const behind = new Set<Shard>()
    for (const [id, actor] of this.actors) {
      if (actor instanceof Actor && ++actor.idleRounds > IDLE_ROUNDS) {
        if (actor.canLeave) this.actors.delete(id)
        else behind.add(actor.shard)
      }
      if (++looks % IDLE_SLICE === 0) await breathe()
      if (this.closed) return
    }
    // their shards may be idle too: no commit would come along that carried their heads
    for (const { lane } of behind) lane.flushHeads()
  }

  /**
   * Records that an entity is erased; resolves when that is on disk, and nobody can read it any more. What was accepted
   * before is recorded before. What comes meanwhile waits, and then is told KUMA_ERASED; if the record cannot be
   * written, it goes on as if nothing had been asked. The rows are still to be emptied: `GroupCommit.scrub`.
   * @throws what a commit throws
   */
  async erase(id: string, key: number): Promise<void> {
    const { actor, mailbox } = await this.hold(id)
    try {
      await this.recordErasure(id, key)
      this.letGo(id, mailbox)
      for (const { reject } of mailbox) reject(erased(id))
    } catch (error) {
      this.putBack(id, actor, mailbox)
      throw error
    }
  }

  /**
   * Drops an actor from memory, once what came to it is answered and its head is on disk. What comes meanwhile waits,
   * and brings it back. False if it is not in memory. @throws what a commit throws; then it stays
   */
  async passivate(id: string): Promise<boolean> {
    if (!(this.actors.get(id) instanceof Actor)) return false
    const { actor, mailbox } = await this.hold(id)
    try {
      while (actor !== null && !actor.canLeave) await actor.shard.lane.sweep()
      this.putBack(id, null, mailbox)
      return true
    } catch (error) {
      this.putBack(id, actor, mailbox)
      throw error
    }
  }

  /** Keeps an entity's state. False if that is done, or cannot be. @throws KUMA_NOT_FOUND, and what a commit throws */
  snapshot(id: string): Promise<boolean> {
    return this.visit(id, (actor) => actor.snapshot())
  }

  /** All that is in memory: actors, and those that are coming or are held, with how many wait for each. */
  *all(): Generator<readonly [id: string, actor: Actor | Waited]> {
    for (const [id, actor] of this.actors) yield [id, this.told(id, actor)]
  }

  get(id: string): Actor | Waited | null {
    const actor = this.actors.get(id)
    return actor === undefined ? null : this.told(id, actor)
  }

  private told(id: string, actor: Actor | Mailbox): Actor | Waited {
    if (actor instanceof Actor) return actor
    return { shard: this.readers.place(id).shard, waiting: actor.length, isHeld: this.held.has(actor) }
  }

  /** Takes an actor out, once it is at rest: whoever comes to it from now on waits. */
  private async hold(id: string): Promise<{ actor: Actor | null; mailbox: Mailbox }> {
    for (;;) {
      this.assertOpen()
      const known = this.actors.get(id)
      if (Array.isArray(known)) {
        await new Promise<void>((done) => known.push({ run: () => done(), reject: () => done() }))
        continue
      }
      const mailbox: Mailbox = []
      this.actors.set(id, mailbox)
      this.held.add(mailbox)
      this.loading++
      await known?.atRest()
      return { actor: known ?? null, mailbox }
    }
  }

  private putBack(id: string, actor: Actor | null, mailbox: Mailbox): void {
    this.letGo(id, mailbox)
    if (actor !== null) this.actors.set(id, actor)
    for (const visit of mailbox) this.readmit(id, visit)
  }

  private letGo(id: string, mailbox: Mailbox): void {
    this.held.delete(mailbox)
    this.loaded(mailbox)
    this.actors.delete(id)
  }

  private readmit(id: string, visit: Visit): void {
    const known = this.actors.get(id)
    if (known instanceof Actor) visit.run(known)
    else this.enqueue(id, known, visit)
  }

  private async recordErasure(id: string, key: number): Promise<void> {
    const { reader, lane } = await this.shard(this.readers.place(id))
    if (reader.entity(key)?.idHash === HIDDEN) return
    await new Promise<void>((resolve, reject) => lane.erase(key, { durable: resolve, failed: reject }))
  }

  private assertOpen(): void {
    if (this.closed) throw this.reason ?? storeClosed(this.readers.path)
  }

  /** Takes nothing new from now on. @param reason what those are told who come */
  lose(reason: KumaError): void {
    this.closed = true
    this.reason = reason
  }

  /** Waits for no decision any more, and begins none. What waits behind one is recorded. @param why who asked is told */
  giveUpDecisions(why: KumaError): void {
    this.traffic.givenUp = why
    for (const giveUp of this.traffic.decisions) giveUp(why)
  }

  /** Takes nothing new, settles everything accepted, lets go of the files. */
  async close(): Promise<void> {
    this.closed = true
    clearInterval(this.idleTimer)
    clearInterval(this.clock)
    await Promise.all(Array.from(this.actors.values(), settled))
    try {
      await this.commits.close()
    } finally {
      this.actors.clear()
    }
  }
}

function seconds(): number {
  return Math.trunc(performance.now() / 1_000)
}

/** When an actor has been brought to life, or could not be, and everything before has been decided. */
function settled(actor: Actor | Mailbox): Promise<void> {
  if (actor instanceof Actor) return actor.settled()
  return new Promise((done) => {
    actor.push({ run: (loaded) => done(loaded.settled()), reject: () => done() })
  })
}

function summaryOf({ id, type, durable }: Actor): Found | null {
  return durable.version === 0 ? null : { id, type: type!, version: durable.version, updatedAt: durable.at }
}

function findOnDisk(reader: ShardReader, id: string, { idHash }: Place): Found | null {
  const entity = reader.find(id, idHash)
  const head = entity && reader.flushedHead(entity.key)
  return entity && head && { id, type: entity.type, version: head.version, updatedAt: head.at }
}

/** @throws KUMA_NOT_FOUND */
function inspected(actor: Actor): Inspected {
  const { id, type, durable, shard } = actor
  if (durable.version === 0) throw notFound(id)
  const { version, seq, at } = durable
  return {
    id,
    type: type!,
    version,
    at,
    position: shard.reader.positionOf(seq),
    state: actor.frozenState() as JsonObject,
  }
}
