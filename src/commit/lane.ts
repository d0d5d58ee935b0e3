/**
 * A lane is the end of one shard's log, with what is on its way there: batches that wait and batches that are under
 * way. When one fails, all after it fail with it: they hold events decided on what was not recorded.
 */
import { isKumaError, KumaError } from '../errors.ts'
import type { SnapshotRow } from '../store/commit.ts'
import type { Seen } from '../store/watch.ts'
import { type Batch, type Group, groupBytes, OpenBatch } from './batch.ts'
import type { ShardEnd } from './committer.ts'

const BATCH_EVENTS = 512
const BATCH_BYTES = 4 * 1024 * 1024
/** Of all lanes together, waiting or under way. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024
/** What an append holds in memory beside its events: promises, states, places in arrays. */
const APPEND_BYTES = 512
/** Snapshots are left out when so much waits already: they can be made again. */
const SNAPSHOT_BYTES_MAX = PENDING_BYTES_MAX / 4

const NONE: readonly Group[] = []

/** Told when what it stands for is on disk, or when it is not and never will be. */
export interface Settlement {
  durable(): void
  failed(error: KumaError): void
}

/** A batch with everyone who waits for it. */
export interface Pending {
  readonly batch: OpenBatch
  readonly settlements: Settlement[]
  appends: number
  failed: boolean
}

/** What all lanes have on their way to the disk. */
export interface Load {
  appends: number
  bytes: number
}

export class Lane {
  /** Heads on disk are the newest up to this seq. */
  flushed: number
  readonly keyCommits: number
  /** Its shard's, as the committer has them open. */
  readonly files: readonly Seen[]
  /** The next batch shall begin to write the heads that wait. */
  sweepWanted = false
  private durableSeq: number
  lastDurableKey: number
  private lastKey: number
  private readonly waiting: Pending[] = []
  private readonly underWay: Pending[] = []

  constructor(
    readonly shard: number,
    end: ShardEnd,
    private readonly load: Load,
    private readonly ready: (lane: Lane) => void,
  ) {
    this.durableSeq = end.lastSeq
    this.lastDurableKey = end.lastKey
    this.lastKey = end.lastKey
    this.flushed = end.flushed
    this.keyCommits = end.keyCommits
    this.files = end.files
  }

  get nextSeq(): number {
    const last = this.waiting.at(-1) ?? this.underWay.at(-1)
    return last === undefined ? this.durableSeq + 1 : last.batch.nextSeq
  }

  /** Events that wait or are under way. */
  get pending(): number {
    return this.nextSeq - 1 - this.durableSeq
  }

  get isUnderWay(): boolean {
    return this.underWay.length > 0
  }

  get hasWork(): boolean {
    return this.waiting.length > 0
  }

  /** The record of an erasure is among what waits. */
  get isErasing(): boolean {
    return this.waiting.some(({ batch }) => batch.isErasure)
  }

  get nextKey(): number {
    return this.lastKey + 1
  }

  /** @throws KUMA_OVERLOADED if too much is waiting already */
  assertRoom(): void {
    if (this.load.bytes < PENDING_BYTES_MAX) return
    const message = `${this.load.appends.toLocaleString('en')} appends wait for the disk, ${PENDING_BYTES_MAX / 1024 / 1024} MiB in memory`
    const hint = 'wait for acknowledgements before appending more'
    throw new KumaError('KUMA_OVERLOADED', message, { retryAfterMs: 100 }, { hint })
  }

  /**
   * Puts a group at the end of the log, and others behind it in the same commit. Its first event gets `nextSeq`, a new
   * entity `nextKey`.
   */
  add(group: Group, settlement: Settlement, others: readonly Group[] = NONE): Pending {
    let bytes = groupBytes(group.drafts) + APPEND_BYTES
    for (const { drafts } of others) bytes += groupBytes(drafts)
    const pending = this.open(bytes)
    pending.batch.add(group)
    for (const other of others) pending.batch.add(other)
    pending.settlements.push(settlement)
    pending.appends++
    this.load.appends++
    if (group.created !== null) this.lastKey = group.created.key
    return pending
  }

  /** Puts the record of an erasure at the end of the log, with `nextSeq`: what was added before is recorded before. */
  erase(entity: number, settlement: Settlement): void {
    let pending = this.waiting.at(-1)
    if (!pending?.batch.isErasure || pending.batch.count >= BATCH_EVENTS) pending = this.push()
    pending.batch.erase(entity)
    pending.settlements.push(settlement)
    this.ready(this)
  }

  /** With the next batch, or with one of its own. Its event is on disk or in a batch that was added before. */
  addSnapshot(row: SnapshotRow): void {
    if (this.load.bytes + row.state.length > SNAPSHOT_BYTES_MAX) return
    this.open(row.state.length).batch.snapshots.push(row)
  }

  /** So that every head gets to disk soon, also if nothing more is appended. */
  flushHeads(): void {
    this.sweepWanted = true
    if (this.waiting.length === 0 && this.underWay.length === 0) this.open(0)
  }

  /** When the next batch is on disk, which begins to write the heads that wait. @throws what a commit throws */
  sweep(): Promise<void> {
    this.sweepWanted = true
    const { settlements } = this.open(0)
    return new Promise((resolve, reject) => void settlements.push({ durable: resolve, failed: reject }))
  }

  /** The batch that is being filled. */
  private open(bytes: number): Pending {
    let pending = this.waiting.at(-1)
    if (pending === undefined || isFull(pending.batch, bytes)) pending = this.push()
    pending.batch.bytes += bytes
    this.load.bytes += bytes
    return pending
  }

  private push(): Pending {
    const pending = { batch: new OpenBatch(this.shard, this.nextSeq), settlements: [], appends: 0, failed: false }
    if (this.waiting.push(pending) === 1) this.ready(this)
    return pending
  }

  /** The next batch to commit. */
  take(): Pending {
    const pending = this.waiting.shift()!
    this.underWay.push(pending)
    if (this.waiting.length > 0) this.ready(this)
    return pending
  }

  close(pending: Pending): Batch {
    const batch = pending.batch.close(this.sweepWanted)
    this.sweepWanted = false
    return batch
  }

  committed(pending: Pending, batch: Batch, flushed: number): void {
    this.underWay.shift()
    this.unload(pending)
    this.durableSeq = pending.batch.nextSeq - 1
    this.lastDurableKey = batch.created.at(-1)?.key ?? this.lastDurableKey
    this.flushed = flushed
    for (const settlement of pending.settlements) settlement.durable()
  }

  failed(error: KumaError): void {
    const lost = [...this.underWay.splice(0), ...this.waiting.splice(0)]
    this.lastKey = this.lastDurableKey
    for (const [i, pending] of lost.entries()) {
      pending.failed = true
      this.unload(pending)
      const reason = i === 0 ? error : cascaded(error, this.shard)
      for (const settlement of pending.settlements) settlement.failed(reason)
    }
  }

  private unload({ batch, appends }: Pending): void {
    this.load.bytes -= batch.bytes
    this.load.appends -= appends
  }
}

function isFull({ count, bytes, isErasure }: OpenBatch, more: number): boolean {
  return isErasure || count >= BATCH_EVENTS || bytes + more > BATCH_BYTES
}

/** What a failure means for the batches after it: those were never tried, so nothing about them is unclear. */
export function cascaded(error: KumaError, shard: number): KumaError {
  if (!isKumaError(error, 'KUMA_INDETERMINATE')) return error
  const message = `not recorded: the commit before it failed (${error.message})`
  return new KumaError('KUMA_POISONED', message, { shard }, { cause: error, hint: 'open the store again and retry' })
}
