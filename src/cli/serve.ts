/** Opens the engine of a store and serves it, unless someone else does already. */
import { join } from 'node:path'
import { isLoopback, parseAddress } from '../daemon/address.ts'
import { boundsOf } from '../daemon/bounds.ts'
import { Client } from '../daemon/client.ts'
import { type Daemon, type DaemonOptions, loadLate, runDaemon } from '../daemon/daemon.ts'
import { openLog } from '../daemon/log.ts'
import { LOG_FILE, type LogLevel } from '../daemon/log-levels.ts'
import { readToken } from '../daemon/token.ts'
import { KumaError } from '../errors.ts'
import { loadHistory, openEngine } from '../kuma.ts'
import { hasReadModels } from '../projection/open-read-models.ts'
import type { Located } from './base-command.ts'
import { usage } from './event-data.ts'
import { wantsColor } from './output.ts'

export interface ServeFlags {
  readonly listen?: string | undefined
  readonly 'token-file'?: string | undefined
  readonly 'insecure-bind'?: boolean | undefined
}

interface ServeOptions {
  /** of Kuma */
  readonly version: string
  readonly logLevel: LogLevel
}

/** @throws KUMA_LOCKED at once if a daemon runs; what `tcpOf`, `openEngine` and `runDaemon` throw */
export async function serve(
  { config, path, typeFor, isStale }: Located,
  flags: ServeFlags,
  { version, logLevel }: ServeOptions,
): Promise<Daemon> {
  const tcp = tcpOf(flags)
  const pid = await pidOf(path)
  if (pid !== null) {
    const hint = '`kuma status` tells how it does, `kuma stop` ends it'
    throw new KumaError('KUMA_LOCKED', `a daemon runs for ${path} already: process ${pid}`, { path, pid }, { hint })
  }
  const bounds = boundsOf(config.daemon)
  const file = { path: join(path, LOG_FILE), bytesMax: bounds.logBytesMax }
  const log = await openLog(logLevel, wantsColor(process.stderr), file)
  await Promise.all([loadHistory(), loadLate()])
  const engine = await openEngine(config, { access: 'write', projects: hasReadModels(path, config) })
  const options = { version, log, typeFor, isConfigStale: isStale, bounds, tcp }
  return runDaemon(engine, options).catch(async (error) => {
    await engine.close()
    throw error
  })
}

/** @throws KUMA_USAGE, KUMA_UNAUTHORIZED */
export function tcpOf(flags: ServeFlags): DaemonOptions['tcp'] {
  const { listen, 'token-file': file, 'insecure-bind': insecure } = flags
  if (listen === undefined) {
    if (insecure) throw usage('--insecure-bind goes with --listen')
    return undefined
  }
  if (file === undefined) throw usage('--listen needs --token-file: whoever can reach that port must show a token')
  const address = parseAddress(listen)
  if (!insecure && !isLoopback(address.host)) {
    const hint = 'listen on 127.0.0.1 behind a proxy or tunnel that encrypts, or spell out --insecure-bind'
    throw usage(`others could reach ${listen}, and read what is said: nothing is encrypted`, hint)
  }
  return { address, token: readToken(file) }
}

/** Of a store's daemon, or null. */
export async function pidOf(path: string): Promise<number | null> {
  const client = await Client.find(path)
  await client?.close()
  return client?.greeting.pid ?? null
}
