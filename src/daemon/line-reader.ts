/**
 * Messages out of bytes: a line each. What is not yet a whole line is kept, up to a bound. Of a client's line that is not
 * short it is counted what is in it as it comes (json-counter.ts), and a long one is only read where its beginning says
 * that it is a call that may need it: `{"id":1,"call":"append",`. So what is refused is refused without being parsed.
 */
import { checkNumbers } from '../entity/json.ts'
import { decodeUtf8 } from '../entity/utf8.ts'
import { KumaError } from '../errors.ts'
import { JsonCounter, PARTS_MAX, SHORT_PARTS_MAX } from './json-counter.ts'
import { LINE_BYTES_MAX, LONG_CALLS, LONG_LINE_BYTES_MAX, malformed } from './protocol.ts'

const NEWLINE = 0x0a
/** In a line so short nothing is deep or much. */
const COUNTED_BYTES_MIN = 4 * 1024
/** Of a line, in which the call is named. */
const HEAD_BYTES = 256
const HEAD = /^\s*\{(?:\s*"id"\s*:\s*\d{1,16}\s*,)?\s*"call"\s*:\s*"(\w{1,64})"/

export class LineReader {
  private parts: Buffer[] = []
  private bytes = 0
  private gauge: Gauge | null = null

  /** @param bytesMax of a line of the daemon, which is trusted in all else; null: of a client, to which more bounds apply */
  constructor(private readonly bytesMax: number | null = null) {}

  /** Bytes of a line that is not whole yet. */
  get unfinished(): number {
    return this.bytes
  }

  /** @throws KUMA_PROTOCOL if a line is too long, too deep or too much, not UTF-8 or not JSON */
  push(chunk: Buffer): unknown[] {
    const messages: unknown[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.keep(chunk.subarray(start, end))
      start = end + 1
      if (this.bytes > 0) messages.push(this.take())
    }
    this.keep(chunk.subarray(start))
    return messages
  }

  private keep(part: Buffer): void {
    if (part.length === 0) return
    this.parts.push(part)
    this.bytes += part.length
    if (this.bytesMax !== null) {
      if (this.bytes > this.bytesMax) throw malformed(`is longer than ${mebibytes(this.bytesMax)}`)
    } else if (this.gauge !== null) this.gauge.add(part)
    else if (this.bytes > COUNTED_BYTES_MIN) {
      this.gauge = new Gauge(callIn(this.parts), malformed)
      for (const each of this.parts) this.gauge.add(each)
    }
  }

  private take(): unknown {
    const { parts, gauge } = this
    this.parts = []
    this.bytes = 0
    this.gauge = null
    const line = decodeUtf8(parts.length === 1 ? parts[0]! : Buffer.concat(parts), malformed)
    const message = parse(line)
    gauge?.check(message)
    return this.bytesMax === null ? withExactNumbers(message, line) : message
  }
}

/** A call that says a number whose digits would not come back is told so in its place: others go on. */
function withExactNumbers(message: unknown, line: string): unknown {
  try {
    checkNumbers(line, 'the request')
    return message
  } catch (error) {
    return typeof message === 'object' && message !== null ? { ...message, params: error } : message
  }
}

/** What a line may hold that begins with that call. */
export class Gauge {
  private bytes = 0
  private readonly mayBeLong: boolean
  /** what may have more */
  private readonly instead: string
  private readonly counter: JsonCounter

  /** @param refuse makes the error: it is told "is longer than 4 MiB: .." */
  constructor(
    private readonly call: string | undefined,
    private readonly refuse: (problem: string) => Error,
  ) {
    this.mayBeLong = call !== undefined && LONG_CALLS.includes(call)
    const order = call === undefined ? ', with "id" and "call" before "params"' : ''
    this.instead = this.mayBeLong ? '' : `: only ${LONG_CALLS.join(', ')} may have more${order}`
    const { instead } = this
    this.counter = new JsonCounter(refuse, { partsMax: this.mayBeLong ? PARTS_MAX : SHORT_PARTS_MAX, instead })
  }

  /** @throws what `refuse` makes */
  add(part: Buffer): void {
    this.bytes += part.length
    const bytesMax = this.mayBeLong ? LONG_LINE_BYTES_MAX : LINE_BYTES_MAX
    if (this.bytes > bytesMax) throw this.refuse(`is longer than ${mebibytes(bytesMax)}${this.instead}`)
    this.counter.add(part)
  }

  /** The last of two names would count. @throws KUMA_PROTOCOL */
  check(message: unknown): void {
    if (this.mayBeLong && (message as { readonly call?: unknown } | null)?.call !== this.call)
      throw malformed('names two calls')
  }
}

/** A line that a daemon will take. @throws KUMA_INVALID_DATA: else it would hang up on all that is under way */
export function checkedLine(call: string, line: string): string {
  const isClean = LONG_CALLS.includes(call) // what it records has been looked at
  if (line.length > (isClean ? SHORT_PARTS_MAX : COUNTED_BYTES_MIN)) new Gauge(call, tooLarge).add(Buffer.from(line))
  return line
}

function tooLarge(problem: string): KumaError<'KUMA_INVALID_DATA'> {
  const hint = 'a daemon takes requests one line each: split it into several'
  return new KumaError('KUMA_INVALID_DATA', `the request ${problem}`, { path: '' }, { hint })
}

/** The call that a line begins with. Undefined if it does not say so at once. */
function callIn(parts: readonly Buffer[]): string | undefined {
  return HEAD.exec(Buffer.concat(parts).toString('latin1', 0, HEAD_BYTES))?.[1]
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw malformed('is not JSON')
  }
}

function mebibytes(bytes: number): string {
  return `${bytes / 1024 / 1024} MiB`
}
