/**
 * The interfaces that programs hold: the store (`Kuma`), the store in someone's name (`Context`), and one entity. They
 * say nothing of how they are kept, so that a connection to another process can stand behind them as well.
 */

import type { AnyEntityDefinition, EntityDefinition, Facts, FactsFrom } from './entity/define-entity.ts'
import type { AnyFacts } from './entity/document.ts'
import type { Event, Meta, NewEvent, Position } from './entity/event.ts'
import type { Point } from './entity/time.ts'

/** A sequence read as it is iterated. */
export interface Items<T> extends AsyncIterable<T> {
  toArray(): Promise<T[]>
}

export interface AppendOptions {
  /** Refuse (KUMA_CONFLICT) unless the entity is at this version. */
  readonly expectedVersion?: number | undefined
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

export interface ReplayRange {
  /** Both ends are inclusive. */
  readonly from?: Point | undefined
  readonly to?: Point | undefined
  readonly signal?: AbortSignal | undefined
}

export interface LogQuery<K extends string> extends ReplayRange {
  readonly type?: K | readonly K[] | undefined
  /** `meta.by` */
  readonly by?: string | undefined
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
  /** The state now, or at a point in the past. Frozen. */
  read(point?: Point): Promise<Readonly<F['state']>>
  /** The state with its version: what `expectedVersion` and ETags need. */
  inspect(point?: Point): Promise<Inspected<F>>
  /** Every event with the state after it, oldest first. */
  replay(range?: ReplayRange): Items<Step<F>>
  log<K extends keyof F['events'] & string = keyof F['events'] & string>(query?: LogQuery<K>): Items<Event<F, K>>
}

export type EntityOf<D extends AnyEntityDefinition> = Entity<FactsFrom<D>>

export interface SpawnOptions {
  /** `error`: KUMA_ALREADY_EXISTS if the entity is there. Default: `return` it as it is. */
  readonly ifExists?: 'return' | 'error' | undefined
  readonly requestKey?: string | undefined
  readonly meta?: Meta | undefined
}

type IsUnion<T, U = T> = T extends unknown ? ([U] extends [T] ? false : true) : never

/** Spawn's last arguments: the data of `Created`, required when the definition declares it with required fields. */
export type SpawnArgs<F extends Facts> = 'Created' extends keyof F['input']
  ? // biome-ignore lint/complexity/noBannedTypes: {} is what data without required fields extends
    {} extends F['input']['Created']
    ? [created?: F['input']['Created'], options?: SpawnOptions]
    : [created: F['input']['Created'], options?: SpawnOptions]
  : IsUnion<F['state']> extends true
    ? [created?: undefined, options?: SpawnOptions]
    : [created?: Partial<F['state']>, options?: SpawnOptions]

export interface EntitiesQuery {
  readonly type?: string | AnyEntityDefinition | undefined
  readonly prefix?: string | undefined
  readonly limit?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface EntitySummary {
  readonly id: string
  readonly type: string
  readonly version: number
  /** of the last event, in milliseconds since 1970 */
  readonly updatedAt: number
}

export interface Context {
  /** The entity with that id; if there is none, records `Created` first, on disk before this resolves. */
  spawn<F extends Facts>(definition: EntityDefinition<F>, id: string, ...created: SpawnArgs<F>): Promise<Entity<F>>
  /** One of any type: to read and log. Its state is JSON. Never creates: KUMA_NOT_FOUND. */
  entity(id: string): Promise<Entity<AnyFacts>>
  /** An existing entity. Never creates: KUMA_NOT_FOUND. */
  entity<F extends Facts>(definition: EntityDefinition<F>, id: string): Promise<Entity<F>>
  /** All entities, shard by shard, in each in order of their creation. */
  entities(query?: EntitiesQuery): Items<EntitySummary>
  /** The same store in someone's name: fills `meta` of everything appended through it. Cannot close the store. */
  as(meta: Meta): Context
}

export interface Kuma extends Context, AsyncDisposable {
  /** Every append accepted before is acknowledged or rejected first. */
  close(): Promise<void>
}

export interface Config {
  /** The store's directory. Created by `start` if it does not exist. */
  readonly path?: string | undefined
  /** How many shards a new store gets, for ever: 1 to 999, 16 by default. */
  readonly shards?: number | undefined
  readonly entities?: readonly AnyEntityDefinition[] | undefined
  /** Which entity type a new id gets in the shell: `{ 'acc_*': Account }`. The first match wins. */
  readonly ids?: { readonly [glob: string]: AnyEntityDefinition } | undefined
  /** How long to wait for another process to let go of the store. Default: 5,000. */
  readonly lockTimeoutMs?: number | undefined
  /** Ends the waiting for the lock. */
  readonly signal?: AbortSignal | undefined
}
