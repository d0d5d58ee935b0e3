/** Progress of something long, on stderr: a bar on a terminal, a line now and then anywhere else, nothing in the first second. */
import type { SingleBar } from 'cli-progress'
import { note } from './output.ts'

const QUIET_MS = 1_000
const LINE_MS = 5_000

export interface Progress {
  /** @param part of the whole, from 0 to 1, where that is known */
  update(done: number, part?: number): void
  stop(): void
}

/** @param unit of what is done: "events" */
export function progressBar(unit: string): Progress {
  const began = performance.now()
  let shown = began
  let bar: SingleBar | null = null
  let stopped = false
  const tell = (done: number, part = 0) => {
    const seconds = (performance.now() - began) / 1_000
    const left = part === 0 ? '' : `, ${Math.round((seconds * (1 - part)) / part)} s left`
    return `${done.toLocaleString('en')} ${unit}, ${Math.round(done / seconds).toLocaleString('en')} a second${left}`
  }
  const start = async (withBar: boolean) => {
    const { default: cliProgress } = await import('cli-progress')
    if (stopped) return
    bar = new cliProgress.SingleBar({
      format: withBar ? '{bar} {text}' : '{text}',
      stream: process.stderr,
      hideCursor: false, // a signal would leave it hidden
    })
    bar.start(1_000, 0, { text: '' })
  }
  return {
    update(done, part) {
      const now = performance.now()
      if (bar !== null) bar.update(Math.round((part ?? 0) * 1_000), { text: tell(done, part) })
      else if (now - shown > (process.stderr.isTTY ? QUIET_MS : LINE_MS)) {
        shown = now
        if (process.stderr.isTTY) void start(part !== undefined)
        else note(tell(done, part))
      }
    },
    stop() {
      stopped = true
      bar?.stop()
    },
  }
}

/** The same items, counted while they are waited for. */
export async function* counted<T>(items: AsyncIterable<T>, unit: string): AsyncGenerator<T> {
  const bar = progressBar(unit)
  let done = 0
  try {
    for await (const item of items) {
      bar.update(++done)
      yield item
    }
  } finally {
    bar.stop()
  }
}
