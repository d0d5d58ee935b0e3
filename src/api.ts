/**
 * The interfaces that programs hold: the store (`Kuma`), the store in someone's name (`Context`), and one entity. They
 * say nothing of how they are kept, so that a connection to another process can stand behind them as well.
 */

import type { Command } from './entity/decide.ts'
import type { AnyEntityDefinition, EntityDefinition, FactsFrom } from './entity/define-entity.ts'
import type { AnyFacts } from './entity/document.ts'
import type { Event, Meta, MetaFilter, NewEvent, Position } from './entity/event.ts'
import type { Facts } from './entity/facts.ts'
import type { Json, JsonObject } from './entity/json.ts'
import type { Point } from './entity/time.ts'

/** A sequence read as it is iterated. */
export interface Items<T> extends AsyncIterable<T> {
  toArray(): Promise<T[]>
}

/** What a query gives: awaited, all of its rows at once. It is asked anew each time that it is awaited or iterated. */
export interface Rows<T> extends Items<T>, PromiseLike<T[]> {}

export interface AppendOptions {
  /** Refuse (KUMA_CONFLICT) unless the entity is at this version; 0: there is none. `exists`: KUMA_NOT_FOUND if there is none. */
  readonly expectedVersion?: number | 'exists' | undefined
  /** The same key again gives the first answer again, and records nothing. It belongs to one entity. */
  readonly requestKey?: string | undefined
  readonly meta?: Meta | undefined
}

/** Of several events: the last one. */
export interface Appended {
  readonly version: number
  readonly position: Position
  /** milliseconds since 1970 */
  readonly at: number
}

/** Of a command that changed nothing: where the entity stands; version 0 if there is none. */
// biome-ignore lint/suspicious/noExplicitAny: an entity of any type
export interface Executed<F extends Facts = any> extends Appended {
  /** What was recorded; empty if the command changed nothing. */
  readonly events: readonly Event<F>[]
  /** after these events. Frozen. */
  readonly state: Readonly<F['state']>
}

// biome-ignore lint/suspicious/noExplicitAny: an entity of any type
export interface Inspected<F extends Facts = any> {
  readonly id: string
  readonly type: F['type']
  readonly version: number
  /** of the last event up to the point, in milliseconds since 1970 */
  readonly at: number
  readonly position: Position
  readonly state: Readonly<F['state']>
}

/** Both ends are inclusive. */
export interface HistoryRange {
  readonly from?: Point | undefined
  readonly to?: Point | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ReplayRange extends HistoryRange {
  /** The first event of this type is the last one. */
  readonly untilEvent?: string | undefined
}

/** An operation of JSON Patch (RFC 6902). `path` is a JSON Pointer (RFC 6901). */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string }

// biome-ignore lint/suspicious/noExplicitAny: of an entity of any type
export interface Diff<F extends Facts = any> {
  /** Of version 0: before the first event. Frozen. */
  readonly from: Inspected<F>
  readonly to: Inspected<F>
  /** Makes the JSON of the first state that of the second. */
  readonly patch: readonly PatchOperation[]
}

export interface DiffOptions {
  /** Default: the version before `to`, so that without points it is the last change; with `other`: now. */
  readonly from?: Point | undefined
  /** Default: now. */
  readonly to?: Point | undefined
  /** The id of another entity: then it is this one at `from`, and that one at `to`. */
  readonly other?: string | undefined
}

/** Who set a field: an end of the state, that is, neither an object with fields nor an array with items. */
// biome-ignore lint/suspicious/noExplicitAny: of an entity of any type
export interface Blame<F extends Facts = any> {
  /** a JSON Pointer (RFC 6901) */
  readonly path: string
  /** as JSON */
  readonly value: Json
  /** The last event that changed what is at the path. Null: it is as it was before the first event. */
  readonly event: Pick<Event<F>, 'type' | 'version' | 'position' | 'at' | 'meta'> | null
}

export interface RevertOptions extends AppendOptions {
  /** Record nothing: tells what would be. */
  readonly dryRun?: boolean | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: of an entity of any type
export interface Reverted<F extends Facts = any> extends Appended {
  /** What was recorded; none if the state was so already. */
  readonly events: readonly NewEvent<F>[]
  /** From the state before to the state after. */
  readonly diff: Diff<F>
  /** Is the state now, as JSON, what it was then? A definition may bring back less. */
  readonly isExact: boolean
}

/** With fields of meta, only events that have them so: who did it, from where, why. */
export interface LogQuery<K extends string> extends HistoryRange, MetaFilter {
  readonly type?: K | readonly K[] | undefined
  readonly limit?: number | undefined
  /** newest first */
  readonly reverse?: boolean | undefined
}

/** An event with the state after it. */
// biome-ignore lint/suspicious/noExplicitAny: of an entity of any type
export interface Step<F extends Facts = any> {
  readonly event: Event<F>
  readonly state: Readonly<F['state']>
}

// biome-ignore lint/suspicious/noExplicitAny: an entity of any type
export interface Entity<F extends Facts = any> {
  readonly id: string
  readonly type: F['type']
  /** Resolves when the event is on disk, after fsync. */
  append(event: NewEvent<F>, options?: AppendOptions): Promise<Appended>
  /** Several as one atomic unit: 1 to 4,096 events. */
  appendAll(events: readonly NewEvent<F>[], options?: AppendOptions): Promise<Appended>
  /**
   * Has the definition decide what comes of a command, and resolves when that is on disk. KUMA_REJECTED if it throws.
   * In process it is decided in the async context of this call: AsyncLocalStorage tells the same there, however long it waited.
   */
  execute(command: Command<F>, options?: AppendOptions): Promise<Executed<F>>
  /** The state now, or at a point in the past: `read('v2')`, `read('2h ago')`, `read({ at: date })`. Frozen. */
  read(point?: Point): Promise<Readonly<F['state']>>
  /** The state with its version: what `expectedVersion` and ETags need. */
  inspect(point?: Point): Promise<Inspected<F>>
  /** Every event with the state after it, oldest first. */
  replay(range?: ReplayRange): Items<Step<F>>
  /** What changed between two points: by default, with the last event. */
  diff(options?: DiffOptions): Promise<Diff<F>>
  /** For each field of the state, or of the part of it at `path` (a JSON Pointer), the event that last set it. */
  blame(path?: string): Promise<readonly Blame<F>[]>
  /**
   * Brings the state of a point back, by an event more: nothing is removed, and it can be reverted as well. A document
   * gets `Reverted`; of another type the definition says which event, or KUMA_CANNOT_REVERT.
   */
  revert(to: Point, options?: RevertOptions): Promise<Reverted<F>>
  log<K extends keyof F['events'] & string = keyof F['events'] & string>(query?: LogQuery<K>): Items<Event<F, K>>
  /**
   * Everything that the store holds about it, as one document in memory, as of one moment. `kuma export` writes it as a
   * stream, and `kuma import` takes it back.
   */
  export(): Promise<EntityExport<F>>
  /**
   * Erases it for good: every event, the state, snapshots and the id, also in the backups within reach. Resolves when it
   * is gone and that is proven. What is under way on it fails with KUMA_ERASED. Its id may be used again, for a new entity.
   */
  delete(options?: DeleteOptions): Promise<Receipt>
}

/** An entity as one JSON document. Its JSON Schema is `fixtures/export.schema.json` of the package. */
// biome-ignore lint/suspicious/noExplicitAny: an entity of any type
export interface EntityExport<F extends Facts = any> {
  readonly format: 'kuma-export/1'
  readonly id: string
  readonly type: F['type']
  readonly version: number
  /** of the first and of the last event, in milliseconds since 1970 */
  readonly createdAt: number
  readonly updatedAt: number
  /** As JSON gives it back. Null where the entity's type is not defined (any more): its events are there all the same. */
  readonly state: F['state']
  /** The rows that read models hold about it, by table. */
  readonly readModels: { readonly [table: string]: readonly JsonObject[] }
  /** All of them, oldest first. */
  readonly events: readonly Event<F>[]
  /** In hexadecimal, over the canonical JSON (RFC 8785) of the document without this field. */
  readonly sha256: string
}

export interface DeleteOptions {
  /** Kept with the receipt: it must not contain an id. */
  readonly reason?: string | undefined
}

/** What an erasure did, without the id. Times are ISO 8601. */
export interface Receipt {
  readonly format: 'kuma-receipt/1'
  /** names this receipt */
  readonly receipt: string
  readonly store: string
  readonly requestedAt: string
  readonly completedAt: string
  readonly by: string | null
  readonly reason: string | null
  /** how many events, of all entities together */
  readonly erased: number
  readonly entities: readonly ErasedEntity[]
  /** The newest seal of each shard after it, which covers the records. `head` is in hexadecimal. */
  readonly seals: readonly { readonly shard: number; readonly commit: number; readonly head: string }[]
  /** What was checked byte by byte: pages looked at, and those in which something stands where nothing should. */
  readonly files: readonly { readonly file: string; readonly pages: number; readonly dirty: readonly number[] }[]
  /** Of an encrypted store: how many keys were destroyed. */
  readonly keysDestroyed?: number | undefined
  /** Backups that were rewritten without it, or never had it; copies of the keys in which its key was destroyed. */
  readonly reached: readonly string[]
  readonly notReached: readonly { readonly what: string; readonly remedy: string }[]
  /** In hexadecimal, over the canonical JSON (RFC 8785) of the receipt without this field. */
  readonly sha256: string
}

/** An entity by its key in its shard, and where its erasure is recorded. */
export interface ErasedEntity {
  readonly shard: number
  readonly entity: number
  readonly position: Position
  readonly events: number
  /** SHA-256 of the random salt that its seals were made with, which is gone */
  readonly witness: string
}

export type EntityOf<D extends AnyEntityDefinition> = Entity<FactsFrom<D>>

export interface SpawnOptions {
  /** `error`: KUMA_ALREADY_EXISTS if the entity is there. Default: `return` it as it is. */
  readonly ifExists?: 'return' | 'error' | undefined
  readonly requestKey?: string | undefined
  readonly meta?: Meta | undefined
}

type IsUnion<T, U = T> = T extends unknown ? ([U] extends [T] ? false : true) : never

/**
 * Spawn's last arguments: the data of `Created`, required when the definition declares it with required fields. Where it does
 * not, a part of the state; none where the definition has commands, which that would pass by.
 */
export type SpawnArgs<F extends Facts> = 'Created' extends keyof F['input']
  ? // biome-ignore lint/complexity/noBannedTypes: {} is what data without required fields extends
    {} extends F['input']['Created']
    ? [created?: F['input']['Created'], options?: SpawnOptions]
    : [created: F['input']['Created'], options?: SpawnOptions]
  : [keyof F['commands'], IsUnion<F['state']>] extends [never, false]
    ? [created?: Partial<F['state']>, options?: SpawnOptions]
    : [created?: undefined, options?: SpawnOptions]

export interface EntitiesQuery {
  readonly type?: string | AnyEntityDefinition | undefined
  readonly prefix?: string | undefined
  /** As they were at this time: without those that came later. */
  readonly at?: Date | number | string | undefined
  readonly limit?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface EntitySummary {
  readonly id: string
  readonly type: string
  readonly version: number
  /** of the first and of the last event, in milliseconds since 1970 */
  readonly createdAt: number
  readonly updatedAt: number
}

/** What the feed gives. `position` is the place in the store after it: come back with it, and what follows is given. */
// biome-ignore lint/suspicious/noExplicitAny: of entities of any type
export type FeedItem<F extends Facts = any> =
  | {
      readonly kind: 'event'
      readonly position: Position
      /** names the entity for good, also when it is erased: its shard and its key there */
      readonly entityKey: string
      readonly event: F extends Facts ? Event<F> : never
    }
  | {
      readonly kind: 'erased'
      readonly position: Position
      readonly entityKey: string
      /** '' where it is not known: of an erasure that an earlier version recorded */
      readonly entityType: string
    }

export interface FeedFilter {
  /** Only this entity. */
  readonly entity?: string | undefined
  /** Only entities of these types. */
  readonly type?: string | readonly string[] | undefined
  /** Only events of these types. Erasures are given all the same. */
  readonly event?: string | readonly string[] | undefined
}

export interface SubscribeOptions<D extends readonly AnyEntityDefinition[] = readonly AnyEntityDefinition[]> {
  /** Only entities of these definitions. */
  readonly entities?: D | undefined
  readonly filter?: FeedFilter | undefined
  /**
   * After the place of an item or of an append: a shard that it does not name is read from its beginning. Or from a point
   * on: in the history of the one entity that is asked for, or by the time of recording. Default: `start`. A place of a
   * history that is no more, since the store was restored or forked, is refused: KUMA_INVALID_POSITION, and `shared` in its
   * details is from where to go on. A store that was set back by a copy of its folder has no way to tell.
   */
  readonly from?: Position | 'start' | 'now' | Point | undefined
  readonly signal?: AbortSignal | undefined
}

/** A read model's definition: a table, by name, and what its rows are made of. */
// biome-ignore lint/suspicious/noExplicitAny: of any columns
export interface Projection<N extends string = string, C = any> {
  readonly name: N
  readonly columns: C
}
export type AnyProjection = Projection

export type ColumnType = 'text' | 'integer' | 'real' | 'boolean' | 'json'
/** `null` after the type: may be null. */
export type Column = ColumnType | `${ColumnType} null`
export type Columns = { readonly [name: string]: Column }

type Value<T> = T extends `${infer B} null`
  ? Value<B> | null
  : T extends 'text'
    ? string
    : T extends 'integer' | 'real'
      ? number
      : T extends 'boolean'
        ? boolean
        : Json
/** A row of a table with these columns. */
export type Row<C> = { [K in keyof C]: Value<C[K]> }

type Simplify<T> = { [K in keyof T]: T[K] } & unknown
/** A row of a projection as a query gives it. */
export type RowOf<P extends AnyProjection> = Simplify<Row<P['columns']> & { _entity: string; _version: number }>

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
}

export interface QueryOptions {
  /** Wait first until what was recorded up to there, the position of an append, is in the tables that are asked. */
  readonly after?: Position | undefined
  /**
   * Ask the tables as they are, also those of projections that have stopped: without it that is KUMA_PROJECTION_FAILED or
   * KUMA_PROJECTION_CHANGED.
   */
  readonly stale?: boolean | undefined
  /**
   * Told, before the first row, of the tables that the query reads: with `stale` how each of them does; without it only of
   * those that are behind and that nothing keeps up to date at present, since they are paused, their projection is given no
   * more, or is being built anew.
   */
  readonly onBehind?: ((tables: readonly Behind[]) => void) | undefined
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** How far the table of a projection is behind what is recorded. */
export interface Behind {
  readonly projection: string
  readonly state: 'following' | 'waiting' | 'failed' | 'paused' | 'idle' | 'orphaned'
  readonly lagEvents: number
  /** how long ago the oldest of them was recorded */
  readonly lagSeconds: number
  /** why it stopped, and at which event */
  readonly error: { readonly code: string; readonly message: string; readonly position: Position | null } | null
}

export interface Context {
  /**
   * The entity with that id; if there is none, records `Created` first, on disk before this resolves. An initial state is for
   * definitions that declare `Created`, or have no commands: others begin with `execute`.
   */
  spawn<F extends Facts, C>(
    definition: EntityDefinition<F, C>,
    id: string,
    ...created: SpawnArgs<F>
  ): Promise<Entity<F>>
  /** One of any type: to read and log. Its state is JSON. Never creates: KUMA_NOT_FOUND. */
  entity(id: string): Promise<Entity<AnyFacts>>
  /** An existing entity. Never creates: KUMA_NOT_FOUND. */
  entity<F extends Facts, C>(definition: EntityDefinition<F, C>, id: string): Promise<Entity<F>>
  /**
   * Has the definition decide a command, as `entity.execute` does. Where there is no such entity, it is decided on the
   * initial state at version 0, and what comes of it begins one, in one commit. Nothing is left behind where it is refused
   * or decides on nothing, and then no request key either.
   */
  execute<F extends Facts, C>(
    definition: EntityDefinition<F, C>,
    id: string,
    command: Command<F>,
    options?: AppendOptions,
  ): Promise<Executed<F>>
  /**
   * Records an event, or several as one atomic unit. Where there is no such entity they begin one, without a `Created`; with
   * `expectedVersion: 0` they do nothing else. Resolves when they are on disk; nothing is left behind where they are refused.
   */
  append<F extends Facts, C>(
    definition: EntityDefinition<F, C>,
    id: string,
    events: NewEvent<F> | readonly NewEvent<F>[],
    options?: AppendOptions,
  ): Promise<Appended>
  /** All entities, shard by shard, in each in order of their creation. */
  entities(query?: EntitiesQuery): Items<EntitySummary>
  /** The same with their states, now or at a time: each as it was then, and not as of one moment of recording. */
  inspectAll(query?: EntitiesQuery): Items<Inspected>
  /**
   * What is recorded, each shard's events in their order: first what is there, and then, as long as the store is open,
   * what comes. At least once, if you keep the position of what you have dealt with. Read as it is asked for: to be slow
   * holds up nobody. Where it begins is fixed by this call. `return()` ends it at once, also while it waits.
   */
  subscribe<const D extends readonly AnyEntityDefinition[] = readonly AnyEntityDefinition[]>(
    options?: SubscribeOptions<D>,
  ): AsyncIterable<FeedItem<FactsFrom<D[number]>>>
  /** Resolves when a projection has come to a position: what was recorded up to there is in its table. */
  waitFor(projection: AnyProjection | string, position: Position, options?: WaitOptions): Promise<void>
  /**
   * Asks the read models in SQL, read only. There are `entities(id, type, version, created_at, updated_at, state)`, on
   * request `events`, and a table for each projection. They follow the log at a small distance. With `of`, a projection,
   * its columns give the rows their type (`select * from accounts`), as `RowOf` does; nobody looks whether the SQL selects
   * just these. Awaited, it gives all rows: iterate where they may be many.
   */
  query<P extends AnyProjection>(
    sql: string,
    params: readonly (string | number | boolean | null)[] | undefined,
    options: QueryOptions & { readonly of: P },
  ): Rows<RowOf<P>>
  query<Row = JsonObject>(
    sql: string,
    params?: readonly (string | number | boolean | null)[],
    options?: QueryOptions,
  ): Rows<Row>
  /** The same store in someone's name: fills `meta` of everything appended through it. Cannot close the store. */
  as(meta: Meta): Context
}

/** How a measure is spread. */
export interface Distribution {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** How the engine does, since it was started. */
export interface Stats {
  readonly uptimeMs: number
  /** entities that are held in memory */
  readonly actors: number
  /** entities that are being brought into memory */
  readonly loading: number
  /** commands whose decision is awaited */
  readonly deciding: number
  /** calls that wait in mailboxes: for an actor to load, or for a decision before them */
  readonly waiting: number
  /** appends that wait for the disk, and what they hold in memory */
  readonly appendsPending: number
  readonly bytesPending: number
  /** recorded */
  readonly events: number
  /** rates are over the last seconds */
  readonly eventsPerSecond: number
  /** of entities as they are now */
  readonly reads: number
  readonly readsPerSecond: number
  /** events in a commit */
  readonly commitEvents: Distribution
  /** how long a commit took, fsync included */
  readonly commitMs: Distribution
  /** taken */
  readonly snapshots: number
  /** the largest state among them, in characters of JSON: a state that grows without end shows here */
  readonly snapshotCharsMax: number
  /** entity types that had a state which JSON cannot give back as it is: such a state is not kept as a snapshot */
  readonly unfitForSnapshots: readonly string[]
  /** Shards that take no more writes until the store is opened anew: the disk failed, or files were taken away or written to by others. */
  readonly poisonedShards: readonly number[]
  /**
   * Events that were acknowledged, and are lost unless what they were in was copied into the database before: a file was
   * removed or replaced below this process. Positions, from the first to the last of a shard.
   */
  readonly lost: readonly { readonly from: Position; readonly to: Position }[]
  readonly walBytes: number
  readonly walBytesByShard: readonly number[]
  /** how late the event loop came to its timers: an evolve that takes its time shows here */
  readonly eventLoopDelayMs: Distribution
}

export interface BackupOptions {
  /** The folder in which the backup becomes a folder. Default: `backups` in the store. */
  readonly to?: string | undefined
  /** Link the files of shards that did not change since the backup before. Default: true. */
  readonly link?: boolean | undefined
  /** Verify it in all that `kuma verify` checks. Always done with `keep` and `keepWithinMs`. */
  readonly verify?: boolean | undefined
  /** Remove all but so many of the newest of this history; those that are links of one another count as one. */
  readonly keep?: number | undefined
  /** Remove those of this history that are older than the one before the new one by more. With `keep`, what either keeps stays. */
  readonly keepWithinMs?: number | undefined
  /** Of an encrypted store: copies the keys of its entities to this file, after the shards. Backups do not hold them. */
  readonly keysTo?: string | undefined
  /** Ends it; there is no new backup then. */
  readonly signal?: AbortSignal | undefined
}

export interface Backup {
  /** its folder */
  readonly path: string
  readonly bytes: number
  /** how many shards are links to the backup before */
  readonly linked: number
  /** was it verified? */
  readonly verified: boolean
  /** names of older backups that were removed */
  readonly removed: readonly string[]
  /** backups of the same place in which something is left that was erased from the store */
  readonly notReached: Receipt['notReached']
}

export interface ForkOptions {
  /** Each entity as it was at this time: without what happened to it later. Default: all that is there. */
  readonly at?: Date | number | string | undefined
  /** Only this entity. */
  readonly entity?: string | undefined
  /** Only entities whose ids begin like this. */
  readonly prefix?: string | undefined
  /** Only entities of this type. */
  readonly type?: string | undefined
  /** @param progress `part` of the whole, 0 to 1 */
  readonly onProgress?: ((progress: { readonly events: number; readonly part: number }) => void) | undefined
  /** Ends it; there is no fork then. */
  readonly signal?: AbortSignal | undefined
}

export interface Fork {
  /** its folder */
  readonly path: string
  /** its id, which is another */
  readonly store: string
  readonly entities: number
  readonly events: number
}

export interface ConnectOptions {
  /** Over TCP: what the daemon's --token-file holds. */
  readonly token?: string | undefined
  /** The same, by the file's name. */
  readonly tokenFile?: string | undefined
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined
}

export interface Kuma extends Context, AsyncDisposable {
  /**
   * Takes a backup, in a process of its own, while the store is in use.
   * @throws KUMA_CORRUPT if it was verified and is not sound: it stays, and nothing is removed
   */
  backup(options?: BackupOptions): Promise<Backup>
  /**
   * Makes another store of the history up to a time, to try things out: in a folder that is new or empty, verified, while
   * this one is in use. What is erased here later stays there.
   */
  fork(to: string, options?: ForkOptions): Promise<Fork>
  /** Cheap: counters that are kept anyway. */
  stats(): Stats
  /** Every append accepted before is acknowledged or rejected first. */
  close(): Promise<void>
}

export interface ReadModelsConfig {
  /** Also keep every event as a row, in the table `events`. Default: false. */
  readonly events?: boolean | undefined
  /**
   * Where the rows go instead of `projections.db` in the store: `http://USER:PASSWORD@HOST:4001,HOST2:4001`. The
   * environment's KUMA_RQLITE_URL comes first.
   */
  readonly rqliteUrl?: string | undefined
  /** Queries that are answered at a time; the others wait, and askers take turns. Default: 4. */
  readonly queriesMax?: number | undefined
  /**
   * What the process of a query may hold in memory: then it is ended with KUMA_INVALID_QUERY. About 65 MB are its own. Not of
   * rqlite. Default: 536,870,912 (512 MiB).
   */
  readonly queryMemoryBytesMax?: number | undefined
  /**
   * How long the SQL of a query may take, in milliseconds, where it does not say: then it is ended with KUMA_TIMEOUT.
   * Waiting for its turn and for `after` does not count. Default: 30,000.
   */
  readonly queryTimeoutMs?: number | undefined
}

/** What one client may take of a daemon, so that all others are served. */
export interface DaemonBounds {
  /** Clients that are connected at a time: so many by the socket in the store, and as many over TCP. Default: 10,000. */
  readonly clientsMax?: number | undefined
  /** Connections over TCP that have not shown the token yet; the oldest of them goes when another one comes. Default: 64. */
  readonly unauthorizedMax?: number | undefined
  /** Calls of one connection that are under way. Default: 20,000. */
  readonly callsMax?: number | undefined
  /**
   * Of these, calls that read histories (`blame`, `diff`, `inspect` at a point, logs, lists, replays, exports): the others wait.
   * Default: 4.
   */
  readonly slowCallsMax?: number | undefined
  /** Such calls of all clients; the last quarter is kept for clients that have none under way. Default: 256. */
  readonly slowCallsOfAllMax?: number | undefined
  /**
   * What clients may leave unread in the daemon's memory, all together. When it is more, the one that has read nothing for the
   * longest time is cut off. Default: 64 MiB.
   */
  readonly unreadBytesMax?: number | undefined
  /** Of `kuma.log`, to which a daemon with `--detach` writes; as much again is kept in `kuma.log.1`. Default: 16 MiB. */
  readonly logBytesMax?: number | undefined
}

export interface Config {
  /** The store's directory. Created by `start` if it does not exist. */
  readonly path?: string | undefined
  /** How many shards a new store gets, for ever: 1 to 999, 16 by default. */
  readonly shards?: number | undefined
  readonly entities?: readonly AnyEntityDefinition[] | undefined
  /** Read models: `start` and `kuma start` keep their tables up to date. */
  readonly projections?: readonly AnyProjection[] | undefined
  readonly readModels?: ReadModelsConfig | undefined
  /**
   * For a program that embeds Kuma: `start` also listens on `kuma.sock` in the store, as `kuma start` does, so that commands
   * and other programs can use the store while this one has it open. Only its user may open the socket. Default: false.
   */
  readonly serve?: boolean | undefined
  /** Of `kuma start`, and of `serve`: bounds for clients. */
  readonly daemon?: DaemonBounds | undefined
  /** Which entity type a new id gets in the shell: `{ 'acc_*': Account }`. The first match wins. */
  readonly ids?: { readonly [glob: string]: AnyEntityDefinition } | undefined
  /** How long to wait for another process to let go of the store. Default: 5,000. */
  readonly lockTimeoutMs?: number | undefined
  /** How many threads commit, each for whole shards. Default: one less than there are cores, 2 to 4. */
  readonly committers?: number | undefined
  /** How many entities stay live in memory: the least recently used leave. Default: 100,000. */
  readonly actorsMax?: number | undefined
  /**
   * How large the state of an entity may be, as JSON in UTF-8: what would make it larger is refused with
   * KUMA_STATE_TOO_LARGE. A sixteenth of the memory that Node gives the process at most. Default: 64 MiB.
   */
  readonly stateBytesMax?: number | undefined
  /** How long an entity that nobody uses stays live, in milliseconds. Default: 300,000. */
  readonly actorIdleMs?: number | undefined
  /** How long a `decide` may take, in milliseconds, until its command fails with KUMA_TIMEOUT. Default: 30,000. */
  readonly decideTimeoutMs?: number | undefined
  /**
   * Makes a new store encrypt what is personal (data, meta, states, ids), under a key for each entity: erasing an entity
   * destroys its key as well, so that copies beyond reach cannot be read either. Needs a master key. Default: off.
   */
  readonly encryption?: 'entity-keys' | undefined
  /** Of an encrypted store: 32 bytes, or a text of 64 hexadecimal digits or base64. */
  readonly masterKey?: string | Uint8Array | undefined
  /** A file that holds it, and that nobody else may read. Where neither is given, the environment's KUMA_MASTER_KEY counts. */
  readonly masterKeyFile?: string | undefined
  /** Ends the waiting for the lock. */
  readonly signal?: AbortSignal | undefined
}
