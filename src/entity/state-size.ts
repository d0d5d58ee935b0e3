/**
 * How large a state is, as JSON in UTF-8, and how deep. A walk that goes no further than the bound comes first: a state
 * that shares its parts may be small in memory and endless as text. Only what is within the bound is written as text.
 */
import { KumaError } from '../errors.ts'

/** V8 makes no longer text. */
const TEXT_LENGTH_MAX = 2 ** 29

/** How deep a state may get: what is done with it goes down level by level, and the stack of calls has an end. */
export const STATE_DEPTH_MAX = 500
/** How deep one may be that something is done with: that it got too deep is found some events later. */
const READABLE_DEPTH_MAX = 1_000

export interface Size {
  /** of one beyond the bound at least so many */
  readonly bytes: number
  /** nested deeper than `STATE_DEPTH_MAX` levels */
  readonly isDeep: boolean
  /** The text of which JSON makes exactly this state again; null if there is none, or if it is beyond the bound. */
  readonly text: string | null
}

/** @param bytesMax the bound */
export function sizeOf(state: unknown, bytesMax: number): Size {
  const { bytes, isDeep, isExact } = walked(state, bytesMax)
  if (isDeep || bytes > bytesMax) return { bytes, isDeep, text: null }
  const text = textOf(state)
  // what JSON leaves out, as the items of a Set, is held in memory all the same
  return { bytes: Math.max(bytes, Buffer.byteLength(text)), isDeep, text: isExact ? text : null }
}

/** The least that it can be: costs a part of `sizeOf`, and no memory. */
export function leastSizeOf(state: unknown, bytesMax: number): Omit<Size, 'text'> {
  const { bytes, isDeep } = walked(state, bytesMax)
  return { bytes, isDeep }
}

/** Can something be done with it that goes down all of it? */
export function isShallow(state: unknown): boolean {
  return !walked(state, TEXT_LENGTH_MAX, READABLE_DEPTH_MAX).isDeep
}

/** At most so many bytes in UTF-8: to count those of a short text would take longer than to add them up. */
export function bytesAtMost(text: string): number {
  return text.length < SHORT ? text.length * UTF8_BYTES_MAX : Buffer.byteLength(text)
}

const SHORT = 1_024
const UTF8_BYTES_MAX = 3 // of a UTF-16 unit

function textOf(state: unknown): string {
  try {
    return JSON.stringify(state) ?? ''
  } catch {
    return '' // a bigint, a cycle, a toJSON that throws: the walk has counted it
  }
}

function walked(state: unknown, bytesMax: number, depthMax = STATE_DEPTH_MAX): Walk {
  const walk = new Walk(bytesMax, depthMax, null)
  walk.add(state)
  if (!walk.isCyclic) return walk
  const again = new Walk(bytesMax, depthMax, new Set()) // each object counts once
  again.add(state)
  again.isExact = false
  return again
}

/** Whether the objects around a part have one among them that stands around itself is looked at so often. */
const CYCLE_LOOK = 16

class Walk {
  bytes = 0
  isDeep = false
  isExact = true
  isCyclic = false
  /** those that the walk is in */
  private readonly around: object[] = []

  constructor(
    private readonly bytesMax: number,
    private readonly depthMax: number,
    private readonly seen: Set<object> | null,
  ) {}

  private get isOver(): boolean {
    return this.isDeep || this.isCyclic || this.bytes > this.bytesMax
  }

  add(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.bytes += value.length + 2
        if (this.isExact && (!value.isWellFormed() || value.includes('\0'))) this.isExact = false // SQLite's text can hold neither
        return
      case 'number':
        this.bytes += 1
        if (!Number.isFinite(value) || Object.is(value, -0)) this.isExact = false
        return
      case 'boolean':
        this.bytes += 4
        return
      case 'object':
        if (value === null) this.bytes += 4
        else this.enter(value)
        return
      default:
        this.isExact = false // undefined too: JSON would leave the property out
    }
  }

  private enter(value: object): void {
    if (this.seen !== null) {
      if (this.seen.has(value)) return
      this.seen.add(value)
    }
    const { around } = this
    around.push(value)
    this.bytes += 2
    if (around.length > this.depthMax) this.isDeep = true
    else if (Array.isArray(value)) this.addArray(value)
    else if (ArrayBuffer.isView(value)) this.addView(value)
    else if (value instanceof Map) this.addItems([...value.keys(), ...value.values()])
    else if (value instanceof Set) this.addItems([...value])
    else this.addFields(value)
    const isLook = around.length % CYCLE_LOOK === 0 || this.bytes > this.bytesMax || this.isDeep
    if (isLook && this.seen === null && new Set(around).size < around.length) {
      this.isCyclic = true
      this.isDeep = false
    }
    around.pop()
  }

  private addArray(value: readonly unknown[]): void {
    if (value.length > 1) this.bytes += value.length - 1
    for (let i = 0; i < value.length && !this.isOver; i++) this.add(value[i])
    if (this.isExact && Object.keys(value).length !== value.length) this.isExact = false
  }

  private addView(value: ArrayBufferView): void {
    this.isExact = false
    this.bytes += value.byteLength
  }

  private addItems(items: readonly unknown[]): void {
    this.isExact = false
    this.addArray(items)
  }

  private addFields(value: object): void {
    if (this.isExact && !isPlain(value)) this.isExact = false
    for (const key of Object.keys(value)) {
      if (this.isOver) return
      if (key === '__proto__') this.isExact = false
      this.bytes += key.length + 3
      this.add((value as Record<string, unknown>)[key])
    }
  }
}

function isPlain(value: object): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype && !isForeignPlain(value)) return false
  return Object.getOwnPropertySymbols(value).length === 0 && !('toJSON' in value)
}

/** A plain object of another realm (a test runner, a vm). One without a prototype is none: it would come back with one. */
function isForeignPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype !== null && Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

const READ_OTHERWISE =
  'its events can be read (`kuma log`, `kuma export --format ndjson`), and it can be erased; perhaps its state at an earlier point can be read'

/** What an append would make of it. @param bytes at least so many; infinite: it would be nested too deep */
export function wouldBeTooLarge(entity: string, bytes: number, max: number): KumaError<'KUMA_STATE_TOO_LARGE'> {
  if (bytes === Number.POSITIVE_INFINITY) {
    const message = `the state of ${entity} would be nested deeper than ${STATE_DEPTH_MAX.toLocaleString('en')} levels`
    const hint = 'nothing was recorded, and the entity is as it was: its evolve puts the state into itself'
    return new KumaError('KUMA_STATE_TOO_LARGE', message, { entity, bytes: null, max: null }, { hint })
  }
  const message = `the state of ${entity} would be larger than ${max.toLocaleString('en')} bytes`
  const hint =
    'nothing was recorded, and the entity is as it was: begin another one, record what makes it smaller, or raise stateBytesMax'
  return new KumaError('KUMA_STATE_TOO_LARGE', message, { entity, bytes, max }, { hint })
}

export function tooLargeToRead(entity: string, bytes: number, max: number): KumaError<'KUMA_STATE_TOO_LARGE'> {
  const message = `the state of ${entity} is larger than the ${max.toLocaleString('en')} bytes that can be held here`
  const hint = `${READ_OTHERWISE}; more memory makes room for more: NODE_OPTIONS=--max-old-space-size=MIB`
  return new KumaError('KUMA_STATE_TOO_LARGE', message, { entity, bytes, max }, { hint })
}

export function tooDeepToRead(entity: string): KumaError<'KUMA_STATE_TOO_LARGE'> {
  const message = `the state of ${entity} is nested deeper than ${READABLE_DEPTH_MAX.toLocaleString('en')} levels`
  const details = { entity, bytes: null, max: null }
  return new KumaError('KUMA_STATE_TOO_LARGE', message, details, { hint: READ_OTHERWISE })
}

/** What JSON.stringify throws of a value too long for a text, or too deep for the stack. */
export function textTooLarge(
  what: string,
  entity: string | null,
  cause: RangeError,
): KumaError<'KUMA_STATE_TOO_LARGE'> {
  const message = `${what} is too large to be written as JSON: ${cause.message}`
  const details = { entity, bytes: null, max: null }
  return new KumaError('KUMA_STATE_TOO_LARGE', message, details, { cause, hint: READ_OTHERWISE })
}
