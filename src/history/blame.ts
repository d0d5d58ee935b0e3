/**
 * Who set that? For each field of the state the last event after which something else stood at its path than before: so
 * it is right for any `evolve`. The history is folded stretch by stretch, from snapshot to snapshot, the newest first,
 * and ends where the last open field was set. A state that shares what did not change with the one before is compared in
 * no time.
 */
import { Pointer } from 'rfc6902'
import { type Located, startBefore } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import { bytesOf, Scale } from '../actor/readable.ts'
import type { Blame } from '../api.ts'
import type { Definition } from '../entity/define-entity.ts'
import type { RecordedEvent } from '../entity/event.ts'
import { evolveRecorded } from '../entity/fold-check.ts'
import { asJson, type Json } from '../entity/json.ts'
import { upcast } from '../entity/upcast.ts'
import { KumaError, quoted, shortened } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { rowsBetween } from '../store/chain.ts'
import type { Readers } from '../store/readers.ts'
import type { Entry } from '../store/shard-reader.ts'
import { inSlices, isSpent, PAST } from '../store/slices.ts'
import { inspectAt } from './inspect-at.ts'
import { locate } from './locate.ts'

/** An end of the state, and what is found out about it. */
interface Field {
  readonly path: string
  readonly value: Json
  event: Blame['event']
}

/** A part of the state in which fields are still open. */
type Open = Field | Map<string, Open>

/** @throws KUMA_NOT_FOUND, KUMA_UNKNOWN_PATH, KUMA_UNKNOWN_TYPE, KUMA_MODEL_FAILED */
export async function blame(
  readers: Readers,
  definitions: Definitions,
  id: string,
  path = '',
  signal?: AbortSignal,
): Promise<Blame[]> {
  const located = locate(readers, id)
  const definition = definitions.of(located.entity.type)
  const { state } = await inspectAt(readers, definitions, id, { version: located.head.version }, signal)
  const tokens = tokensOf(path, id)
  const fields: Field[] = []
  const open = openAt(tokens, partAt(asJson(state, id), tokens, id), fields)
  await inSlices(find(located, definition, open), PAST, signal)
  return fields
}

/** @throws KUMA_UNKNOWN_PATH */
function tokensOf(path: string, entity: string): string[] {
  try {
    return Pointer.fromJSON(path).tokens.slice(1)
  } catch {
    const message = `${quoted(path)} is not a path`
    const hint = 'a path is a JSON Pointer: /address/city, /lines/0'
    throw new KumaError('KUMA_UNKNOWN_PATH', message, { entity, path: shortened(path) }, { hint })
  }
}

/** @throws KUMA_UNKNOWN_PATH */
function partAt(state: Json, tokens: readonly string[], entity: string): Json {
  let part = state
  for (const [i, token] of tokens.entries()) {
    const known = typeof part === 'object' && part !== null ? Object.keys(part) : []
    if (!known.includes(token)) {
      const above = pointer(tokens.slice(0, i))
      const meant = nearest(token, known)
      const hint = meant === undefined ? undefined : `did you mean ${above}${pointer([meant])}?`
      const path = shortened(pointer(tokens))
      throw new KumaError('KUMA_UNKNOWN_PATH', `the state of ${entity} has no ${path}`, { entity, path }, { hint })
    }
    part = partOf(part, token) as Json
  }
  return part
}

/** What leads from the state's root to the fields of a part of it. Fields are listed in their order in the state. */
function openAt(tokens: readonly string[], part: Json, fields: Field[]): Open {
  let open = fieldsOf(part, pointer(tokens), fields)
  for (const token of tokens.toReversed()) open = new Map([[token, open]])
  return open
}

function fieldsOf(value: Json, path: string, fields: Field[]): Open {
  const parts = typeof value === 'object' && value !== null ? Object.entries(value) : []
  if (parts.length > 0)
    return new Map(parts.map(([key, part]) => [key, fieldsOf(part as Json, `${path}${pointer([key])}`, fields)]))
  const field = { path, value, event: null }
  fields.push(field)
  return field
}

function pointer(tokens: readonly string[]): string {
  return new Pointer(['', ...tokens]).toString()
}

function* find(located: Located, definition: Definition, fields: Open): Generator<void, void> {
  const { reader, entity, head } = located
  let open: Open | null = fields
  for (let end: Entry = head; open !== null && end.version > 0; ) {
    const start = startBefore(located, definition, { version: end.version - 1 })
    let { state } = start
    const scale = new Scale(entity.id, start.bytes)
    for (const rows of rowsBetween(reader, entity.key, start, end, () => true)) {
      for (const row of rows) {
        const event = upcast(definition, reader.recorded(row, entity))
        const next = evolveRecorded(definition, state, event)
        scale.add(bytesOf(row), next)
        mark(open, state, next, event)
        state = next
        if (isSpent()) yield
      }
      yield
    }
    open = stillOpen(open)
    end = start
  }
}

/** Notes the event at every open field that is not what it was. */
function mark(open: Open, before: unknown, after: unknown, event: RecordedEvent): void {
  if (before === after) return
  if (open instanceof Map) {
    for (const [key, part] of open) mark(part, partOf(before, key), partOf(after, key), event)
  } else if (!isSame(before, after)) {
    const { type, version, position, at, meta } = event
    open.event = { type, version, position, at, meta }
  }
}

function partOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

/** As JSON, which is how they are told. */
function isSame(before: unknown, after: unknown): boolean {
  if (typeof before !== 'object' && typeof after !== 'object') return Object.is(before, after)
  return JSON.stringify(before) === JSON.stringify(after)
}

/** Without the fields that are known now; null if none is left. */
function stillOpen(open: Open): Open | null {
  if (!(open instanceof Map)) return open.event === null ? open : null
  for (const [key, part] of open) if (stillOpen(part) === null) open.delete(key)
  return open.size === 0 ? null : open
}
