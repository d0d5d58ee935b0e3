/**
 * What may be asked of a daemon, by name: the methods of an engine, and what the daemon tells of itself. Parameters come
 * from anybody who may open the socket, so their shape is looked at here; whether they make sense the engine says.
 */
import type { ReadModelQuery } from '../engine.ts'
import { isVersion, META_FIELDS } from '../entity/event.ts'
import { KumaError, quoted, shortened } from '../errors.ts'
import { meantBy, nearest } from '../nearest.ts'
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
const version: Check = isVersion
const expectedVersion: Check = (value) => isVersion(value) || value === 'exists'
const flag: Check = (value) => typeof value === 'boolean'
const object: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const point: Check = (value) => {
  const { version, at } = (object(value) ? value : {}) as { version?: unknown; at?: unknown }
  return version === undefined ? number(at) : isVersion(version) && at === undefined
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
const DECIDED = { id: text, type: text, expectedVersion, requestKey: text, meta: object }
const LISTED = {
  type: text,
  prefix: text,
  at: (value: unknown) => text(value) || number(value),
  limit: number,
  after: text,
}

/** What a parameter must be, where its name does not say so. */
const WANTED = new Map<Check, string>([
  [version, 'a whole number from 0 on'],
  [expectedVersion, "a whole number from 0 on, or 'exists'"],
])

type Run<Result> = (host: Host, params: Params, caller: Caller) => Result

interface Method<Result> {
  readonly shape: Shape
  readonly required: readonly string[]
  /** May it be asked again when nobody knows whether it was done? A question, which need not be answered when who asked has gone. */
  readonly isSafe: boolean
  /** Does it read histories, so that it takes one of its client's places for slow calls (slow-calls.ts)? */
  readonly isSlow: boolean | ((params: Params) => boolean)
  readonly run: Run<Result>
}

function method<Result>(
  shape: Shape,
  required: readonly string[],
  { isSafe, isSlow }: Pick<Method<Result>, 'isSafe' | 'isSlow'>,
  run: Run<Result>,
): Method<Result> {
  return { shape, required, isSafe, isSlow, run }
}

const QUICK_WRITE = { isSafe: false, isSlow: false }
const SLOW_WRITE = { isSafe: false, isSlow: true }
const QUICK = { isSafe: true, isSlow: false }
const SLOW = { isSafe: true, isSlow: true }

/** Those with one answer. */
export const CALLS: { readonly [call: string]: Method<unknown> } = {
  append: method(
    { ...DECIDED, newType: text, events, recorded: flag },
    ['id', 'events'],
    QUICK_WRITE,
    ({ engine }, params) => engine.append(params as never),
  ),
  appendCopy: method(
    { id: text, type: text, newType: text, events, expectedVersion: version, requests },
    ['id', 'type', 'events', 'expectedVersion', 'requests'],
    QUICK_WRITE,
    ({ engine }, params) => engine.appendCopy(params as never),
  ),
  execute: method(
    { ...DECIDED, newType: orNull(text), command: object },
    ['id', 'command'],
    QUICK_WRITE,
    ({ engine }, params) => engine.execute(params as never),
  ),
  revert: method({ ...DECIDED, to: point, dryRun: flag }, ['id', 'to'], SLOW_WRITE, ({ engine }, params, { signal }) =>
    engine.revert(params as never, params['dryRun'] ? signal : undefined),
  ),
  erase: method({ ids: texts, reason: text, by: text }, ['ids'], QUICK_WRITE, ({ engine }, { ids, ...options }) =>
    engine.erase(ids, options),
  ),
  find: method({ id: text }, ['id'], QUICK, ({ engine }, { id }) => engine.find(id)),
  inspect: method(
    { id: text, point },
    ['id'],
    { isSafe: true, isSlow: ({ point }) => point !== undefined },
    ({ engine }, { id, point }, { signal }) => engine.inspect(id, point, signal),
  ),
  diff: method({ id: text, other: text, ...RANGE }, ['id'], SLOW, ({ engine }, params, { signal }) =>
    engine.diff(params as never, signal),
  ),
  blame: method(
    { id: text, path: upTo(LONG_TEXT_CHARS_MAX.path) },
    ['id'],
    SLOW,
    ({ engine }, { id, path }, { signal }) => engine.blame(id, path, signal),
  ),
  stats: method({}, [], QUICK, ({ engine }) => engine.stats()),
  status: method({}, [], QUICK, (host) => host.status()),
  clients: method({}, [], QUICK, ({ clients }) => Array.from(clients(), (client) => client.info())),
  subscribers: method({}, [], QUICK, ({ subscribers, engine }) => {
    const ends = engine.shards().map(({ lastSeq }) => lastSeq)
    return Array.from(subscribers, (subscriber) => subscriber.info(ends))
  }),
  shards: method({}, [], QUICK, ({ engine }) => engine.shards()),
  actors: method(
    { sort: text, reverse: flag, filter: text, offset: number, limit: number },
    [],
    SLOW,
    ({ engine }, params, { signal }) => engine.actors(params, signal),
  ),
  actor: method({ id: text }, ['id'], QUICK, ({ engine }, { id }) => engine.actor(id)),
  passivate: method({ id: text }, ['id'], QUICK, ({ engine }, { id }) => engine.passivate(id)),
  snapshot: method({ id: text }, ['id'], QUICK, ({ engine }, { id }) => engine.snapshot(id)),
  waitFor: method(
    { projection: orNull(text), position: orNull(position) },
    ['projection', 'position'],
    QUICK,
    ({ engine }, { projection, position }, { signal, leaving }) =>
      engine.readModels.waitFor(projection, position, AbortSignal.any([signal, leaving])),
  ),
  projections: method({}, [], QUICK, ({ engine }) => engine.readModels.list()),
  rebuildProjection: method(
    { name: text, dryRun: flag },
    ['name'],
    QUICK_WRITE,
    ({ engine }, { name, dryRun }, { signal, leaving }) =>
      engine.readModels.rebuild(name, { dryRun, signal: AbortSignal.any([signal, leaving]) }),
  ),
  pauseProjection: method({ name: text }, ['name'], QUICK, ({ engine }, { name }) => engine.readModels.pause(name)),
  resumeProjection: method({ name: text }, ['name'], QUICK, ({ engine }, { name }) => engine.readModels.resume(name)),
  dropProjection: method({ name: text }, ['name'], QUICK_WRITE, ({ engine }, { name }) => engine.readModels.drop(name)),
  skipEvent: method(
    { name: text, position: text, reason: text },
    ['name', 'position', 'reason'],
    QUICK,
    ({ engine }, { name, position, reason }) => engine.readModels.skip(name, position, reason),
  ),
  rowsOf: method({ id: text }, ['id'], QUICK, ({ engine }, { id }) => engine.readModels.rowsOf(id)),
  stop: method({}, [], QUICK_WRITE, (host) => host.stop()),
}

/** Those with many. */
export const STREAMS: { readonly [call: string]: Method<AsyncIterable<unknown>> } = {
  replay: method({ id: text, ...RANGE, untilEvent: text }, ['id'], SLOW, ({ engine }, { id, ...range }, { signal }) =>
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
    SLOW,
    ({ engine }, params, { signal }) => engine.log({ ...params, signal }),
  ),
  entities: method(LISTED, [], SLOW, ({ engine }, params, { signal, reached }) =>
    engine.entities({ ...params, signal, reached }),
  ),
  inspectAll: method(LISTED, [], SLOW, ({ engine }, params, { signal, reached }) =>
    engine.inspectAll({ ...params, signal, reached }),
  ),
  query: method(
    {
      sql: upTo(LONG_TEXT_CHARS_MAX.sql),
      params: (value) => Array.isArray(value),
      after: position,
      stale: flag,
      timeoutMs: number,
    },
    ['sql'],
    QUICK,
    ({ engine }, params, { client, signal }) =>
      engine.readModels.query({ ...(params as ReadModelQuery), asker: client, signal }),
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
    QUICK,
    subscribed,
  ),
}

export function isSlow({ isSlow }: Pick<Method<unknown>, 'isSlow'>, params: Params): boolean {
  return typeof isSlow === 'function' ? isSlow(params) : isSlow
}

/** @throws KUMA_INVALID_REQUEST; KUMA_INVALID_DATA for a number whose digits would not come back */
export function checkParams(call: string, { shape, required }: Method<unknown>, params: unknown): Params {
  if (params instanceof KumaError) throw params // that is what its line says: line-reader.ts
  const given = (params ?? {}) as { readonly [field: string]: unknown }
  if (!object(given)) throw invalid(call, 'its parameters must be an object')
  const lacking = required.find((field) => given[field] === undefined)
  if (lacking !== undefined) throw invalid(call, `it needs ${lacking}`, { field: lacking })
  for (const [field, value] of Object.entries(given)) {
    if (!Object.hasOwn(shape, field)) {
      const hint = meantBy(field, Object.keys(shape))
      throw invalid(call, `it takes no ${quoted(field)}`, { field: shortened(field), hint })
    }
    const check = shape[field]!
    if (check(value)) continue
    const place = placeIn(field, value)
    const problem = `its ${place} is of the wrong kind${isLong(value) ? ', or too long' : ''}`
    throw invalid(call, problem, { field: place, hint: WANTED.get(check) })
  }
  return given as Params
}

/** Of a list of events: which of them, and what of it. */
function placeIn(field: string, value: unknown): string {
  if (field !== 'events' || !Array.isArray(value)) return field
  const at = value.findIndex((event) => !events([event]))
  return `events[${at}]${object(value[at]) ? '.type' : ''}`
}

function isLong(value: unknown): boolean {
  const length = typeof value === 'string' || Array.isArray(value) ? value.length : 0
  return length > NAMES_MAX
}

/** @throws KUMA_INVALID_REQUEST */
export function unknownCall(call: string): KumaError<'KUMA_INVALID_REQUEST'> {
  const meant = nearest(call, [...Object.keys(CALLS), ...Object.keys(STREAMS)])
  const hint = meant === undefined ? undefined : `did you mean ${meant}?`
  return invalid(call, 'there is no such call', { hint })
}

function invalid(
  call: string,
  problem: string,
  { field, hint }: { readonly field?: string; readonly hint?: string | undefined } = {},
): KumaError<'KUMA_INVALID_REQUEST'> {
  const details = { call: shortened(call), ...(field === undefined ? {} : { field }) }
  return new KumaError('KUMA_INVALID_REQUEST', `${quoted(call)}: ${problem}`, details, { hint })
}
