/**
 * Group commit. Events join the open batch of their shard; a batch leaves as soon as the committer can take it, and
 * while it is under way the next one fills. There is no timer: an idle committer gets a batch of one at once, a busy
 * one gets large batches.
 *
 * Two batches are under way at most, over all shards. With one, callers who wait for their acknowledgements would all
 * refill the next batch while the committer idles; with more, batches would only be smaller.
 *
 * When a batch fails, every later one of its shard fails with it: they hold events decided on what was not recorded.
 * The committer refuses those that it already has, since their first seq does not follow.
 */
import { isKumaError, KumaError } from '../errors.ts'
import { type Batch, type Group, groupBytes, OpenBatch } from './batch.ts'
import type { Committer, ShardEnd } from './committer.ts'

const IN_FLIGHT_MAX = 2
const BATCH_EVENTS = 512
const BATCH_BYTES = 4 * 1024 * 1024
/** Of one shard, waiting or under way. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024

/** Told when what it stands for is on disk, or when it is not and never will be. */
export interface Settlement {
  durable(): void
  failed(error: KumaError): void
}

/** A batch with everyone who waits for it. */
export interface Pending {
  readonly batch: OpenBatch
  readonly settlements: Settlement[]
  failed: boolean
}

/** The end of one shard's log, with what is on its way there. */
export class Lane {
  /** Heads on disk are the newest up to this seq. */
  flushed: number
  readonly keyCommits: number
  /** The next batch shall begin to write the heads that wait. */
  sweepWanted = false
  private durableSeq: number
  private durableKey: number
  private lastKey: number
  private readonly waiting: Pending[] = []
  private readonly underWay: Pending[] = []
  private pendingBytes = 0

  constructor(
    readonly shard: number,
    end: ShardEnd,
    private readonly ready: (lane: Lane) => void,
  ) {
    this.durableSeq = end.lastSeq
    this.durableKey = end.lastKey
    this.lastKey = end.lastKey
    this.flushed = end.flushed
    this.keyCommits = end.keyCommits
  }

  get nextSeq(): number {
    const last = this.waiting.at(-1) ?? this.underWay.at(-1)
    return last === undefined ? this.durableSeq + 1 : last.batch.nextSeq
  }

  get hasWork(): boolean {
    return this.waiting.length > 0
  }

  get nextKey(): number {
    return this.lastKey + 1
  }

  /** @throws KUMA_OVERLOADED if too much is waiting already */
  assertRoom(): void {
    if (this.pendingBytes < PENDING_BYTES_MAX) return
    const message = `shard ${this.shard} has ${PENDING_BYTES_MAX / 1024 / 1024} MiB of events waiting for the disk`
    const hint = 'wait for acknowledgements before appending more'
    throw new KumaError('KUMA_OVERLOADED', message, { retryAfterMs: 100 }, { hint })
  }

  /** Puts a group at the end of the log. Its first event gets `nextSeq`, a new entity `nextKey`. */
  add(group: Group, settlement: Settlement): Pending {
    const bytes = groupBytes(group.drafts)
    let pending = this.waiting.at(-1)
    if (pending === undefined || pending.batch.count >= BATCH_EVENTS || pending.batch.bytes + bytes > BATCH_BYTES) {
      pending = { batch: new OpenBatch(this.shard, this.nextSeq), settlements: [], failed: false }
      if (this.waiting.push(pending) === 1) this.ready(this)
    }
    pending.batch.add(group)
    pending.batch.bytes += bytes
    pending.settlements.push(settlement)
    this.pendingBytes += bytes
    if (group.created !== null) this.lastKey = group.created.key
    return pending
  }

  /** The next batch to commit. */
  take(): Pending {
    const pending = this.waiting.shift()!
    this.underWay.push(pending)
    if (this.waiting.length > 0) this.ready(this)
    return pending
  }

  committed(pending: Pending, batch: Batch, flushed: number): void {
    this.underWay.shift()
    this.pendingBytes -= pending.batch.bytes
    this.durableSeq = pending.batch.nextSeq - 1
    this.durableKey = batch.created.at(-1)?.key ?? this.durableKey
    this.flushed = flushed
    for (const settlement of pending.settlements) settlement.durable()
  }

  failed(error: KumaError): void {
    const lost = [...this.underWay.splice(0), ...this.waiting.splice(0)]
    this.pendingBytes = 0
    this.lastKey = this.durableKey
    for (const [i, pending] of lost.entries()) {
      pending.failed = true
      const reason = i === 0 ? error : cascaded(error, this.shard)
      for (const settlement of pending.settlements) settlement.failed(reason)
    }
  }
}

/** What a failure means for the batches after it: those were never tried, so nothing about them is unclear. */
function cascaded(error: KumaError, shard: number): KumaError {
  if (!isKumaError(error, 'KUMA_INDETERMINATE')) return error
  const message = `not recorded: the commit before it failed (${error.message})`
  return new KumaError('KUMA_POISONED', message, { shard }, { cause: error, hint: 'open the store again and retry' })
}

export class GroupCommit {
  private readonly lanes = new Map<number, Promise<Lane>>()
  private readonly ready: Lane[] = []
  private inFlight = 0
  private scheduled = false
  private idle: (() => void) | null = null

  constructor(private readonly committer: Committer) {}

  /** The lane of a shard, which is opened for writing at its first use. */
  lane(shard: number): Promise<Lane> {
    let lane = this.lanes.get(shard)
    if (lane === undefined) {
      lane = this.committer.open(shard).then((end) => new Lane(shard, end, (ready) => this.schedule(ready)))
      this.lanes.set(shard, lane)
      lane.catch(() => this.lanes.delete(shard)) // so that the next call tries again
    }
    return lane
  }

  /** At the end of this turn, so that everything appended in it goes together. */
  private schedule(lane: Lane): void {
    this.ready.push(lane)
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      this.send()
    })
  }

  private send(): void {
    while (this.inFlight < IN_FLIGHT_MAX) {
      const lane = this.ready.shift()
      if (lane === undefined) break
      if (!lane.hasWork) continue // its batches have failed meanwhile
      const pending = lane.take()
      const batch = pending.batch.close(lane.sweepWanted)
      lane.sweepWanted = false
      this.inFlight++
      this.committer.commit(batch).then(
        (flushed) => this.done(() => lane.committed(pending, batch, flushed)),
        (error: unknown) => this.done(() => pending.failed || lane.failed(error as KumaError)),
      )
    }
    if (this.inFlight === 0 && this.ready.length === 0) this.idle?.()
  }

  private done(settle: () => void): void {
    this.inFlight--
    settle()
    this.send()
  }

  /** Waits until everything accepted is settled, then lets go of the files. */
  async close(): Promise<void> {
    await Promise.allSettled(this.lanes.values())
    if (this.inFlight > 0 || this.ready.length > 0) await new Promise<void>((resolve) => (this.idle = resolve))
    await this.committer.close()
  }
}
