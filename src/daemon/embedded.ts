/**
 * A program's own engine, served to commands and other programs on the store's socket, as a daemon serves its. It is the
 * program that ends it; nobody who is connected keeps the program from ending, and what it logs is in the store's kuma.log.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DaemonBounds } from '../api.ts'
import type { LiveEngine } from '../engine.ts'
import { PACKAGE_FOLDER } from '../store/bundled.ts'
import { boundsOf } from './bounds.ts'
import { loadLate, runDaemon } from './daemon.ts'
import { openLogFile } from './log.ts'
import { LOG_FILE } from './log-levels.ts'

/**
 * The engine; when it is closed, whoever is connected is answered first.
 * @throws KUMA_INVALID_CONFIG if the store's path is too long for a socket, KUMA_IO
 */
export async function serveEmbedded(
  engine: LiveEngine,
  typeFor: (id: string) => string,
  given: DaemonBounds | undefined,
): Promise<LiveEngine> {
  const bounds = boundsOf(given)
  const log = openLogFile('info', { path: join(engine.path, LOG_FILE), bytesMax: bounds.logBytesMax })
  const { version } = JSON.parse(readFileSync(join(PACKAGE_FOLDER, 'package.json'), 'utf8'))
  const isEmbedded = true
  await loadLate()
  const daemon = await runDaemon(engine, { version, log, typeFor, isConfigStale: () => false, bounds, isEmbedded })
  const close = async () => {
    daemon.stop()
    await daemon.stopped
    await engine.close() // a daemon does not wait for all of it
  }
  return { ...engine, close }
}
