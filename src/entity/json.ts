/**
 * What an event may carry: JSON that comes back from the disk exactly as it went in.
 *
 * `cleanJson` checks and copies in one walk. The copy matters as much as the check: the caller's object may change
 * after `append`, and an entity's state may hold parts of it.
 *
 * A number is a double, as in all of JavaScript, and comes back as it is. What is written as text may have digits that no
 * double has: such a number is refused where text is read (`parseJson`), since from there on nobody would know.
 */
import { KumaError, quoted, shortened } from '../errors.ts'
import { isShallow, textTooLarge, tooDeepToRead } from './state-size.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }
export type JsonObject = { readonly [key: string]: Json | undefined }

export const DATA_BYTES_MAX = 1024 * 1024
export const DATA_DEPTH_MAX = 64
/** Data within a request. */
export const REQUEST_DEPTH_MAX = DATA_DEPTH_MAX + 8

/**
 * A deep copy of `value` as plain JSON; properties that are `undefined` are left out, as JSON.stringify does.
 * @param what names the value in messages: "data of Deposited"
 * @throws KUMA_INVALID_DATA with the path of the part that JSON cannot give back
 */
export function cleanJson(value: unknown, what: string): JsonObject {
  if (!isPlainObject(value)) throw invalid(what, [], 'must be a JSON object')
  const start = path.length
  try {
    return clean(value, what, start, 1) as JsonObject
  } catch (error) {
    path.length = start
    throw error
  }
}

/** Where the walk is, for its messages. One for all walks, since one for each would cost as much as the walk. */
const path: (string | number)[] = []

/**
 * A copy of plain objects and arrays, all else as it is: keeps what a caller handed in until it can be checked.
 * What is nested deeper than will be accepted is not copied either.
 */
export function copyPlain<T>(value: T, depth = 0, seen: Map<unknown, unknown> = new Map()): T {
  if (depth > REQUEST_DEPTH_MAX || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return copyArray(value, depth, seen) as T
  return isPlainObject(value) ? (copyObject(value, depth, seen) as T) : value
}

function copyArray(value: readonly unknown[], depth: number, seen: Map<unknown, unknown>): unknown {
  const known = seen.get(value)
  if (known !== undefined) return known
  const copy = new Array<unknown>(value.length)
  if (value.length > 0) seen.set(value, copy)
  for (let i = 0; i < value.length; i++) copy[i] = copyPlain(value[i], depth + 1, seen)
  return copy
}

function copyObject(value: Record<string, unknown>, depth: number, seen: Map<unknown, unknown>): unknown {
  const known = seen.get(value)
  if (known !== undefined) return known
  const keys = Object.keys(value)
  const copy: Record<string, unknown> = {}
  if (keys.length > 0) seen.set(value, copy)
  for (const key of keys) {
    const part = copyPlain(value[key], depth + 1, seen)
    // as a property of its own, so that it is seen and refused
    if (key === '__proto__')
      Object.defineProperty(copy, key, { value: part, enumerable: true, configurable: true, writable: true })
    else copy[key] = part
  }
  return copy
}

function clean(value: unknown, what: string, start: number, depth: number): Json {
  switch (typeof value) {
    case 'string':
      checkText(value, what, start)
      return value
    case 'number':
      return cleanNumber(value, what, start)
    case 'boolean':
      return value
    case 'object':
      if (value === null) return null
      if (depth > DATA_DEPTH_MAX)
        throw invalid(what, path.slice(start), `is nested deeper than ${DATA_DEPTH_MAX} levels`)
      return Array.isArray(value) ? cleanArray(value, what, start, depth) : cleanObject(value, what, start, depth)
    default:
      throw invalid(what, path.slice(start), `is ${describe(value)}, which JSON cannot hold`)
  }
}

function cleanArray(value: unknown[], what: string, start: number, depth: number): Json {
  const copy = new Array<Json>(value.length)
  for (let i = 0; i < value.length; i++) {
    path.push(i)
    copy[i] = clean(value[i], what, start, depth + 1)
    path.pop()
  }
  return copy
}

function cleanObject(value: object, what: string, start: number, depth: number): Json {
  if (!isPlainObject(value))
    throw invalid(what, path.slice(start), `is ${describe(value)}, which JSON cannot give back`)
  const copy: Record<string, Json> = {}
  for (const key of Object.keys(value)) {
    const part = value[key]
    if (part === undefined) continue
    path.push(key)
    if (key === '__proto__') throw invalid(what, path.slice(start), 'is a key that would change what the object is')
    checkText(key, what, start)
    copy[key] = clean(part, what, start, depth + 1)
    path.pop()
  }
  return copy
}

function cleanNumber(value: number, what: string, start: number): number {
  if (!Number.isFinite(value)) throw invalid(what, path.slice(start), `is ${value}, which JSON cannot hold`)
  return value === 0 ? 0 : value // -0 comes back from JSON as 0
}

function checkText(value: string, what: string, start: number): void {
  if (value.length > DATA_BYTES_MAX) throw invalid(what, path.slice(start), 'is larger than 1 MiB')
  if (!value.isWellFormed()) throw invalid(what, path.slice(start), 'has a lone surrogate, which UTF-8 cannot hold')
  if (value.includes('\0')) throw invalid(what, path.slice(start), 'has a NUL character')
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // an object from another realm (a test runner, a vm) has another Object.prototype, whose own prototype is null
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return value === undefined ? 'undefined' : `a ${typeof value}`
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' && name !== 'Object' ? `a ${name}` : 'not a plain object'
}

function invalid(
  what: string,
  path: readonly (string | number)[],
  problem: string,
  options?: { readonly cause: unknown },
): KumaError<'KUMA_INVALID_DATA'> {
  const where = path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${shortened(part).toWellFormed()}`))
    .join('')
  const message = `${what}${where === '' ? '' : ` at ${where}`} ${problem}`
  return new KumaError('KUMA_INVALID_DATA', message, { path: where }, options)
}

/**
 * The text of a clean value, no longer than the log takes.
 * @throws KUMA_INVALID_DATA if it is longer than 1 MiB in UTF-8
 */
export function jsonText(value: JsonObject, what: string): string {
  const text = JSON.stringify(value)
  if (text.length * 3 > DATA_BYTES_MAX && Buffer.byteLength(text) > DATA_BYTES_MAX) {
    throw invalid(what, [], `is larger than 1 MiB (${Buffer.byteLength(text)} bytes)`)
  }
  return text
}

/**
 * A state as JSON gives it back. A model's state may hold what JSON cannot (a Date, a Set, undefined): then it is what
 * JSON.stringify makes of it.
 * @throws KUMA_INVALID_DATA for one that cannot be written as JSON at all; KUMA_STATE_TOO_LARGE also for one that is nested so
 * deep that nothing could be done with it
 */
export function asJson(state: unknown, id: string): JsonObject {
  if (!isShallow(state)) throw tooDeepToRead(id)
  return JSON.parse(stateText(state, id)) as JsonObject
}

/** The same as text. @throws KUMA_INVALID_DATA, KUMA_STATE_TOO_LARGE */
export function stateText(state: unknown, id: string): string {
  const what = `the state of ${id}`
  let text: string | undefined
  try {
    text = JSON.stringify(state)
  } catch (cause) {
    if (cause instanceof RangeError) throw textTooLarge(what, id, cause)
    throw invalid(what, [], `cannot be written as JSON: ${(cause as Error).message}`, { cause })
  }
  if (text === undefined) throw invalid(what, [], `cannot be written as JSON: it is ${typeof state}`)
  return text
}

/**
 * JSON.stringify for what a state may be in.
 * @throws KUMA_STATE_TOO_LARGE for what is too deep for the stack, or too long for one text
 */
export function writeJson(value: unknown, what: string, indent?: number): string {
  try {
    return JSON.stringify(value, null, indent)
  } catch (error) {
    throw error instanceof RangeError ? textTooLarge(what, null, error) : error
  }
}

/**
 * JSON.parse for text that a person or another program wrote: it also refuses a key that stands twice in one object,
 * where JSON.parse silently keeps the last, and a number whose digits would not come back.
 * @throws KUMA_INVALID_DATA
 */
export function parseJson(text: string, what: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new KumaError(
      'KUMA_INVALID_DATA',
      `${what} is not JSON: ${(cause as Error).message}`,
      { path: '' },
      { cause },
    )
  }
  const key = duplicateKey(text)
  if (key !== null) throw invalid(what, [], `has the key ${quoted(key)} twice in one object`)
  checkNumbers(text, what)
  return value
}

/** Digits and a point in a row, of which any more may not come back. */
const DIGITS = 15
/** So near to 0 a number has fewer digits, or none. */
const TINY = /\d[eE]-\d{3}/
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/y

/** @param text is known to be valid JSON. @throws KUMA_INVALID_DATA for a number whose digits would not come back */
export function checkNumbers(text: string, what: string): void {
  if (!hasLongNumber(text) && !TINY.test(text)) return
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) at = endOfString(text, at) - 1
    else if (char === MINUS || isDigit(char)) {
      NUMBER.lastIndex = at
      const [number] = NUMBER.exec(text)!
      if (!comesBack(number)) throw invalid(what, pathTo(text, at), lost(number))
      at += number.length - 1
    }
  }
}

/** Looks at one character of so many, since this is asked of every message: a long number has one of them. */
function hasLongNumber(text: string): boolean {
  for (let at = DIGITS; at < text.length; at += DIGITS + 1) {
    if (!isOfNumber(text.charCodeAt(at))) continue
    let start = at
    let end = at + 1
    while (start > 0 && isOfNumber(text.charCodeAt(start - 1))) start--
    while (end < text.length && isOfNumber(text.charCodeAt(end))) end++
    if (end - start > DIGITS) return true
  }
  return false
}

function isOfNumber(char: number): boolean {
  return isDigit(char) || char === POINT
}

function lost(number: string): string {
  const isWhole = /^-?\d+$/.test(number)
  const kind = isWhole ? 'an integer beyond 2^53' : shortened(number)
  return `is ${kind}, whose digits would not come back (but ${Number(number)}): give it as a string`
}

/**
 * Does a number in JSON come back with the digits that it is written with? Of a fraction 17 may be written, as many programs
 * do to tell one double from the next, although fewer come back.
 */
function comesBack(number: string): boolean {
  const value = Number(number)
  if (!Number.isFinite(value)) return true // what is infinite is refused as that, wherever it stands
  const written = decimalOf(number)
  if (written.digits === '') return true // zero
  if (written.power < 0 && written.digits.length <= 17 && value !== 0 && Math.abs(value) < 2 ** 53) return true
  const again = decimalOf(String(value))
  return written.digits === again.digits && written.power === again.power
}

/** A number as whole digits, neither beginning nor ending with 0, and the power of ten that they are multiplied with. */
function decimalOf(number: string): { readonly digits: string; readonly power: number } {
  const [, whole = '', fraction = '', power = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(number)!
  const all = whole + fraction
  let [start, end] = [0, all.length]
  while (all[start] === '0') start++
  while (end > start && all[end - 1] === '0') end--
  return { digits: all.slice(start, end), power: Number(power) - fraction.length + all.length - end }
}

/** The keys and indexes that lead to a place in valid JSON. */
function pathTo(text: string, end: number): (string | number)[] {
  const open: (string | number)[] = []
  let key = ''
  for (let at = 0; at < end; at++) {
    const char = text.charCodeAt(at)
    const last = open.length - 1
    if (char === QUOTE) {
      key = text.slice(at, endOfString(text, at))
      at += key.length - 1
    } else if (char === BRACE) open.push('')
    else if (char === BRACKET) open.push(0)
    else if (char === BRACE_END || char === BRACKET_END) open.pop()
    else if (char === COLON) open[last] = keyOf(key)
    else if (char === COMMA && typeof open[last] === 'number') open[last]++
  }
  return open
}

function isDigit(char: number): boolean {
  return char >= ZERO && char <= NINE
}

const [QUOTE, COLON, BACKSLASH, COMMA, MINUS, POINT, ZERO, NINE] = [0x22, 0x3a, 0x5c, 0x2c, 0x2d, 0x2e, 0x30, 0x39]
const [BRACE, BRACE_END, BRACKET, BRACKET_END] = [0x7b, 0x7d, 0x5b, 0x5d]

/** The first key that stands twice in one object of `text`, which is known to be valid JSON; null if there is none. */
function duplicateKey(text: string): string | null {
  /** keys of the objects that are open; null where there is none yet */
  const open: (Set<string> | null)[] = []
  let [start, end] = [0, 0] // of the last string
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) {
      start = at
      end = endOfString(text, at)
      at = end - 1
    } else if (char === BRACE || char === BRACKET) open.push(null)
    else if (char === BRACE_END || char === BRACKET_END) open.pop()
    else if (char === COLON) {
      const keys = open.at(-1) ?? new Set()
      const key = keyOf(text.slice(start, end))
      if (keys.has(key)) return key
      open[open.length - 1] = keys.add(key)
    }
  }
  return null
}

/** What a string in JSON's quotes stands for. */
function keyOf(quotedKey: string): string {
  return quotedKey.includes('\\') ? (JSON.parse(quotedKey) as string) : quotedKey.slice(1, -1)
}

/** Just past the closing quote. Not a regular expression: of a long text those overflow the stack. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) return at + 1
    if (char === BACKSLASH) at++
  }
}
