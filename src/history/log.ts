/** What happened? The events of one entity, or of all. */
import { type Located, NOWHERE } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import type { EngineLogQuery } from '../engine.ts'
import { isMeta, type RecordedEvent } from '../entity/event.ts'
import { type ResolvedPoint, timeOf } from '../entity/time.ts'
import { entryTo, linksFrom, rowsAt, rowsBetween } from '../store/chain.ts'
import type { Readers } from '../store/readers.ts'
import type { Row } from '../store/row.ts'
import type { ScanFilter } from '../store/shard-reader.ts'
import { inSlices, LISTS, pagesInSlices } from '../store/slices.ts'
import { locate } from './locate.ts'
import { type Bounds, rangeOf } from './range.ts'

const SCAN = 10_000
const PAGE = 64

/** Events as today's definitions know them; where none is at hand, as they are stored. */
export async function* log(
  readers: Readers,
  definitions: Definitions,
  query: EngineLogQuery = {},
): AsyncGenerator<RecordedEvent> {
  let { limit: left = Number.POSITIVE_INFINITY } = query
  if (left <= 0) return
  const types = query.types && new Set(query.types)
  const asked = stored(definitions, query)
  const events =
    query.id === undefined ? logOfAll(readers, definitions, asked) : logOfOne(readers, definitions, query.id, asked)
  for await (const event of events) {
    if (types !== undefined && !types.has(event.type)) continue
    if (!isMeta(event.meta, query)) continue
    yield event
    if (--left === 0) return
  }
}

async function* logOfOne(
  readers: Readers,
  definitions: Definitions,
  id: string,
  query: EngineLogQuery,
): AsyncGenerator<RecordedEvent> {
  const located = locate(readers, id)
  const types = query.types && new Set(query.types)
  for await (const rows of pagesInSlices(pages(located, query), query.signal)) {
    for (const row of rows) {
      if (types !== undefined && !types.has(row.type)) continue // spares parsing it
      yield definitions.today(located.reader.recorded(row, located.entity))
    }
  }
}

function pages(located: Located, query: EngineLogQuery): Generator<readonly Row[], void> {
  const bounds = rangeOf(query)
  return query.reverse ? newestFirst(located, bounds, query.to) : oldestFirst(located, bounds, query)
}

function* oldestFirst({ reader, entity, head }: Located, { begun, notEnded }: Bounds, { from, to }: EngineLogQuery) {
  const start = (from && reader.entryBefore(entity.key, from)) ?? NOWHERE
  for (const rows of rowsBetween(reader, entity.key, start, entryTo(reader, entity.key, head, to), notEnded)) {
    yield rows.filter(begun)
  }
}

function* newestFirst({ reader, entity, head }: Located, { begun, notEnded }: Bounds, to: ResolvedPoint | undefined) {
  for (const links of linksFrom(reader, entryTo(reader, entity.key, head, to))) {
    const inside = links.filter((link) => begun(link) && notEnded(link))
    if (inside.length > 0) {
      const seqs = inside.map((link) => link.seq)
      yield* rowsAt(reader, entity.key, seqs, inside[0]!.version, -1)
    } else yield []
    if (!begun(links.at(-1)!)) return
  }
}

/** A place in the store as one number, so that millions of them fit in memory. */
const SEQS = 2 ** 40

/** By `at`, then shard and seq. All places are found first (16 bytes each), then read in pages. */
async function* logOfAll(
  readers: Readers,
  definitions: Definitions,
  query: EngineLogQuery,
): AsyncGenerator<RecordedEvent> {
  const places = await inSlices(placesOf(readers, query), LISTS, query.signal)
  for await (const events of pagesInSlices(eventsOf(readers, definitions, places), query.signal))
    for (const event of events) yield event
}

function* eventsOf(readers: Readers, definitions: Definitions, places: Float64Array): Generator<RecordedEvent[], void> {
  for (let start = 0; start < places.length; start += PAGE)
    yield eventsAt(readers, definitions, places.slice(start, start + PAGE))
}

/** The query as it can be put to what is stored: under which types an event that is asked for may stand there. */
function stored({ upcasts }: Definitions, query: EngineLogQuery): EngineLogQuery {
  if (query.types === undefined || upcasts.length === 0) return query
  return { ...query, types: [...query.types, ...upcasts], limit: undefined } // more may be found than is wanted
}

function* placesOf(readers: Readers, query: EngineLogQuery): Generator<void, Float64Array> {
  const { limit = Number.POSITIVE_INFINITY, reverse = false } = query
  const filter = filterOf(query)
  let found: { ats: number[]; places: number[] } = { ats: [], places: [] }
  for (const reader of readers.all()) {
    for (let after = 0; ; ) {
      const page = reader.scan(filter, after, SCAN)
      for (const { seq, at } of page) {
        found.ats.push(at)
        found.places.push(reader.shard * SEQS + seq)
      }
      yield
      if (found.places.length > 4 * limit + SCAN) found = sorted(found, reverse, limit)
      if (page.length < SCAN) break
      after = page.at(-1)!.seq
    }
  }
  return Float64Array.from(sorted(found, reverse, limit).places)
}

function filterOf({ from, to, ...query }: EngineLogQuery): ScanFilter {
  const timeIn = (point: ResolvedPoint | undefined) => point && timeOf(point, 'a log of all')
  const filter = { ...query, from: timeIn(from), to: timeIn(to) }
  rangeOf({ from, to })
  return filter
}

function sorted({ ats, places }: { ats: number[]; places: number[] }, reverse: boolean, limit: number) {
  const order = Uint32Array.from(places.keys())
  const sign = reverse ? -1 : 1
  order.sort((a, b) => sign * (ats[a]! - ats[b]! || places[a]! - places[b]!))
  const kept = Array.from(order.subarray(0, Math.min(limit, order.length)))
  return { ats: kept.map((i) => ats[i]!), places: kept.map((i) => places[i]!) }
}

/** The events at these places, in their order; each shard is asked once. */
function eventsAt(readers: Readers, definitions: Definitions, places: Float64Array): RecordedEvent[] {
  const seqs = new Map<number, number[]>()
  for (const place of places) {
    const shard = Math.floor(place / SEQS)
    const known = seqs.get(shard)
    if (known === undefined) seqs.set(shard, [place % SEQS])
    else known.push(place % SEQS)
  }
  const events = new Map<number, RecordedEvent>()
  for (const [shard, wanted] of seqs) {
    const reader = readers.at(shard)
    for (const { row, name } of reader.named(wanted)) {
      events.set(shard * SEQS + row.seq, definitions.today(reader.recorded(row, name)))
    }
  }
  return Array.from(places, (place) => events.get(place)).filter((event) => event !== undefined)
}
