/** What the cockpit shows: plain data, and callbacks to get more of it. Nothing in here knows where they come from. */

export interface Spread {
  readonly p50: number
  readonly p99: number
}

export interface Status {
  readonly pid: number
  readonly address: string | null
  readonly clients: number
  readonly subscribers: number
  readonly memoryBytes: number
  readonly isConfigStale: boolean
  readonly isPackageReplaced: boolean
  readonly isHealthy: boolean
  readonly projections: readonly ProjectionRow[]
  /** Calls that have taken more than a second, by client and name. */
  readonly slowCalls: readonly { readonly count: number }[]
  readonly stats: {
    readonly uptimeMs: number
    readonly actors: number
    readonly loading: number
    readonly waiting: number
    readonly appendsPending: number
    readonly eventsPerSecond: number
    readonly readsPerSecond: number
    readonly commitEvents: Spread
    readonly commitMs: Spread
    readonly walBytes: number
    readonly eventLoopDelayMs: Spread
    readonly poisonedShards: readonly number[]
  }
}

export interface ActorRow {
  readonly id: string
  readonly type: string | null
  /** null where the files did not tell */
  readonly shard: number | null
  /** `stored`: it was found in the files, with no daemon */
  readonly state: 'idle' | 'busy' | 'loading' | 'draining' | 'stored'
  readonly mailbox: number
  readonly eventsPerSecond: number
  readonly version: number
  readonly ackMs: Spread | null
  readonly ageSeconds: number
  readonly idleSeconds: number
}

export interface ShardRow {
  readonly shard: number
  readonly entities: number
  readonly lastSeq: number
  readonly pending: number
  readonly bytes: number
  readonly walBytes: number
  readonly isPoisoned: boolean
}

export interface ClientRow {
  readonly id: number
  readonly protocol: string | null
  readonly from: string
  readonly since: string
  readonly calls: number
  readonly underWay: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface SubscriberRow {
  readonly client: number
  readonly entity: string | null
  readonly entityTypes: readonly string[]
  readonly events: readonly string[]
  readonly since: string
  readonly items: number
  readonly lagEvents: number | null
}

export interface ProjectionRow {
  readonly name: string
  readonly state: string
  readonly generation: number | null
  readonly lagEvents: number
  readonly lagSeconds: number
  readonly eventsPerSecond: number
  readonly error: { readonly message: string; readonly position: string | null } | null
  readonly building: { readonly isTrial: boolean; readonly lagEvents: number } | null
}

/** The store at one moment. */
export interface Look {
  /** milliseconds since 1970 */
  readonly at: number
  /** null where no daemon runs: what is shown was read from the files */
  readonly status: Status | null
  readonly shards: readonly ShardRow[]
  readonly total: number
  readonly matching: number
  readonly actors: readonly ActorRow[]
  readonly clients: readonly ClientRow[]
  readonly subscribers: readonly SubscriberRow[]
}

export const SORTS = [
  'rate',
  'id',
  'type',
  'shard',
  'state',
  'mailbox',
  'version',
  'p50',
  'p99',
  'age',
  'idle',
] as const
export type Sort = (typeof SORTS)[number]

export const TABS = ['actors', 'shards', 'clients', 'subscribers', 'projections'] as const
export type Tab = (typeof TABS)[number]

export interface Wanted {
  readonly tab: Tab
  readonly sort: Sort
  readonly reverse: boolean
  readonly filter: string
  readonly offset: number
  readonly limit: number
}

/** An entity at one of its versions. */
export interface EntityLook {
  readonly id: string
  readonly type: string
  readonly version: number
  readonly at: number
  readonly state: unknown
  /** null if it is not in memory */
  readonly actor: ActorRow | null
  /** up to that version, the newest first */
  readonly events: readonly EventRow[]
}

export interface EventRow {
  readonly version: number
  readonly at: number
  readonly type: string
  readonly data: unknown
  readonly by: string | null
}

/** `+ /plan  "pro"`: what came, went or changed from one version to another. */
export interface ChangeRow {
  readonly op: 'add' | 'remove' | 'replace'
  readonly path: string
  readonly text: string
}

/** Where it comes from. Each may fail: the message is shown, and asking goes on. */
export interface Source {
  /** the store's path, or where its daemon is */
  readonly name: string
  /** null if no daemon runs */
  look(wanted: Wanted): Promise<Look | null>
  /** From now on what the files hold is shown. */
  useFiles(): Promise<void>
  entity(id: string, version: number | null, events: number): Promise<EntityLook>
  diff(id: string, from: number, to: number): Promise<readonly ChangeRow[]>
  /** Calls `moved` when something is recorded of the entity. */
  follow(id: string, signal: AbortSignal, moved: () => void): Promise<void>
  passivate(id: string): Promise<string>
  snapshot(id: string): Promise<string>
  /** Ends the daemon, once what it accepted is answered. */
  drain(): Promise<string>
}
