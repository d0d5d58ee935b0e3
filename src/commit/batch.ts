/** What goes to a committer: the events of one shard that will be one commit. It can cross a thread. */
import type { EventColumns, KeyRow, NewEntity, SnapshotRow } from '../store/commit.ts'
import type { ErasureRecord } from '../store/erasure.ts'

export interface Batch {
  readonly shard: number
  readonly firstSeq: number
  /** None in a batch that only writes what is derived. */
  readonly events: EventColumns
  readonly created: readonly NewEntity[]
  readonly keys: readonly KeyRow[]
  /** Of events in this batch or in earlier ones. */
  readonly snapshots: readonly SnapshotRow[]
  /** Each one is an event of the batch, which has no others, and whose text the committer makes. */
  readonly erasures: readonly NewErasure[]
  /** Someone waits for heads to be on disk: begin to write them. */
  readonly sweep: boolean
}

/** An event that is ready to be recorded. */
export interface Draft {
  readonly type: string
  /** JSON */
  readonly data: string
  readonly meta: string | null
  readonly at: number
}

/** Events of one entity that are recorded together or not at all; or an answer without an event (empty-answer.ts). */
export interface Group {
  /** the entity's key; of an answer, what it is kept as */
  readonly entity: number
  /** if this group creates the entity */
  readonly created: NewEntity | null
  /** of the first event */
  readonly version: number
  /** seq of the entity's event before, 0 if there is none */
  readonly prev: number
  readonly drafts: readonly Draft[]
  /** of groups that begin in it */
  readonly keys: readonly KeyRow[]
}

/** A batch that is still being filled. */
export interface NewErasure {
  /** its key */
  readonly entity: number
  /** What was recorded of it once, if it is hidden already: a store that was set back to before records it again. */
  readonly record: ErasureRecord | null
}

export class OpenBatch {
  count = 0
  /** about, in memory and on disk */
  bytes = 0
  readonly snapshots: SnapshotRow[] = []
  private readonly erasures: NewErasure[] = []
  private readonly numbers: number[] = []
  private text = ''
  private readonly created: NewEntity[] = []
  private readonly keys: KeyRow[] = []

  constructor(
    private readonly shard: number,
    readonly firstSeq: number,
  ) {}

  get nextSeq(): number {
    return this.firstSeq + this.count
  }

  add({ entity, created, version, prev, drafts, keys }: Group): void {
    if (created !== null) this.created.push(created)
    for (const key of keys) this.keys.push(key)
    let before = prev
    for (let i = 0; i < drafts.length; i++) {
      const { type, data, meta, at } = drafts[i]!
      const metaLength = meta === null ? -1 : meta.length
      this.numbers.push(entity, version + i, before, at, type.length, data.length, metaLength)
      this.text += type
      this.text += data
      if (meta !== null) this.text += meta
      before = this.nextSeq
      this.count++
    }
  }

  /** Takes nothing but erasures from now on. @param entity key of the one to erase */
  erase(entity: number, record: ErasureRecord | null = null): void {
    this.erasures.push({ entity, record })
    this.count++
  }

  get isErasure(): boolean {
    return this.erasures.length > 0
  }

  close(sweep: boolean): Batch {
    const { shard, firstSeq, count, created, keys, snapshots, erasures } = this
    const events = { count, numbers: new Float64Array(this.numbers), text: this.text }
    return { shard, firstSeq, events, created, keys, snapshots, erasures, sweep }
  }
}

/** About what a group takes in memory and on disk: the bound of a queue counts it. */
export function groupBytes(drafts: readonly Draft[]): number {
  let bytes = 0
  for (const { type, data, meta } of drafts) bytes += 64 + type.length + data.length + (meta === null ? 0 : meta.length)
  return bytes
}
