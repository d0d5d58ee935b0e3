/**
 * What a program hands to the library, where no compiler has looked at it: options that there are, of their kind, and
 * arguments of theirs. An option that is passed over in silence is the worst of it: with `expectVersion` nothing is expected.
 */
import type {
  AppendOptions,
  BackupOptions,
  ConnectOptions,
  DeleteOptions,
  DiffOptions,
  EntitiesQuery,
  FeedFilter,
  ForkOptions,
  LogQuery,
  QueryOptions,
  ReplayRange,
  RevertOptions,
  SpawnOptions,
  SubscribeOptions,
  WaitOptions,
} from './api.ts'
import { definitionOf } from './entity/define-entity.ts'
import { isVersion, META_FIELDS } from './entity/event.ts'
import { KumaError, quoted } from './errors.ts'
import { meantBy } from './nearest.ts'

interface Kind {
  readonly is: (value: unknown) => boolean
  /** in a sentence: it must be .. */
  readonly wanted: string
}
type Known<T> = { readonly [name in keyof T]-?: Kind }
type Names = ReadonlyMap<string, Kind>

/** Looked at where it is used. */
const ELSEWHERE: Kind = { is: () => true, wanted: '' }
const VERSION: Kind = {
  is: (value) => value === 'exists' || isVersion(value),
  wanted: "a whole number from 0 on, or 'exists'",
}
const NUMBER: Kind = { is: (value) => typeof value === 'number' && value >= 0, wanted: 'a number from 0 on' }
const TEXT: Kind = { is: (value) => typeof value === 'string', wanted: 'a text' }
const TEXTS: Kind = {
  is: (value) => typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string')),
  wanted: 'a text, or an array of texts',
}
const FLAG: Kind = { is: (value) => typeof value === 'boolean', wanted: 'true or false' }
const SIGNAL: Kind = {
  is: (value) => typeof (value as AbortSignal | null)?.addEventListener === 'function',
  wanted: 'an AbortSignal',
}
const FUNCTION: Kind = { is: (value) => typeof value === 'function', wanted: 'a function' }
const DEFINITIONS: Kind = { is: Array.isArray, wanted: 'an array of definitions' }
const IF_EXISTS: Kind = { is: (value) => value === 'return' || value === 'error', wanted: "'return' or 'error'" }
const FILTER: Kind = { is: (value) => isObject(value), wanted: 'an object' }

const APPENDING: Known<AppendOptions> = { expectedVersion: VERSION, requestKey: ELSEWHERE, meta: ELSEWHERE }
const RANGE = { from: ELSEWHERE, to: ELSEWHERE, signal: SIGNAL }

export const APPEND = namesOf<AppendOptions>(APPENDING)
export const SPAWN = namesOf<SpawnOptions>({ ifExists: IF_EXISTS, requestKey: ELSEWHERE, meta: ELSEWHERE })
export const REVERT = namesOf<RevertOptions>({ ...APPENDING, dryRun: FLAG })
export const REPLAY = namesOf<ReplayRange>({ ...RANGE, untilEvent: TEXT })
export const DIFF = namesOf<DiffOptions>({ from: ELSEWHERE, to: ELSEWHERE, other: TEXT })
export const DELETE = namesOf<DeleteOptions>({ reason: TEXT })
export const LOG = namesOf<LogQuery<string>>({
  ...RANGE,
  ...(Object.fromEntries(META_FIELDS.map((field) => [field, TEXT])) as Record<(typeof META_FIELDS)[number], Kind>),
  type: TEXTS,
  limit: NUMBER,
  reverse: FLAG,
})
export const ENTITIES = namesOf<EntitiesQuery>({
  type: { is: (value) => typeof value === 'string' || definitionOf(value as never) !== undefined, wanted: 'a type' },
  prefix: TEXT,
  at: ELSEWHERE,
  limit: NUMBER,
  signal: SIGNAL,
})
export const SUBSCRIBE = namesOf<SubscribeOptions>({
  entities: DEFINITIONS,
  filter: FILTER,
  from: ELSEWHERE,
  signal: SIGNAL,
})
export const FEED_FILTER = namesOf<FeedFilter>({ entity: TEXT, type: TEXTS, event: TEXTS })
export const WAIT = namesOf<WaitOptions>({ signal: SIGNAL })
export const QUERY = namesOf<QueryOptions & { readonly of?: unknown }>({
  after: TEXT,
  stale: FLAG,
  onBehind: FUNCTION,
  timeoutMs: ELSEWHERE,
  of: ELSEWHERE,
  signal: SIGNAL,
})
export const BACKUP = namesOf<BackupOptions>({
  to: TEXT,
  link: FLAG,
  verify: FLAG,
  keep: NUMBER,
  keepWithinMs: NUMBER,
  keysTo: TEXT,
  signal: SIGNAL,
})
export const FORK = namesOf<ForkOptions>({
  at: ELSEWHERE,
  entity: TEXT,
  prefix: TEXT,
  type: TEXT,
  onProgress: FUNCTION,
  signal: SIGNAL,
})
export const CONNECT = namesOf<ConnectOptions>({ token: TEXT, tokenFile: TEXT, signal: SIGNAL })

/** A Map, since an option may be called `constructor`. */
function namesOf<T>(known: Known<T>): Names {
  return new Map(Object.entries<Kind>(known as { readonly [name: string]: Kind }))
}

/**
 * The options of a call, none if they are left out.
 * @param call as it is written: `append()`
 * @throws KUMA_USAGE for one that there is not, or of the wrong kind
 */
export function checked<T extends object>(call: string, given: T | undefined, known: Names): T {
  if (given === undefined) return NONE as T
  if (!isObject(given))
    throw wrong(
      `the options of ${call} are an object, and not ${shown(given)}`,
      `it takes ${[...known.keys()].join(', ')}`,
    )
  for (const name in given) {
    if (!Object.hasOwn(given, name)) continue // an AbortController in the place of `{ signal }`
    const kind = known.get(name)
    if (kind === undefined) throw wrong(`${call} has no option ${quoted(name)}`, meantBy(name, [...known.keys()]))
    const value: unknown = (given as { readonly [name: string]: unknown })[name]
    if (value !== undefined && !kind.is(value))
      throw wrong(`${name} of ${call} must be ${kind.wanted}, and is ${shown(value)}`)
  }
  return given
}

const NONE = Object.freeze({})

/** Is that an event, or a command, as far as anybody can tell without the definition? */
export function isMessage(value: unknown): boolean {
  return typeof (value as { type?: unknown } | null | undefined)?.type === 'string'
}

/** @param call as it is written: `append()` @param what 'an event' or 'a command' */
export function noMessage(call: string, what: string, given: unknown): KumaError<'KUMA_USAGE'> {
  const hint = Array.isArray(given) ? 'appendAll([...]) records several as one unit' : asMessage(what, given)
  return wrong(`${call} takes ${what}, and was given ${untyped(given)}`, hint)
}

/** @param given what should have been events */
export function noEvents(given: unknown): KumaError<'KUMA_USAGE'> {
  const takes = 'appendAll() takes an array of events'
  if (Array.isArray(given)) {
    const other = given.find((event) => !isMessage(event))
    return wrong(`${takes}, and one of these is ${untyped(other)}`, asMessage('an event', other))
  }
  const hint = isMessage(given) ? 'append(event) records one' : 'appendAll([{ type, data }, { type, data }])'
  return wrong(`${takes}, and was given ${shown(given)}`, hint)
}

function untyped(given: unknown): string {
  return isObject(given) ? 'an object without a text as its `type`' : shown(given)
}

/** @param given what was probably meant as its name */
function asMessage(what: string, given: unknown): string {
  return `${what} is { type: ${typeof given === 'string' ? quoted(given) : "'...'"}, data: { ... } }`
}

/** @throws KUMA_USAGE */
export function checkText(what: string, value: unknown): void {
  if (typeof value !== 'string') throw wrong(`${what} must be a text, and is ${shown(value)}`)
}

export function wrong(message: string, hint?: string): KumaError<'KUMA_USAGE'> {
  return new KumaError('KUMA_USAGE', message, {}, { hint })
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What somebody gave, in a sentence. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `the text ${quoted(value)}`
    case 'bigint':
      return `the bigint ${value}n`
    case 'number':
      return Number.isNaN(value) ? 'NaN' : `the number ${value}`
    case 'function':
      return 'a function'
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value) ? 'an array' : 'an object'
    default:
      return String(value)
  }
}
