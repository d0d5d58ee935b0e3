/**
 * The built-in type. An entity without a model is a document: the data of each event is merged into its state, as JSON
 * Merge Patch (RFC 7396) says. A null removes a field, an object merges into the object there, anything else replaces.
 */
import { canonicalJson } from './canonical-json.ts'
import { asPublic, type Definition, type EntityDefinition } from './define-entity.ts'
import type { JsonObject } from './json.ts'
import { malformed } from './model.ts'
import { anything } from './schema.ts'

type None = Record<never, never>

/** What is known of an entity whose definition is not at hand. */
export interface AnyFacts {
  type: string
  state: JsonObject
  events: { [type: string]: JsonObject }
  input: { [type: string]: JsonObject }
  commands: None
}

export const DOCUMENT = 'document'

const definition: Definition = {
  type: DOCUMENT,
  version: 1,
  snapshotEvery: 1_000,
  initial: Object.freeze({}),
  // a document knows every event, `Created` too, and folds all of them alike
  schema: () => anything,
  events: [],
  handler: () => mergePatch,
  command: () => undefined,
  decider: () => undefined,
  commands: [],
  upcaster: () => undefined,
  upcasts: [],
  reverter: (from, to) => {
    const data = patchBetween(from as JsonObject, to as JsonObject)
    return data === undefined ? undefined : { type: 'Reverted', data }
  },
}

/** The built-in type: each event's data is merged into the state (RFC 7396). */
export const document: EntityDefinition<AnyFacts & { type: 'document' }, None> = Object.freeze({
  ...asPublic<AnyFacts & { type: 'document' }, None>({
    ...definition,
    inPlace: { ...definition, handler: () => mergeInPlace },
  }),
  upcast: () => builtIn(DOCUMENT, 'every event is folded as it was recorded'),
  revert: () => builtIn(DOCUMENT, 'an event that brings a state back is made by itself'),
})

export function builtIn(type: string, what: string): never {
  throw malformed(type, `is built in: ${what}`, 'define an entity type of your own')
}

type Merge = (target: unknown, patch: unknown) => unknown

/** RFC 7396, section 2, without changing `target`. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = copyOf(target)
  mergeFields(merged, patch, mergePatch)
  return merged
}

function copyOf(target: unknown): Record<string, unknown> {
  return isObject(target) ? { ...target } : {}
}

function mergeFields(merged: Record<string, unknown>, patch: Record<string, unknown>, merge: Merge): void {
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else if (!isObject(value)) merged[key] = value
    else merged[key] = merge(Object.hasOwn(merged, key) ? merged[key] : undefined, value)
  }
}

/** The same in the target itself: only what of it is frozen is copied, and the patch is not changed. */
export function mergeInPlace(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = isObject(target) && Object.isExtensible(target) ? target : copyOf(target)
  mergeFields(merged, patch, mergeInPlace)
  return merged
}

/**
 * The same, over and over, without changing the first target: only what it has not made itself is copied. A thousand events
 * on a state of 100,000 fields would else copy all of them as often.
 */
export function mergingInPlace(): Merge {
  const own = new WeakSet<object>()
  return function merge(target, patch) {
    if (!isObject(patch)) return patch
    const merged = isObject(target) && own.has(target) ? target : copyOf(target)
    own.add(merged)
    mergeFields(merged, patch, merge)
    return merged
  }
}

/** The merge patch that makes one state of another; undefined if there is nothing to change. */
export function patchBetween(from: JsonObject, to: JsonObject): JsonObject | undefined {
  const patch: [string, unknown][] = []
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) patch.push([key, null])
  for (const [key, value] of Object.entries(to)) {
    const old = Object.hasOwn(from, key) ? from[key] : undefined
    if (isObject(old) && isObject(value)) {
      const inner = patchBetween(old as JsonObject, value as JsonObject)
      if (inner !== undefined) patch.push([key, inner])
    } else if (old === undefined || canonicalJson(old) !== canonicalJson(value!)) patch.push([key, value])
  }
  return patch.length === 0 ? undefined : (Object.fromEntries(patch) as JsonObject)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
