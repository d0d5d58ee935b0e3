/**
 * Group commit. Events join the open batch of their shard; a batch leaves as soon as its committer can take it, and
 * while it is under way the next one fills. There is no timer: an idle committer gets a batch of one at once, a busy
 * one gets large batches.
 *
 * There may be several committers. Each owns whole shards (shard mod committers), so that the order within a shard is
 * the order of one committer. Two batches are under way at most with each: with one, callers who wait for their
 * acknowledgements would all refill the next batch while the committer idles; with more, batches would only be smaller.
 *
 * When a batch fails, every later one of its shard fails with it. The committer refuses those that it already has,
 * since their first seq does not follow.
 */
import { setTimeout } from 'node:timers/promises'
import { isKumaError, KumaError } from '../errors.ts'
import type { Span, Vanished } from '../store/watch.ts'
import type { Batch } from './batch.ts'
import { CommitStats } from './commit-stats.ts'
import type { Committed, Committer } from './committer.ts'
import { Lane, type Load, type Pending } from './lane.ts'

const IN_FLIGHT_MAX = 2
/** How often an erasure looks whether readers in other programs have let go of the WAL. */
const WAL_RETRY_MS = 50

/** The lanes that wait for one committer. */
interface Queue {
  readonly committer: Committer
  ready: Lane[]
  inFlight: number
}

export class GroupCommit {
  readonly load: Load = { appends: 0, bytes: 0 }
  readonly stats = new CommitStats()
  private readonly lanes = new Map<number, Promise<Lane>>()
  /** Those that are open. */
  private readonly opened: (Lane | undefined)[] = []
  private readonly queues: readonly Queue[]
  private scheduled = false
  /** Shards that take no more writes, since a commit of theirs failed in a way that leaves its outcome open. */
  readonly poisoned = new Set<number>()
  private idle: (() => void) | null = null
  /** Events that were acknowledged and went with a file that was taken away. */
  readonly lost: (Span & { readonly shard: number })[] = []
  /** Why nothing is committed any more at all. */
  private gone: KumaError<'KUMA_POISONED'> | null = null
  /** Told of a shard that takes no more writes, and which acknowledged events went with it. */
  onPoisoned: ((shard: number, why: string, lost: Span | null) => void) | null = null
  /** Told what happened when a committer sees that the store is not the one any more that was opened. */
  onGone: ((what: string) => void) | null = null
  /** Told how far a shard's log reaches, once that is on disk. */
  onCommitted: ((shard: number, lastSeq: number) => void) | null = null

  constructor(committers: readonly Committer[]) {
    this.queues = committers.map((committer) => ({ committer, ready: [], inFlight: 0 }))
    for (const committer of committers) committer.onVanished = (vanished) => this.vanished(vanished)
  }

  /** The lane of a shard, which is opened for writing at its first use. */
  lane(shard: number): Promise<Lane> {
    if (this.gone !== null) return Promise.reject(this.gone)
    let lane = this.lanes.get(shard)
    if (lane === undefined) {
      const queue = this.queues[shard % this.queues.length]!
      lane = queue.committer
        .open(shard)
        .then((end) => (this.opened[shard] = new Lane(shard, end, this.load, (ready) => this.schedule(queue, ready))))
      this.lanes.set(shard, lane)
      lane.catch(() => this.lanes.delete(shard)) // so that the next call tries again
    }
    return lane
  }

  /** Events of a shard on their way to the disk. */
  pending(shard: number): number {
    return this.opened[shard]?.pending ?? 0
  }

  /** Of the last entity made in a shard; null while it is not open. */
  lastKey(shard: number): number | null {
    return this.opened[shard]?.lastDurableKey ?? null
  }

  /**
   * Empties entities of a shard whose erasure is recorded. What is committed meanwhile goes between the slices.
   * @param walWaitMs how long to wait for those who read the WAL
   * @returns `wal` if it still has pages as they were
   */
  async scrub(shard: number, entities: readonly number[], walWaitMs: number): Promise<'wal' | 'done'> {
    await this.lane(shard) // opens it
    const { committer } = this.queues[shard % this.queues.length]!
    const deadline = performance.now() + walWaitMs
    for (;;) {
      if (this.gone !== null) throw this.gone
      const scrubbed = await committer.scrub(shard, entities)
      if (scrubbed === 'done') return scrubbed
      if (scrubbed === 'rows') continue
      if (performance.now() > deadline) return scrubbed
      await setTimeout(WAL_RETRY_MS)
    }
  }

  /**
   * At the end of this turn, so that everything appended in it goes together. A lane with the record of an erasure goes
   * before all others: until it is on disk, what is to be forgotten can be read.
   */
  private schedule(queue: Queue, lane: Lane): void {
    if (lane.isErasing) queue.ready = [lane, ...queue.ready.filter((other) => other !== lane)]
    else queue.ready.push(lane)
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      for (const each of this.queues) this.send(each)
    })
  }

  private send(queue: Queue): void {
    while (queue.inFlight < IN_FLIGHT_MAX) {
      const lane = queue.ready.shift()
      if (lane === undefined) break
      if (this.gone !== null) lane.failed(this.gone)
      if (!lane.hasWork) continue // its batches have failed meanwhile
      const pending = lane.take()
      const batch = lane.close(pending)
      queue.inFlight++
      queue.committer.commit(batch).then(
        (committed) => this.done(queue, () => this.committed(lane, pending, batch, committed)),
        (error: unknown) => this.done(queue, () => this.failed(lane, pending, error as KumaError)),
      )
    }
    if (this.isIdle) this.idle?.()
  }

  private committed(lane: Lane, pending: Pending, batch: Batch, { flushed, ms }: Committed): void {
    if (pending.failed) return // its file had gone when the answer came
    this.stats.committed(batch, ms)
    lane.committed(pending, batch, flushed)
    this.onCommitted?.(lane.shard, pending.batch.nextSeq - 1)
  }

  private failed(lane: Lane, pending: Pending, error: KumaError): void {
    if (isKumaError(error, 'KUMA_INDETERMINATE', 'KUMA_POISONED')) this.poison(lane.shard, error.message)
    if (!pending.failed) lane.failed(error)
  }

  private poison(shard: number, why: string, lost: Span | null = null): void {
    if (lost !== null) this.lost.push({ shard, ...lost })
    if (this.poisoned.has(shard) && lost === null) return
    this.poisoned.add(shard)
    this.onPoisoned?.(shard, why, lost)
  }

  private vanished({ shard, change, lost }: Vanished): void {
    this.poison(shard, change.what, lost)
    if (change.of === 'store') this.onGone?.(change.what)
  }

  /** Nothing more is committed, and what is on its way fails. @param shards how many there are */
  lose(error: KumaError<'KUMA_POISONED'>, shards: number): void {
    this.gone = error
    for (let shard = 0; shard < shards; shard++) this.poisoned.add(shard)
    for (const lane of this.opened) lane?.failed(lane.isUnderWay ? unclear(error) : error)
  }

  private done(queue: Queue, settle: () => void): void {
    queue.inFlight--
    settle()
    this.send(queue)
  }

  private get isIdle(): boolean {
    return this.queues.every(({ ready, inFlight }) => ready.length === 0 && inFlight === 0)
  }

  /** Waits until everything accepted is settled, then lets go of the files. */
  async close(): Promise<void> {
    await Promise.allSettled(this.lanes.values())
    if (!this.isIdle) await new Promise<void>((resolve) => (this.idle = resolve))
    const closed = await Promise.allSettled(this.queues.map(({ committer }) => committer.close()))
    for (const result of closed) if (result.status === 'rejected') throw result.reason
  }
}

/** It may be in the store that was moved away, or in none. */
function unclear({ message, hint }: KumaError): KumaError<'KUMA_INDETERMINATE'> {
  return new KumaError('KUMA_INDETERMINATE', message, { requestKey: null }, { hint: hint ?? undefined })
}
