/**
 * All that the store holds about an entity, as one JSON document:
 *
 *     {
 *     "format": "kuma-export/1",
 *     "id": .., "type": .., "version": N, "createdAt": ms, "updatedAt": ms,
 *     "state": {..},        after event N; null if its type is not defined here (any more)
 *     "readModels": {..},   rows by table
 *     "events": [           1 to N, one a line: `grep` works on it
 *     {..}
 *     ],
 *     "sha256": ".."        of everything above (export-hash.ts); last, so that what was cut short is never whole
 *     }
 *
 * It is as of one moment, whoever writes meanwhile: the state is read first, and then the events up to its version.
 * fixtures/export.schema.json is its JSON Schema.
 */
import type { EntityExport } from '../api.ts'
import type { Engine } from '../engine.ts'
import { canonicalJson } from '../entity/canonical-json.ts'
import { inOrder, type Position, type RecordedEvent } from '../entity/event.ts'
import { asJson } from '../entity/json.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { ExportHash } from './export-hash.ts'

export const EXPORT_FORMAT = 'kuma-export/1' as const

/** A piece of the document is at least so long, unless it is the last one. */
const CHARS = 64 * 1024

/** Whole lines of a document, without the last line's end. */
export interface ExportPiece {
  readonly text: string
  /** how many events stand in them */
  readonly events: number
  /** the type of the entity that begins with it, if that is not defined here */
  readonly unknownType?: string | undefined
}

/** The document as text, in memory that does not grow with the number of events. @throws what `exportEntity` throws */
export async function* exportText(engine: Engine, id: string, signal?: AbortSignal): AsyncGenerator<ExportPiece> {
  const { head, events } = await begin(engine, id, signal)
  const hash = new ExportHash()
  const names = namesOf(head)
  const fields = Object.entries(head).map(([key, value]) => `"${key}":${JSON.stringify(value)},`)
  let text = ['{', ...fields, '"events":['].join('\n')
  let unknownType = head.state === null ? head.type : undefined
  let [end, count] = ['', 0]
  for await (const event of events) {
    const line = lineOf(event, names, hash)
    if (text.length >= CHARS) {
      yield { text: text + end, events: count, unknownType }
      unknownType = undefined
      text = line
      count = 0
    } else text += `${end}\n${line}`
    end = ','
    count++
  }
  yield { text: `${text}\n],\n"sha256":"${hash.end(head)}"\n}`, events: count, unknownType }
}

/**
 * The document in memory.
 * @throws KUMA_NOT_FOUND also if the entity is deleted meanwhile; KUMA_MODEL_FAILED; KUMA_INVALID_DATA
 * for a state that cannot be written as JSON at all
 */
export async function exportEntity(engine: Engine, id: string): Promise<EntityExport> {
  const { head, events } = await begin(engine, id)
  const hash = new ExportHash()
  const names = namesOf(head)
  const all: RecordedEvent[] = []
  for await (const event of events) {
    lineOf(event, names, hash)
    all.push(inOrder(event))
  }
  return { ...head, events: all, sha256: hash.end(head) }
}

/** What stands before the events, and the events. */
async function begin(engine: Engine, id: string, signal?: AbortSignal) {
  const current = await standOf(engine, id)
  const first = await eventAt(engine, id, 1, signal)
  const head = {
    format: EXPORT_FORMAT,
    id,
    type: current.type,
    version: current.version,
    createdAt: first.at,
    updatedAt: current.at,
    state: current.state === null ? null : asJson(current.state, id),
    readModels: await engine.readModels.rowsOf(id),
  }
  return { head, events: allOf(engine, first, current, signal) }
}

interface Stand {
  readonly id: string
  readonly type: string
  readonly version: number
  readonly at: number
  readonly position: Position
  /** null if nobody here can tell */
  readonly state: unknown
}

/** What is recorded is given also where the code that made a state of it is no more. */
async function standOf(engine: Engine, id: string): Promise<Stand> {
  try {
    return await engine.inspect(id)
  } catch (error) {
    if (!isKumaError(error, 'KUMA_UNKNOWN_TYPE')) throw error
    const found = await engine.find(id)
    if (found === null) throw notFoundAnyMore(id)
    const { entityType: type, version, at, position } = await eventAt(engine, id, found.version)
    return { id, type, version, at, position, state: null }
  }
}

/** @throws KUMA_NOT_FOUND */
async function eventAt(engine: Engine, id: string, version: number, signal?: AbortSignal): Promise<RecordedEvent> {
  for await (const event of engine.log({ id, from: { version }, to: { version }, signal })) return event
  throw notFoundAnyMore(id)
}

/** All of them, or an error. */
async function* allOf(engine: Engine, first: RecordedEvent, { id, version, position }: Stand, signal?: AbortSignal) {
  let last: RecordedEvent | undefined
  for await (const event of engine.log({ id, to: { version }, signal })) {
    if (last === undefined && event.position !== first.position) break
    last = event
    yield event
  }
  // an id may be deleted and used again: then the state is of another entity than the events
  if (last?.position === position) return
  throw notFoundAnyMore(id)
}

function notFoundAnyMore(id: string): KumaError<'KUMA_NOT_FOUND'> {
  return new KumaError('KUMA_NOT_FOUND', `${id} was deleted while it was exported`, { entity: id })
}

/** As JSON: the same for every event. */
function namesOf({ id, type }: { readonly id: string; readonly type: string }) {
  return { entity: JSON.stringify(id), entityType: JSON.stringify(type) }
}

/** Both texts of an event, its own and the canonical one, are put together from the same parts, which are most of it. */
function lineOf(event: RecordedEvent, names: ReturnType<typeof namesOf>, hash: ExportHash): string {
  const { version, at, position, data, meta } = event
  const { entity, entityType } = names
  const [type, dataText, metaText] = [JSON.stringify(event.type), JSON.stringify(data), JSON.stringify(meta)]
  const [canonicalData, canonicalMeta] = [canonicalJson(data, dataText), canonicalJson(meta, metaText)]
  hash.event(
    `{"at":${at},"data":${canonicalData},"entity":${entity},"entityType":${entityType},"meta":${canonicalMeta},"position":"${position}","type":${type},"version":${version}}`,
    at,
  )
  return `{"entity":${entity},"entityType":${entityType},"version":${version},"type":${type},"at":${at},"position":"${position}","data":${dataText},"meta":${metaText}}`
}
