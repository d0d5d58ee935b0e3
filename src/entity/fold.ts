/** State is the fold of an entity's events. Here is the one place that calls a user's `evolve` and judges its answer. */
import type { Definition } from './define-entity.ts'
import type { Event, RecordedEvent } from './event.ts'
import type { DeepReadonly, Extra, Facts } from './facts.ts'
import { type About, callModel, describe, modelFailed, type Part } from './model.ts'

export const CREATED = 'Created'

export type EvolveHandlers<F extends Facts> = {
  [K in keyof F['events'] & string]: (
    state: DeepReadonly<F['state']>,
    data: F['events'][K],
    event: Event<F, K>,
  ) => DeepReadonly<F['state']>
}

/** Catches what TypeScript lets through: an unknown field in a returned state, a handler for an unknown event. */
export type CheckedEvolve<H, F extends Facts> = {
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

/** The state before the first event. */
export function initialState(definition: Definition, id: string): unknown {
  const { initial } = definition
  if (typeof initial !== 'function') return initial
  return stateOf(definition, 'initial', { entity: id, type: 'initial', version: 0 }, () => initial(id) as unknown)
}

/**
 * The state after `event`. The state given is not changed, as long as the model keeps its side of the bargain.
 * @throws KUMA_MODEL_FAILED if the handler is missing, throws, or returns a promise or anything but an object
 */
export function evolve(definition: Definition, state: unknown, event: RecordedEvent): unknown {
  const handler = definition.handler(event.type)
  if (handler !== undefined) return stateOf(definition, 'evolve', event, () => handler(state, event.data, event))
  if (event.type === CREATED) return { ...(state as object), ...event.data }
  throw modelFailed(definition, 'evolve', event, 'has no evolve handler for it')
}

/** The definition by which a state is folded on that nobody else holds; what of it is frozen, somebody does. */
export function inPlace(definition: Definition): Definition {
  return definition.inPlace ?? definition
}

function stateOf(definition: Definition, part: Part, about: About, run: () => unknown): unknown {
  const state = callModel(definition, part, about, run)
  if (typeof state === 'object' && state !== null) return state
  throw modelFailed(definition, part, about, `returned ${describe(state)} instead of a state`)
}

/**
 * Freezes a state through and through, so that a caller cannot change what the actor goes on folding. What is frozen
 * already is taken to be so throughout, which makes the next version cheap: only its new parts are walked. (A WeakSet of
 * what was walked would know for sure, but one of a million states is 20 times slower.)
 */
export function deepFreeze<T>(value: T): T {
  if (!isOpen(value)) return value
  const open: object[] = [value] // a list and no recursion: a state may be deeper than the stack
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    Object.freeze(part)
    for (const inner of Object.values(part)) if (isOpen(inner)) open.push(inner)
  }
  return value
}

function isOpen(value: unknown): value is object {
  return (
    typeof value === 'object' && value !== null && !Object.isFrozen(value) && !ArrayBuffer.isView(value) // cannot be frozen
  )
}
