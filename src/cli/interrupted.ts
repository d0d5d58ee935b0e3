/** Signals that ask for an end: Ctrl-C, a supervisor, and a terminal that was closed, which asks as a supervisor does. */
import { EXIT } from './exit-codes.ts'
import { note } from './output.ts'

export const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Tells of each of them once; of a second one nobody, and it ends the process. @returns stops that */
export function onEnding(tell: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of ENDING) process.once(signal, tell)
  return () => {
    for (const signal of ENDING) process.off(signal, tell)
  }
}

export function exitCodeFor(signal: NodeJS.Signals): number {
  return signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
}

/**
 * For something long that can be ended in between and then leaves nothing half done.
 * @param instead what is noted then; null for what is always ended like this
 * @returns null if it was interrupted, which sets the exit code
 */
export async function interruptible<T>(
  run: (signal: AbortSignal) => Promise<T>,
  instead: string | null,
): Promise<T | null> {
  const stop = new AbortController()
  const off = onEnding((signal) => {
    process.exitCode = exitCodeFor(signal)
    stop.abort()
  })
  try {
    return await run(stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) throw error
    if (instead !== null) note(`interrupted: ${instead}`)
    return null
  } finally {
    off()
  }
}
