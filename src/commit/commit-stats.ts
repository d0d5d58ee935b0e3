/** What the committers have done, as numbers that cost almost nothing to keep. */
import { createHistogram, type Histogram } from 'node:perf_hooks'
import type { Distribution } from '../api.ts'
import type { Batch } from './batch.ts'

export class CommitStats {
  events = 0
  snapshots = 0
  snapshotCharsMax = 0
  private readonly sizes = createHistogram()
  private readonly micros = createHistogram()

  committed({ events, snapshots }: Batch, ms: number): void {
    this.snapshots += snapshots.length
    for (const { state } of snapshots) this.snapshotCharsMax = Math.max(this.snapshotCharsMax, state.length)
    if (events.count === 0) return
    this.events += events.count
    this.sizes.record(events.count)
    this.micros.record(Math.max(1, Math.round(ms * 1_000)))
  }

  /** Events in a commit. */
  get size(): Distribution {
    return distribution(this.sizes, 1)
  }

  /** Milliseconds that a commit took, fsync included. */
  get ms(): Distribution {
    return distribution(this.micros, 1_000)
  }
}

/**
 * @param unit so many of what was recorded are one of what is told
 * @param base what of each value, in what is told, does not count
 */
export function distribution(histogram: Histogram, unit: number, base = 0): Distribution {
  const { count } = histogram
  if (count === 0) return { count: 0, mean: 0, p50: 0, p99: 0, max: 0 }
  const { mean, max } = histogram
  const told = (value: number) => Math.max(0, value / unit - base)
  return {
    count,
    mean: told(mean),
    p50: told(histogram.percentile(50)),
    p99: told(histogram.percentile(99)),
    max: told(max),
  }
}
