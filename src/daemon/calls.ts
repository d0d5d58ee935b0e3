/**
 * What may be asked of a daemon, by name: the methods of an engine, and what the daemon tells of itself. Parameters come
 * from anybody who may open the socket, so their shape is looked at here; whether they make sense the engine says.
 */
import type { ReadModelQuery } from '../engine.ts'
import { META_FIELDS } from '../entity/event.ts'
import { KumaError, quoted, shortened } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { type Caller, type Host, subscribed } from './host.ts'

type Check = (value: unknown) => boolean
type Shape = { readonly [field: string]: Check }
// biome-ignore lint/suspicious/noExplicitAny: looked at before it is used
type Params = { readonly [field: string]: any }

/** Of what names a thing, or says why: whether it is a name the engine says. */
const TEXT_CHARS_MAX = 4_096
/** Of a position that names 999 shards, of a path, of a question. */
const LONG_TEXT_CHARS_MAX = { position: 32_768, path: 65_536, sql: 1_048_576 }
/** That a list is narrowed to. */
const NAMES_MAX = 1_000

const upTo =
  (charsMax: number): Check =>
  (value) =>
    typeof value === 'string' && value.length <= charsMax
const text = upTo(TEXT_CHARS_MAX)
const position = upTo(LONG_TEXT_CHARS_MAX.position)
const texts: Check = (value) => Array.isArray(value) && value.every(text)
const names: Check = (value) => texts(value) && (value as unknown[]).length <= NAMES_MAX
const number: Check = (value) => typeof value === 'number'
const numbers: Check = (value) => Array.isArray(value) && value.every(number)
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)
const flag: Check = (value) => typeof value === 'boolean'
const object: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const point: Check = (value) => {
  const { version, at } = (object(value) ? value : {}) as { version?: unknown; at?: unknown }
  return version === undefined ? number(at) : Number.isSafeInteger(version) && Number(version) >= 0 && at === undefined
}
const events: Check = (value) => Array.isArray(value) && value.every((event) => object(event) && text(event.type))
const requests: Check = (value) =>
  Array.isArray(value) &&
  value.every(
    (one) =>
      object(one) &&
      text(one.requestKey) &&
      text(one.digest) &&
      [one.version, one.count, one.at].every((part) => Number.isSafeInteger(part)),
  )

const RANGE = { from: point, to: point }
const DECIDED = { id: text, type: text, expectedVersion: number, requestKey: text, meta: object }
const LISTED = {
  type: text,
  prefix: text,
  at: (value: unknown) => text(value) || number(value),
  limit: number,
  after: text,
}

type Run<Result> = (host: Host, params: Params, caller: Caller) => Result

interface Method<Result> {
  readonly shape: Shape
  readonly required: readonly string[]
  /** May it be asked again when nobody knows whether it was done? */
  readonly isSafe: boolean
  readonly run: Run<Result>
}

function method<Result>(shape: Shape, required: readonly string[], isSafe: boolean, run: Run<Result>): Method<Result> {
  return { shape, required, isSafe, run }
}

/** Those with one answer. */
export const CALLS: { readonly [call: string]: Method<unknown> } = {
  append: method({ ...DECIDED, newType: text, events }, ['id', 'events'], false, ({ engine }, params) =>
    engine.append(params as never),
  ),
  appendCopy: method(
    { id: text, type: text, newType: text, events, expectedVersion: number, requests },
    ['id', 'type', 'events', 'expectedVersion', 'requests'],
    false,
    ({ engine }, params) => engine.appendCopy(params as never),
  ),
  execute: method({ ...DECIDED, command: object }, ['id', 'command'], false, ({ engine }, params) =>
    engine.execute(params as never),
  ),
  revert: method({ ...DECIDED, to: point, dryRun: flag }, ['id', 'to'], false, ({ engine }, params) =>
    engine.revert(params as never),
  ),
  erase: method({ ids: texts, reason: text, by: text }, ['ids'], false, ({ engine }, { ids, ...options }) =>
    engine.erase(ids, options),
  ),
  find: method({ id: text }, ['id'], true, ({ engine }, { id }) => engine.find(id)),
  inspect: method({ id: text, point }, ['id'], true, ({ engine }, { id, point }) => engine.inspect(id, point)),
  diff: method({ id: text, other: text, ...RANGE }, ['id'], true, ({ engine }, params) => engine.diff(params as never)),
  blame: method({ id: text, path: upTo(LONG_TEXT_CHARS_MAX.path) }, ['id'], true, ({ engine }, { id, path }) =>
    engine.blame(id, path),
  ),
  stats: method({}, [], true, ({ engine }) => engine.stats()),
  status: method({}, [], true, (host) => host.status()),
  clients: method({}, [], true, ({ clients }) => Array.from(clients(), (client) => client.info())),
  subscribers: method({}, [], true, ({ subscribers, engine }) => {
    const ends = engine.shards().map(({ lastSeq }) => lastSeq)
    return Array.from(subscribers, (subscriber) => subscriber.info(ends))
  }),
  shards: method({}, [], true, ({ engine }) => engine.shards()),
  actors: method(
    { sort: text, reverse: flag, filter: text, offset: number, limit: number },
    [],
    true,
    ({ engine }, params) => engine.actors(params),
  ),
  actor: method({ id: text }, ['id'], true, ({ engine }, { id }) => engine.actor(id)),
  passivate: method({ id: text }, ['id'], true, ({ engine }, { id }) => engine.passivate(id)),
  snapshot: method({ id: text }, ['id'], true, ({ engine }, { id }) => engine.snapshot(id)),
  waitFor: method(
    { projection: orNull(text), position: orNull(position) },
    ['projection', 'position'],
    true,
    ({ engine }, { projection, position }, { signal }) => engine.readModels.waitFor(projection, position, signal),
  ),
  projections: method({}, [], true, ({ engine }) => engine.readModels.list()),
  rebuildProjection: method({ name: text, dryRun: flag }, ['name'], false, ({ engine }, { name, dryRun }, { signal }) =>
    engine.readModels.rebuild(name, { dryRun, signal }),
  ),
  pauseProjection: method({ name: text }, ['name'], true, ({ engine }, { name }) => engine.readModels.pause(name)),
  resumeProjection: method({ name: text }, ['name'], true, ({ engine }, { name }) => engine.readModels.resume(name)),
  dropProjection: method({ name: text }, ['name'], false, ({ engine }, { name }) => engine.readModels.drop(name)),
  skipEvent: method(
    { name: text, position: text, reason: text },
    ['name', 'position', 'reason'],
    true,
    ({ engine }, { name, position, reason }) => engine.readModels.skip(name, position, reason),
  ),
  rowsOf: method({ id: text }, ['id'], true, ({ engine }, { id }) => engine.readModels.rowsOf(id)),
  stop: method({}, [], false, (host) => host.stop()),
}

/** Those with many. */
export const STREAMS: { readonly [call: string]: Method<AsyncIterable<unknown>> } = {
  replay: method({ id: text, ...RANGE, untilEvent: text }, ['id'], true, ({ engine }, { id, ...range }, { signal }) =>
    engine.replay(id, { ...range, signal }),
  ),
  log: method(
    {
      id: text,
      ...RANGE,
      types: names,
      limit: number,
      reverse: flag,
      ...Object.fromEntries(META_FIELDS.map((field) => [field, text])),
    },
    [],
    true,
    ({ engine }, params, { signal }) => engine.log({ ...params, signal }),
  ),
  entities: method(LISTED, [], true, ({ engine }, params, { signal, reached }) =>
    engine.entities({ ...params, signal, reached }),
  ),
  inspectAll: method(LISTED, [], true, ({ engine }, params, { signal, reached }) =>
    engine.inspectAll({ ...params, signal, reached }),
  ),
  query: method(
    { sql: upTo(LONG_TEXT_CHARS_MAX.sql), params: (value) => Array.isArray(value), after: position, timeoutMs: number },
    ['sql'],
    true,
    ({ engine }, params, { signal }) => engine.readModels.query({ ...(params as ReadModelQuery), signal }),
  ),
  feed: method(
    {
      id: text,
      entityTypes: names,
      types: names,
      from: (value) => position(value) || point(value),
      follow: flag,
      crcs: (value) => value === true || numbers(value),
    },
    [],
    true,
    subscribed,
  ),
}

/** @throws KUMA_INVALID_REQUEST */
export function checkParams(call: string, { shape, required }: Method<unknown>, params: unknown): Params {
  const given = (params ?? {}) as { readonly [field: string]: unknown }
  if (!object(given)) throw invalid(call, 'its parameters must be an object')
  const lacking = required.find((field) => given[field] === undefined)
  if (lacking !== undefined) throw invalid(call, `it needs ${lacking}`)
  for (const [field, value] of Object.entries(given)) {
    if (!Object.hasOwn(shape, field)) throw invalid(call, `it takes no ${quoted(field)}`)
    if (!shape[field]!(value))
      throw invalid(call, `its ${field} is of the wrong kind${isLong(value) ? ', or too long' : ''}`)
  }
  return given as Params
}

function isLong(value: unknown): boolean {
  const length = typeof value === 'string' || Array.isArray(value) ? value.length : 0
  return length > NAMES_MAX
}

/** @throws KUMA_INVALID_REQUEST */
export function unknownCall(call: string): KumaError<'KUMA_INVALID_REQUEST'> {
  const meant = nearest(call, [...Object.keys(CALLS), ...Object.keys(STREAMS)])
  return invalid(call, 'there is no such call', meant === undefined ? undefined : `did you mean ${meant}?`)
}

function invalid(call: string, problem: string, hint?: string): KumaError<'KUMA_INVALID_REQUEST'> {
  return new KumaError('KUMA_INVALID_REQUEST', `${quoted(call)}: ${problem}`, { call: shortened(call) }, { hint })
}
