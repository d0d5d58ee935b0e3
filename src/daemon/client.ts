/**
 * An engine that is somewhere else: the same interface, spoken over a socket. When the connection is lost it is made anew,
 * and what can be asked again without doing it twice is asked again: questions, and what has a request key. Of anything
 * else that was under way nobody knows whether it was done: KUMA_INDETERMINATE. The feed goes on from where it was.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { EntitiesQuery, Inspected, Stats } from '../api.ts'
import type { Engine, ExecuteResult, FeedPage, FeedRequest, QueryPage, ReadModels, RecordedStep } from '../engine.ts'
import { deepFreeze } from '../entity/fold.ts'
import { cleanJson } from '../entity/json.ts'
import { fromWire, isKumaError, KumaError } from '../errors.ts'
import { formatAddress, type TcpAddress } from './address.ts'
import { CALLS } from './calls.ts'
import { LineReader } from './line-reader.ts'
import {
  type Answer,
  type Greeting,
  notRunning,
  otherProtocol,
  PROTOCOL,
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
  resolve(result: never): void
  reject(error: Error): void
}

/** A call with many answers, as they come. */
interface Incoming {
  readonly pages: (readonly unknown[])[]
  end: Error | true | null
  wake: () => void
}

export class Client {
  private socket: Socket
  private lastId = 0
  private readonly pending = new Map<number, Pending>()
  private readonly streams = new Map<number, Incoming>()
  private out: string[] = []
  private closing = false
  private lost = false
  private idle: (() => void) | null = null
  /** By its owner. */
  isClosed = false
  /** When the other side has hung up for the first time. */
  readonly ended: Promise<void>

  private constructor(
    private readonly target: Target,
    socket: Socket,
    reader: LineReader,
    readonly greeting: Greeting,
    private readonly comesBack: boolean,
  ) {
    this.socket = socket
    this.ended = new Promise((resolve) => socket.once('close', () => resolve()))
    this.listen(socket, reader)
  }

  /** @throws KUMA_NOT_RUNNING, KUMA_PROTOCOL, KUMA_UNAUTHORIZED, KUMA_INVALID_CONFIG */
  static async connect(target: Target, { reconnect = true } = {}): Promise<Client> {
    const { socket, reader, greeting } = await greet(target)
    return new Client(target, socket, reader, greeting, reconnect)
  }

  /** What its messages call the other side. */
  private get name(): string {
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

  private listen(socket: Socket, reader: LineReader): void {
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) this.take(message as Answer)
      } catch {
        socket.destroy()
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => void this.closed())
  }

  call<T>(call: string, params: unknown = {}, requestKey?: string): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.isClosed) throw closed(this.name)
      const id = ++this.lastId
      const line = JSON.stringify({ id, call, params })
      const isSafe = requestKey !== undefined || (CALLS[call]?.isSafe ?? false)
      this.pending.set(id, { line, isSafe, requestKey: requestKey ?? null, resolve, reject })
      this.send(line)
    })
  }

  /** @param signal ends it, with its reason */
  async *stream<T>(call: string, params: object, signal?: AbortSignal): AsyncGenerator<T> {
    signal?.throwIfAborted()
    if (this.isClosed) throw closed(this.name)
    const id = ++this.lastId
    const incoming: Incoming = { pages: [], end: null, wake: () => {} }
    this.streams.set(id, incoming)
    const onAbort = () => incoming.wake()
    signal?.addEventListener('abort', onAbort)
    this.send(JSON.stringify({ id, call, params }), true)
    try {
      for (;;) {
        signal?.throwIfAborted()
        const page = incoming.pages.shift()
        if (page !== undefined) {
          yield* page as readonly T[]
          this.send(JSON.stringify({ id, more: 1 }))
        } else if (incoming.end === true) return
        else if (incoming.end !== null) throw incoming.end
        else await new Promise<void>((resolve) => (incoming.wake = resolve))
      }
    } finally {
      signal?.removeEventListener('abort', onAbort)
      if (incoming.end === null) this.send(JSON.stringify({ id, cancel: true }))
      this.streams.delete(id)
    }
  }

  /** What is said in one turn goes together. While there is no connection, it is kept until there is one. */
  private send(line: string, isStream = false): void {
    if (this.closing) throw closed(this.name)
    if (this.lost) {
      if (isStream) this.out.push(line) // the others are pending
    } else if (this.out.push(line) === 1) queueMicrotask(() => this.flush())
  }

  private flush(): void {
    if (this.out.length > 0) this.socket.write(`${this.out.join('\n')}\n`)
    this.out = []
  }

  private take(answer: Answer): void {
    const stream = this.streams.get(answer.id)
    if (stream !== undefined) {
      if ('items' in answer) stream.pages.push(answer.items)
      else stream.end = 'error' in answer ? fromWire(answer.error) : true
      stream.wake()
      return
    }
    const pending = this.pending.get(answer.id)
    if (pending === undefined) return
    this.pending.delete(answer.id)
    if ('error' in answer) pending.reject(fromWire(answer.error))
    else pending.resolve(('result' in answer ? answer.result : undefined) as never)
    if (this.pending.size === 0) this.idle?.()
  }

  private async closed(): Promise<void> {
    this.lost = true
    this.out = []
    for (const stream of this.streams.values()) {
      stream.end ??= disconnected(this.name)
      stream.wake()
    }
    for (const [id, { isSafe, requestKey, reject }] of this.pending) {
      if (isSafe && !this.closing) continue
      this.pending.delete(id)
      reject(indeterminate(requestKey))
    }
    if (this.closing) return
    if (!this.comesBack) return this.giveUp(closed(this.name))
    if (!(await this.reconnect())) return
    for (const { line } of this.pending.values()) this.out.push(line)
    this.flush()
  }

  /** Nothing more will be heard. */
  private giveUp(error: Error): void {
    for (const { reject, isSafe, requestKey } of this.pending.values())
      reject(isSafe && requestKey === null ? error : indeterminate(requestKey))
    this.pending.clear()
    this.idle?.()
    for (const stream of this.streams.values()) {
      stream.end ??= error
      stream.wake()
    }
    this.closing = true
  }

  /** False if there is no daemon to be found: then everything is over. */
  private async reconnect(): Promise<boolean> {
    for (const deadline = performance.now() + RECONNECT_MS; ; await setTimeout(RETRY_MS)) {
      try {
        const { socket, reader } = await greet(this.target)
        this.socket = socket
        this.lost = false
        this.listen(socket, reader)
        return true
      } catch (error) {
        if (performance.now() < deadline && !this.closing && isKumaError(error, 'KUMA_NOT_RUNNING')) continue
        this.giveUp(error as Error)
        return false
      }
    }
  }

  /** Waits for what was asked. */
  async close(): Promise<void> {
    this.isClosed = true
    if (this.pending.size > 0) await new Promise<void>((resolve) => (this.idle = resolve))
    if (this.closing) return
    this.flush()
    this.closing = true
    const hungUp = this.socket.destroyed ? null : once(this.socket, 'close')
    this.socket.end()
    await hungUp
  }
}

async function greet(target: Target): Promise<{ socket: Socket; reader: LineReader; greeting: Greeting }> {
  const socket = typeof target === 'string' ? connect(socketPath(target)) : connect(target.address).setNoDelay(true)
  const token = typeof target === 'string' ? undefined : target.token
  const reader = new LineReader(ANSWER_BYTES_MAX)
  const signal = AbortSignal.timeout(GREETING_MS) // one that is stopped accepts, and says nothing
  try {
    await once(socket, 'connect', { signal })
    socket.write(`${JSON.stringify({ kuma: PROTOCOL, token })}\n`)
    for (;;) {
      const [chunk] = (await once(socket, 'data', { signal })) as [Buffer]
      const [first] = reader.push(chunk) as ServerMessage[]
      if (first === undefined) continue
      if ('error' in first) throw fromWire(first.error)
      if (!('kuma' in first) || first.kuma !== PROTOCOL) throw otherProtocol((first as Greeting).kuma)
      return { socket, reader, greeting: first }
    }
  } catch (error) {
    socket.destroy()
    throw isKumaError(error) ? error : notRunning(nameOf(target))
  }
}

function nameOf(target: Target): string {
  return typeof target === 'string' ? target : `tcp://${formatAddress(target.address)}`
}

function closed(store: string): KumaError<'KUMA_CLOSED'> {
  return new KumaError('KUMA_CLOSED', `the connection to ${store} is closed`, { path: store })
}

function disconnected(store: string): KumaError<'KUMA_DISCONNECTED'> {
  const hint = 'ask again, from where it was'
  return new KumaError('KUMA_DISCONNECTED', `the connection to ${store} was lost`, { path: store }, { hint })
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
    return client.stream<T>(call, params, signal)
  }
  return {
    path,
    store,
    append: async (request) => {
      for (const { type, data, meta } of request.events) checkPlain(type, data, meta)
      return client.call('append', request, request.requestKey)
    },
    execute: async (request) => {
      checkPlain(request.command.type, request.command.data, request.meta)
      return frozen(await client.call<ExecuteResult>('execute', request, request.requestKey))
    },
    revert: (request) => client.call('revert', request, request.requestKey),
    erase: (ids, options) => client.call('erase', { ids, ...options }),
    find: (id) => client.call('find', { id }),
    inspect: async (id, point) => frozen(await client.call<Inspected>('inspect', { id, point })),
    diff: (request) => client.call('diff', request),
    blame: (id, path) => client.call('blame', { id, path }),
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
    query: ({ stale, ...query }) => stream<QueryPage>('query', query),
    waitFor: (projection, position, signal) => abortable(client.call('waitFor', { projection, position }), signal),
    catchUp: (_told, signal) => abortable(client.call('waitFor', { projection: null, position: null }), signal),
    list: () => client.call('projections'),
    rebuild: (name, { dryRun, signal } = {}) => abortable(client.call('rebuildProjection', { name, dryRun }), signal),
    pause: (name) => client.call('pauseProjection', { name }),
    resume: (name) => client.call('resumeProjection', { name }),
    drop: (name) => client.call('dropProjection', { name }),
    skip: (name, position, reason) => client.call('skipEvent', { name, position, reason }),
    rowsOf: (id) => client.call('rowsOf', { id }),
  }
}

/** The answer, unless the signal comes first: then nobody waits for it any more. */
function abortable<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
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

/** Goes on from the last page when the connection was lost; ends when it was closed here, as it does in process. */
async function* feedOf(client: Client, { signal, ...request }: FeedRequest = {}): AsyncGenerator<FeedPage> {
  for (let { from, crcs } = request; ; ) {
    try {
      for await (const page of client.stream<FeedPage>('feed', { ...request, from, crcs }, signal)) {
        from = page.position
        crcs = page.crcs
        yield page
      }
      return
    } catch (error) {
      if (client.isClosed) return
      if (!isKumaError(error, 'KUMA_DISCONNECTED')) throw error
    }
  }
}
