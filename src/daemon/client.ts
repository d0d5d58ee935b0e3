/**
 * An engine that is somewhere else: the same interface, spoken over a socket. When the connection is lost it is made anew,
 * and what can be asked again without doing it twice is asked again: questions, what has a request key, and what the daemon
 * never took, of which its goodbye tells. Of anything else that was under way nobody knows whether it was done:
 * KUMA_INDETERMINATE. How lists and the feed go on is told in go-on.ts.
 */
import { once } from 'node:events'
import { type Stats as FileStats, lstatSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { EntitiesQuery, Inspected, Stats } from '../api.ts'
import { awaited, fromCaller } from '../callers-line.ts'
import type { AppendResult, Engine, ExecuteResult, QueryPage, ReadModels, RecordedStep } from '../engine.ts'
import { deepFreeze } from '../entity/fold.ts'
import { cleanJson } from '../entity/json.ts'
import { fromWire, isKumaError, KumaError } from '../errors.ts'
import { checkDirectory, isMine } from '../store/directory.ts'
import { formatAddress, type TcpAddress } from './address.ts'
import { CALLS } from './calls.ts'
import { feedOf, listOf } from './go-on.ts'
import { checkedLine, LineReader } from './line-reader.ts'
import {
  type Answer,
  type Call,
  disconnected,
  type Goodbye,
  type Greeting,
  notRunning,
  otherProtocol,
  PROTOCOL,
  type Refusal,
  type ServerMessage,
  socketPath,
} from './protocol.ts'

const RECONNECT_MS = 10_000
const RETRY_MS = 50
const GREETING_MS = 5_000
/** A state has no bound but this one, and a page of the feed may have many large events. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024

/** The daemon of the store in this folder, or one that listens over TCP. */
export type Target = string | { readonly address: TcpAddress; readonly token: string | undefined }

interface Pending {
  readonly line: string
  readonly isSafe: boolean
  readonly requestKey: string | null
  /** A daemon that is gone may have taken it. */
  isUnclear: boolean
  resolve(result: never): void
  reject(error: Error): void
}

interface Page {
  readonly items: readonly unknown[]
  readonly place?: string
}

/** A call with many answers, as they come. */
interface Incoming {
  readonly line: string
  readonly pages: Page[]
  end: Error | true | null
  wake: () => void
}

interface Reading {
  readonly id: number
  readonly leave: () => void
  readonly signal: AbortSignal | undefined
  readonly told: ((place: string) => void) | undefined
}

export class Client {
  private socket: Socket
  private lastId = 0
  /** id of the last call that the daemon at the other end may have taken */
  private sentId = 0
  private readonly pending = new Map<number, Pending>()
  private readonly streams = new Map<number, Incoming>()
  private out: string[] = []
  private closing = false
  /** Nothing can be said: there is no connection, or the daemon has taken its leave. */
  private lost = false
  private idle: (() => void) | null = null
  private hungUp: Promise<void> | undefined
  /** By its owner. */
  isClosed = false
  readonly greeting: Greeting
  /** When the other side has hung up for the first time. */
  readonly ended: Promise<void>

  private constructor(
    private readonly target: Target,
    { socket, reader, greeting, rest }: Greeted,
    private readonly comesBack: boolean,
  ) {
    this.socket = socket
    this.greeting = greeting
    this.ended = new Promise((resolve) => socket.once('close', () => resolve()))
    this.listen(socket, reader, rest)
  }

  /** @throws KUMA_NOT_RUNNING, KUMA_PROTOCOL, KUMA_UNAUTHORIZED, KUMA_INVALID_CONFIG */
  static async connect(target: Target, { reconnect = true } = {}): Promise<Client> {
    return new Client(target, await greet(target), reconnect)
  }

  /** What its messages call the other side. */
  get name(): string {
    return nameOf(this.target)
  }

  /** Null where no daemon runs. @throws KUMA_PROTOCOL, KUMA_INVALID_CONFIG */
  static async find(store: string): Promise<Client | null> {
    try {
      return await Client.connect(store)
    } catch (error) {
      if (isKumaError(error, 'KUMA_NOT_RUNNING')) return null
      throw error
    }
  }

  /** @param first messages that came with the greeting */
  private listen(socket: Socket, reader: LineReader, first: readonly unknown[]): void {
    const takeAll = (messages: () => readonly unknown[]) => {
      try {
        for (const message of messages()) this.take(message as Answer | Goodbye | Refusal)
      } catch {
        socket.destroy()
      }
    }
    socket.on('data', (chunk: Buffer) => takeAll(() => reader.push(chunk)))
    socket.on('error', () => {})
    socket.on('close', () => void this.closed())
    takeAll(() => first)
  }

  /** A question that its signal ends is taken back over there too. */
  ask<T>(call: string, params: unknown, signal: AbortSignal | undefined): Promise<T> {
    if (signal === undefined) return this.call(call, params)
    return new Promise<T>((resolve, reject) => {
      signal.throwIfAborted()
      const id = this.lastId + 1
      const answer = this.call<T>(call, params)
      const leave = () => {
        if (this.pending.delete(id)) this.send(JSON.stringify({ id, cancel: true }))
        reject(signal.reason)
        this.settle()
      }
      signal.addEventListener('abort', leave, { once: true })
      answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
    })
  }

  call<T>(call: string, params: unknown = {}, requestKey: string | null = null): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.isClosed || this.closing) throw closed(this.name)
      const id = ++this.lastId
      const line = checkedLine(call, lineOf({ id, call, params }))
      const isSafe = requestKey !== null || (CALLS[call]?.isSafe ?? false)
      this.pending.set(id, { line, isSafe, requestKey, isUnclear: false, resolve, reject })
      this.send(line)
    })
  }

  /**
   * Asks at once, also if nobody reads it yet.
   * @param signal ends it, with its reason
   * @param told where it is after what was given, of lists that tell
   */
  stream<T>(call: string, params: object, signal?: AbortSignal, told?: (place: string) => void): AsyncGenerator<T> {
    signal?.throwIfAborted()
    if (this.isClosed || this.closing) throw closed(this.name)
    const id = ++this.lastId
    const line = checkedLine(call, lineOf({ id, call, params }))
    const incoming: Incoming = { line, pages: [], end: null, wake: () => {} }
    this.streams.set(id, incoming)
    const leave = () => this.leave(id)
    signal?.addEventListener('abort', leave, { once: true })
    this.send(line)
    return this.itemsOf(incoming, { id, leave, signal, told })
  }

  private async *itemsOf<T>(incoming: Incoming, { id, leave, signal, told }: Reading): AsyncGenerator<T> {
    try {
      for (;;) {
        signal?.throwIfAborted()
        const page = incoming.pages.shift()
        if (page !== undefined) {
          if (page.place !== undefined) told?.(page.place)
          yield* page.items as readonly T[]
          this.send(JSON.stringify({ id, more: 1 }))
        } else if (incoming.end === true) return
        else if (incoming.end !== null) throw incoming.end
        else await new Promise<void>((resolve) => (incoming.wake = resolve))
      }
    } finally {
      signal?.removeEventListener('abort', leave)
      leave()
    }
  }

  /** No more is wanted of a stream, if there is any. */
  private leave(id: number): void {
    const stream = this.streams.get(id)
    if (stream === undefined) return
    this.streams.delete(id)
    if (stream.end === null) this.send(JSON.stringify({ id, cancel: true }))
    stream.wake()
  }

  /** What is said in one turn goes together. Calls and streams are kept elsewhere until they are answered. */
  private send(line: string): void {
    if (!this.lost && this.out.push(line) === 1) queueMicrotask(() => this.flush())
  }

  private flush(): void {
    const { out, socket } = this
    this.out = []
    if (this.lost || out.length === 0 || !socket.writable) return
    socket.write(`${out.join('\n')}\n`)
    this.sentId = this.lastId
  }

  private take(message: Answer | Goodbye | Refusal): void {
    if ('goodbye' in message) return void this.heardGoodbye(message)
    if (!('id' in message)) return void this.giveUp(fromWire(message.error)) // asked again, it would be refused again
    const stream = this.streams.get(message.id)
    if (stream !== undefined) {
      if ('items' in message) stream.pages.push(message)
      else stream.end = 'error' in message ? fromWire(message.error) : true
      stream.wake()
      return
    }
    const pending = this.pending.get(message.id)
    if (pending === undefined) return
    this.pending.delete(message.id)
    if ('error' in message) pending.reject(fromWire(message.error))
    else pending.resolve(('result' in message ? message.result : undefined) as never)
    this.settle()
  }

  /** What it took is still answered. The rest waits for the next daemon. */
  private heardGoodbye({ goodbye }: Goodbye): void {
    this.lost = true
    this.sentId = Math.min(this.sentId, goodbye)
  }

  private settle(): void {
    if (this.pending.size === 0) this.idle?.()
  }

  private async closed(): Promise<void> {
    this.lost = true
    this.out = []
    for (const [id, stream] of this.streams) {
      if (id > this.sentId && !this.closing) continue
      stream.end ??= disconnected(`the connection to ${this.name} was lost`, this.name)
      stream.wake()
    }
    for (const [id, pending] of this.pending) {
      if (id > this.sentId) continue
      pending.isUnclear = true
      if (pending.isSafe) continue
      this.pending.delete(id)
      pending.reject(indeterminate(pending.requestKey))
    }
    this.settle()
    if (this.closing) return
    if (this.comesBack) await this.reconnect()
    else this.giveUp(closed(this.name))
  }

  /** Nothing more will be heard. */
  private giveUp(error: Error): void {
    this.closing = true
    for (const { reject, isUnclear, requestKey } of this.pending.values())
      reject(isUnclear && requestKey !== null ? indeterminate(requestKey) : error)
    this.pending.clear()
    this.settle()
    for (const stream of this.streams.values()) {
      stream.end ??= error
      stream.wake()
    }
  }

  /** If there is no daemon to be found, or it is another store's, everything is over. */
  private async reconnect(): Promise<void> {
    for (const deadline = performance.now() + RECONNECT_MS; ; await setTimeout(RETRY_MS)) {
      try {
        return void this.goOn(await greet(this.target))
      } catch (error) {
        if (performance.now() < deadline && !this.closing && isKumaError(error, 'KUMA_NOT_RUNNING')) continue
        return void this.giveUp(error as Error)
      }
    }
  }

  /** In the order of their ids, so that a goodbye tells which of them it came too early for. */
  private goOn({ socket, reader, greeting, rest }: Greeted): void {
    if (this.closing || greeting.store !== this.greeting.store) {
      socket.destroy()
      const other = `there is another store at ${this.name} now, ${greeting.store}`
      return void this.giveUp(this.closing ? closed(this.name) : disconnected(other, this.name))
    }
    this.socket = socket
    this.lost = false
    this.sentId = 0
    const streams = [...this.streams].filter(([, { end }]) => end === null)
    const asked = [...this.pending, ...streams].sort(([a], [b]) => a - b)
    this.out = asked.map(([, { line }]) => line)
    this.flush()
    this.listen(socket, reader, rest)
  }

  /** Waits for what was asked. */
  close(): Promise<void> {
    this.isClosed = true
    this.hungUp ??= this.hangUp()
    return this.hungUp
  }

  private async hangUp(): Promise<void> {
    if (this.pending.size > 0) await new Promise<void>((resolve) => (this.idle = resolve))
    if (this.closing) return
    this.flush()
    this.closing = true
    // not by `once`, which would reject if the other side is killed meanwhile
    const closed = new Promise<void>((resolve) => this.socket.once('close', () => resolve()))
    if (this.socket.destroyed) return
    this.socket.end()
    await closed
  }
}

interface Greeted {
  readonly socket: Socket
  readonly reader: LineReader
  readonly greeting: Greeting
  /** messages that came at once with it */
  readonly rest: readonly ServerMessage[]
}

async function greet(target: Target): Promise<Greeted> {
  const socket = typeof target === 'string' ? connect(ownSocket(target)) : connect(target.address).setNoDelay(true)
  const token = typeof target === 'string' ? undefined : target.token
  const reader = new LineReader(ANSWER_BYTES_MAX)
  const signal = AbortSignal.timeout(GREETING_MS) // one that is stopped accepts, and says nothing
  try {
    await once(socket, 'connect', { signal })
    socket.write(`${JSON.stringify({ kuma: PROTOCOL, token })}\n`)
    const hungUp = once(socket, 'end', { signal }).then(() => Promise.reject(notRunning(nameOf(target))))
    for (;;) {
      const [chunk] = (await Promise.race([once(socket, 'data', { signal }), hungUp])) as [Buffer]
      const [first, ...rest] = reader.push(chunk) as ServerMessage[]
      if (first === undefined) continue
      if ('error' in first) throw fromWire(first.error)
      if (!('kuma' in first) || first.kuma !== PROTOCOL) throw otherProtocol((first as Greeting).kuma)
      return { socket, reader, greeting: first, rest }
    }
  } catch (error) {
    socket.destroy()
    throw isKumaError(error) ? error : notRunning(nameOf(target))
  }
}

/**
 * Who answers there gets what is appended, and says what is read. So before anything is said: the folder belongs to who runs
 * this, and nobody else may write to it; and so does the socket.
 * @throws KUMA_NOT_RUNNING, KUMA_UNSAFE_DIRECTORY, KUMA_INVALID_CONFIG
 */
function ownSocket(store: string): string {
  const path = socketPath(store)
  let stats: FileStats | undefined
  try {
    checkDirectory(store)
    stats = lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw isKumaError(error, 'KUMA_UNSAFE_DIRECTORY') ? error : notRunning(store)
  }
  if (!stats?.isSocket()) throw notRunning(store)
  if (isMine(stats)) return path
  const message = `${path} belongs to another user (uid ${stats.uid})`
  const hint = 'only a daemon of your own is spoken to: if none runs, remove it'
  throw new KumaError('KUMA_UNSAFE_DIRECTORY', message, { path }, { hint })
}

function nameOf(target: Target): string {
  return typeof target === 'string' ? target : `tcp://${formatAddress(target.address)}`
}

/** @throws KUMA_INVALID_DATA */
function lineOf(call: Call): string {
  try {
    return JSON.stringify(call)
  } catch (cause) {
    const message = `the request is not JSON: ${(cause as Error).message}`
    throw new KumaError('KUMA_INVALID_DATA', message, { path: '' }, { cause })
  }
}

function closed(store: string): KumaError<'KUMA_CLOSED'> {
  return new KumaError('KUMA_CLOSED', `the connection to ${store} is closed`, { path: store })
}

function indeterminate(requestKey: string | null): KumaError<'KUMA_INDETERMINATE'> {
  const hint =
    requestKey === null
      ? 'read it to see; with a request key it would be asked again'
      : 'ask again with the same request key'
  const message = 'the connection was lost before the answer came: it may or may not be recorded'
  return new KumaError('KUMA_INDETERMINATE', message, { requestKey }, { hint })
}

/**
 * The engine behind a connection. Its `stats` are those that were there when it was last asked. What JSON would lose on the
 * way is refused here, as it is in process; states are handed out frozen, as there.
 */
export function engineOf(client: Client, stats: Stats | null = null): Engine {
  const { path, store } = client.greeting
  let latest = stats
  const stream = <T>(call: string, request: object = {}) => {
    const { signal, ...params } = request as { readonly signal?: AbortSignal | undefined }
    return listOf<T>(client, call, params, signal)
  }
  return {
    path,
    store,
    append: async (request, caller) => {
      try {
        if (request.meta !== undefined) cleanJson(request.meta, 'meta')
        for (const { type, data, meta } of request.events) checkPlain(type, data, meta)
      } catch (error) {
        throw fromCaller(error, caller)
      }
      try {
        return await client.call<AppendResult>('append', request, request.requestKey)
      } catch (error) {
        throw awaited(error)
      }
    },
    appendCopy: (request) => client.call('appendCopy', request),
    execute: async (request) => {
      checkPlain(request.command.type, request.command.data, request.meta)
      return frozen(await client.call<ExecuteResult>('execute', request, request.requestKey))
    },
    revert: (request, signal) =>
      request.dryRun ? client.ask('revert', request, signal) : client.call('revert', request, request.requestKey),
    erase: (ids, options) => client.call('erase', { ids, ...options }),
    find: (id) => client.call('find', { id }),
    inspect: async (id, point, signal) => frozen(await client.ask<Inspected>('inspect', { id, point }, signal)),
    diff: (request, signal) => client.ask('diff', request, signal),
    blame: (id, path, signal) => client.ask('blame', { id, path }, signal),
    replay: (id, range) => each(stream<RecordedStep>('replay', { id, ...range }), frozen),
    log: (query) => stream('log', query),
    entities: (query) => stream('entities', listed(query)),
    inspectAll: (query) => each(stream<Inspected>('inspectAll', listed(query)), frozen),
    feed: (request) => feedOf(client, request),
    readModels: readModelsOf(client, stream),
    stats: () => {
      client.call<Stats>('stats').then(
        (now) => {
          latest = now
        },
        () => {},
      )
      if (latest === null)
        throw new KumaError('KUMA_NOT_RUNNING', 'the daemon has not told its statistics yet', { path })
      return latest
    },
    close: () => client.close(),
  }
}

type Stream = <T>(call: string, request?: object) => AsyncIterable<T>

function readModelsOf(client: Client, stream: Stream): ReadModels {
  return {
    query: ({ onCatchUp, ...query }) => stream<QueryPage>('query', query),
    waitFor: (projection, position, signal) => client.ask('waitFor', { projection, position }, signal),
    catchUp: (_told, signal) => client.ask('waitFor', { projection: null, position: null }, signal),
    list: () => client.call('projections'),
    rebuild: (name, { dryRun, signal } = {}) => client.ask('rebuildProjection', { name, dryRun }, signal),
    pause: (name) => client.call('pauseProjection', { name }),
    resume: (name) => client.call('resumeProjection', { name }),
    drop: (name) => client.call('dropProjection', { name }),
    skip: (name, position, reason) => client.call('skipEvent', { name, position, reason }),
    rowsOf: (id) => client.call('rowsOf', { id }),
  }
}

/** @throws KUMA_INVALID_DATA */
function checkPlain(type: string, data: unknown, meta: unknown): void {
  if (data !== undefined) cleanJson(data, `data of ${type}`)
  if (meta !== undefined) cleanJson(meta, 'meta')
}

function frozen<T extends { readonly state: unknown }>(result: T): T {
  deepFreeze(result.state)
  return result
}

async function* each<T>(items: AsyncIterable<T>, change: (item: T) => T): AsyncGenerator<T> {
  for await (const item of items) yield change(item)
}

/** A definition is known by its type over there, a time by its milliseconds. */
function listed({ type, at, ...query }: EntitiesQuery = {}) {
  return { ...query, type: typeof type === 'object' ? type.type : type, at: at instanceof Date ? at.getTime() : at }
}
