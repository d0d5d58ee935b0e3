/** A running daemon: an engine, the socket on which it is spoken to, and what it says of itself. */
import type { Stats } from '../api.ts'
import type { Engine } from '../engine.ts'
import { readManifest } from '../store/manifest.ts'
import { PROTOCOL } from './protocol.ts'
import { Server } from './server.ts'

export interface DaemonStatus {
  readonly pid: number
  readonly version: string
  readonly store: string
  readonly path: string
  /** ISO 8601 */
  readonly startedAt: string
  readonly clients: number
  /** No shard is poisoned. */
  readonly isHealthy: boolean
  readonly stats: Stats
}

export interface Daemon {
  /** Answers what is under way, then ends. */
  stop(): void
  /** When it has ended, with the last statistics. */
  readonly stopped: Promise<Stats>
}

/** Closes the engine when it ends. @throws KUMA_INVALID_CONFIG if the store's path is too long for a socket, KUMA_IO */
export async function runDaemon(engine: Engine, version: string): Promise<Daemon> {
  const startedAt = new Date().toISOString()
  const { pid } = process
  const { store } = readManifest(engine.path)
  let ending!: () => void
  const asked = new Promise<void>((resolve) => (ending = resolve))
  const status = (): DaemonStatus => {
    const stats = engine.stats()
    const isHealthy = stats.poisonedShards.length === 0
    return { pid, version, store, path: engine.path, startedAt, clients: server.clients, isHealthy, stats }
  }
  const own = {
    status,
    stop: () => {
      ending()
      return { pid }
    },
  }
  const server = await Server.listen(engine.path, { engine, own, greeting: { kuma: PROTOCOL, version, store, pid } })
  const end = async () => {
    await asked
    await server.drain()
    const stats = engine.stats()
    await engine.close().finally(() => server.hangUp())
    return stats
  }
  return { stop: ending, stopped: end() }
}
