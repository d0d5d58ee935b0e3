/**
 * The events of one shard on their way into another store, with their request keys, and the answers that left no event.
 * Keys of entities and seqs are given anew.
 *
 * Where a time cuts a group in two, the request key stands for what is there of it, with a digest that is no request's:
 * the same request again is refused. To record it would double its beginning, and to call it recorded would be untrue.
 */
import { type Batch, type Draft, OpenBatch } from '../commit/batch.ts'
import type { KeyRow } from '../store/commit.ts'
import { answersOf, emptyAnswer, isEmptyAnswer, ownerOf } from '../store/empty-answer.ts'
import type { Readers } from '../store/readers.ts'
import { cutTo, keyHash, keyOf, type RequestKey, withKey, withoutKey } from '../store/request-key.ts'
import type { Row } from '../store/row.ts'
import type { EntityName, ShardReader } from '../store/shard-reader.ts'
import { definitionVersionOf, snapshotRow } from '../store/snapshot.ts'

const BATCH_EVENTS = 2_000
const BATCH_BYTES = 2 * 1024 * 1024

/** Rows that were recorded together under a request key, or one row without. */
interface CopiedGroup {
  readonly name: EntityName
  readonly key: RequestKey | undefined
  readonly lastSeq: number
  readonly rows: Row[]
}

/** The end of a chain in the copy. */
interface ChainEnd {
  readonly version: number
  readonly seq: number
}

export class ShardCopy {
  entities = 0
  events = 0
  private readonly keys = new Map<number, number>()
  /** the last seq of each entity, by its new key */
  private readonly last = [0]
  private readonly answers = new Map<number, ChainEnd>()
  private readonly snapshots: Map<number, Set<number>>
  /** Up to this seq, request keys have expired. */
  private readonly expired: number
  private group: CopiedGroup | null = null
  private batch: OpenBatch

  /** @param until events that happened later are left out */
  constructor(
    private readonly reader: ShardReader,
    private readonly isWanted: (name: EntityName) => boolean,
    private readonly until: number,
    private readonly ids: Readers,
  ) {
    this.snapshots = reader.snapshotVersions()
    this.expired = reader.expiredKeys()
    this.batch = new OpenBatch(reader.shard, 1)
  }

  /** The keys of the entities that were taken, as they are in the original. */
  get taken(): Iterable<number> {
    return this.keys.keys()
  }

  /** Never within a group: that is one commit. */
  get isFull(): boolean {
    return this.group === null && (this.batch.count >= BATCH_EVENTS || this.batch.bytes >= BATCH_BYTES)
  }

  get hasWork(): boolean {
    return this.group !== null || this.batch.count > 0
  }

  take(): Batch {
    this.endGroup()
    const batch = this.batch.close(false)
    this.batch = new OpenBatch(this.reader.shard, this.batch.nextSeq)
    return batch
  }

  /** The next row of the shard. @param name as the feed of the shard gives it */
  add(row: Row, name: EntityName | null): void {
    if (this.group !== null && row.seq > this.group.lastSeq) this.endGroup()
    if (isEmptyAnswer(row)) this.addAnswer(row)
    if (name === null) return
    if (row.version === 1 && row.at <= this.until && this.isWanted(name)) this.keys.set(row.entity, ++this.entities)
    if (!this.keys.has(row.entity)) return
    const key = this.group === null ? this.keyOf(row) : undefined
    this.group ??= { name, key, lastSeq: row.seq + (key?.count ?? 1) - 1, rows: [] }
    if (row.at <= this.until) this.group.rows.push(row)
    if (row.seq === this.group.lastSeq) this.endGroup()
  }

  private keyOf({ seq, meta }: Row): RequestKey | undefined {
    return seq > this.expired ? keyOf(meta) : undefined
  }

  private endGroup(): void {
    const { group } = this
    this.group = null
    if (group === null || group.rows.length === 0) return
    const { name, rows, key: stood } = group
    const [first] = rows
    const entity = this.keys.get(first!.entity)!
    const firstSeq = this.batch.nextSeq
    const { idHash } = this.ids.place(name.id)
    const created = first!.version === 1 ? { key: entity, idHash, ...name, createdAt: first!.at } : null
    const drafts: Draft[] = rows.map(({ type, data, meta, at }) => ({ type, data, meta: withoutKey(meta), at }))
    const key = stood && cutTo(stood, rows.length)
    if (key !== undefined) drafts[0] = { ...drafts[0]!, meta: withKey(drafts[0]!.meta, key) }
    const prev = this.last[entity] ?? 0
    this.batch.add({
      entity,
      created,
      version: first!.version,
      prev,
      drafts,
      keys: key === undefined ? [] : [this.keyRow(name, key)],
    })
    for (const { data, meta } of drafts) this.batch.bytes += data.length + (meta?.length ?? 0)
    this.last[entity] = this.batch.nextSeq - 1
    this.events += rows.length
    for (const [i, row] of rows.entries())
      if (this.snapshots.get(row.entity)?.has(row.version)) this.addSnapshot(row, entity, firstSeq + i)
  }

  private keyRow({ id }: EntityName, { key, count, digest }: RequestKey): KeyRow {
    return { seq: this.batch.nextSeq, hash: keyHash(id, key), count, digest }
  }

  /** Given when the entity's last event was the one that was copied last: its time is not before that of the event. */
  private addAnswer(row: Row): void {
    const owner = ownerOf(row.entity)
    const entity = this.keys.get(owner)
    const key = this.keyOf(row)
    if (entity === undefined || key === undefined || row.at > this.until) return
    const name = this.reader.name(owner)
    if (name === null) return // it is erased
    const { version, seq } = this.answers.get(entity) ?? { version: 0, seq: 0 }
    this.answers.set(entity, { version: version + 1, seq: this.batch.nextSeq })
    const draft = { ...emptyAnswer(this.last[entity]!), meta: withKey(null, key), at: row.at }
    this.batch.add({
      entity: answersOf(entity),
      created: null,
      version: version + 1,
      prev: seq,
      drafts: [draft],
      keys: [this.keyRow(name, key)],
    })
    this.batch.bytes += draft.data.length + draft.meta.length
  }

  private addSnapshot({ entity, version, at }: Row, key: number, seq: number): void {
    const snapshot = this.reader.snapshotAt(entity, version)
    if (snapshot === null) return
    const { state } = snapshot
    this.batch.snapshots.push(snapshotRow({ entity: key, version, at, seq }, definitionVersionOf(snapshot), state))
    this.batch.bytes += state.length
  }
}
