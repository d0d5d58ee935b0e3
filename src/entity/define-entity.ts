/**
 * A definition says what an entity is: the events it knows and how each one changes its state. It is pure, without I/O
 * and safe to import anywhere.
 *
 * It is made in two steps, `defineEntity({...}).evolve({...})`, because one call cannot infer a state that is a union
 * together with the events: TypeScript would need explicit generics, which lose the literal names.
 */

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { KumaError } from '../errors.ts'
import type { Event, NewEvent } from './event.ts'
import { deepFreeze } from './fold.ts'
import { checkId } from './id.ts'
import { anything, type Schema, type Schemas } from './schema.ts'

/** What a definition knows, by name. Hovering a definition shows this. */
export interface Facts {
  type: string
  // biome-ignore-start lint/suspicious/noExplicitAny: each definition says what these are
  state: any
  /** data as it is stored and folded */
  events: any
  /** data as it is appended (differs where a schema has defaults or transforms) */
  input: any
  // biome-ignore-end lint/suspicious/noExplicitAny: each definition says what these are
}

/** What JSON cannot give back (Date, Map, bigint, functions) turns into a sentence that the compiler prints. Looks four levels deep. */
export type JsonSafe<T, Depth extends 0[] = []> = 0 extends 1 & T
  ? T
  : Depth['length'] extends 4
    ? T
    : T extends string | number | boolean | null | undefined
      ? T
      : T extends
            | Date
            | bigint
            | symbol
            | ((...args: never) => unknown)
            | ReadonlyMap<unknown, unknown>
            | ReadonlySet<unknown>
        ? 'Kuma stores JSON: give this field as a string, number, boolean, array or plain object'
        : T extends object
          ? { [K in keyof T]: JsonSafe<T[K], [...Depth, 0]> }
          : T

type In<S> = S extends StandardSchemaV1<infer I, infer _> ? I : never
type Out<S> = S extends StandardSchemaV1<infer _, infer O> ? O : never
type Simplify<T> = { [K in keyof T]: T[K] } & unknown
type AllKeys<S> = S extends unknown ? keyof S : never
type Extra<R, S> = R extends unknown ? Exclude<keyof R, AllKeys<S>> & string : never

type EventsOut<E, S> = 'Created' extends keyof E
  ? { [K in keyof E]: Out<E[K]> }
  : Simplify<{ Created: Partial<S> } & { [K in keyof E]: Out<E[K]> }>
// conditional only so that editors print the result and not the alias
type AllIn<E> = E extends unknown ? { [K in keyof E]: In<E[K]> } : never

export type EvolveHandlers<F extends Facts> = {
  [K in keyof F['events'] & string]: (state: F['state'], data: F['events'][K], event: Event<F, K>) => F['state']
}

/** Catches what TypeScript lets through: an unknown field in a returned state, a handler for an unknown event. */
type CheckedEvolve<H, F extends Facts> = {
  [K in keyof H]: K extends keyof F['events']
    ? H[K] extends (...args: never) => infer R
      ? R extends PromiseLike<unknown>
        ? 'evolve is synchronous: it may not return a promise'
        : [Extra<R, F['state']>] extends [never]
          ? unknown
          : `the state has no field '${Extra<R, F['state']>}'`
      : unknown
    : `there is no event '${K & string}'`
}

/** The first half of a definition: names and shapes. `.evolve()` makes it whole. */
export interface EntityShape<F extends Facts, Declared extends string> {
  readonly type: F['type']
  evolve<H extends { [K in Declared]: EvolveHandlers<F>[K] }>(handlers: H & CheckedEvolve<H, F>): EntityDefinition<F>
}

/** A whole definition. */
// biome-ignore lint/suspicious/noExplicitAny: a definition of any entity
export interface EntityDefinition<F extends Facts = any> {
  readonly type: F['type']
  readonly '~facts': F
}

// biome-ignore lint/suspicious/noExplicitAny: a definition of any entity
export type AnyEntityDefinition = EntityDefinition<any>
export type FactsFrom<D extends AnyEntityDefinition> = D['~facts']
export type StateOf<D extends AnyEntityDefinition> = FactsFrom<D>['state']
export type EventOf<D extends AnyEntityDefinition> = Event<FactsFrom<D>>
export type NewEventOf<D extends AnyEntityDefinition> = NewEvent<FactsFrom<D>>

/** What a definition holds at run time, behind its public type. */
export interface Definition {
  readonly type: string
  /** a state, or a function from an id to one */
  readonly initial: unknown
  /** the schema of an event, undefined for an event that is not declared */
  schema(event: string): Schema | undefined
  handler(event: string): Handler | undefined
  /** those that are declared */
  readonly events: readonly string[]
}

export type Handler = (state: unknown, data: unknown, event: unknown) => unknown

const parts = Symbol.for('kuma.definition')

/** The run-time side of a public definition, also of one made by another copy of the library. */
export function definitionOf(definition: AnyEntityDefinition): Definition {
  const found = (definition as { [parts]?: Definition } | null | undefined)?.[parts]
  if (found !== undefined) return found
  throw new KumaError(
    'KUMA_INVALID_CONFIG',
    'this is not an entity definition',
    { path: null },
    {
      hint: 'a definition is what defineEntity({...}).evolve({...}) returns; the first half alone is not enough',
    },
  )
}

export function asPublic<F extends Facts>(definition: Definition): EntityDefinition<F> {
  return Object.freeze({ type: definition.type, [parts]: definition }) as unknown as EntityDefinition<F>
}

/**
 * Names an entity type, its first state and its events; `.evolve({...})` then says how each event changes the state.
 *
 * `Created` is version 1 of every entity that `spawn` makes. Declare it among the events to give it data of its own;
 * otherwise its data is a part of the state, laid over `initial`.
 * @throws KUMA_INVALID_ID, KUMA_INVALID_CONFIG
 */
export function defineEntity<const T extends string, S extends object, E extends Schemas>(shape: {
  readonly type: T
  readonly initial: S | ((id: string) => S)
  readonly events: E & {
    // biome-ignore lint/suspicious/noExplicitAny: whatever the schema takes
    [K in keyof E]: [Out<E[K]>] extends [JsonSafe<Out<E[K]>>] ? unknown : Schema<any, JsonSafe<Out<E[K]>>>
  }
}): EntityShape<{ type: T; state: S; events: EventsOut<E, S>; input: AllIn<E> }, keyof E & string> {
  const { type, initial, events } = shape
  checkId(type, 'an entity type')
  if (typeof initial !== 'function' && !(typeof initial === 'object' && initial !== null)) {
    throw malformed(type, 'needs an `initial` state')
  }
  // all entities begin with this one object: an evolve that writes to it would change the others
  if (typeof initial === 'object') deepFreeze(initial)
  if (typeof events !== 'object' || events === null) throw malformed(type, 'needs `events`')
  for (const event of Object.keys(events)) {
    checkId(event, 'an event type')
    if (typeof events[event]?.['~standard']?.validate !== 'function') {
      throw malformed(type, `declares ${event} without a schema: use kuma.type<...>() or any Standard Schema`)
    }
  }
  return {
    type,
    evolve: (given) => {
      // Maps, since an event may be called `constructor`
      const handlers = new Map(Object.entries((given ?? {}) as Record<string, Handler>))
      const schemas = new Map<string, Schema>(Object.entries(events))
      for (const event of schemas.keys()) {
        if (typeof handlers.get(event) !== 'function') throw malformed(type, `has no evolve handler for ${event}`)
      }
      return asPublic({
        type,
        initial,
        // the events of `kuma.union` have no schema at run time: those with a handler are declared
        schema: (event) => schemas.get(event) ?? (handlers.has(event) ? anything : undefined),
        handler: (event) => handlers.get(event),
        events: [...handlers.keys()],
      })
    },
  }
}

function malformed(type: string, problem: string): KumaError<'KUMA_INVALID_CONFIG'> {
  return new KumaError('KUMA_INVALID_CONFIG', `the definition of ${JSON.stringify(type)} ${problem}`, { path: null })
}
