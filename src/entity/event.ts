/** An event, before and after it is recorded, and the meta that says who, why and from where. */

import { KumaError, shortened } from '../errors.ts'
import type { Facts } from './facts.ts'
import { cleanJson, type Json, type JsonObject } from './json.ts'

/** Where an event stands in the store, as a token `SSS:seq[@TIMELINE]`. Print it, keep it, give it back. */
export type Position = string

export interface Meta {
  readonly by?: string | undefined
  readonly ip?: string | undefined
  readonly reason?: string | undefined
  readonly correlationId?: string | undefined
  readonly causationId?: string | undefined
  readonly [key: string]: Json | undefined
}

/**
 * An event not yet recorded. `at` is when a historical one happened, in milliseconds since 1970: not before the entity's
 * last event, and not ahead of now. Default: now.
 */
// biome-ignore lint/suspicious/noExplicitAny: an event of any entity
export type NewEvent<F extends Facts = any> = {
  // biome-ignore lint/complexity/noBannedTypes: {} is what an event without required data extends
  [K in keyof F['input'] & string]: {} extends F['input'][K]
    ? {
        readonly type: K
        readonly data?: F['input'][K]
        readonly meta?: Meta | undefined
        readonly at?: number | undefined
      }
    : {
        readonly type: K
        readonly data: F['input'][K]
        readonly meta?: Meta | undefined
        readonly at?: number | undefined
      }
}[keyof F['input'] & string]

/** A recorded event. `Event<F>` is a union discriminated by `type`; `Event<F, 'Deposited'>` is one of them. */
export type Event<
  // biome-ignore lint/suspicious/noExplicitAny: an event of any entity
  F extends Facts = any,
  K extends keyof F['events'] & string = keyof F['events'] & string,
> = {
  [P in K]: {
    readonly type: P
    readonly data: F['events'][P]
    readonly entity: string
    readonly entityType: F['type']
    /** its place in the entity: 1, 2, 3 ... */
    readonly version: number
    readonly position: Position
    /** milliseconds since 1970 */
    readonly at: number
    readonly meta: Meta
  }
}[K]

/** A recorded event whose definition is not at hand. */
export interface RecordedEvent {
  readonly type: string
  readonly data: JsonObject
  readonly entity: string
  readonly entityType: string
  readonly version: number
  readonly position: Position
  readonly at: number
  readonly meta: Meta
}

/** With the fields in the order in which people read them, whatever the engine's. */
export function inOrder({ entity, entityType, version, type, at, position, data, meta }: RecordedEvent): RecordedEvent {
  return { entity, entityType, version, type, at, position, data, meta }
}

/** Is that a version at which an entity can be? 0: before its first event. */
export function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

export const EMPTY_META: Meta = Object.freeze({})

/** Fields of meta that have a meaning to Kuma: each is a text. */
export const META_FIELDS = ['by', 'ip', 'reason', 'correlationId', 'causationId'] as const

/** What these fields of an event's meta must be. */
export type MetaFilter = { readonly [field in (typeof META_FIELDS)[number]]?: string | undefined }

export function isMeta(meta: Meta, filter: MetaFilter): boolean {
  return META_FIELDS.every((field) => filter[field] === undefined || meta[field] === filter[field])
}

/**
 * Several metas laid over each other, the last one winning, as clean JSON; null if nothing is left.
 * @throws KUMA_INVALID_DATA also for a key that starts with `$`, which is the engine's own
 */
export function mergeMeta(...metas: readonly (Meta | undefined)[]): JsonObject | null {
  let merged: Record<string, Json> | null = null
  for (const meta of metas) {
    if (meta === undefined) continue
    const clean = cleanJson(meta, 'meta')
    for (const [key, value] of Object.entries(clean)) {
      if (key.startsWith('$')) throw invalid(key, `starts with $, which is kept for the engine`)
      if (META_FIELDS.includes(key as never) && typeof value !== 'string') throw invalid(key, 'must be a string')
      merged ??= {}
      merged[key] = value as Json
    }
  }
  return merged
}

function invalid(key: string, problem: string): KumaError<'KUMA_INVALID_DATA'> {
  const path = `.${shortened(key)}`
  return new KumaError('KUMA_INVALID_DATA', `meta at ${path} ${problem}`, { path })
}

/** `003:1284`: the event with seq 1284 of shard 3. */
export function formatPosition(shard: number, seq: number): Position {
  return `${SHARDS[shard] ?? threeDigits(shard)}:${seq}`
}

/** Of the first shards, since positions are made by the million. */
const SHARDS = Array.from({ length: 64 }, (_, shard) => threeDigits(shard))

function threeDigits(shard: number): string {
  return String(shard).padStart(3, '0')
}
