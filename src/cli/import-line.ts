/**
 * One line of an import, in one of two forms:
 *
 *     {"entity":"user_1","type":"SignedUp","data":{..},"at":1793500000000,"meta":{..},"requestKey":"k","entityType":"user"}
 *     {"specversion":"1.0","id":"k","source":"/app","type":"SignedUp","subject":"user_1","time":"2026-11-01T09:30:00Z","data":{..}}
 *
 * The second is CloudEvents 1.0: its subject is the entity, its source and id together are the request key (an id alone
 * is unique for its source only), and what has no place of its own (source, extensions) goes into meta. `version`,
 * `position` and `time` of the first form are those of `kuma log`, and not kept: what is imported gets its own.
 *
 * A CloudEvent with a `kumaversion` was written by `kuma export` (src/privacy/cloud-event.ts): it is recorded as that
 * version, with the time, type and meta that it had there.
 */
import type { AppendRequest } from '../engine.ts'
import type { Meta } from '../entity/event.ts'
import { type Json, type JsonObject, parseJson } from '../entity/json.ts'
import { parseTime } from '../entity/time.ts'
import { KumaError } from '../errors.ts'

const FIELDS = ['entity', 'type', 'data', 'at', 'meta', 'requestKey', 'entityType']
const IGNORED = ['version', 'position', 'time']

/** @throws KUMA_INVALID_DATA, KUMA_INVALID_POINT */
export function parseLine(text: string, typeFor: (id: string) => string): AppendRequest {
  const line = parseJson(text, 'the line')
  if (typeof line !== 'object' || line === null || Array.isArray(line)) throw invalid('the line is not a JSON object')
  return 'specversion' in line ? fromCloudEvent(line as JsonObject, typeFor) : fromLine(line as JsonObject, typeFor)
}

function fromLine(line: JsonObject, typeFor: (id: string) => string): AppendRequest {
  for (const field in line)
    if (!FIELDS.includes(field) && !IGNORED.includes(field))
      throw invalid(`unknown field ${JSON.stringify(field)}: a line has ${FIELDS.join(', ')}`)
  const id = text(line, 'entity')
  const entityType = line['entityType'] === undefined ? undefined : text(line, 'entityType')
  const event = {
    type: text(line, 'type'),
    data: line['data'],
    at: timeOf(line['at'], 'at'),
    meta: line['meta'] as Meta | undefined,
  }
  const requestKey = line['requestKey'] === undefined ? undefined : text(line, 'requestKey')
  return { id, type: entityType, newType: entityType ?? typeFor(id), events: [event], requestKey }
}

function fromCloudEvent(line: JsonObject, typeFor: (id: string) => string): AppendRequest {
  const { specversion, id: _, subject, type: __, time, data, data_base64, ...meta } = line
  if (specversion !== '1.0') throw invalid(`CloudEvents ${JSON.stringify(specversion)} is not known: only 1.0 is`)
  if (subject === undefined) throw invalid('the CloudEvent has no subject, which is the entity')
  if (data_base64 !== undefined) throw invalid('the CloudEvent has data_base64, and the log holds JSON')
  if ('kumaversion' in line) return fromExport(line)
  const entity = text(line, 'subject')
  const event = { type: text(line, 'type'), data: data ?? {}, at: timeOf(time, 'time'), meta: meta as Meta }
  return { id: entity, newType: typeFor(entity), events: [event], requestKey: keyOf(line) }
}

function fromExport(line: JsonObject): AppendRequest {
  const version = line['kumaversion']
  if (!Number.isSafeInteger(version)) throw invalid('the field kumaversion must be a whole number')
  const type = text(line, 'kumaentitytype')
  const at = line['kumaat'] === undefined ? timeOf(line['time'], 'time') : Number(text(line, 'kumaat'))
  const meta = line['kumameta'] === undefined ? undefined : (parseJson(text(line, 'kumameta'), 'kumameta') as Meta)
  return {
    id: text(line, 'subject'),
    type,
    newType: type,
    events: [{ type: text(line, 'type'), data: line['data'], meta, at }],
    expectedVersion: (version as number) - 1,
    requestKey: keyOf(line),
  }
}

/** An id alone is unique for its source only. */
function keyOf(line: JsonObject): string {
  return `${text(line, 'source')} ${text(line, 'id')}`
}

function text(line: JsonObject, field: string): string {
  const value = line[field]
  if (typeof value === 'string') return value
  throw invalid(value === undefined ? `the field ${field} is missing` : `the field ${field} must be a string`)
}

function timeOf(value: Json | undefined, field: string): number | undefined {
  if (value === undefined || typeof value === 'number') return value
  if (typeof value === 'string') return parseTime(value)
  throw invalid(`the field ${field} must be a time`)
}

function invalid(message: string): KumaError<'KUMA_INVALID_DATA'> {
  return new KumaError('KUMA_INVALID_DATA', message, { path: '' })
}
