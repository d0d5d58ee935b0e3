/**
 * Stores in memory that record, are backed up, restored, restored to a time before, and forked, again and again, and
 * consumers that keep places of any of them: a token is refused exactly when what it stands for is not how the store
 * begins, or when nothing is known of its timeline; and the place that is offered instead is the furthest that is safe.
 * fast-check prints the seed and the smallest failing case; KUMA_SEED repeats one.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatPosition } from '../../src/entity/event.ts'
import { around, inTimeline, placeIn } from '../../src/entity/position.ts'
import { newestOf, stretchesOf, type Timeline, timelineAt, withTimeline } from '../../src/entity/timeline.ts'
import { isKumaError } from '../../src/errors.ts'

const seed = process.env['KUMA_SEED'] === undefined ? {} : { seed: Number(process.env['KUMA_SEED']) }
const SHARDS = 2

/** What was recorded once, with the position that it was given then. */
interface Recorded {
  readonly position: string
}

interface Store {
  readonly timelines: readonly Timeline[]
  readonly shards: readonly (readonly Recorded[])[]
}

/** A place that somebody kept, and what had been recorded before it. */
interface Kept {
  readonly token: string
  readonly timeline: string | null
  readonly before: Store['shards']
}

const step = fc.record({
  what: fc.constantFrom('record', 'record', 'record', 'restore', 'fork'),
  store: fc.nat(),
  shard: fc.nat({ max: SHARDS - 1 }),
  count: fc.integer({ min: 1, max: 3 }),
  // how far a restored store goes back, by shard
  dropped: fc.array(fc.nat({ max: 4 }), { minLength: SHARDS, maxLength: SHARDS }),
})

let ids = 0
const newId = () => (++ids).toString(16).padStart(8, '0')

function record(store: Store, shard: number, count: number): Store {
  const shards = store.shards.map((events, at) => {
    if (at !== shard) return events
    const next = Array.from({ length: count }, (_, i) => {
      return { position: inTimeline(formatPosition(shard, events.length + 1 + i), newestOf(store.timelines)) }
    })
    return [...events, ...next]
  })
  return { ...store, shards }
}

function restore({ timelines, shards }: Store, dropped: readonly number[]): Store {
  const kept = shards.map((events, shard) => events.slice(0, Math.max(0, events.length - dropped[shard]!)))
  const parted = Object.fromEntries(kept.flatMap(({ length }, shard) => (length === 0 ? [] : [[shard, length]])))
  return { timelines: withTimeline(timelines, newId(), parted), shards: kept }
}

function fork({ timelines, shards }: Store): Store {
  const forked = { timelines: withTimeline(timelines, newId(), {}), shards: shards.map(() => []) }
  return shards.reduce<Store>((store, { length }, shard) => record(store, shard, length), forked)
}

function keep({ timelines, shards }: Store): Kept {
  const timeline = newestOf(timelines)
  const seqs = shards.map(({ length }) => length)
  const [before, behind] = around(seqs, 0, timeline)
  return { token: `${before}${formatPosition(0, seqs[0]!)}${behind}`, timeline, before: shards }
}

/** How many events at the beginning of a shard are the same. */
function shared(some: readonly Recorded[], others: readonly Recorded[]): number {
  const differs = some.findIndex((event, i) => event !== others[i])
  return differs === -1 ? some.length : differs
}

function check(store: Store, { token, timeline, before }: Kept): void {
  const place = { shards: SHARDS, timelines: store.timelines }
  const common = before.map((events, shard) => shared(events, store.shards[shard]!))
  const isKnown = timeline === null || store.timelines.some(({ id }) => id === timeline)
  const isShared = before.every(({ length }, shard) => length === common[shard])
  try {
    expect(placeIn(place, token)).toEqual(before.map(({ length }) => length))
    expect([isKnown, isShared]).toEqual([true, true])
  } catch (error) {
    if (!isKumaError(error, 'KUMA_INVALID_POSITION')) throw error
    expect(isKnown && isShared).toBe(false)
    const offered = error.details.shared
    if (isKnown) expect(placeIn(place, offered!)).toEqual(common)
    else expect(offered).toBe(null)
  }
}

function checkPositions({ timelines, shards }: Store): void {
  for (const [shard, events] of shards.entries()) {
    const stretches = stretchesOf(timelines, shard)
    const derived = events.map((_, i) => inTimeline(formatPosition(shard, i + 1), timelineAt(stretches, i + 1)))
    expect(derived).toEqual(events.map(({ position }) => position))
  }
}

test('a token is taken where what it stands for is how the store begins, and nowhere else', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const stores: Store[] = [{ timelines: [], shards: Array.from({ length: SHARDS }, () => []) }]
      const places: Kept[] = []
      for (const { what, store: at, shard, count, dropped } of steps) {
        const i = at % stores.length
        const store = stores[i]!
        if (what === 'record') stores[i] = record(store, shard, count)
        else stores.push(what === 'fork' ? fork(store) : restore(store, dropped))
        places.push(...stores.map(keep))
      }
      for (const store of stores) {
        checkPositions(store)
        for (const place of places) check(store, place)
      }
    }),
    { numRuns: 300, ...seed },
  )
})
