/**
 * What an engine does, by ids and names: the one interface behind the library's contexts and behind every command.
 * Definitions are known to the engine, so that whoever holds it need not have them.
 */
import type { Appended, EntitiesQuery, EntitySummary, Inspected, Receipt, Stats } from './api.ts'
import type { UncheckedCommand } from './entity/decide.ts'
import type { Meta, RecordedEvent } from './entity/event.ts'
import type { JsonObject } from './entity/json.ts'
import type { ResolvedPoint } from './entity/time.ts'

export interface AppendRequest {
  readonly id: string
  /** The entity must be of this type; KUMA_TYPE_MISMATCH otherwise. */
  readonly type?: string | undefined
  /** If there is no such entity, make one of this type. Without it: KUMA_NOT_FOUND. */
  readonly newType?: string | undefined
  readonly events: readonly UncheckedEvent[]
  /** 0: the entity must not exist. */
  readonly expectedVersion?: number | undefined
  readonly requestKey?: string | undefined
  /** Laid over by each event's own meta. */
  readonly meta?: Meta | undefined
}

/** An event as it is handed in: nothing of it has been checked. */
export interface UncheckedEvent {
  readonly type: string
  readonly data?: unknown
  readonly meta?: Meta | undefined
  /** When a historical event happened, in milliseconds since 1970. */
  readonly at?: number | undefined
}

export interface AppendResult extends Appended {
  /** Only if the request key was known: then this is the first answer again, and nothing was recorded. */
  readonly repeated?: true | undefined
}

export interface ExecuteRequest {
  readonly id: string
  /** The entity must be of this type; KUMA_TYPE_MISMATCH otherwise. */
  readonly type?: string | undefined
  /** Nothing of it has been checked. */
  readonly command: UncheckedCommand
  /** The version that the command is decided on; 0: the entity must not exist. */
  readonly expectedVersion?: number | undefined
  readonly requestKey?: string | undefined
  /** What the handler is told, and laid under the meta of each event it decides on. */
  readonly meta?: Meta | undefined
}

/** Of the last event recorded; of the entity as it was, if the command changed nothing. */
export interface ExecuteResult extends AppendResult {
  /** as recorded; none if the command changed nothing */
  readonly events: readonly RecordedEvent[]
  /** after these events. Frozen. */
  readonly state: JsonObject
}

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

export interface EngineLogQuery extends Range {
  /** One entity, in order of its versions; without it all of them, by `at`, then shard and seq. */
  readonly id?: string | undefined
  readonly types?: readonly string[] | undefined
  readonly by?: string | undefined
  readonly limit?: number | undefined
  readonly reverse?: boolean | undefined
}

export interface EraseOptions {
  readonly reason?: string | undefined
  readonly by?: string | undefined
}

export interface Engine {
  readonly path: string
  /** Resolves when the events are on disk. */
  append(request: AppendRequest): Promise<AppendResult>
  /**
   * Decides a command and records what comes of it; resolves when that is on disk. The entity takes nothing else
   * meanwhile.
   * @throws KUMA_NOT_FOUND, KUMA_INVALID_COMMAND, KUMA_REJECTED, KUMA_TIMEOUT, and what `append` throws
   */
  execute(request: ExecuteRequest): Promise<ExecuteResult>
  /** The entity as it durably stands, or null. */
  find(id: string): Promise<EntitySummary | null>
  /** @throws KUMA_NOT_FOUND also when the point lies before the entity's first event */
  inspect(id: string, point?: ResolvedPoint): Promise<Inspected>
  replay(id: string, range?: Range): AsyncIterable<RecordedStep>
  log(query?: EngineLogQuery): AsyncIterable<RecordedEvent>
  entities(query?: EntitiesQuery): AsyncIterable<EntitySummary>
  /**
   * Erases entities, all of them or, if one does not exist, none. What cannot be finished now, also after a crash, is when
   * the store is opened next.
   * @throws KUMA_NOT_FOUND, KUMA_USAGE if the reason contains an id, and what a commit throws
   */
  erase(ids: readonly string[], options?: EraseOptions): Promise<Receipt>
  stats(): Stats
  close(): Promise<void>
}
