/**
 * The daemon's side of one client. Calls run at once and are answered as they end; answers that end together leave
 * together. A client that does not read what it is sent is not listened to until it does, and cut off if it never does.
 */
import type { Socket } from 'node:net'
import { unwritable } from '../entity/json.ts'
import { KumaError, toWire } from '../errors.ts'
import { CALLS, checkParams, STREAMS, unknownCall } from './calls.ts'
import type { Host } from './host.ts'
import { LineReader } from './line-reader.ts'
import type { Peer } from './peer.ts'
import {
  type Answer,
  type Call,
  disconnected,
  type Goodbye,
  malformed,
  otherProtocol,
  PAGES_AHEAD,
  PROTOCOL,
  UNREAD_MS,
} from './protocol.ts'
import { wrongToken } from './token.ts'

const STREAMS_MAX = 1_000
/** Bytes that a client has not read yet. */
const UNREAD_MAX = 4 * 1024 * 1024
const HANG_UP_MS = 2_000
/** Of its first line: nobody holds memory here who has not shown a token. */
const GREETING_BYTES_MAX = 4_096
/** For its first line; and for the next one, while nothing is under way. */
const GREETING_MS = 5_000
const IDLE_MS = 3_600_000
/** Of what came, so much is read before it is looked how long that took. */
const SLICE_BYTES = 4 * 1024
const TURN_MS = 10
const PAGE = 128
const PAGE_CHARS = 256 * 1024

interface Stream {
  readonly stop: AbortController
  /** pages that may be sent */
  credit: number
  /** after the last item, where the list tells it */
  place: string | undefined
  wake: () => void
}

export class Connection {
  private readonly reader = new LineReader()
  private readonly streams = new Map<number, Stream>()
  private readonly socket: Socket
  /** Since the goodbye: nothing new is taken. */
  private readonly leaving = new AbortController()
  private greeted = false
  private ended = false
  /** id of the last call */
  private lastTaken = 0
  private out: string[] = []
  private unread: NodeJS.Timeout | null = null
  private idle: (() => void) | null = null
  /** How long this turn has been read what came. */
  private turnMs = 0
  private turn: NodeJS.Immediate | null = null
  /** What came and is read in the next turn. */
  private waiting: Buffer | null = null

  constructor(
    private readonly peer: Peer,
    private readonly host: Host,
  ) {
    const { socket } = peer
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.read(chunk))
    socket.on('drain', () => this.drained())
    socket.on('close', () => this.closed())
    socket.on('timeout', () => this.idled())
    socket.setTimeout(GREETING_MS)
  }

  /** In slices, so that others have their turn however many calls come at once. */
  private read(chunk: Buffer): void {
    for (let start = 0; start < chunk.length; start += SLICE_BYTES) {
      if (this.ended || this.leaving.signal.aborted) return
      if (this.turnMs > TURN_MS) {
        this.rest(chunk.subarray(start))
        return
      }
      this.turn ??= setImmediate(() => this.nextTurn())
      const began = performance.now()
      this.readSlice(chunk.subarray(start, start + SLICE_BYTES))
      this.turnMs += performance.now() - began
    }
  }

  private readSlice(slice: Buffer): void {
    try {
      for (const message of this.reader.push(slice)) this.take(message)
      if (!this.greeted && this.reader.unfinished > GREETING_BYTES_MAX) throw malformed('is no greeting')
    } catch (error) {
      this.refuse(error)
    }
  }

  private rest(unread: Buffer): void {
    this.waiting = unread
    this.socket.pause()
  }

  private nextTurn(): void {
    this.turn = null
    this.turnMs = 0
    if (this.waiting !== null && this.unread === null) this.goOn()
  }

  private goOn(): void {
    const { waiting } = this
    this.waiting = null
    if (waiting !== null) this.read(waiting)
    if (this.waiting === null) this.socket.resume()
  }

  /** It comes back when it has something to say. */
  private idled(): void {
    if (this.greeted && this.peer.underWay > 0) return
    this.sayGoodbye()
    this.flush()
    this.ended = true
    this.socket.end()
  }

  /** Says why, and hangs up. */
  private refuse(error: unknown): void {
    const { code } = toWire(error)
    this.host.log.warn({ client: this.peer.id, from: this.peer.info().from, code }, 'refused')
    this.ended = true
    this.out.push(JSON.stringify({ error: toWire(error) }))
    this.flush()
    this.socket.end()
  }

  private take(message: unknown): void {
    if (typeof message !== 'object' || message === null || Array.isArray(message)) throw malformed('is not an object')
    const { kuma, token, id, call, more, cancel } = message as { [field: string]: unknown }
    if (!this.greeted) {
      this.greet(kuma, token)
      return
    }
    if (!Number.isSafeInteger(id)) throw malformed('has no id')
    const number = id as number
    if (typeof call === 'string') this.call(message as Call)
    else if (cancel === true) end(this.streams.get(number))
    else if (Number.isSafeInteger(more)) this.allow(number, more as number)
    else throw malformed('is neither a call nor about one')
  }

  private greet(kuma: unknown, token: unknown): void {
    if (kuma !== PROTOCOL) throw otherProtocol(kuma)
    if (!this.peer.isLocal && !this.host.token?.isShownBy(token)) throw wrongToken()
    this.greeted = true
    this.socket.setTimeout(IDLE_MS)
    this.write(JSON.stringify(this.host.greeting()))
  }

  private call({ id, call, params }: Call): void {
    this.peer.calls++
    this.lastTaken = id
    const { callsMax } = this.host.bounds
    const limit = Object.hasOwn(STREAMS, call) ? STREAMS_MAX - this.streams.size : callsMax - this.peer.underWay
    if (this.streams.has(id)) throw malformed('has the id of a call that is under way')
    if (limit <= 0) this.fail(id, tooMany())
    else if (Object.hasOwn(STREAMS, call)) void this.stream({ id, call, params })
    else this.answerTo(id, call, params)
  }

  /** Spelled out, since it happens tens of thousands of times a second. */
  private answerTo(id: number, call: string, params: unknown): void {
    this.peer.underWay++
    const done = (answer: Answer) => {
      this.peer.underWay--
      this.answer(answer)
      this.settle()
    }
    const fail = (error: unknown) => {
      const { aborted, reason } = this.leaving.signal
      if (!aborted || error !== reason) return void done({ id, error: toWire(error) })
      this.peer.underWay-- // it waited for something: not answered, and asked again elsewhere
      this.settle()
    }
    try {
      const result = this.run(call, params)
      if (result instanceof Promise) result.then((value) => done({ id, result: value }), fail)
      else done({ id, result })
    } catch (error) {
      fail(error)
    }
  }

  private run(call: string, params: unknown): unknown {
    if (!Object.hasOwn(CALLS, call)) throw unknownCall(call)
    const method = CALLS[call]!
    const signal = method.isSafe ? this.leaving.signal : NEVER
    return method.run(this.host, checkParams(call, method, params), { client: this.peer.id, signal })
  }

  private async stream({ id, call, params }: Call): Promise<void> {
    const stream: Stream = { stop: new AbortController(), credit: PAGES_AHEAD, place: undefined, wake: () => {} }
    this.streams.set(id, stream)
    this.peer.underWay++
    try {
      const method = STREAMS[call]!
      const reached = (place: string) => {
        stream.place = place
      }
      const caller = { client: this.peer.id, signal: stream.stop.signal, reached }
      const items = method.run(this.host, checkParams(call, method, params), caller)
      for await (const page of pagesOf(items, call === 'feed' ? 1 : PAGE)) {
        while (stream.credit === 0 && !stream.stop.signal.aborted)
          await new Promise<void>((resolve) => (stream.wake = resolve))
        if (stream.stop.signal.aborted) break
        stream.credit--
        const place = stream.place === undefined ? '' : `"place":${JSON.stringify(stream.place)},`
        if (!this.ended) this.write(`{"id":${id},${place}"items":[${page}]}`)
      }
      if (stream.stop.signal.aborted) this.cutOff(id, stream)
      else this.answer({ id, end: true })
    } catch (error) {
      if (stream.stop.signal.aborted) this.cutOff(id, stream)
      else this.fail(id, error)
    } finally {
      this.streams.delete(id)
      this.peer.underWay--
      this.settle()
    }
  }

  /** Not all was given: only who wanted no more is told that this is the end. */
  private cutOff(id: number, { stop }: Stream): void {
    if (stop.signal.reason === this.leaving.signal.reason) this.fail(id, stop.signal.reason)
    else this.answer({ id, end: true })
  }

  private allow(id: number, more: number): void {
    const stream = this.streams.get(id)
    if (stream === undefined) return // it has ended meanwhile
    stream.credit = Math.min(stream.credit + Math.max(0, more), PAGES_AHEAD)
    stream.wake()
  }

  private fail(id: number, error: unknown): void {
    this.answer({ id, error: toWire(error) })
  }

  private answer(answer: Answer): void {
    if (!this.ended) this.write(lineOf(answer))
  }

  private write(line: string): void {
    if (this.out.push(line) === 1) queueMicrotask(() => this.flush())
  }

  private flush(): void {
    if (this.out.length === 0 || this.socket.destroyed) return
    this.socket.write(`${this.out.join('\n')}\n`)
    this.out = []
    if (this.socket.writableLength < UNREAD_MAX || this.unread !== null) return
    this.socket.pause()
    this.unread = setTimeout(() => this.giveUp(), UNREAD_MS).unref()
  }

  private giveUp(): void {
    this.host.log.warn({ client: this.peer.id, from: this.peer.info().from }, 'cut off: it does not read')
    this.socket.destroy()
  }

  private drained(): void {
    if (this.unread === null) return
    clearTimeout(this.unread)
    this.unread = null
    this.goOn()
  }

  private closed(): void {
    this.ended = true
    if (this.unread !== null) clearTimeout(this.unread)
    for (const stream of this.streams.values()) end(stream)
    this.settle()
  }

  private settle(): void {
    if (this.peer.underWay === 0) this.idle?.()
  }

  /**
   * From now on nothing is taken, and the client is told where that begins. What it still sends is read and passed over: bytes
   * that nobody reads would make the kernel throw away answers on their way to it.
   */
  sayGoodbye(): void {
    if (this.leaving.signal.aborted) return
    if (this.greeted && !this.ended) this.write(JSON.stringify({ goodbye: this.lastTaken } satisfies Goodbye))
    const { path } = this.host.engine
    this.leaving.abort(disconnected(`the daemon of ${path} ended in the middle of it`, path))
    for (const stream of this.streams.values()) end(stream, this.leaving.signal.reason)
    this.socket.resume()
  }

  /** Answers what is under way. */
  async drain(): Promise<void> {
    this.sayGoodbye()
    if (this.peer.underWay > 0) await new Promise<void>((resolve) => (this.idle = resolve))
    this.flush()
    this.ended = true
  }

  async hangUp(): Promise<void> {
    if (this.socket.destroyed) return
    // not by `once`, which would reject if the client is killed meanwhile
    const closed = new Promise<void>((resolve) => this.socket.once('close', () => resolve()))
    const late = setTimeout(() => this.socket.destroy(), HANG_UP_MS) // one that does not read holds up nobody
    this.socket.end() // the other side ends when it has read all
    await closed
    clearTimeout(late)
  }
}

const NEVER = new AbortController().signal

/** What JSON cannot say, as it is too deep or too long, is an error of that call, and not the end of the daemon. */
function lineOf(answer: Answer): string {
  try {
    return JSON.stringify(answer)
  } catch (cause) {
    return JSON.stringify({ id: answer.id, error: toWire(unwritable(cause)) })
  }
}

function end(stream: Stream | undefined, reason?: unknown): void {
  stream?.stop.abort(reason)
  stream?.wake()
}

/** Items as JSON, with commas between them: so many at most, or so much text and a little more. */
async function* pagesOf(items: AsyncIterable<unknown>, size: number): AsyncGenerator<string> {
  let [page, count] = ['', 0]
  for await (const item of items) {
    page += count === 0 ? JSON.stringify(item) : `,${JSON.stringify(item)}`
    count++
    if (count < size && page.length < PAGE_CHARS) continue
    yield page
    ;[page, count] = ['', 0]
  }
  if (count > 0) yield page
}

function tooMany(): KumaError<'KUMA_OVERLOADED'> {
  const hint = 'wait for answers before asking more'
  return new KumaError(
    'KUMA_OVERLOADED',
    'this connection has too many calls under way',
    { retryAfterMs: 100 },
    { hint },
  )
}
