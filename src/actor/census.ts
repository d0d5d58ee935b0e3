/**
 * What the live actors do, for who watches: a page of them, by any column. All are looked at each time, in slices, and only
 * the page is made; how long appends take is measured for a while after someone has asked, and not before.
 */
import { ACTOR_SORTS, type ActorInfo, type ActorSort, type ActorsPage, type ActorsQuery } from '../engine.ts'
import { KumaError, quoted } from '../errors.ts'
import { inSlices, PAST } from '../store/slices.ts'
import { Actor } from './actor.ts'
import type { Router, Waited } from './router.ts'

const WATCHED_MS = 10_000
const LIMIT = 50
const DEPTH_MAX = 1_000
/** Actors that are looked at in one step. */
const STEP = 2_000
/** Rates are counted over so long at least. */
const RATE_MS = 900

type Found = readonly [id: string, actor: Actor | Waited]
type Key = string | number

const KEYS: { readonly [sort in ActorSort]: (found: Found, now: number) => Key } = {
  id: ([id]) => id,
  type: ([, actor]) => (actor instanceof Actor ? (actor.type ?? '') : ''),
  shard: ([, actor]) => shardOf(actor),
  state: ([, actor]) => stateOf(actor),
  mailbox: ([, actor]) => mailboxOf(actor),
  rate: ([, actor]) => (actor instanceof Actor ? actor.rate : 0),
  version: ([, actor]) => (actor instanceof Actor ? actor.durable.version : 0),
  p50: ([, actor]) => (actor instanceof Actor ? (actor.acks?.spread().p50 ?? -1) : -1),
  p99: ([, actor]) => (actor instanceof Actor ? (actor.acks?.spread().p99 ?? -1) : -1),
  age: ([, actor], now) => (actor instanceof Actor ? now - actor.bornAt : 0),
  idle: ([, actor], now) => (actor instanceof Actor ? now - actor.usedAt : 0),
}

export class Census {
  private countedAt = performance.now()
  private forgetting: NodeJS.Timeout | undefined

  constructor(private readonly router: Router) {}

  /** @throws KUMA_USAGE for a page too far down */
  async page(query: ActorsQuery = {}, signal?: AbortSignal): Promise<ActorsPage> {
    const { offset = 0, limit = LIMIT, sort = 'rate' } = query
    if (!(offset >= 0 && limit >= 0 && offset + limit <= DEPTH_MAX)) {
      const message = `actors are told of down to the ${DEPTH_MAX}th`
      throw new KumaError('KUMA_USAGE', message, {}, { hint: 'sort or filter them' })
    }
    if (!ACTOR_SORTS.includes(sort)) throw new KumaError('KUMA_USAGE', `there is no column ${quoted(sort)}`, {})
    this.watch()
    return inSlices(this.steps(query, sort, offset, offset + limit), PAST, signal)
  }

  one(id: string): ActorInfo | null {
    const actor = this.router.get(id)
    return actor && infoOf([id, actor], this.router.traffic.seconds)
  }

  private watch(): void {
    const { traffic } = this.router
    traffic.isWatched = true
    clearTimeout(this.forgetting)
    this.forgetting = setTimeout(() => {
      traffic.isWatched = false
    }, WATCHED_MS).unref()
  }

  private *steps(
    { filter = '', reverse = false }: ActorsQuery,
    sort: ActorSort,
    from: number,
    to: number,
  ): Generator<void, ActorsPage> {
    const { router } = this
    const now = router.traffic.seconds
    const elapsedMs = performance.now() - this.countedAt
    const counts = elapsedMs >= RATE_MS
    if (counts) this.countedAt = performance.now()
    const top = new Top<Found>(to, isDescending(sort) !== reverse)
    let [looked, matching] = [0, 0]
    for (const found of router.all()) {
      const [id, actor] = found
      if (counts && actor instanceof Actor) count(actor, elapsedMs)
      if (filter === '' || id.includes(filter) || (actor instanceof Actor && actor.type?.includes(filter))) {
        matching++
        top.add(found, KEYS[sort](found, now))
      }
      if (++looked % STEP === 0) yield
    }
    const actors = top.items.slice(from).map((found) => infoOf(found, now))
    return { total: router.size, matching, actors }
  }
}

function count(actor: Actor, elapsedMs: number): void {
  const { version } = actor.durable
  actor.rate = Math.round(((version - actor.counted) * 10_000) / elapsedMs) / 10
  actor.counted = version
}

/** The first so many by their keys; equal ones in the order in which they came. */
class Top<T> {
  readonly items: T[] = []
  private readonly keys: Key[] = []

  constructor(
    private readonly size: number,
    private readonly descending: boolean,
  ) {}

  add(item: T, key: Key): void {
    const { items, keys, size } = this
    if (keys.length === size && (size === 0 || !this.isBefore(key, keys[size - 1]!))) return
    let [low, high] = [0, keys.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.isBefore(key, keys[middle]!)) high = middle
      else low = middle + 1
    }
    keys.splice(low, 0, key)
    items.splice(low, 0, item)
    if (keys.length <= size) return
    keys.pop()
    items.pop()
  }

  private isBefore(a: Key, b: Key): boolean {
    return this.descending ? a > b : a < b
  }
}

function isDescending(sort: ActorSort): boolean {
  return !['id', 'type', 'shard', 'state'].includes(sort)
}

function infoOf([id, actor]: Found, now: number): ActorInfo {
  const common = { id, shard: shardOf(actor), state: stateOf(actor), mailbox: mailboxOf(actor) }
  if (!(actor instanceof Actor))
    return { ...common, type: null, eventsPerSecond: 0, version: 0, ackMs: null, ageSeconds: 0, idleSeconds: 0 }
  const { type, rate, durable, acks, bornAt, usedAt } = actor
  return {
    ...common,
    type,
    eventsPerSecond: rate,
    version: durable.version,
    ackMs: acks?.spread() ?? null,
    ageSeconds: now - bornAt,
    idleSeconds: now - usedAt,
  }
}

function shardOf(actor: Actor | Waited): number {
  return actor instanceof Actor ? actor.shard.lane.shard : actor.shard
}

function stateOf(actor: Actor | Waited): ActorInfo['state'] {
  if (actor instanceof Actor) return actor.isBusy ? 'busy' : 'idle'
  return actor.isHeld ? 'draining' : 'loading'
}

function mailboxOf(actor: Actor | Waited): number {
  return actor instanceof Actor ? actor.backlog : actor.waiting
}
