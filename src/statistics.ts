/** What `ctx.stats()` tells, and a daemon to those who watch it: counters that are kept anyway, and what is only looked at when someone asks. */
import { statSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Definitions } from './actor/definitions.ts'
import type { Router } from './actor/router.ts'
import type { Stats } from './api.ts'
import { distribution } from './commit/commit-stats.ts'
import type { GroupCommit } from './commit/group-commit.ts'
import type { ShardInfo } from './engine.ts'
import { formatPosition } from './entity/event.ts'
import type { Ends } from './feed/ends.ts'
import { shardPath } from './store/manifest.ts'
import type { Readers } from './store/readers.ts'

/** Rates are over the last few seconds. */
const RATE_SECONDS = 5
const RESOLUTION_MS = 10

interface Sample {
  readonly at: number
  readonly events: number
  readonly reads: number
}

export class Statistics {
  private readonly startedAt = performance.now()
  private readonly loopDelay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  private samples: Sample[] = [{ at: this.startedAt, events: 0, reads: 0 }]
  private readonly timer: NodeJS.Timeout

  constructor(
    private readonly readers: Readers,
    private readonly commits: GroupCommit,
    private readonly router: Router,
    private readonly definitions: Definitions,
    private readonly ends: Ends,
  ) {
    this.loopDelay.enable()
    this.timer = setInterval(() => this.sample(), 1_000).unref()
  }

  close(): void {
    clearInterval(this.timer)
    this.loopDelay.disable()
  }

  private sample(): void {
    this.samples = [...this.samples.slice(-RATE_SECONDS + 1), this.total]
  }

  private get total(): Sample {
    return { at: performance.now(), events: this.commits.stats.events, reads: this.router.traffic.reads }
  }

  now(): Stats {
    const { traffic, size, loading } = this.router
    const { stats, load } = this.commits
    const now = this.total
    const [first] = this.samples as [Sample]
    const seconds = Math.max(0.001, (now.at - first.at) / 1_000)
    const walBytes = this.walBytes()
    return {
      uptimeMs: now.at - this.startedAt,
      actors: size - loading,
      loading,
      deciding: traffic.deciding,
      waiting: traffic.waiting,
      appendsPending: load.appends,
      bytesPending: load.bytes,
      events: now.events,
      eventsPerSecond: (now.events - first.events) / seconds,
      reads: now.reads,
      readsPerSecond: (now.reads - first.reads) / seconds,
      commitEvents: stats.size,
      commitMs: stats.ms,
      snapshots: stats.snapshots,
      snapshotCharsMax: stats.snapshotCharsMax,
      unfitForSnapshots: [...this.definitions.unfit],
      poisonedShards: [...this.commits.poisoned].sort((a, b) => a - b),
      lost: this.commits.lost.map(({ shard, from, to }) => {
        return { from: formatPosition(shard, from), to: formatPosition(shard, to) }
      }),
      walBytes: walBytes.reduce((sum, bytes) => sum + bytes, 0),
      walBytesByShard: walBytes,
      // what it holds is the time between its own timers: the delay is what came on top
      eventLoopDelayMs: distribution(this.loopDelay, 1e6, RESOLUTION_MS),
    }
  }

  shards(): ShardInfo[] {
    return shardsOf(this.readers, this.ends, this.commits)
  }

  private walBytes(): number[] {
    const { path, manifest } = this.readers
    return Array.from({ length: manifest.shards }, (_, shard) => bytesOf(walPath(path, shard)))
  }
}

function walPath(path: string, shard: number): string {
  return `${shardPath(path, shard)}-wal`
}

/** Asking for a file's size does not open it, which would drop SQLite's locks. */
function bytesOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

/** @param commits of the engine that writes; null where the files alone tell */
export function shardsOf(readers: Readers, ends: Ends, commits: GroupCommit | null): ShardInfo[] {
  const { path, manifest } = readers
  return Array.from({ length: manifest.shards }, (_, shard) => ({
    shard,
    entities: commits?.lastKey(shard) ?? readers.at(shard).lastKey(),
    lastSeq: ends.of(shard),
    pending: commits?.pending(shard) ?? 0,
    bytes: bytesOf(shardPath(path, shard)),
    walBytes: bytesOf(walPath(path, shard)),
    isPoisoned: commits?.poisoned.has(shard) ?? false,
  }))
}
