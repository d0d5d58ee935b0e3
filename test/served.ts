/** An engine of this process behind a daemon's socket, as a program elsewhere has it. */
import { BOUNDS } from '../src/daemon/bounds.ts'
import { type DaemonOptions, runDaemon } from '../src/daemon/daemon.ts'
import type { LiveEngine } from '../src/engine.ts'

const QUIET: DaemonOptions = {
  version: '0',
  log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  typeFor: () => 'document',
  isConfigStale: () => false,
  bounds: BOUNDS,
}

/**
 * What `connect` gives of it. Closing that ends the daemon, and the engine with it.
 * @param connect to the store at a path
 */
export async function served<T extends { close(): Promise<void> }>(
  engine: LiveEngine,
  connect: (path: string) => Promise<T>,
): Promise<T> {
  const daemon = await runDaemon(engine, QUIET)
  const client = await connect(engine.path)
  const close = async () => {
    await client.close()
    daemon.stop()
    await daemon.stopped
  }
  return { ...client, close, [Symbol.asyncDispose]: close }
}
