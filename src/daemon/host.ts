/** What the daemon's connections work on: the engine, and the daemon itself, which tells who is connected and who listens. */
import type { Stats } from '../api.ts'
import type { FeedPage, FeedRequest, LiveEngine, ProjectionInfo, QueriesInfo } from '../engine.ts'
import type { Position } from '../entity/event.ts'
import { parsePosition } from '../entity/position.ts'
import type { Bounds } from './bounds.ts'
import type { Log } from './log.ts'
import type { Greeting } from './protocol.ts'
import type { Refusals } from './refusals.ts'
import type { SlowCalls } from './slow-calls.ts'
import type { Token } from './token.ts'
import type { CallsUnderWay, SlowCall } from './under-way.ts'
import type { Unread } from './unread.ts'

export interface DaemonStatus {
  readonly pid: number
  readonly version: string
  readonly store: string
  readonly path: string
  /** ISO 8601 */
  readonly startedAt: string
  /** where it listens besides its socket: `127.0.0.1:7070`, or null */
  readonly address: string | null
  /** how many are connected */
  readonly clients: number
  readonly subscribers: number
  readonly memoryBytes: number
  /** The config, or something that it imports, is not what it was when the daemon was started. */
  readonly isConfigStale: boolean
  /** The package that it was started from is another now. It goes on as far as it can, and must be started again. */
  readonly isPackageReplaced: boolean
  /** No shard is poisoned, no projection has failed, and its package is there. */
  readonly isHealthy: boolean
  readonly projections: readonly ProjectionInfo[]
  readonly queries: QueriesInfo
  readonly stats: Stats
  readonly bounds: Bounds
  /** The oldest first; of 100 clients and names at most. */
  readonly slowCalls: readonly SlowCall[]
}

/** One who is connected. */
export interface ClientInfo {
  /** counts from 1 since the daemon was started */
  readonly id: number
  /** null before its first byte */
  readonly protocol: 'ndjson' | 'http' | null
  /** `unix`, or the address from which it came */
  readonly from: string
  /** ISO 8601 */
  readonly since: string
  readonly calls: number
  readonly underWay: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** One who follows the feed. */
export interface SubscriberInfo {
  readonly client: number
  /** what it wants to hear of: an entity, types of entities, types of events; all of them where it did not say */
  readonly entity: string | null
  readonly entityTypes: readonly string[]
  readonly events: readonly string[]
  /** ISO 8601 */
  readonly since: string
  /** that it was sent */
  readonly items: number
  readonly position: Position | null
  /** how many events are recorded that it has not come to; null before its first page */
  readonly lagEvents: number | null
}

/** Who calls. */
export interface Caller {
  readonly client: number
  /** When nobody wants the answer any more. */
  readonly signal: AbortSignal
  /** When the daemon is ending, for what waits for something. */
  readonly leaving: AbortSignal
  /** Hears from a list of entities of each place that it comes to. */
  readonly reached?: (place: string) => void
}

export interface Host {
  readonly engine: LiveEngine
  /** What the config says that a new entity of that id is, if it does. */
  readonly typeFor: (id: string) => string | undefined
  readonly log: Log
  /** What is asked of those who come over TCP. */
  readonly token: Token | null
  readonly bounds: Bounds
  /** Who is refused, for the log. */
  readonly refusals: Refusals
  readonly unread: Unread
  readonly calls: CallsUnderWay
  readonly slowCalls: SlowCalls
  readonly subscribers: Set<Subscriber>
  /** Is it a program's own engine, and not a daemon's? */
  readonly isEmbedded: boolean
  clients(): readonly { info(): ClientInfo }[]
  greeting(): Greeting
  status(): DaemonStatus
  /** As `status` tells it. */
  isHealthy(): boolean
  stop(): { readonly pid: number }
}

export class Subscriber {
  private readonly since = new Date().toISOString()
  private items = 0
  private position: Position | null = null

  constructor(
    private readonly client: number,
    private readonly request: FeedRequest,
  ) {}

  heard({ items, position }: FeedPage): void {
    this.items += items.length
    this.position = position
  }

  info(ends: readonly number[]): SubscriberInfo {
    const { client, since, items, position } = this
    const { id: entity = null, entityTypes = [], types: events = [] } = this.request
    const lagEvents = position === null ? null : lagOf(position, ends, entity !== null)
    return { client, entity, entityTypes, events, since, items, position, lagEvents }
  }
}

/**
 * @param ends seq of the last event of each shard
 * @param ofOneShard only the shard that the position names counts
 */
function lagOf(position: Position, ends: readonly number[], ofOneShard: boolean): number {
  const { seqs } = parsePosition(position, ends.length)
  return ends.reduce((sum, end, i) => sum + (ofOneShard && seqs[i] === 0 ? 0 : Math.max(0, end - seqs[i]!)), 0)
}

/** The feed, told of among the daemon's subscribers while it is read. */
export async function* subscribed(
  { engine, subscribers }: Host,
  params: FeedRequest,
  { client, signal }: Caller,
): AsyncGenerator<FeedPage> {
  const subscriber = new Subscriber(client, params)
  subscribers.add(subscriber)
  try {
    for await (const page of engine.feed({ ...params, signal })) {
      subscriber.heard(page)
      yield page
    }
  } finally {
    subscribers.delete(subscriber)
  }
}
