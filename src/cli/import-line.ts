/**
 * One line of an import, in one of two forms:
 *
 *     {"entity":"user_1","type":"SignedUp","data":{..},"at":1793500000000,"meta":{..},"requestKey":"k","entityType":"user"}
 *     {"specversion":"1.0","id":"k","source":"/app","type":"SignedUp","subject":"user_1","time":"2026-11-01T09:30:00Z","data":{..}}
 *
 * A line of the first form may have the `version` that it was, as those of `kuma log` have: it is recorded as that version,
 * or compared with what is there. With the `position` of such a line too, Kuma wrote it, and its time is taken as it is.
 *
 * The second is CloudEvents 1.0: its subject is the entity, its source and id together are the request key (an id alone
 * is unique for its source only), `correlationid` and `causationid` are those of meta, and what has no place of its own
 * (source, extensions) goes into meta. An attribute that is null is as if it were not there.
 *
 * A CloudEvent with a `kumaversion` was written by `kuma export` (src/privacy/cloud-event.ts): it is recorded as that
 * version, with the time, type and meta that it had there.
 */
import type { AppendRequest } from '../engine.ts'
import type { Meta } from '../entity/event.ts'
import { instantOf, parseRfc3339 } from '../entity/instant.ts'
import { type Json, type JsonObject, parseJson } from '../entity/json.ts'
import { KumaError } from '../errors.ts'

const FIELDS = ['entity', 'type', 'data', 'at', 'meta', 'requestKey', 'entityType']
/** Of what Kuma writes; `time` is `at` once more. */
const WRITTEN = ['version', 'position', 'time']

export interface LineOptions {
  /** the type of an entity that does not exist yet */
  readonly typeFor: (id: string) => string
  /** Versions count for nothing. */
  readonly renumber?: boolean | undefined
}

/** Expects a version where the line says which one it was. @throws KUMA_INVALID_DATA */
export function parseLine(text: string, options: LineOptions): AppendRequest {
  const line = parseJson(text, 'the line')
  if (typeof line !== 'object' || line === null || Array.isArray(line)) throw invalid('the line is not a JSON object')
  const request =
    'specversion' in line ? fromCloudEvent(line as JsonObject, options) : fromLine(line as JsonObject, options)
  return options.renumber ? { ...request, expectedVersion: undefined } : request
}

function fromLine(line: JsonObject, { typeFor }: LineOptions): AppendRequest {
  for (const field in line)
    if (!FIELDS.includes(field) && !WRITTEN.includes(field))
      throw invalid(`unknown field ${JSON.stringify(field)}: a line has ${FIELDS.join(', ')}`)
  if (line['time'] !== undefined && line['at'] === undefined)
    throw invalid('the field time is only beside at: write at')
  const id = text(line, 'entity')
  const entityType = line['entityType'] === undefined ? undefined : text(line, 'entityType')
  const expectedVersion = line['version'] === undefined ? undefined : version(line, 'version') - 1
  const recorded = typeof line['position'] === 'string'
  const event = {
    type: text(line, 'type'),
    data: line['data'],
    at: timeOf(line['at'], recorded),
    meta: line['meta'] as Meta | undefined,
  }
  const requestKey = line['requestKey'] === undefined ? undefined : text(line, 'requestKey')
  return {
    id,
    type: entityType,
    newType: entityType ?? typeFor(id),
    events: [event],
    requestKey,
    expectedVersion,
    recorded,
  }
}

function timeOf(at: Json | undefined, recorded: boolean): number | undefined {
  if (at === undefined) return undefined
  return recorded && typeof at === 'number' ? at : instantOf(at, 'at')
}

function fromCloudEvent(given: JsonObject, { typeFor }: LineOptions): AppendRequest {
  const line = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) as JsonObject
  const { specversion, id: _, subject, type: __, time, data, data_base64, ...more } = line
  const { correlationid, causationid, ...others } = more
  if (specversion !== '1.0') throw invalid(`CloudEvents ${JSON.stringify(specversion)} is not known: only 1.0 is`)
  if (subject === undefined) throw invalid('the CloudEvent has no subject, which is the entity')
  if (data_base64 !== undefined) throw invalid('the CloudEvent has data_base64, and the log holds JSON')
  if ('kumaversion' in line) return fromExport(line)
  const meta = {
    ...others,
    ...(correlationid === undefined ? {} : { correlationId: name(line, 'correlationid') }),
    ...(causationid === undefined ? {} : { causationId: name(line, 'causationid') }),
  } as Meta
  const entity = name(line, 'subject')
  const at = time === undefined ? undefined : parseRfc3339(time, 'time')
  const event = { type: name(line, 'type'), data: data ?? {}, at, meta }
  return { id: entity, newType: typeFor(entity), events: [event], requestKey: keyOf(line) }
}

function fromExport(line: JsonObject): AppendRequest {
  const type = name(line, 'kumaentitytype')
  const at = line['kumaat'] === undefined ? parseRfc3339(line['time'], 'time') : Number(name(line, 'kumaat'))
  const meta = line['kumameta'] === undefined ? undefined : (parseJson(name(line, 'kumameta'), 'kumameta') as Meta)
  return {
    id: name(line, 'subject'),
    type,
    newType: type,
    events: [{ type: name(line, 'type'), data: line['data'], meta, at }],
    expectedVersion: version(line, 'kumaversion') - 1,
    requestKey: keyOf(line),
    recorded: true,
  }
}

/** An id alone is unique for its source only. */
function keyOf(line: JsonObject): string {
  return `${name(line, 'source')} ${name(line, 'id')}`
}

function version(line: JsonObject, field: string): number {
  const value = line[field]
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
  throw invalid(`the field ${field} must be a whole number from 1 on`)
}

/** An attribute of CloudEvents is not empty. */
function name(line: JsonObject, field: string): string {
  const value = text(line, field)
  if (value !== '') return value
  throw invalid(`the field ${field} must not be empty`)
}

function text(line: JsonObject, field: string): string {
  const value = line[field]
  if (typeof value === 'string') return value
  throw invalid(value === undefined ? `the field ${field} is missing` : `the field ${field} must be a string`)
}

function invalid(message: string): KumaError<'KUMA_INVALID_DATA'> {
  return new KumaError('KUMA_INVALID_DATA', message, { path: '' })
}
