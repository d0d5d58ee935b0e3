/**
 * What an engine does, by ids and names: the one interface behind the library's contexts and behind every command.
 * Definitions are known to the engine, so that whoever holds it need not have them.
 */
import type {
  Appended,
  Behind,
  Blame,
  Diff,
  EntitiesQuery,
  EntitySummary,
  FeedItem,
  Inspected,
  Receipt,
  Reverted,
  Stats,
} from './api.ts'
import type { Caller } from './callers-line.ts'
import type { UncheckedCommand } from './entity/decide.ts'
import type { Meta, MetaFilter, Position, RecordedEvent } from './entity/event.ts'
import type { Json, JsonObject } from './entity/json.ts'
import type { ResolvedPoint } from './entity/time.ts'
import type { KumaError } from './errors.ts'

export interface AppendRequest {
  readonly id: string
  /** The entity must be of this type; KUMA_TYPE_MISMATCH otherwise. */
  readonly type?: string | undefined
  /** If there is no such entity, make one of this type. Without it: KUMA_NOT_FOUND. */
  readonly newType?: string | undefined
  readonly events: readonly UncheckedEvent[]
  /** 0: the entity must not exist. `exists`: KUMA_NOT_FOUND if it does not. */
  readonly expectedVersion?: number | 'exists' | undefined
  readonly requestKey?: string | undefined
  /** Laid over by each event's own meta. */
  readonly meta?: Meta | undefined
  /**
   * Kuma recorded them elsewhere: their times are taken whatever the clock here says, and so is an initial state in `Created`
   * that would be refused of a new entity with commands.
   */
  readonly recorded?: boolean | undefined
}

/** An event as it is handed in: nothing of it has been checked. */
export interface UncheckedEvent {
  readonly type: string
  readonly data?: unknown
  readonly meta?: Meta | undefined
  /** When a historical event happened, in milliseconds since 1970. */
  readonly at?: number | undefined
}

/** What was asked for under a request key, of events that were recorded elsewhere. */
export interface CopiedRequest {
  readonly requestKey: string
  readonly digest: string
  /** of the last of its events; of one that was answered without an event, of the newest event then */
  readonly version: number
  /** of its events; 0 if it was answered without */
  readonly count: number
  /** when it was answered, if it was without an event */
  readonly at: number
}

/** Events that were recorded elsewhere, of the versions after the expected one. */
export interface CopyRequest {
  readonly id: string
  readonly type: string
  /** If there is no such entity, make one of this type. */
  readonly newType?: string | undefined
  /** None if there are only requests that were answered without. */
  readonly events: readonly UncheckedEvent[]
  readonly expectedVersion: number
  /** In order of their versions; those with events are of these events, and of all of one request. */
  readonly requests: readonly CopiedRequest[]
}

export interface AppendResult extends Appended {
  /** Only if the request key was known: then this is the first answer again, and nothing was recorded. */
  readonly repeated?: true | undefined
}

export interface DecideRequest {
  readonly id: string
  /** The entity must be of this type; KUMA_TYPE_MISMATCH otherwise. */
  readonly type?: string | undefined
  /** The version that is decided on; 0: the entity must not exist. `exists`: KUMA_NOT_FOUND if it does not. */
  readonly expectedVersion?: number | 'exists' | undefined
  readonly requestKey?: string | undefined
  /** What the handler is told, and laid under the meta of each event it decides on. */
  readonly meta?: Meta | undefined
}

export interface ExecuteRequest extends DecideRequest {
  /**
   * If there is no such entity, the command is decided on the initial state of this type at version 0, and what comes of it
   * begins one. Without it: KUMA_NOT_FOUND. Null, where nobody said of which type: KUMA_UNKNOWN_TYPE.
   */
  readonly newType?: string | null | undefined
  /** Nothing of it has been checked. */
  readonly command: UncheckedCommand
}

/** Of the last event recorded; of the entity as it was, at version 0 if there is none, where the command changed nothing. */
export interface ExecuteResult extends AppendResult {
  /** as recorded; none if the command changed nothing */
  readonly events: readonly RecordedEvent[]
  /** after these events. Frozen. */
  readonly state: JsonObject
}

/** An entity as it durably stands, without its state. */
export type Found = Omit<EntitySummary, 'createdAt'>

/** A state with the event that led to it. */
export interface RecordedStep {
  readonly event: RecordedEvent
  readonly state: JsonObject
}

export interface Range {
  readonly from?: ResolvedPoint | undefined
  readonly to?: ResolvedPoint | undefined
  readonly signal?: AbortSignal | undefined
}

export interface EngineReplayRange extends Range {
  /** The first event of this type is the last one. */
  readonly untilEvent?: string | undefined
}

export interface EngineLogQuery extends Range, MetaFilter {
  /** One entity, in order of its versions; without it all of them, by `at`, then shard and seq. */
  readonly id?: string | undefined
  readonly types?: readonly string[] | undefined
  readonly limit?: number | undefined
  readonly reverse?: boolean | undefined
}

/** A list of entities that can be gone on with where it was cut off. */
export interface ListQuery extends EntitiesQuery {
  /** Only those after this place, which a list of the same store told. */
  readonly after?: string | undefined
  /** Told the place after each entity, before that is given. */
  readonly reached?: ((place: string) => void) | undefined
}

/** Two points of one entity; or, with `other`, one entity at `from` and another at `to`. */
export interface DiffRequest {
  readonly id: string
  readonly other?: string | undefined
  /** Default: the version before `to`; with `other`: now. */
  readonly from?: ResolvedPoint | undefined
  /** Default: now. */
  readonly to?: ResolvedPoint | undefined
}

export interface FeedRequest {
  /** One entity; without it all of them. */
  readonly id?: string | undefined
  readonly entityTypes?: readonly string[] | undefined
  /** of events */
  readonly types?: readonly string[] | undefined
  /** What comes after this place; or from this point on: of one entity in its history, of all when it was recorded. */
  readonly from?: Position | 'start' | 'now' | ResolvedPoint | undefined
  /** Wait for what comes. Otherwise it ends with what is there. */
  readonly follow?: boolean | undefined
  /**
   * Tell with each page the crcs of the events at its place, by shard; those of the place in `from`, as a page has told
   * them, must still be the same.
   */
  readonly crcs?: readonly number[] | true | undefined
  readonly signal?: AbortSignal | undefined
}

/** Items that follow on each other in one shard; none in the first page, and where nothing passed the filter. */
export interface FeedPage {
  readonly items: readonly FeedItem[]
  /** the place after them, and after what did not pass */
  readonly position: Position
  /** of the events there, by shard, if they were asked for: 0 where there is none, or it was erased */
  readonly crcs?: readonly number[] | undefined
  /** if they were asked for: of the event of each item */
  readonly itemCrcs?: readonly number[] | undefined
}

export interface RevertRequest extends DecideRequest {
  readonly to: ResolvedPoint
  /** Record nothing. */
  readonly dryRun?: boolean | undefined
}

/** A question in SQL to the read models. */
export interface ReadModelQuery {
  readonly sql: string
  /** for its question marks */
  readonly params?: readonly (string | number | boolean | null)[] | undefined
  /** Wait until what was recorded up to there is in the tables that it names. */
  readonly after?: Position | undefined
  /** As the tables are: without catching up first, also those that have stopped. How far behind they are is told. */
  readonly stale?: boolean | undefined
  /** How long the SQL may take. */
  readonly timeoutMs?: number | undefined
  /** Who asks, where several do: they take turns. */
  readonly asker?: unknown
  readonly signal?: AbortSignal | undefined
  /** Told of how many events are left, where the tables have to catch up first. Not through a daemon, whose do not. */
  readonly onCatchUp?: ((leftEvents: number) => void) | undefined
}

/** How the queries of an engine do, and what they may take; null where there is no bound. */
export interface QueriesInfo {
  readonly running: number
  readonly waiting: number
  readonly queriesMax: number
  readonly queryMemoryBytesMax: number | null
  readonly queryTimeoutMs: number | null
}

/** A part of an answer; the first one comes also if there are no rows. */
export interface QueryPage {
  readonly columns: readonly string[]
  /** Booleans and JSON as such where a column was declared so, bytes in base64, integers with digits that no number has as text. */
  readonly rows: readonly (readonly Json[])[]
  /** Only in the first one: of the tables that are read those that nothing keeps up to date, or, if asked for as they are, all. */
  readonly behind?: readonly Behind[] | undefined
}

/** How a projection does. */
export interface ProjectionInfo {
  readonly name: string
  /** where its rows are */
  readonly sink: string
  /**
   * `following` the log; `waiting` for its sink to answer; `failed` at an event; `paused`; `idle`, if nothing follows the
   * log at present; `orphaned`, if no projection of that name was given to the engine
   */
  readonly state: 'following' | 'waiting' | 'failed' | 'paused' | 'idle' | 'orphaned'
  /** the one that is asked; null while there is none */
  readonly generation: number | null
  /** of the definition that made it */
  readonly version: number
  readonly lagEvents: number
  /** how long ago the oldest of them was recorded */
  readonly lagSeconds: number
  readonly eventsPerSecond: number
  readonly error: { readonly code: string; readonly message: string; readonly position: Position | null } | null
  /** The generation that is made beside it: to take its place, or, as a trial, only to be compared with it. */
  readonly building: { readonly generation: number; readonly isTrial: boolean; readonly lagEvents: number } | null
  readonly skipped: readonly { readonly position: Position; readonly reason: string; readonly at: number }[]
  /**
   * Entities without rows in the table that is asked, since their states are too large: where each stood when that was
   * seen, and when that was.
   */
  readonly leftOut: readonly { readonly entity: string; readonly position: Position; readonly at: number }[]
}

/** What a rebuild changed, or, as a trial, would change. */
export interface Rebuilt {
  readonly projection: string
  readonly generation: number
  readonly isTrial: boolean
  /** Null if nothing served before. */
  readonly difference: {
    readonly rowsBefore: number
    readonly rowsAfter: number
    /** how many rows only the one has, and some of them */
    readonly onlyBefore: number
    readonly onlyAfter: number
    readonly samplesBefore: readonly JsonObject[]
    readonly samplesAfter: readonly JsonObject[]
  } | null
}

/** The read models of a store. */
export interface ReadModels {
  /**
   * @throws KUMA_PROJECTION_FAILED or KUMA_PROJECTION_CHANGED of a table that has stopped, unless it is asked for as it is;
   * KUMA_INVALID_QUERY, KUMA_TIMEOUT, KUMA_OVERLOADED, KUMA_INTERRUPTED, KUMA_SINK_UNAVAILABLE, KUMA_INVALID_POSITION
   */
  query(query: ReadModelQuery): AsyncIterable<QueryPage>
  /**
   * Resolves when a projection, or every one, has come to a place; null: to where the log ends now.
   * @throws KUMA_PROJECTION_FAILED, KUMA_UNKNOWN_PROJECTION, KUMA_INVALID_POSITION, and the signal's reason
   */
  waitFor(projection: string | null, position: Position | null, signal?: AbortSignal): Promise<void>
  /** Brings every projection to where the log ends now. @param told of how many events are left */
  catchUp(told?: (leftEvents: number) => void, signal?: AbortSignal): Promise<void>
  list(): Promise<readonly ProjectionInfo[]>
  /** Fills a new generation, which then takes the place of the one that serves; `dryRun`: compares, and drops it. */
  rebuild(
    name: string,
    options?: { readonly dryRun?: boolean | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<Rebuilt>
  pause(name: string): Promise<void>
  /** Also of one that failed: it tries again. */
  resume(name: string): Promise<void>
  /** Takes away one that no definition is given for any more. */
  drop(name: string): Promise<void>
  /** Goes on without an event that cannot be projected. */
  skip(name: string, position: Position, reason: string): Promise<void>
  /** What the tables hold about an entity, by table. */
  rowsOf(id: string): Promise<{ readonly [table: string]: readonly JsonObject[] }>
}

export interface EraseOptions {
  readonly reason?: string | undefined
  readonly by?: string | undefined
}

/** Where it takes a signal, that ends a question with its reason. */
export interface Engine {
  readonly path: string
  /** the store's id */
  readonly store: string
  /** Resolves when the events are on disk. @param caller the public function that was called, if that has not returned */
  append(request: AppendRequest, caller?: Caller): Promise<AppendResult>
  /** Records events of a copy with the request keys that they had there: the same requests are known from then on. */
  appendCopy(request: CopyRequest): Promise<AppendResult>
  /**
   * Decides a command and records what comes of it; resolves when that is on disk. The entity takes nothing else
   * meanwhile.
   * @throws KUMA_NOT_FOUND, KUMA_UNKNOWN_TYPE, KUMA_INVALID_COMMAND, KUMA_REJECTED, KUMA_TIMEOUT, and what `append` throws
   */
  execute(request: ExecuteRequest, caller?: Caller): Promise<ExecuteResult>
  /** The entity as it durably stands, or null. */
  find(id: string): Promise<Found | null>
  /** @throws KUMA_NOT_FOUND also when the point lies before the entity's first event */
  inspect(id: string, point?: ResolvedPoint, signal?: AbortSignal): Promise<Inspected>
  replay(id: string, range?: EngineReplayRange): AsyncIterable<RecordedStep>
  /** @throws KUMA_NOT_FOUND, KUMA_INVALID_POINT, KUMA_UNKNOWN_TYPE, KUMA_MODEL_FAILED */
  diff(request: DiffRequest, signal?: AbortSignal): Promise<Diff>
  /** @param path a JSON Pointer. @throws KUMA_NOT_FOUND, KUMA_UNKNOWN_PATH, KUMA_UNKNOWN_TYPE, KUMA_MODEL_FAILED */
  blame(id: string, path?: string, signal?: AbortSignal): Promise<readonly Blame[]>
  /** @param signal ends it while nothing is recorded. @throws KUMA_CANNOT_REVERT, what `inspect` throws of the point, and what `execute` throws */
  revert(request: RevertRequest, signal?: AbortSignal): Promise<Reverted>
  log(query?: EngineLogQuery): AsyncIterable<RecordedEvent>
  /** In pages. @throws KUMA_INVALID_POSITION, KUMA_INVALID_POINT, KUMA_MODEL_FAILED */
  feed(request?: FeedRequest): AsyncIterable<FeedPage>
  entities(query?: ListQuery): AsyncIterable<EntitySummary>
  /** @throws KUMA_UNKNOWN_TYPE, KUMA_MODEL_FAILED */
  inspectAll(query?: ListQuery): AsyncIterable<Inspected>
  /**
   * Erases entities, all of them or, if one does not exist, none. What cannot be finished now, also after a crash, is when
   * the store is opened next.
   * @throws KUMA_NOT_FOUND, KUMA_USAGE if the reason contains an id, and what a commit throws
   */
  erase(ids: readonly string[], options?: EraseOptions): Promise<Receipt>
  readonly readModels: ReadModels
  stats(): Stats
  close(): Promise<void>
}

/** How one shard does. */
export interface ShardInfo {
  readonly shard: number
  /** that were made in it, those that are erased too */
  readonly entities: number
  /** seq of its last event that is on disk */
  readonly lastSeq: number
  /** events on their way to the disk */
  readonly pending: number
  readonly bytes: number
  readonly walBytes: number
  readonly isPoisoned: boolean
}

export const ACTOR_SORTS = [
  'id',
  'type',
  'shard',
  'state',
  'mailbox',
  'rate',
  'version',
  'p50',
  'p99',
  'age',
  'idle',
] as const
export type ActorSort = (typeof ACTOR_SORTS)[number]

export interface ActorsQuery {
  /** Texts from a to z, numbers from the highest. Default: `rate`. */
  readonly sort?: ActorSort | undefined
  readonly reverse?: boolean | undefined
  /** Only those whose id or type contains this. */
  readonly filter?: string | undefined
  /** `offset` and `limit` together: at most 1,000. Default: the first 50. */
  readonly offset?: number | undefined
  readonly limit?: number | undefined
}

/** An entity that is held in memory. */
export interface ActorInfo {
  readonly id: string
  /** null before its first event, and while it is loading */
  readonly type: string | null
  readonly shard: number
  /** `draining`: it answers what came before, and then leaves */
  readonly state: 'idle' | 'busy' | 'loading' | 'draining'
  /** calls that wait in it, and events of it on their way to the disk */
  readonly mailbox: number
  readonly eventsPerSecond: number
  readonly version: number
  /** how long its last appends took to be on disk: of 32 at most, while somebody watches; null if there was none */
  readonly ackMs: { readonly p50: number; readonly p99: number } | null
  readonly ageSeconds: number
  readonly idleSeconds: number
}

export interface ActorsPage {
  /** in memory */
  readonly total: number
  /** that the filter lets through */
  readonly matching: number
  readonly actors: readonly ActorInfo[]
}

/** An engine in this process: it can look at the files themselves. */
export interface OwnEngine extends Engine {
  shards(): readonly ShardInfo[]
}

/** The one that writes: it also tells how its parts do, to whom it serves. */
export interface LiveEngine extends OwnEngine {
  /** How they do, as far as that is known without asking the sink; none before read models are used. */
  projections(): readonly ProjectionInfo[]
  queries(): QueriesInfo
  /** Cheap, and nothing at all while nobody asks. @throws KUMA_USAGE for a page too far down */
  actors(query?: ActorsQuery, signal?: AbortSignal): Promise<ActorsPage>
  /** Null if it is not in memory. */
  actor(id: string): ActorInfo | null
  /** Drops an actor from memory, once what came to it is answered. False if it is not in memory. */
  passivate(id: string): Promise<boolean>
  /**
   * Keeps the state of an entity as a snapshot. False if there is one already, the state is too large, or JSON cannot
   * give it back.
   * @throws KUMA_NOT_FOUND
   */
  snapshot(id: string): Promise<boolean>
  /**
   * @param told of each shard that takes no more writes, when that happens, and why; and which events, by seq, were
   * acknowledged and have gone with a file that was taken away
   */
  onPoisoned(
    told: (shard: number, why: string, lost: { readonly from: number; readonly to: number } | null) => void,
  ): void
  /** @param told why, when what is at the store's path is not the store any more that was opened: everything is refused then */
  onLost(told: (error: KumaError) => void): void
  /** @throws KUMA_POISONED if what is at the store's path is not the store any more that was opened */
  assertHeld(): void
  /** Before it is closed, which would wait for them: nothing is recorded of them, and who waits is told why. */
  giveUpDecisions(why: KumaError): void
  /** @param told of each projection that stops, when that happens */
  onProjectionFailed(told: (name: string, failure: NonNullable<ProjectionInfo['error']>) => void): void
  /** @param told of each entity that a projection leaves out from now on, since its state is too large; the projection goes on */
  onLeftOut(told: (name: string, entity: { readonly id: string; readonly position: Position }) => void): void
  /**
   * @param told of a recorded event with which `evolve` changed the state that it was given, or made NaN or undefined in it:
   * of each type of event once, and the event is folded as ever
   */
  onFlawedFold(told: (event: RecordedEvent, problem: string) => void): void
}
