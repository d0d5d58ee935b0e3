import { handedOver } from './output.ts'

/** How long what is left may take to end by itself. */
const END_MS = 100

/**
 * Ends this process, with the exit code that it has, although something would keep it alive: a timer or a pool of the modules
 * that the config imports, a decision that never comes to an end. Nothing is left to do, and all was said.
 */
export async function endSoon(): Promise<void> {
  await handedOver()
  setTimeout(() => process.exit(), END_MS).unref()
}
