/** Progress of something long, on stderr: a bar on a terminal, a line now and then anywhere else, nothing in the first second. */
import type { SingleBar } from 'cli-progress'
import { note } from './output.ts'

const QUIET_MS = 1_000
const LINE_MS = 5_000

export interface Progress {
  /** @param outOf where the total is known only now */
  update(done: number, outOf?: number): void
  stop(): void
}

/** @param of what is done, for the time left: `total` in its unit, and how much of it `measure()` says is done */
export function progressBar({
  unit,
  total,
  measure,
}: {
  unit: string
  total?: number | undefined
  measure?: () => number
}): Progress {
  const began = performance.now()
  let shown = began
  let bar: SingleBar | null = null
  let stopped = false
  const detail = (done: number, outOf = total) => {
    const seconds = (performance.now() - began) / 1_000
    const part = outOf === undefined || outOf === 0 ? 0 : Math.min(1, (measure?.() ?? done) / outOf)
    const left = part === 0 ? '' : `, ${Math.round((seconds * (1 - part)) / part)} s left`
    return {
      part,
      text: `${done.toLocaleString('en')} ${unit}, ${Math.round(done / seconds).toLocaleString('en')} a second${left}`,
    }
  }
  const start = async (known: number | undefined) => {
    const { default: cliProgress } = await import('cli-progress')
    if (stopped) return
    bar = new cliProgress.SingleBar({
      format: known === undefined ? '{text}' : '{bar} {text}',
      stream: process.stderr,
      hideCursor: false, // a signal would leave it hidden
    })
    bar.start(1_000, 0, { text: '' })
  }
  return {
    update(done, outOf) {
      const now = performance.now()
      if (bar !== null) {
        const { part, text } = detail(done, outOf)
        bar.update(Math.round(part * 1_000), { text })
      } else if (process.stderr.isTTY ? now - shown > QUIET_MS : now - shown > LINE_MS) {
        shown = now
        if (process.stderr.isTTY) void start(outOf ?? total)
        else note(detail(done, outOf).text)
      }
    },
    stop() {
      stopped = true
      bar?.stop()
    },
  }
}
