/**
 * The daemon's side of one client. Calls run at once and are answered as they end; answers that end together leave
 * together. A client that does not read what it is sent is not listened to until it does, and cut off if it never does.
 */
import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import { writeJson } from '../entity/json.ts'
import { type KumaError, toWire } from '../errors.ts'
import { tooManyCalls } from './bounds.ts'
import { CALLS, checkParams, isSlow, STREAMS, unknownCall } from './calls.ts'
import type { Caller, Host } from './host.ts'
import { LineReader } from './line-reader.ts'
import type { Peer } from './peer.ts'
import {
  ANSWER,
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
import type { Begun } from './under-way.ts'

const STREAMS_MAX = 1_000
/** Bytes that a client has not read yet. */
const UNREAD_MAX = 4 * 1024 * 1024
/** Of its first line: nobody holds memory here who has not shown a token. */
const GREETING_BYTES_MAX = 4_096
/** For its next line, while nothing is under way. */
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
  /** Of the questions that can be ended. */
  private readonly stops = new Map<number, AbortController>()
  private readonly socket: Socket
  /** Since the goodbye: nothing new is taken. */
  private readonly leaving = new AbortController()
  private greeted = false
  private ended = false
  /** id of the last call */
  private lastTaken = 0
  /** Answers are made into text when they can be sent: until then they may share what they tell with others. */
  private out: (string | Answer)[] = []
  private unread: NodeJS.Timeout | null = null
  /** Of what it has not read: to be called when it has. */
  private release: () => void = () => {}
  private isHangingUp = false
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
    setMaxListeners(0, this.leaving.signal) // one for each call that waits
    socket.on('data', (chunk: Buffer) => this.read(chunk))
    socket.on('drain', () => this.drained())
    socket.on('close', () => this.closed())
    socket.on('timeout', () => this.idled())
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
    this.peer.dismiss()
  }

  /** Says why, and hangs up. */
  private refuse(error: unknown): void {
    const { code } = toWire(error)
    this.host.refusals.add(code, { client: this.peer.id, from: this.peer.info().from })
    this.ended = true
    this.out.push(JSON.stringify({ error: toWire(error) }))
    this.flush()
    this.peer.dismiss()
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
    else if (cancel === true) this.cancel(number)
    else if (Number.isSafeInteger(more)) this.allow(number, more as number)
    else throw malformed('is neither a call nor about one')
  }

  private greet(kuma: unknown, token: unknown): void {
    if (kuma !== PROTOCOL) throw otherProtocol(kuma)
    if (!this.peer.isLocal && !this.host.token?.isShownBy(token)) throw wrongToken()
    this.peer.admit()
    this.greeted = true
    this.socket.setTimeout(IDLE_MS)
    this.write(JSON.stringify(this.host.greeting()))
  }

  private call({ id, call, params }: Call): void {
    this.peer.calls++
    this.lastTaken = id
    const { callsMax } = this.host.bounds
    const limit = Object.hasOwn(STREAMS, call) ? STREAMS_MAX - this.streams.size : callsMax - this.peer.underWay
    if (this.streams.has(id) || this.stops.has(id)) throw malformed('has the id of a call that is under way')
    if (limit <= 0) this.fail(id, tooManyCalls())
    else if (Object.hasOwn(STREAMS, call)) void this.stream({ id, call, params })
    else this.answerTo(id, call, params)
  }

  /** Spelled out, since it happens tens of thousands of times a second. */
  private answerTo(id: number, call: string, params: unknown): void {
    this.peer.underWay++
    const begun = this.host.calls.begin(this.peer.id, call)
    const over = () => {
      this.peer.underWay--
      this.host.calls.end(begun)
      this.stops.delete(id)
    }
    const done = (answer: Answer) => {
      over()
      this.answer(answer)
      this.settle()
    }
    const fail = (error: unknown) => {
      const { aborted, reason } = this.leaving.signal
      if (!aborted || error !== reason || !isSafe(call)) return void done({ id, error: toWire(error) })
      over() // it waited for something: not answered, and asked again elsewhere
      this.settle()
    }
    try {
      const result = this.run(id, call, params, begun)
      if (result instanceof Promise) result.then((value) => done({ id, result: value }), fail)
      else done({ id, result })
    } catch (error) {
      fail(error)
    }
  }

  private run(id: number, call: string, params: unknown, begun: Begun): unknown {
    if (!Object.hasOwn(CALLS, call)) throw unknownCall(call)
    const method = CALLS[call]!
    const checked = checkParams(call, method, params)
    const caller = new Asking(this.peer.id, id, this.stops, this.leaving.signal)
    if (!isSlow(method, checked)) return method.run(this.host, checked, caller)
    const signals = method.isSafe ? [caller.signal, caller.leaving] : []
    return this.host.slowCalls.run(this.peer, begun, signals, () => method.run(this.host, checked, caller))
  }

  private cancel(id: number): void {
    end(this.streams.get(id))
    this.stops.get(id)?.abort(this.gone())
  }

  private gone(): KumaError<'KUMA_DISCONNECTED'> {
    return disconnected('nobody waits for the answer any more', this.host.engine.path)
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
      const { signal } = stream.stop
      const caller = { client: this.peer.id, signal, leaving: this.leaving.signal, reached }
      const checked = checkParams(call, method, params)
      const items = method.run(this.host, checked, caller)
      const pages =
        call === 'feed' // one that waits for what comes is not slow
          ? pagesOf(items, 1)
          : this.host.slowCalls.pages(this.peer, call, isSlow(method, checked), [signal], pagesOf(items, PAGE))
      for await (const page of pages) {
        while ((stream.credit === 0 || this.unread !== null) && !stream.stop.signal.aborted)
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
    if (!this.ended) this.write(answer)
  }

  private write(line: string | Answer): void {
    if (this.out.push(line) === 1) queueMicrotask(() => this.flush())
  }

  private flush(): void {
    while (this.unread === null && this.out.length > 0 && !this.socket.destroyed) {
      this.socket.write(this.next())
      const { writableLength } = this.socket
      if (writableLength < UNREAD_MAX) continue
      this.socket.pause()
      this.unread = setTimeout(() => this.giveUp(), UNREAD_MS).unref()
      this.release = this.host.unread.hold(writableLength, () => this.giveUp())
    }
  }

  /** What may be sent at once. */
  private next(): string {
    let text = ''
    let count = 0
    for (; count < this.out.length && text.length < UNREAD_MAX; count++) {
      const line = this.out[count]!
      text += `${typeof line === 'string' ? line : textOf(line)}\n`
    }
    this.out = this.out.slice(count)
    return text
  }

  private giveUp(): void {
    this.host.refusals.add('it does not read', { client: this.peer.id, from: this.peer.info().from })
    this.socket.destroy()
  }

  private drained(): void {
    if (this.unread === null) return
    clearTimeout(this.unread)
    this.unread = null
    this.release()
    this.goOn()
    this.flush()
    for (const stream of this.streams.values()) stream.wake()
    this.endIfSaid()
  }

  private closed(): void {
    this.ended = true
    this.out = []
    this.release()
    if (this.unread !== null) clearTimeout(this.unread)
    for (const stream of this.streams.values()) end(stream)
    const reason = this.gone()
    for (const stop of this.stops.values()) stop.abort(reason)
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
  }

  /** Once everything was said. The other side ends then too. */
  hangUp(): void {
    this.ended = true
    this.isHangingUp = true
    this.flush()
    this.endIfSaid()
  }

  private endIfSaid(): void {
    if (this.isHangingUp && this.out.length === 0) this.socket.end()
  }
}

/** What is too much for JSON is an error of that one call. */
function textOf(answer: Answer): string {
  try {
    return writeJson(answer, ANSWER)
  } catch (error) {
    return JSON.stringify({ id: answer.id, error: toWire(error) } satisfies Answer)
  }
}

/** May it be asked again when nobody knows whether it was done? */
function isSafe(call: string): boolean {
  return CALLS[call]!.isSafe
}

/** Who made a call with one answer. Its signal is made when it is looked at: most calls do without. */
class Asking implements Caller {
  constructor(
    readonly client: number,
    private readonly id: number,
    private readonly stops: Map<number, AbortController>,
    readonly leaving: AbortSignal,
  ) {}

  get signal(): AbortSignal {
    const stop = this.stops.get(this.id) ?? new AbortController()
    this.stops.set(this.id, stop)
    return stop.signal
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
    const text = writeJson(item, 'an item of the answer')
    page += count === 0 ? text : `,${text}`
    count++
    if (count < size && page.length < PAGE_CHARS) continue
    yield page
    ;[page, count] = ['', 0]
  }
  if (count > 0) yield page
}
