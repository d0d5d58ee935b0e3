/**
 * What was recorded stays as it was; definitions go on. An upcaster stands for one stored event type and makes of each
 * such event one that today's definition knows. There is no chain of them: an old event becomes a present one in a
 * single step, so that reading costs one call and no upcaster has to be kept for the sake of another.
 */
import type { Definition } from './define-entity.ts'
import type { Meta, RecordedEvent } from './event.ts'
import type { Facts } from './facts.ts'
import { CREATED } from './fold.ts'
import type { JsonObject } from './json.ts'
import { callModel, describe, malformed, modelFailed } from './model.ts'

/** An event as it stands on disk, before `upcast`. */
export interface StoredEvent {
  readonly type: string
  // biome-ignore lint/suspicious/noExplicitAny: what an earlier definition recorded, today's cannot say
  readonly data: any
  readonly entity: string
  readonly version: number
  /** milliseconds since 1970 */
  readonly at: number
  readonly meta: Meta
}

/** What `upcast` gives: the form that is stored and folded, so `Created` too, and no defaults are filled in. */
// biome-ignore lint/suspicious/noExplicitAny: an event of any entity
export type Upcasted<F extends Facts = any> = {
  [K in keyof F['events'] & string]: { readonly type: K; readonly data: F['events'][K] }
}[keyof F['events'] & string]

export type Upcaster = (event: StoredEvent) => unknown

/** The definition with upcasters, by the stored type. @throws KUMA_INVALID_CONFIG */
export function withUpcasters(definition: Definition, given: { readonly [storedType: string]: unknown }): Definition {
  const upcasters = new Map(Object.entries((given ?? {}) as Record<string, Upcaster>))
  for (const [storedType, upcaster] of upcasters) {
    if (typeof upcaster === 'function') continue
    throw malformed(definition.type, `upcasts ${storedType} by something that is not a function`)
  }
  return { ...definition, upcaster: (storedType) => upcasters.get(storedType), upcasts: [...upcasters.keys()] }
}

/**
 * The event as today's definition knows it: the very same object, unless its type has an upcaster. Its place in the
 * log, its time and its meta stay what they are.
 * @throws KUMA_MODEL_FAILED if the upcaster throws, or returns a promise or anything but an event of the definition
 */
export function upcast(definition: Definition, event: RecordedEvent): RecordedEvent {
  const upcaster = definition.upcaster(event.type)
  if (upcaster === undefined) return event
  const { type, data, entity, version, at, meta } = event
  const answer = callModel(definition, 'upcast', event, () => upcaster({ type, data, entity, version, at, meta }))
  const problem = problemOf(definition, answer)
  if (problem !== null) throw modelFailed(definition, 'upcast', event, problem)
  const today = answer as { readonly type: string; readonly data?: JsonObject }
  return { ...event, type: today.type, data: today.data ?? {} }
}

function problemOf(definition: Definition, answer: unknown): string | null {
  if (typeof answer !== 'object' || answer === null) return `returned ${describe(answer)} instead of an event`
  const { type, data } = answer as { type?: unknown; data?: unknown }
  if (typeof type !== 'string') return 'returned something without a `type` instead of an event'
  if (data !== undefined && (typeof data !== 'object' || data === null || Array.isArray(data))) {
    return `returned ${type} with ${describe(data)} as its data instead of an object`
  }
  if (type === CREATED || definition.handler(type) !== undefined) return null
  return `returned ${type}, an event that the definition does not know`
}
