/** SIGINT and SIGTERM for something long that can be ended in between and then leaves nothing half done. */
import { EXIT } from './exit-codes.ts'
import { note } from './output.ts'

/**
 * @param instead what is noted then; null for what is always ended like this
 * @returns null if it was interrupted, which sets the exit code
 */
export async function interruptible<T>(
  run: (signal: AbortSignal) => Promise<T>,
  instead: string | null,
): Promise<T | null> {
  const stop = new AbortController()
  const onSignal = (signal: NodeJS.Signals) => {
    process.exitCode = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
    stop.abort()
  }
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    return await run(stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) throw error
    if (instead !== null) note(`interrupted: ${instead}`)
    return null
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}
