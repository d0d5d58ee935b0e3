/** Asks for what cannot be undone, before it is done. */
import { createInterface } from 'node:readline/promises'
import { usage } from './event-data.ts'
import { EXIT } from './exit-codes.ts'
import { visible } from './output.ts'

/**
 * Has a person type a word that nobody types by accident.
 * @returns false if something else came, or nothing
 * @throws KUMA_USAGE if there is nobody to ask
 */
export async function confirm(what: string, word: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw usage(`nobody is there to confirm: ${what}`, 'add --yes if that is what you want')
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const stop = new AbortController()
  lines.once('SIGINT', () => {
    process.exitCode = EXIT.interrupted
    lines.close()
  })
  lines.once('close', () => stop.abort())
  try {
    return (await lines.question(`type ${visible(word)} to ${what}: `, stop)) === word
  } catch (error) {
    if (!stop.signal.aborted) throw error
    process.stderr.write('\n')
    return false
  } finally {
    lines.close()
  }
}
