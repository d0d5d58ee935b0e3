/**
 * The daemon over HTTP, route by route: what is asked, what it takes, and how it is answered. The OpenAPI document
 * (openapi.ts) is made of this table.
 */
import type { Behind, FeedItem } from '../api.ts'
import { DOCUMENT } from '../entity/document.ts'
import type { Position } from '../entity/event.ts'
import { instantOf } from '../entity/instant.ts'
import { writeJson } from '../entity/json.ts'
import { isPosition } from '../entity/position.ts'
import { parsePoint, timeOf } from '../entity/time.ts'
import { KumaError } from '../errors.ts'
import { exportText } from '../privacy/export.ts'
import { parseParam, rowsOf } from '../projection/query-rows.ts'
import { CALLS, checkParams } from './calls.ts'
import { type Caller, type Host, subscribed } from './host.ts'
import { ANSWER } from './protocol.ts'

/** How long an event stream may be silent: a comment keeps whatever lies between from closing it. */
const HEARTBEAT_MS = 15_000
/** A piece of a list is at least so long. */
const PIECE_CHARS = 64 * 1024

export const JSON_TYPE = 'application/json'
export const NDJSON_TYPE = 'application/x-ndjson'
export const SSE_TYPE = 'text/event-stream'

export interface Reply {
  readonly status?: number
  readonly type: string
  readonly body: string | AsyncIterable<string>
  /** Asked for when the first piece of the body is there. */
  readonly headers?: () => { readonly [name: string]: string }
}

/** What came with a request. */
export interface Given {
  /** of the path */
  readonly id: string
  readonly query: { readonly [name: string]: string | undefined }
  readonly list: (name: string) => readonly string[] | undefined
  /** parsed, but not looked at */
  readonly body: unknown
  readonly lastEventId: string | undefined
}

interface Parameter {
  readonly about: string
  readonly kind?: 'integer' | 'boolean' | 'texts'
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** `:id` stands for an entity's id, percent-encoded */
  readonly path: string
  readonly about: string
  readonly query?: { readonly [name: string]: Parameter }
  /** name of the schema of the body that it takes */
  readonly body?: string
  /** name of the schema of its answer, or of each item of it */
  readonly answer?: string
  /** of an answer that may be long, which ends when nobody is there to read it */
  readonly type?: string
  /** Does it read histories, so that it takes one of its client's places for slow calls (slow-calls.ts)? */
  readonly isSlow: boolean | ((given: Given) => boolean)
  /** Anybody may ask, also without the token. */
  readonly isOpen?: true
  /** codes of errors that are its own */
  readonly errors?: readonly number[]
  run(host: Host, given: Given, caller: Caller): Promise<Reply> | Reply
}

const AT = { about: 'a point: v3, an ISO 8601 time, `2026-11`, epoch milliseconds, `2h` (ago), yesterday' }
const FROM = { about: 'from this point on' }
const TO = { about: 'up to this point' }
const LIMIT = { about: 'so many at most', kind: 'integer' } as const
const TYPE = { about: 'only entities of this type' }
const EVENTS = { about: 'only events of this type; may be repeated', kind: 'texts' } as const

/** Only Kuma says of events that Kuma recorded them elsewhere. */
const { recorded: _, ...shape } = CALLS['append']!.shape
const APPEND = { ...CALLS['append']!, shape }

export const ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/entities/:id/events',
    isSlow: false,
    about: 'Record events, together or not at all. Answered when they are on disk.',
    body: 'Append',
    answer: 'Appended',
    errors: [400, 404, 409, 413, 503],
    run: async ({ engine, typeFor }, { id, body }) => {
      const request = timed(asObject(body))
      const newType = request['newType'] ?? request['type'] ?? typeFor(id) ?? DOCUMENT
      const params = checkParams('append', APPEND, { ...request, id, newType })
      return json(await engine.append(params as never))
    },
  },
  {
    method: 'POST',
    path: '/v1/entities/:id/commands',
    isSlow: false,
    about:
      'Have the model decide a command, and record the events that come of it. Where there is no such entity, they are its first ones.',
    body: 'Execute',
    answer: 'Executed',
    errors: [400, 404, 409, 413, 422, 503],
    run: async ({ engine, typeFor }, { id, body }) => {
      const request = asObject(body)
      const newType = request['newType'] ?? request['type'] ?? typeFor(id) ?? null
      const params = checkParams('execute', CALLS['execute']!, { ...request, id, newType })
      return json(await engine.execute(params as never))
    },
  },
  {
    method: 'GET',
    path: '/v1/entities',
    isSlow: true,
    about: 'Entities, shard by shard, a line of JSON each.',
    query: { prefix: { about: 'only ids that begin like this' }, type: TYPE, at: AT, limit: LIMIT },
    answer: 'Summary',
    type: NDJSON_TYPE,
    errors: [400],
    run: ({ engine }, { query: { prefix, type, at, limit } }, { signal }) => {
      const time = at === undefined ? undefined : timeOf(parsePoint(at), 'a list')
      return ndjson(engine.entities({ prefix, type, at: time, limit: count(limit), signal }))
    },
  },
  {
    method: 'GET',
    path: '/v1/entities/:id',
    isSlow: ({ query: { at } }) => at !== undefined,
    about: 'An entity as it is, or as it was.',
    query: { at: AT },
    answer: 'Inspected',
    errors: [400, 404, 413],
    run: async ({ engine }, { id, query: { at } }, { signal }) => json(await engine.inspect(id, point(at), signal)),
  },
  {
    method: 'DELETE',
    path: '/v1/entities/:id',
    isSlow: false,
    about: 'Erase an entity for good. The receipt tells what was reached.',
    query: { reason: { about: 'why: it stands in the receipt' }, by: { about: 'who asked' } },
    answer: 'Receipt',
    errors: [400, 404],
    run: async ({ engine }, { id, query: { reason, by } }) => json(await engine.erase([id], { reason, by })),
  },
  {
    method: 'GET',
    path: '/v1/entities/:id/log',
    isSlow: true,
    about: 'Its events, a line of JSON each.',
    query: {
      from: FROM,
      to: TO,
      event: EVENTS,
      by: { about: 'only events of this author' },
      limit: LIMIT,
      reverse: { about: 'the newest first', kind: 'boolean' },
    },
    answer: 'Event',
    type: NDJSON_TYPE,
    errors: [400, 404],
    run: ({ engine }, { id, query, list }, { signal }) => {
      const { from, to, by, limit, reverse } = query
      const range = { from: point(from), to: point(to), types: list('event') }
      return ndjson(engine.log({ id, ...range, by, limit: count(limit), reverse: isTrue(reverse), signal }))
    },
  },
  {
    method: 'GET',
    path: '/v1/entities/:id/export',
    isSlow: true,
    about: 'All that is stored of it, as one document for the person it is about.',
    answer: 'Export',
    type: JSON_TYPE,
    errors: [400, 404, 413],
    run: ({ engine }, { id }, { signal }) => ({ type: JSON_TYPE, body: texts(exportText(engine, id, signal)) }),
  },
  {
    method: 'GET',
    path: '/v1/feed',
    isSlow: false,
    about:
      'What is recorded, as server-sent events: what is there, then what comes. The id of each is the place after it; `Last-Event-ID` goes on from there. An id alone tells a place at which there is nothing to give.',
    query: {
      from: { about: 'a place, `start` (where it begins without it), `now`, or a point' },
      entity: { about: 'only this entity' },
      type: { about: 'only entities of this type; may be repeated', kind: 'texts' },
      event: EVENTS,
    },
    answer: 'FeedItem',
    type: SSE_TYPE,
    errors: [400],
    run: (host, { query, list, lastEventId }, caller) => {
      const { entity, from } = query
      const request = {
        id: entity,
        entityTypes: list('type'),
        types: list('event'),
        from: lastEventId || placeOf(from),
        follow: true,
      }
      return { type: SSE_TYPE, body: eventStream(subscribed(host, request, caller)) }
    },
  },
  {
    method: 'GET',
    path: '/v1/query',
    isSlow: false,
    about:
      'Ask the read models in SQL, read only: a line of JSON for each row. Of a table whose projection has stopped, 503. The header kuma-behind tells how far behind tables are that nothing keeps up to date, or that are asked with `stale`.',
    query: {
      sql: { about: 'one select' },
      param: { about: 'what goes into its question marks, in order; `:=` before it makes it JSON', kind: 'texts' },
      after: { about: 'wait until what was recorded up to this position is in the tables' },
      stale: { about: 'ask the tables as they are, also those of projections that have stopped', kind: 'boolean' },
      timeout_ms: { about: 'how long it may take; default 30000, or what the config says', kind: 'integer' },
    },
    answer: 'Row',
    type: NDJSON_TYPE,
    errors: [400, 503],
    run: ({ engine }, { query: { sql, after, stale, timeout_ms }, list }, { client, signal }) => {
      if (sql === undefined) throw new KumaError('KUMA_INVALID_QUERY', 'there is no ?sql=', {})
      const params = (list('param') ?? []).map(parseParam)
      const timeoutMs = count(timeout_ms)
      const asked = { sql, params, after, stale: isTrue(stale), timeoutMs, asker: client, signal }
      let behind: readonly Behind[] = []
      const rows = rowsOf(engine.readModels.query(asked), (tables) => {
        behind = tables
      })
      return { ...ndjson(rows), headers: () => behindHeader(behind) }
    },
  },
  {
    method: 'GET',
    path: '/healthz',
    isSlow: false,
    about:
      'Does it take writes in all shards, go on with all projections, and is its package there? As `kuma status` says it. Needs no token.',
    answer: 'Health',
    isOpen: true,
    errors: [503],
    run: ({ isHealthy: look }) => {
      const isHealthy = look()
      return json({ status: isHealthy ? 'healthy' : 'unhealthy' }, isHealthy ? 200 : 503)
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    isSlow: false,
    about: 'How it does, in the text format of Prometheus.',
    type: 'text/plain',
    run: async (host) => {
      const { metricsOf } = await import('./metrics.ts') // for who scrapes it
      return metricsOf(host)
    },
  },
  {
    method: 'GET',
    path: '/openapi.json',
    isSlow: false,
    about: 'This document.',
    run: async ({ greeting }) => {
      const { openApi } = await import('./openapi.ts')
      return json(openApi(greeting().version, ROUTES))
    },
  },
]

/** As a list of RFC 8941. */
function behindHeader(behind: readonly Behind[]): { readonly [name: string]: string } {
  const told = behind.map(({ projection, state, lagEvents, lagSeconds, error }) => {
    const at = error === null || error.position === null ? '' : `;at="${error.position}"`
    return `${projection};state=${state};events=${lagEvents};seconds=${lagSeconds.toFixed(1)}${at}`
  })
  return told.length === 0 ? {} : { 'kuma-behind': told.join(', ') }
}

function json(value: unknown, status = 200): Reply {
  return { status, type: JSON_TYPE, body: `${writeJson(value, ANSWER)}\n` }
}

function ndjson(items: AsyncIterable<unknown>): Reply {
  return { type: NDJSON_TYPE, body: lines(items) }
}

/** Many at once: they take a place together where there are few. */
async function* lines(items: AsyncIterable<unknown>): AsyncGenerator<string> {
  let text = ''
  for await (const item of items) {
    text += `${writeJson(item, 'an item of the answer')}\n`
    if (text.length < PIECE_CHARS) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

async function* texts(pieces: AsyncIterable<{ readonly text: string }>): AsyncGenerator<string> {
  for await (const { text } of pieces) yield `${text}\n`
}

/** The first page comes at once, also where nothing is recorded: it tells the place from which it would go on. */
async function* eventStream(
  pages: AsyncGenerator<{ readonly items: readonly FeedItem[]; readonly position: Position }>,
): AsyncGenerator<string> {
  let next = pages.next()
  try {
    for (;;) {
      const page = await orHeartbeat(next)
      if (page === null) yield ': still here\n\n'
      else if (page.done) return
      else {
        const { items, position } = page.value
        yield items.length === 0 ? `id: ${position}\n\n` : items.map(sse).join('')
        next = pages.next()
      }
    }
  } finally {
    await pages.return(undefined)
  }
}

/** Null if nothing came for so long. */
function orHeartbeat<T>(next: Promise<T>): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), HEARTBEAT_MS)
    next.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function sse(item: FeedItem): string {
  return `id: ${item.position}\nevent: ${item.kind}\ndata: ${JSON.stringify(item)}\n\n`
}

function asObject(body: unknown): { readonly [field: string]: unknown } {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as never
  throw new KumaError('KUMA_INVALID_DATA', 'the body must be a JSON object', { path: '' })
}

/** The times of its events as the engine takes them. @throws KUMA_INVALID_DATA */
function timed(request: { readonly [field: string]: unknown }): { readonly [field: string]: unknown } {
  const { events } = request
  if (!Array.isArray(events) || !events.some((event) => event?.at !== undefined)) return request
  const inMilliseconds = (event: { readonly at?: unknown } | null) =>
    event?.at === undefined ? event : { ...event, at: instantOf(event.at, 'at') }
  return { ...request, events: events.map(inMilliseconds) }
}

function point(text: string | undefined) {
  return text === undefined ? undefined : parsePoint(text)
}

function placeOf(text: string | undefined) {
  return text === undefined || text === 'start' || text === 'now' || isPosition(text) ? text : parsePoint(text)
}

function count(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

function isTrue(text: string | undefined): boolean {
  return text === 'true' || text === ''
}
