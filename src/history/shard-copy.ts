/** The events of one shard on their way into another store. Keys of entities and seqs are given anew. */
import { type Batch, OpenBatch } from '../commit/batch.ts'
import type { Readers } from '../store/readers.ts'
import { withoutKey } from '../store/request-key.ts'
import type { Row } from '../store/row.ts'
import type { EntityName, ShardReader } from '../store/shard-reader.ts'
import { definitionVersionOf, snapshotRow } from '../store/snapshot.ts'

const BATCH_EVENTS = 2_000
const BATCH_BYTES = 2 * 1024 * 1024

export class ShardCopy {
  entities = 0
  events = 0
  private readonly keys = new Map<number, number>()
  /** the last seq of each entity, by its new key */
  private readonly last = [0]
  private readonly snapshots: Map<number, Set<number>>
  private batch: OpenBatch

  constructor(
    private readonly reader: ShardReader,
    private readonly isWanted: (name: EntityName) => boolean,
    private readonly ids: Readers,
  ) {
    this.snapshots = reader.snapshotVersions()
    this.batch = new OpenBatch(reader.shard, 1)
  }

  /** The keys of the entities that were taken, as they are in the original. */
  get taken(): Iterable<number> {
    return this.keys.keys()
  }

  get isFull(): boolean {
    return this.batch.count >= BATCH_EVENTS || this.batch.bytes >= BATCH_BYTES
  }

  get hasWork(): boolean {
    return this.batch.count > 0
  }

  take(): Batch {
    const batch = this.batch.close(false)
    this.batch = new OpenBatch(this.reader.shard, this.batch.nextSeq)
    return batch
  }

  add(row: Row, name: EntityName): void {
    const { version, at, type, data } = row
    const isNew = version === 1 && this.isWanted(name)
    if (isNew) this.keys.set(row.entity, ++this.entities)
    const key = this.keys.get(row.entity)
    if (key === undefined) return
    const seq = this.batch.nextSeq
    const created = isNew ? { key, idHash: this.ids.place(name.id).idHash, ...name, createdAt: at } : null
    const meta = withoutKey(row.meta)
    this.batch.add({
      entity: key,
      created,
      version,
      prev: this.last[key] ?? 0,
      drafts: [{ type, data, meta, at }],
      key: null,
    })
    this.batch.bytes += data.length + (meta?.length ?? 0)
    this.last[key] = seq
    this.events++
    if (this.snapshots.get(row.entity)?.has(version)) this.addSnapshot(row, key, seq)
  }

  private addSnapshot({ entity, version, at }: Row, key: number, seq: number): void {
    const snapshot = this.reader.snapshotAt(entity, version)
    if (snapshot === null) return
    const { state } = snapshot
    this.batch.snapshots.push(snapshotRow({ entity: key, version, at, seq }, definitionVersionOf(snapshot), state))
    this.batch.bytes += state.length
  }
}
