/**
 * The one grammar for times, in the library and in the shell:
 *
 *     2026-11-01, 2026-11     its first instant, UTC
 *     2026-11-01T09:30[:15[.250]][Z|+02:00]     no zone means UTC
 *     2h ago, 2 hours ago, 2h, -2h    s, m, h, d, w, or the whole word
 *     now, today, yesterday   the days are UTC's; as a point, now is the end of what is recorded, whatever the clock says
 *     1793500000000           milliseconds since 1970
 *
 * A POINT is a time, or `vN`: a version of one entity. The library takes it as such a text, or as an object.
 */
import { KumaError, quoted, shortened } from '../errors.ts'

/** A POINT as a text, such as `v3` or `2h ago`; or a version, or a time. */
export type Point =
  | string
  | { readonly version: number; readonly at?: undefined }
  | { readonly at: Date | number | string; readonly version?: undefined }

/** A point whose time has been read. */
export type ResolvedPoint =
  | { readonly version: number; readonly at?: undefined }
  | { readonly at: number; readonly version?: undefined }

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const UNIT = '(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)'
const AGO = new RegExp(`^(?:-(\\d{1,9})\\s*${UNIT}|(\\d{1,9})\\s*${UNIT}(?:\\s+ago)?)$`)
const MONTH = /^\d{4}-\d{2}$/
const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/i
/** No form is longer, also with white space around it. */
const CHARS_MAX = 256
/** The largest time a JavaScript Date can hold. */
export const TIME_MAX = 8_640_000_000_000_000
/** Below this an integer is rather a version or seconds than milliseconds: it would be a time in 1973 or earlier. */
export const EPOCH_MS_MIN = 100_000_000_000
/** From here on it is rather seconds than a version: they would be a time after 1973. */
const EPOCH_S_MIN = 100_000_000

/** A point of the library's API. @throws KUMA_INVALID_POINT */
export function resolvePoint(point: Point, now: number = Date.now()): ResolvedPoint {
  if (typeof point === 'string') return parsePoint(point, now)
  if (typeof point !== 'object' || point === null || point instanceof Date) throw noPoint(point)
  const { version, at } = point
  if (version !== undefined && at === undefined) {
    if (Number.isSafeInteger(version) && version >= 0) return { version }
    throw invalid(String(version), 'a version is a whole number from 0 on')
  }
  if (version !== undefined || at === undefined) throw invalid(JSON.stringify(point), 'give either a version or a time')
  if (typeof at === 'string') return { at: isNow(at) ? TIME_MAX : parseTime(at, now) }
  const time = typeof at === 'number' ? at : at instanceof Date ? at.getTime() : Number.NaN
  if (!Number.isFinite(time) || Math.abs(time) > TIME_MAX) throw invalid(String(at), 'this is not a time')
  return { at: Math.trunc(time) }
}

function noPoint(given: unknown): KumaError<'KUMA_INVALID_POINT'> {
  const meant =
    given instanceof Date
      ? '{ at: date }'
      : typeof given === 'number'
        ? Math.abs(given) < EPOCH_MS_MIN
          ? `'v${given}'`
          : `{ at: ${given} }`
        : null
  const shown = given instanceof Date ? (JSON.stringify(given) ?? '') : String(given)
  return invalid(shown, meant === null ? FORMS : `did you mean ${meant}?`)
}

/** For what has no versions, since it is about many entities. @param what "a log of all" @throws KUMA_INVALID_POINT */
export function timeOf(point: ResolvedPoint, what: string): number {
  if (point.version === undefined) return point.at
  const name = `v${point.version}`
  throw new KumaError('KUMA_INVALID_POINT', `${name} is a version of one entity: ${what} takes a time`, { point: name })
}

/** A point as a person writes it. @throws KUMA_INVALID_POINT */
export function parsePoint(text: string, now: number = Date.now()): ResolvedPoint {
  if (text.length > CHARS_MAX) throw invalid(text, FORMS)
  if (isNow(text)) return { at: TIME_MAX }
  const version = /^v(\d{1,15})$/i.exec(text.trim())
  return version ? { version: Number(version[1]) } : { at: parseTime(text, now) }
}

/** What is recorded may lie ahead of the clock, which need not be that of whoever recorded it. */
function isNow(text: string): boolean {
  return text.length <= CHARS_MAX && text.trim().toLowerCase() === 'now'
}

/** Is that a point, as a person writes it? */
export function isPoint(text: string): boolean {
  try {
    parsePoint(text)
    return true
  } catch {
    return false
  }
}

/** Milliseconds since 1970. @throws KUMA_INVALID_POINT */
export function parseTime(text: string, now: number = Date.now()): number {
  if (text.length > CHARS_MAX) throw invalid(text, FORMS)
  const trimmed = text.trim()
  const word = trimmed.toLowerCase()
  const today = now - (((now % UNIT_MS['d']!) + UNIT_MS['d']!) % UNIT_MS['d']!)
  if (word === 'now') return now
  if (word === 'today') return today
  if (word === 'yesterday') return today - UNIT_MS['d']!

  const ago = AGO.exec(word)
  if (ago) {
    const time = now - Number(ago[1] ?? ago[3]) * UNIT_MS[(ago[2] ?? ago[4])![0]!]!
    if (time < -TIME_MAX) throw invalid(text, 'this is earlier than any date')
    return time
  }

  if (/^\d+$/.test(trimmed)) {
    const number = Number(trimmed)
    if (number < EPOCH_MS_MIN) {
      const meant = number < EPOCH_S_MIN ? `v${trimmed}` : `${number}000, which is ${isoOf(number * 1_000)}`
      throw invalid(text, `did you mean ${meant}? A time in milliseconds has 12 digits or more`)
    }
    if (number > TIME_MAX) throw invalid(text, 'this is later than any date')
    return number
  }
  return parseIso(MONTH.test(trimmed) ? `${trimmed}-01` : trimmed, text)
}

/** @param text as it was written. @throws KUMA_INVALID_POINT */
export function parseIso(trimmed: string, text: string): number {
  const match = ISO.exec(trimmed)
  if (!match) throw invalid(text, FORMS)
  const [date, time] = [trimmed.slice(0, 10), trimmed.slice(11)]
  const zone = match[1] ?? 'Z'
  const clock = time === '' ? '00:00' : match[1] === undefined ? time : time.slice(0, -match[1].length)
  const at = Date.parse(`${date}T${clock}${zone.toUpperCase().replace(/^([+-]\d{2})(\d{2})$/, '$1:$2')}`)
  // Date.parse takes 31 February for 3 March: the day must come back as it was written
  const day = new Date(`${date}T00:00Z`)
  if (Number.isNaN(at) || Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== date) {
    throw invalid(text, 'there is no such date')
  }
  return at
}

function isoOf(at: number): string {
  return new Date(at).toISOString()
}

const FORMS = "write v3, 2026-11, 2026-11-01, 2026-11-01T09:30Z, '2h ago', yesterday, now, or milliseconds since 1970"

function invalid(point: string, hint: string): KumaError<'KUMA_INVALID_POINT'> {
  return new KumaError(
    'KUMA_INVALID_POINT',
    `cannot read the point ${quoted(point)}`,
    { point: shortened(point) },
    { hint },
  )
}
