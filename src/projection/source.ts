/**
 * What a projector reads: the events of a shard in their order, page by page, and where an entity is met in the middle of
 * its history, the state it had before.
 */
import { type Located, NOWHERE, standAt } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import type { Position, RecordedEvent } from '../entity/event.ts'
import { initialState } from '../entity/fold.ts'
import { placeIn } from '../entity/position.ts'
import { newestOf, sharedWith } from '../entity/timeline.ts'
import { isKumaError } from '../errors.ts'
import type { Ends } from '../feed/ends.ts'
import { Pages, rowsBetween } from '../store/chain.ts'
import { ENGINE, recordOf } from '../store/erasure.ts'
import type { Readers } from '../store/readers.ts'
import { inSlices, PRESENT, pagesInSlices } from '../store/slices.ts'

export interface SourceEvent {
  /** of its entity */
  readonly key: number
  readonly bytes: number
  readonly event: RecordedEvent
}

export type SourceItem =
  | SourceEvent
  /** the entity of this key was erased */
  | { readonly key: number; readonly event: null }

export interface SourcePage {
  readonly items: readonly SourceItem[]
  /** seq up to which it reaches */
  readonly to: number
  /** of the event there */
  readonly crc: number
}

export class Source {
  private readonly pages: Pages[] = []

  constructor(
    private readonly readers: Readers,
    readonly definitions: Definitions,
    readonly ends: Ends,
  ) {}

  get shards(): number {
    return this.readers.manifest.shards
  }

  get store(): string {
    return this.readers.manifest.store
  }

  /** In which it records now; null: the first. */
  get timeline(): string | null {
    return newestOf(this.readers.manifest.timelines)
  }

  /** @returns seqs by shard. @throws KUMA_INVALID_POSITION */
  placeIn(position: Position): number[] {
    return placeIn(this.readers.manifest, position)
  }

  /** In which an event was recorded; null: the first. */
  timelineOf(shard: number, seq: number): string | null {
    return this.readers.at(shard).timelineOf(seq)
  }

  /** Up to which seq this log is that of a timeline, too. */
  sharedWith(timeline: string | null, shard: number): number {
    return sharedWith(this.readers.manifest.timelines, timeline)?.(shard) ?? 0
  }

  /** What comes after a place, up to another. Null if that is nothing. @throws KUMA_CORRUPT, KUMA_CLOSED */
  page(shard: number, after: number, end: number): SourcePage | null {
    if (after >= end) return null
    const pages = this.pages[shard] ?? new Pages()
    this.pages[shard] = pages
    const reader = this.readers.at(shard)
    const found = reader.feed(after, end, pages.size, null)
    const items: SourceItem[] = []
    for (const { row, name } of found) {
      if (row.entity === ENGINE) items.push({ key: recordOf(row).entity, event: null })
      else if (name !== null) {
        const event = this.definitions.today(reader.recorded(row, name))
        items.push({ key: row.entity, bytes: row.data.length, event })
      }
    }
    const last = found.at(-1)?.row
    pages.saw(found.map(({ row }) => row))
    return { items, to: last?.seq ?? end, crc: last?.crc ?? 0 }
  }

  /** The id of an entity that `_entity` names. Null if it is erased, or not there: the store was set back. */
  nameOf(entity: string): string | null {
    const [shard, key] = entity.split(':').map(Number) as [number, number]
    const reader = this.readers.at(shard)
    return reader.entity(key) === null ? null : (reader.name(key)?.id ?? null)
  }

  /** An entity that `_entity` names, as it is now; null if it is erased, or not there. */
  standing(entity: string): Located | null {
    const [shard, key] = entity.split(':').map(Number) as [number, number]
    const reader = this.readers.at(shard)
    const [row, head] = [reader.entity(key), reader.head(key)]
    const name = row && reader.name(key)
    if (row === null || head === null || name === null) return null
    return { reader, entity: { key, ...name, createdAt: row.createdAt }, head }
  }

  /** All events of an entity. @throws KUMA_ERASED, KUMA_MODEL_FAILED, KUMA_CORRUPT */
  async *history({ reader, entity, head }: Located): AsyncGenerator<RecordedEvent> {
    for await (const rows of pagesInSlices(rowsBetween(reader, entity.key, NOWHERE, head, () => true)))
      for (const row of rows) yield this.definitions.today(reader.recorded(row, entity))
  }

  /** @throws KUMA_UNKNOWN_TYPE, KUMA_STATE_TOO_LARGE, and as `history` */
  async stateOf(located: Located): Promise<unknown> {
    const stand = await inSlices(standAt(located, this.definitions.of(located.entity.type)), PRESENT)
    return stand?.state
  }

  /** Is nothing of its entity recorded after it? */
  isNewest(shard: number, key: number, { version }: RecordedEvent): boolean {
    return this.readers.at(shard).head(key)?.version === version
  }

  /**
   * An entity before an event, and when its first event happened; null if it is erased. Its `bytes` as a `Stand` tells
   * them; infinite if its state cannot be read, since it is too large. Its state is null if its type is not defined here.
   * @throws KUMA_MODEL_FAILED, KUMA_CORRUPT
   */
  async before(
    shard: number,
    key: number,
    event: RecordedEvent,
  ): Promise<{ state: unknown; bytes: number; createdAt: number } | null> {
    const definition = this.definitions.find(event.entityType)
    const version = event.version - 1
    if (version === 0) {
      const state = definition === undefined ? null : initialState(definition, event.entity)
      return { state, bytes: 0, createdAt: event.at }
    }
    const reader = this.readers.at(shard)
    const [row, head] = [reader.entity(key), reader.head(key)]
    if (row === null || head === null) return null
    if (definition === undefined) return { state: null, bytes: 0, createdAt: row.createdAt }
    const entity: Located['entity'] = { key, id: event.entity, type: event.entityType, createdAt: row.createdAt }
    try {
      const stand = await inSlices(standAt({ reader, entity, head }, definition, { version }), PRESENT)
      return stand && { state: stand.state, bytes: stand.bytes, createdAt: row.createdAt }
    } catch (error) {
      if (isKumaError(error, 'KUMA_STATE_TOO_LARGE'))
        return { state: undefined, bytes: Number.POSITIVE_INFINITY, createdAt: row.createdAt }
      if (isKumaError(error, 'KUMA_ERASED')) return null
      throw error
    }
  }

  /** of every shard, the seq of its last event */
  places(): number[] {
    return Array.from({ length: this.shards }, (_, shard) => this.ends.of(shard))
  }

  /** Of the event at a place: 0 if it was erased. */
  crcAt(shard: number, seq: number): number {
    return this.readers.at(shard).crcAt(seq)
  }

  /** When an event was recorded, null if it is not there yet. */
  recordedAt(shard: number, seq: number): number | null {
    return seq > this.ends.of(shard) ? null : this.readers.at(shard).recordedAt(seq)
  }

  /** How many events a place is behind the end of its shard. */
  lag(shard: number, position: number): number {
    return Math.max(0, this.ends.of(shard) - position)
  }
}
