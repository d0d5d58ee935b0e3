/**
 * Times in data that was written elsewhere: the same whenever it is read, and whoever reads it. So `2h ago` is none, and
 * neither is a small number: most programs write seconds since 1970, and those taken for milliseconds would be a day of
 * January 1970, for good. A number is milliseconds, and a time before March 1973 is written as text.
 */
import { KumaError, quoted } from '../errors.ts'
import { EPOCH_MS_MIN, parseIso } from './time.ts'

const RFC_3339 = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/
const DIGITS = /^[+-]?\d+(?:\.\d+)?$/
const MS = 3
const FORMS = 'write when it was, as 2026-11-01T09:30:00Z, or in milliseconds since 1970'

/** Milliseconds since 1970. @param field where it stands. @throws KUMA_INVALID_DATA */
export function instantOf(value: unknown, field: string): number {
  if (typeof value === 'number') return inMilliseconds(value, String(value), field)
  if (typeof value !== 'string') throw invalid(field, 'must be a time')
  const text = value.trim()
  if (DIGITS.test(text)) return inMilliseconds(Number(text), text, field)
  if (isRelative(text)) throw invalid(field, `is ${quoted(value)}, another time whenever it is read`, FORMS)
  try {
    return parseIso(text, value)
  } catch (error) {
    throw invalid(field, `is no time: ${(error as Error).message}`, FORMS)
  }
}

function inMilliseconds(time: number, text: string, field: string): number {
  if (Math.abs(time) >= EPOCH_MS_MIN || !Number.isFinite(time)) return time
  const iso = (ms: number) => new Date(ms).toISOString()
  const hint = `milliseconds have 12 digits or more (${Math.round(time * 1_000)} would be ${iso(time * 1_000)}); a time before March 1973 is written as text, "${iso(time)}"`
  throw invalid(field, `is ${text}, which looks like seconds since 1970`, hint)
}

function isRelative(text: string): boolean {
  return /^(?:now|today|yesterday|-?\d{1,9}\s*[a-z]+(?:\s+ago)?)$/i.test(text)
}

/**
 * As CloudEvents has it. A leap second is the second before it, since milliseconds since 1970 know none.
 * @throws KUMA_INVALID_DATA
 */
export function parseRfc3339(value: unknown, field: string): number {
  const match = typeof value === 'string' ? RFC_3339.exec(value) : null
  const hint = 'write it as 2026-11-01T09:30:00Z'
  const wrong = (problem: string) => invalid(field, `${problem}: ${quoted(String(value))}`, hint)
  if (match === null) throw wrong('is no time of RFC 3339')
  const [, date, minute, second, fraction = '', zone] = match
  const [hours, minutes] = zone!.slice(1).split(':')
  if (Number(hours ?? 0) > 23 || Number(minutes ?? 0) > 59) throw wrong('has a zone that there is not')
  const isLeap = second === '60'
  const at = Date.parse(`${date}T${minute}:${isLeap ? '59' : second}${fraction.slice(0, 1 + MS)}${zone!.toUpperCase()}`)
  const day = Date.parse(`${date}T00:00Z`)
  // Date.parse takes 31 February for 3 March, and 24:00 for the day after
  const isThere = !Number.isNaN(at) && !minute!.startsWith('24') && dateOf(day) === date
  if (!isThere || (isLeap && !endsUtcDay(at))) throw wrong('is a time that there is not')
  return at
}

function dateOf(day: number): string {
  return Number.isNaN(day) ? '' : new Date(day).toISOString().slice(0, 10)
}

/** Leap seconds are put in there only. */
function endsUtcDay(at: number): boolean {
  return new Date(at).toISOString().slice(11, 19) === '23:59:59'
}

function invalid(field: string, problem: string, hint?: string): KumaError<'KUMA_INVALID_DATA'> {
  return new KumaError('KUMA_INVALID_DATA', `the field ${field} ${problem}`, { path: `.${field}` }, { hint })
}
