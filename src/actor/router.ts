/**
 * Finds the actor of an id, or brings it to life: id -> shard -> actor. Whatever reaches an actor while it loads waits
 * in its mailbox, in the order of the calls.
 */
import type { EntitySummary, Inspected } from '../api.ts'
import type { GroupCommit } from '../commit/group-commit.ts'
import type { AppendRequest, AppendResult } from '../engine.ts'
import { formatPosition } from '../entity/event.ts'
import { checkId } from '../entity/id.ts'
import { copyPlain, type JsonObject } from '../entity/json.ts'
import { KumaError } from '../errors.ts'
import { inSlices } from '../store/chain.ts'
import { corrupt } from '../store/manifest.ts'
import { type Place, type Readers, storeClosed } from '../store/readers.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import { standAt } from './activate.ts'
import { Actor, NOWHERE, notFound, type Shard, type Stand } from './actor.ts'
import type { Definitions } from './definitions.ts'

const ACTORS_MAX = 100_000
/** How many actors are looked at for one that can leave, when a new one comes. */
const LEAVERS_LOOKED_AT = 64
/** And how many when the last look found nobody. */
const LOOKED_AT_CROWDED = 2
const MAILBOX_MAX = 65_536

interface Visit {
  run(actor: Actor): void
  reject(error: unknown): void
}

/** An actor that is not there yet, and who waits for it. */
type Mailbox = Visit[]

export class Router {
  private readonly actors = new Map<string, Actor | Mailbox>()
  private readonly shards: (Shard | undefined)[] = []
  private closed = false
  /** At the last look nobody could leave. */
  private crowded = false

  constructor(
    private readonly readers: Readers,
    private readonly commits: GroupCommit,
    private readonly definitions: Definitions,
    private readonly actorsMax = ACTORS_MAX,
  ) {}

  /** Entities that are held in memory. */
  get size(): number {
    return this.actors.size
  }

  append(request: AppendRequest): Promise<AppendResult> {
    const known = this.actors.get(request.id)
    if (!(known instanceof Actor) || this.closed) {
      const kept = copyPlain(request) // it waits for the actor, and the caller goes on
      return this.visit(request.id, (actor) => actor.append(kept))
    }
    known.used = true
    return known.append(request) // as `visit` would, without a promise around a promise
  }

  /** The entity as it durably stands, without bringing its actor to life. */
  async find(id: string): Promise<EntitySummary | null> {
    if (this.actors.has(id)) return this.visit(id, summaryOf)
    checkId(id)
    this.assertOpen()
    const place = this.readers.place(id)
    const { reader } = await this.shard(place) // recovered: the heads on disk are the newest
    return this.actors.has(id) ? this.visit(id, summaryOf) : findOnDisk(reader, id, place)
  }

  inspect(id: string): Promise<Inspected> {
    return this.visit(id, inspected)
  }

  /** Runs `use` on the actor of an id, after everything that came to it before. */
  private visit<T>(id: string, use: (actor: Actor) => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.assertOpen()
      const known = this.actors.get(id)
      if (known instanceof Actor) {
        known.used = true
        resolve(use(known))
        return
      }
      const run = (actor: Actor) => {
        try {
          resolve(use(actor))
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
      known.push(visit)
    } else {
      const details = { retryAfterMs: 100 }
      throw new KumaError('KUMA_OVERLOADED', `${MAILBOX_MAX} calls wait for ${id} to be loaded`, details)
    }
  }

  private activate(id: string, mailbox: Mailbox): void {
    this.actors.set(id, mailbox)
    const fail = (error: unknown) => {
      this.actors.delete(id)
      for (const visit of mailbox) visit.reject(error)
    }
    try {
      const loading = this.load(id)
      if (loading instanceof Actor) this.settle(id, mailbox, loading)
      else loading.then((actor) => this.settle(id, mailbox, actor)).catch(fail)
    } catch (error) {
      fail(error)
    }
  }

  private settle(id: string, mailbox: Mailbox, actor: Actor): void {
    this.makeRoom()
    this.actors.set(id, actor)
    for (const visit of mailbox) visit.run(actor)
  }

  private load(id: string): Actor | Promise<Actor> {
    const place = this.readers.place(id)
    const shard = this.shards[place.shard]
    return shard === undefined
      ? this.shard(place).then((opened) => this.loadFrom(id, place, opened))
      : this.loadFrom(id, place, shard)
  }

  /** What all actors of a shard share. Opening it recovers it, if that is due. */
  private async shard({ shard }: Place): Promise<Shard> {
    const lane = await this.commits.lane(shard)
    this.shards[shard] ??= { reader: this.readers.at(shard), lane, definitions: this.definitions }
    return this.shards[shard]
  }

  /**
   * The head on disk is the newest: the shard was recovered when it was opened, and no actor leaves before its head is
   * flushed.
   */
  private loadFrom(id: string, { idHash }: Place, shard: Shard): Actor | Promise<Actor> {
    const { reader, definitions } = shard
    const entity = reader.find(id, idHash)
    if (entity === null) return new Actor(id, idHash, 0, null, NOWHERE, shard)
    const head = reader.flushedHead(entity.key)
    if (head === null) throw corrupt(reader.path, `the head of ${JSON.stringify(id)} is missing`)
    const live = (stand: Stand | null) => new Actor(id, idHash, entity.key, entity.type, stand ?? NOWHERE, shard)
    const stand = inSlices(standAt(reader, entity, head, definitions.of(entity.type)))
    return stand instanceof Promise ? stand.then(live) : live(stand)
  }

  /**
   * Second chance: who was used since the last look moves to the end of the line. Who has events that the heads on disk
   * do not know yet must stay, so his shard is asked to write them; while nobody can leave, few are looked at.
   */
  private makeRoom(): void {
    let looks = this.crowded ? LOOKED_AT_CROWDED : LEAVERS_LOOKED_AT
    for (const [id, actor] of this.actors) {
      if (this.actors.size <= this.actorsMax) return
      if (looks-- === 0) {
        this.crowded = true
        return
      }
      this.actors.delete(id)
      if (actor instanceof Actor) {
        if (actor.canLeave && !actor.used) {
          this.crowded = false
          continue
        }
        actor.used = false
        actor.askForHead()
      }
      this.actors.set(id, actor)
    }
  }

  private assertOpen(): void {
    if (this.closed) throw storeClosed(this.readers.path)
  }

  /** Takes nothing new, settles everything accepted, lets go of the files. */
  async close(): Promise<void> {
    this.closed = true
    const loading = [...this.actors.values()].filter((actor): actor is Mailbox => Array.isArray(actor))
    await Promise.all(
      loading.map((mailbox) => new Promise<void>((done) => mailbox.push({ run: () => done(), reject: () => done() }))),
    )
    try {
      await this.commits.close()
    } finally {
      this.actors.clear()
    }
  }
}

function summaryOf({ id, type, durable }: Actor): EntitySummary | null {
  return durable.version === 0 ? null : { id, type: type!, version: durable.version, updatedAt: durable.at }
}

function findOnDisk(reader: ShardReader, id: string, { idHash }: Place): EntitySummary | null {
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
    position: formatPosition(shard.lane.shard, seq),
    state: actor.frozenState() as JsonObject,
  }
}
