/** A running daemon: an engine, the sockets on which it is spoken to, and what it says of itself. */
import type { Stats } from '../api.ts'
import type { LiveEngine, ProjectionInfo } from '../engine.ts'
import { formatPosition } from '../entity/event.ts'
import { KumaError } from '../errors.ts'
import { isPackageReplaced } from '../store/bundled.ts'
import type { TcpAddress } from './address.ts'
import type { Bounds } from './bounds.ts'
import type { DaemonStatus, Host } from './host.ts'
import type { Log } from './log.ts'
import { PROTOCOL } from './protocol.ts'
import { Refusals } from './refusals.ts'
import { Server } from './server.ts'
import { SlowCalls } from './slow-calls.ts'
import { Token } from './token.ts'
import { CallsUnderWay } from './under-way.ts'
import { Unread } from './unread.ts'

/**
 * How long the engine may take to close, after those that are connected had their time (server.ts): something of it may wait
 * for a sink or a disk that never answers. All that was acknowledged is on disk, and what was cut off is found at
 * the next start as after a crash. Both times together, and that of hanging up, stay below the ten seconds after which
 * people and supervisors lose patience.
 */
const CLOSE_MS = 2_000
/** How long those who are connected are told that the store was taken away, before they are hung up on. */
const REFUSING_MS = 5_000

export interface DaemonOptions {
  /** of Kuma */
  readonly version: string
  readonly log: Log
  readonly typeFor: (id: string) => string | undefined
  /** Is the config another than that which the engine was opened with? */
  readonly isConfigStale: () => boolean
  readonly bounds: Bounds
  /** A program's own engine: it is the program that hears of what happens to it, and that ends it. */
  readonly isEmbedded?: boolean | undefined
  readonly tcp?: { readonly address: TcpAddress; readonly token: string } | undefined
}

export interface Daemon {
  /** where it listens over TCP, or null */
  readonly address: string | null
  /** Answers what is under way, then ends. */
  stop(): void
  /** When it has ended, which is never long after it was asked to. */
  readonly stopped: Promise<Stopped>
}

export interface Stopped {
  readonly poisonedShards: readonly number[]
  /** All that was taken to be recorded was answered. Where it was not, the disk did not take it in time. */
  readonly isWhole: boolean
}

/** What is loaded when it is first asked for: at once, since the package may be replaced under it. */
export async function loadLate(): Promise<void> {
  await Promise.all([import('./metrics.ts'), import('./openapi.ts')])
}

/**
 * Closes the engine when it ends: when it is asked to, or when the store is taken away. Then everything is refused, with the
 * reason, and it ends as soon as nobody is connected any more.
 * @throws KUMA_INVALID_CONFIG if the store's path is too long for a socket, KUMA_IO
 */
export async function runDaemon(engine: LiveEngine, options: DaemonOptions): Promise<Daemon> {
  const { version, log, typeFor, isConfigStale, bounds, isEmbedded = false, tcp } = options
  const startedAt = new Date().toISOString()
  const { pid } = process
  const { path, store } = engine
  let ending!: () => void
  const asked = new Promise<void>((resolve) => (ending = resolve))
  const subscribers: Host['subscribers'] = new Set()
  const calls = new CallsUnderWay()
  const host: Host = {
    engine,
    typeFor,
    log,
    bounds,
    refusals: new Refusals(log),
    unread: new Unread(bounds.unreadBytesMax),
    calls,
    slowCalls: new SlowCalls(bounds, calls),
    token: tcp ? new Token(tcp.token) : null,
    subscribers,
    clients: () => server.clients,
    greeting: () => ({ kuma: PROTOCOL, version, store, path, pid, isConfigStale: isConfigStale() }),
    status: (): DaemonStatus => {
      engine.assertHeld()
      const stats = engine.stats()
      const projections = engine.projections()
      return {
        pid,
        version,
        store,
        path,
        startedAt,
        address: server.address,
        clients: server.clients.length,
        subscribers: subscribers.size,
        memoryBytes: process.memoryUsage.rss(),
        isConfigStale: isConfigStale(),
        isPackageReplaced: isPackageReplaced(),
        isHealthy: isHealthy(stats, projections),
        projections,
        queries: engine.queries(),
        stats,
        bounds,
        slowCalls: calls.slow(),
      }
    },
    isEmbedded,
    isHealthy: () => isHealthy(engine.stats(), engine.projections()),
    stop: () => {
      if (isEmbedded) throw isProgram(path)
      ending()
      return { pid }
    },
  }
  const server = await Server.listen(path, host, tcp?.address ?? null)
  const { address } = server
  if (!isEmbedded) {
    logTroubles(engine, log)
    engine.onLost(({ code, message }) => {
      log.error({ path, code }, message)
      void server.untilAlone(REFUSING_MS).then(ending)
    })
  }
  log.info({ path, store, version, address }, 'listening')
  const end = async () => {
    await asked
    log.info({ clients: server.clients.length }, 'stopping: what was accepted is answered first')
    host.refusals.tell()
    const calls = await server.drain()
    const { events, poisonedShards } = engine.stats()
    if (calls > 0) log.warn({ calls }, 'given up: they were not answered in time')
    engine.giveUpDecisions(undecided(path))
    try {
      const isClosed = await inTime(engine.close(), CLOSE_MS)
      const isWhole = isClosed || engine.stats().appendsPending === 0
      if (isClosed) log.info({ events, poisonedShards }, 'stopped')
      else if (isWhole) log.warn({ events, poisonedShards }, 'stopped: not all of the engine closed in time')
      else log.error({ events, poisonedShards }, 'stopped: the disk did not take all that was accepted in time')
      return { poisonedShards, isWhole }
    } finally {
      await server.hangUp()
    }
  }
  return { address, stop: ending, stopped: end() }
}

/** False if it took too long. @throws what it throws until then */
async function inTime(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let late: NodeJS.Timeout | undefined
  const over = new Promise<false>((resolve) => (late = setTimeout(resolve, ms, false)))
  return Promise.race([promise.then(() => true), over]).finally(() => clearTimeout(late))
}

function isHealthy({ poisonedShards }: Stats, projections: readonly ProjectionInfo[]): boolean {
  const isWhole = poisonedShards.length === 0 && projections.every(({ state }) => state !== 'failed')
  return isWhole && !isPackageReplaced()
}

function undecided(path: string): KumaError<'KUMA_CLOSED'> {
  const hint = 'nothing was recorded: ask the next one'
  return new KumaError('KUMA_CLOSED', 'the daemon ended before it was decided', { path }, { hint })
}

function logTroubles(engine: LiveEngine, log: Log): void {
  engine.onPoisoned((shard, why, lost) => {
    const positions = lost && { from: formatPosition(shard, lost.from), to: formatPosition(shard, lost.to) }
    const text = `this shard takes no more writes: ${why}`
    if (positions === null) log.error({ shard }, text)
    else log.error({ shard, lost: positions }, `${text}; what was acknowledged there may be lost`)
  })
  engine.onProjectionFailed((projection, { code, position }) =>
    log.error({ projection, code, position }, 'a projection stopped: `kuma projections` tells why'),
  )
  engine.onLeftOut((projection, { position }) =>
    log.warn(
      { projection, position },
      'it leaves out an entity, whose state is too large: `kuma projections` tells which',
    ),
  )
  engine.onFlawedFold(({ entityType, type: event, position }, problem) =>
    log.warn({ entityType, event, position }, `evolve ${problem}: new events with which it does so are refused`),
  )
}

function isProgram(path: string): KumaError<'KUMA_USAGE'> {
  const program = `process ${process.pid} (${process.argv[1] ?? process.argv0})`
  const hint = 'it lets others in as long as it runs: end that program'
  return new KumaError('KUMA_USAGE', `${path} is open in a program of its own: ${program}`, {}, { hint })
}
