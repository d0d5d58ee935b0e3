/** How long what is left may take to end by itself. */
const END_MS = 500

/**
 * Ends this process, with the exit code that it has, although something would keep it alive: a timer or a pool of the modules
 * that the config imports, a decision that never comes to an end. Nothing is left to do.
 */
export function endSoon(): void {
  setTimeout(() => process.exit(), END_MS).unref()
}
