/**
 * Who was refused, for the log: the first of a kind as it happens, and from then on how many there were, in one line every
 * ten seconds. So nobody fills the disk by being refused.
 */
import type { Log } from './log.ts'

const SUM_MS = 10_000

export class Refusals {
  /** Since the last line, by reason. */
  private readonly counts = new Map<string, number>()
  private timer: NodeJS.Timeout | null = null

  constructor(private readonly log: Log) {}

  /** @param reason one of few: a code, or words of the daemon's own */
  add(reason: string, about: object = {}): void {
    const count = this.counts.get(reason)
    this.counts.set(reason, count === undefined ? 0 : count + 1)
    if (count !== undefined) return
    this.log.warn({ ...about, reason }, 'refused')
    this.timer ??= setInterval(() => this.tell(), SUM_MS).unref()
  }

  /** What has not been told yet. */
  tell(): void {
    for (const [reason, count] of this.counts) {
      if (count > 0) this.log.warn({ reason, count, seconds: SUM_MS / 1_000 }, 'refused')
      if (count > 0) this.counts.set(reason, 0)
      else this.counts.delete(reason)
    }
    if (this.counts.size > 0 || this.timer === null) return
    clearInterval(this.timer)
    this.timer = null
  }
}
