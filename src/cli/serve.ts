/** Opens the engine of a store and serves it, unless someone else does already. */
import type { Config } from '../api.ts'
import { Client } from '../daemon/client.ts'
import { type Daemon, runDaemon } from '../daemon/daemon.ts'
import { KumaError } from '../errors.ts'
import { openEngine } from '../kuma.ts'

/** @throws KUMA_LOCKED at once if a daemon runs; what `openEngine` and `runDaemon` throw */
export async function serve(config: Config, path: string, version: string): Promise<Daemon> {
  const pid = await pidOf(path)
  if (pid !== null) {
    const hint = '`kuma status` tells how it does, `kuma stop` ends it'
    throw new KumaError('KUMA_LOCKED', `a daemon runs for ${path} already: process ${pid}`, { path, pid }, { hint })
  }
  const engine = await openEngine(config, { access: 'write' })
  return runDaemon(engine, version).catch(async (error) => {
    await engine.close()
    throw error
  })
}

/** Of a store's daemon, or null. */
export async function pidOf(path: string): Promise<number | null> {
  const client = await Client.find(path)
  await client?.close()
  return client?.greeting.pid ?? null
}
