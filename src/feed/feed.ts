/**
 * The feed: what is recorded, in the order of each shard and without a gap, from a place in the store on; first what is
 * there, and then what comes. There is no order between shards.
 *
 * Every subscriber reads the shards by himself, a page at a time, when he asks for more; nothing is queued for him. So a
 * slow one holds up nobody and costs no memory, and what he is given is on disk. Each item tells the place after it:
 * whoever keeps that place and comes back with it misses nothing, and may see again what he had not kept yet.
 *
 * An event of an entity that is erased meanwhile is left out; the erasure itself comes as a notice of its own.
 */
import type { Definitions } from '../actor/definitions.ts'
import type { FeedItem } from '../api.ts'
import type { FeedPage, FeedRequest } from '../engine.ts'
import { formatPosition } from '../entity/event.ts'
import { around, invalidPosition, otherEvent, placeIn } from '../entity/position.ts'
import { type ResolvedPoint, timeOf } from '../entity/time.ts'
import { newestOf } from '../entity/timeline.ts'
import { Pages } from '../store/chain.ts'
import { ENGINE, recordOf } from '../store/erasure.ts'
import { type Readers, storeClosed } from '../store/readers.ts'
import type { Row } from '../store/row.ts'
import type { EntityName, ShardReader } from '../store/shard-reader.ts'
import { inSlice, LISTS } from '../store/slices.ts'
import type { Ends } from './ends.ts'

/** Seqs that are looked through in one turn for the events of one entity. */
const WINDOW = 20_000

/**
 * Pages of items. The first one has none and tells where it begins, which is fixed when this is called and not when the page
 * is asked for. Ends at the end of the log, or when the store is closed; with `follow` only then.
 * @throws KUMA_INVALID_POSITION, KUMA_INVALID_POINT, KUMA_MODEL_FAILED, KUMA_CORRUPT, KUMA_CLOSED, and the reason of the
 * signal: all of them when the first page is asked for, or later
 */
export function feed(
  readers: Readers,
  ends: Ends,
  definitions: Definitions,
  request: FeedRequest = {},
): AsyncGenerator<FeedPage> {
  const begun = attempt(() => {
    if (isOver(ends)) throw storeClosed(readers.path)
    return new Reading(readers, ends, definitions, request)
  })
  return pages(begun, ends, request)
}

/** What comes of it, now, for who asks later. */
function attempt<T>(make: () => T): () => T {
  try {
    const made = make()
    return () => made
  } catch (error) {
    return () => {
      throw error
    }
  }
}

async function* pages(
  begun: () => Reading,
  ends: Ends,
  { signal, follow = false }: FeedRequest,
): AsyncGenerator<FeedPage> {
  const reading = begun()
  yield reading.beginning()
  while (!isOver(ends)) {
    const { moves } = ends
    let isBehind = false
    for (const shard of reading.shards) {
      signal?.throwIfAborted()
      if (isOver(ends)) return
      if (!reading.isBehind(shard)) continue
      isBehind = true
      const page = await inSlice(() => (isOver(ends) ? null : reading.page(shard)), LISTS, signal)
      if (page === null) return
      yield page
    }
    if (isBehind) continue
    if (!follow) return
    await ends.moved(moves, signal)
    signal?.throwIfAborted()
  }
}

/** @throws why, if nobody wanted it to end */
function isOver({ isClosed, reason }: Ends): boolean {
  if (reason !== null) throw reason
  return isClosed
}

class Reading {
  readonly shards: readonly number[]
  /** of the last event read, by shard */
  private readonly seqs: number[]
  /** of the events there, if they are wanted: 0 where there is none, or it was erased */
  private readonly crcs: number[] | null
  private readonly timeline: string | null
  private readonly pages: readonly Pages[]
  /** Of the one entity that is followed. An id that is erased and used again has had several. */
  private readonly keys = new Set<number>()
  private readonly begun: (row: Row) => boolean

  constructor(
    private readonly readers: Readers,
    private readonly ends: Ends,
    private readonly definitions: Definitions,
    private readonly request: FeedRequest,
  ) {
    const { shards } = readers.manifest
    const { id, from = 'start' } = request
    const all = Array.from({ length: shards }, (_, shard) => shard)
    this.shards = id === undefined ? all : [readers.place(id).shard]
    this.pages = all.map(() => new Pages())
    this.begun = () => true
    this.timeline = newestOf(readers.manifest.timelines)
    if (typeof from === 'string') this.seqs = this.placeOf(from, all)
    else if (id === undefined)
      this.seqs = all.map((shard) => readers.at(shard).lastBefore(timeOf(from, 'a feed of all')))
    else {
      this.seqs = all.map((shard) => (shard === this.shards[0] ? this.justBefore(id, from) : 0))
      this.begun = ({ version, at }) => (from.version === undefined ? at >= from.at : version >= from.version)
    }
    this.crcs = request.crcs === undefined ? null : this.seqs.map((seq, shard) => this.crcAt(shard, seq))
    if (Array.isArray(request.crcs)) this.checkCrcs(request.crcs)
  }

  private placeOf(from: string, all: readonly number[]): number[] {
    if (from === 'start') return all.map(() => 0)
    if (from === 'now') return all.map((shard) => this.ends.of(shard))
    const seqs = placeIn(this.readers.manifest, from)
    for (const [shard, seq] of seqs.entries()) {
      const end = seq === 0 ? 0 : this.ends.of(shard)
      if (seq > end)
        throw invalidPosition(
          from,
          `lies beyond the end of shard ${shard}, ${end}: is it a position of this store, and was that set back?`,
        )
    }
    return seqs
  }

  private crcAt(shard: number, seq: number): number {
    return seq === 0 ? 0 : this.readers.at(shard).crcAt(seq)
  }

  /** @param kept of the events that stood at the place when it was kept. @throws KUMA_INVALID_POSITION */
  private checkCrcs(kept: readonly number[]): void {
    for (const [shard, crc] of this.crcs!.entries()) {
      const then = kept[shard] ?? 0
      if (then !== 0 && crc !== 0 && then !== crc)
        throw otherEvent(this.request.from as string, formatPosition(shard, this.seqs[shard]!))
    }
  }

  /** A seq before the first event of an entity from a point on, and near it. */
  private justBefore(id: string, from: ResolvedPoint): number {
    const { shard, idHash } = this.readers.place(id)
    const reader = this.readers.at(shard)
    const entity = reader.find(id, idHash)
    return (entity && reader.entryBefore(entity.key, from)?.seq) ?? 0
  }

  /** No items, and the place before all that come. */
  beginning(): FeedPage {
    const shard = this.shards[0]!
    const [before, behind] = around(this.seqs, shard, this.timeline)
    const position = `${before}${formatPosition(shard, this.seqs[shard]!)}${behind}`
    return this.crcs === null ? { items: [], position } : { items: [], position, crcs: [...this.crcs], itemCrcs: [] }
  }

  isBehind(shard: number): boolean {
    return this.seqs[shard]! < this.ends.of(shard)
  }

  /** The next page of a shard that is behind. */
  page(shard: number): FeedPage {
    const { readers, seqs } = this
    const [after, end] = [seqs[shard]!, this.ends.of(shard)]
    const reader = readers.at(shard)
    const pages = this.pages[shard]!
    const to = this.request.id === undefined ? end : Math.min(end, after + WINDOW)
    const found = reader.feed(after, to, pages.size, this.entity(reader))
    const [before, behind] = around(seqs, shard, this.timeline)
    const positionOf = (seq: number) => `${before}${formatPosition(shard, seq)}${behind}`
    const items: FeedItem[] = []
    const itemCrcs: number[] = []
    for (const { row, name } of found) {
      const item = this.itemOf(reader, row, name, positionOf(row.seq))
      if (item === null) continue
      items.push(item)
      itemCrcs.push(row.crc)
    }
    const last = found.length < pages.size ? to : found.at(-1)!.row.seq
    seqs[shard] = last
    pages.saw(found.map(({ row }) => row))
    if (this.crcs === null) return { items, position: positionOf(last) }
    const row = found.at(-1)?.row
    this.crcs[shard] = row?.seq === last ? row.crc : this.crcAt(shard, last)
    return { items, position: positionOf(last), crcs: [...this.crcs], itemCrcs }
  }

  /** The key of the one entity that is followed, ENGINE while there is none. Null for all of them. */
  private entity(reader: ShardReader): number | null {
    const { id } = this.request
    if (id === undefined) return null
    const found = reader.find(id, this.readers.place(id).idHash)
    if (found !== null) this.keys.add(found.key)
    return found?.key ?? ENGINE
  }

  private itemOf(reader: ShardReader, row: Row, name: EntityName | null, position: string): FeedItem | null {
    const { entityTypes, types } = this.request
    if (row.entity === ENGINE) return this.noticeOf(reader.shard, row, position)
    if (name === null || !this.begun(row)) return null
    if (entityTypes !== undefined && !entityTypes.includes(name.type)) return null
    const event = this.definitions.today(reader.recorded(row, name))
    if (types !== undefined && !types.includes(event.type)) return null
    return { kind: 'event', position, entityKey: formatPosition(reader.shard, row.entity), event }
  }

  private noticeOf(shard: number, row: Row, position: string): FeedItem | null {
    const { id, entityTypes } = this.request
    const { entity, type = '' } = recordOf(row)
    if (id !== undefined && !this.keys.has(entity)) return null
    if (entityTypes !== undefined && type !== '' && !entityTypes.includes(type)) return null
    return { kind: 'erased', position, entityKey: formatPosition(shard, entity), entityType: type }
  }
}
