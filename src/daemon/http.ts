/**
 * HTTP on the daemon's sockets, for curl and whatever else speaks it; the routes stand in routes.ts. Node's server does the
 * talking and never listens itself: connections are handed to it.
 *
 * A web page must not reach the store through its reader's browser: what has an `Origin` is refused, also what has another
 * `Host` than this machine's names where it listens on this machine only (a name can be made to point anywhere), and a
 * body must be declared as JSON, which no page can send elsewhere without asking.
 */
import { once, setMaxListeners } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { parseJson } from '../entity/json.ts'
import { decodeUtf8, TO_UTF8 } from '../entity/utf8.ts'
import { KumaError, type KumaErrorCode, quoted, shortened, toWire } from '../errors.ts'
import { meantBy } from '../nearest.ts'
import { tooManyCalls } from './bounds.ts'
import type { Host } from './host.ts'
import { JsonCounter } from './json-counter.ts'
import type { Peer } from './peer.ts'
import { LONG_LINE_BYTES_MAX, UNREAD_MS } from './protocol.ts'
import { parseQueryString, percentDecoded } from './query-string.ts'
import { type Given, JSON_TYPE, type Reply, ROUTES, type Route, SSE_TYPE } from './routes.ts'
import { wrongToken } from './token.ts'
import { Turns } from './turns.ts'

const KEEP_ALIVE_MS = 60_000
const HEADERS_MS = 5_000
/** Of a body that is sent as one: so much is given to the connection at a time. */
const PIECE_BYTES = 1024 * 1024
/** How often it is looked who takes too long. */
const WATCH_MS = 1_000
const REQUEST_MS = 120_000
/** A parameter of a content type. */
const CHARSET = /;\s*charset\s*=\s*("[^"]*"|[^;\s]+)/gi
const PERCENT = 'percent-encode UTF-8: `curl -G --data-urlencode NAME=VALUE` does it for a query'
const NAMES = ['localhost', '127.0.0.1', '[::1]']

/** What an error's code is in HTTP; 500 for all others. */
export const STATUS: Partial<Record<KumaErrorCode, number>> = {
  KUMA_USAGE: 400,
  KUMA_INVALID_POINT: 400,
  KUMA_INVALID_POSITION: 400,
  KUMA_INVALID_ID: 400,
  KUMA_INVALID_REQUEST: 400,
  KUMA_INVALID_DATA: 400,
  KUMA_INVALID_EVENT: 400,
  KUMA_INVALID_TIME: 400,
  KUMA_INVALID_COMMAND: 400,
  KUMA_UNKNOWN_TYPE: 400,
  KUMA_INVALID_QUERY: 400,
  KUMA_PROTOCOL: 400,
  KUMA_UNAUTHORIZED: 401,
  KUMA_FORBIDDEN: 403,
  KUMA_NOT_FOUND: 404,
  KUMA_ERASED: 410,
  KUMA_STATE_TOO_LARGE: 413,
  KUMA_CONFLICT: 409,
  KUMA_TYPE_MISMATCH: 409,
  KUMA_REQUEST_KEY_REUSED: 409,
  KUMA_REJECTED: 422,
  KUMA_TIMEOUT: 503,
  KUMA_PROJECTION_FAILED: 503,
  KUMA_PROJECTION_CHANGED: 503,
  KUMA_SINK_UNAVAILABLE: 503,
  KUMA_INTERRUPTED: 503,
  KUMA_OVERLOADED: 503,
  KUMA_POISONED: 503,
  KUMA_CORRUPT: 503,
  KUMA_CLOSED: 503,
  KUMA_PACKAGE_REPLACED: 503,
  KUMA_DISK_FULL: 507,
}

/** @param bytes that are held until it was read */
type Watch = (read: Promise<unknown>, bytes: number) => Promise<void>

interface Match {
  readonly route: Route
  readonly id: string
}

export class HttpSide {
  private readonly server: Server
  private readonly stop = new AbortController()
  /** Of each connection. */
  private readonly turns = new Map<Socket, Turns>()
  private readonly watch: NodeJS.Timeout
  private underWay = 0
  private idle: (() => void) | null = null

  /** @param ownName under which it listens on this machine only; null: it can be reached under names that it does not know */
  constructor(
    private readonly host: Host,
    private readonly peerOf: (socket: Socket) => Peer,
    private readonly ownName: string | null,
  ) {
    setMaxListeners(0, this.stop.signal) // one for each request that waits
    this.server = createServer(
      {
        keepAliveTimeout: KEEP_ALIVE_MS,
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        connectionsCheckingInterval: WATCH_MS,
      },
      (request, response) => void this.answer(request, response),
    )
    this.server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.garbage(error, socket as Socket))
    this.server.emit('listening') // from then on it watches those that say nothing
    this.watch = setInterval(() => this.dropIdle(), WATCH_MS).unref()
  }

  take(socket: Socket): void {
    const peer = this.peerOf(socket)
    const tooMany = () =>
      this.host.refusals.add('too many requests at once', { client: peer.id, from: peer.info().from })
    this.turns.set(socket, new Turns(peer, tooMany))
    socket.once('close', () => this.turns.delete(socket))
    this.server.emit('connection', socket)
  }

  /** Node forgets those that send an empty line now and then. */
  private dropIdle(): void {
    const before = performance.now() - KEEP_ALIVE_MS - REQUEST_MS
    for (const [socket, { idleSince }] of this.turns) if (idleSince !== null && idleSince < before) socket.destroy()
  }

  private garbage({ code }: NodeJS.ErrnoException, socket: Socket): void {
    if (!socket.writable) return
    const peer = this.peerOf(socket)
    this.host.refusals.add(code ?? 'garbage', { client: peer?.id })
    const status = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request'
    peer.dismiss(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await this.turns.get(request.socket)?.take(response)
    if (request.socket.destroyed) return // it came after others, and was not looked at
    const peer = this.peerOf(request.socket)
    const startedAt = performance.now()
    let route: Route | null = null
    this.began(peer)
    try {
      if (peer.underWay > this.host.bounds.callsMax) throw tooManyCalls()
      const [path, search] = splitUrl(request.url ?? '')
      this.stop.signal.throwIfAborted()
      this.admit(request, peer, path)
      const match = find(request.method!, path)
      route = match.route
      const given = await unless(this.stop.signal, givenOf(request, match, search))
      const gone = untilGone(response)
      await send(
        response,
        await this.run(route, given, peer, gone),
        request.method === 'HEAD',
        this.stop.signal,
        this.watcher(peer, response),
      )
    } catch (error) {
      if (!response.destroyed) this.fail(request, response, error)
    } finally {
      this.ended(peer)
      const { statusCode: status } = response
      const ms = Math.round(performance.now() - startedAt)
      // the route and not the path, in which an id stands
      this.host.log.debug({ client: peer.id, method: request.method, route: route?.path, status, ms }, 'answered')
    }
    if (!response.closed && request.socket.writableLength > 0)
      await this.watcher(peer, response)(
        new Promise((closed) => response.once('close', closed)),
        request.socket.writableLength,
      )
  }

  /** Waits until the client has read something; cuts it off where it does not. */
  private watcher(peer: Peer, response: ServerResponse): Watch {
    return async (read, bytes) => {
      const cutOff = () => {
        this.host.refusals.add('it does not read', { client: peer.id, from: peer.info().from })
        response.destroy()
      }
      const late = setTimeout(cutOff, UNREAD_MS)
      const release = this.host.unread.hold(bytes, cutOff)
      try {
        await read
      } finally {
        clearTimeout(late)
        release()
      }
    }
  }

  /** @param gone ends it, and an answer that may be long ends with the daemon too */
  private async run(route: Route, given: Given, peer: Peer, gone: AbortSignal): Promise<Reply> {
    const { calls, slowCalls } = this.host
    const leaving = this.stop.signal
    const signal = route.type === undefined ? gone : AbortSignal.any([gone, leaving])
    const work = async () => route.run(this.host, given, { client: peer.id, signal, leaving })
    const call = `${route.method} ${route.path}`
    const isSlow = typeof route.isSlow === 'function' ? route.isSlow(given) : route.isSlow
    const begun = calls.begin(peer.id, call)
    const run = isSlow ? slowCalls.run(peer, begun, [signal, leaving], work) : work()
    const reply = await run.finally(() => calls.end(begun))
    const { body } = reply
    if (typeof body === 'string' || route.type === SSE_TYPE) return reply
    return { ...reply, body: slowCalls.pages(peer, call, isSlow, [signal], body) }
  }

  private began(peer: Peer): void {
    peer.calls++
    peer.underWay++
    this.underWay++
  }

  private ended(peer: Peer): void {
    peer.underWay--
    if (--this.underWay === 0) this.idle?.()
  }

  /** @throws KUMA_FORBIDDEN, KUMA_UNAUTHORIZED */
  private admit({ headers }: IncomingMessage, peer: Peer, path: string): void {
    if (headers.origin !== undefined) throw forbidden('web pages may not speak to a store')
    if (peer.isLocal) return
    const name = /^(.*?)(?::\d+)?$/.exec(headers.host ?? '')?.[1]
    const ownNames = this.ownName === null ? null : [...NAMES, this.ownName, `[${this.ownName}]`]
    if (ownNames !== null && !ownNames.includes(name!)) throw forbidden('that is no name of this machine')
    if (ROUTES.some((route) => route.isOpen && route.path === path)) return
    const token = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
    if (!this.host.token?.isShownBy(token)) throw wrongToken()
    peer.admit()
  }

  private fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const wire = toWire(error)
    const { code, details } = wire
    const own = error instanceof HttpError ? error : null
    const status = own?.status ?? STATUS[code] ?? 500
    if (status === 500 || status === 401 || status === 403 || code === 'KUMA_CORRUPT')
      this.host.refusals.add(code, { client: this.peerOf(request.socket)?.id, status })
    if (response.headersSent) return void cutOff(request, response)
    if (status === 401) response.setHeader('www-authenticate', 'Bearer')
    if ('retryAfterMs' in details) response.setHeader('retry-after', Math.ceil(details.retryAfterMs / 1_000))
    if (own?.more.allow !== undefined) response.setHeader('allow', own.more.allow)
    const hasBody = 'content-length' in request.headers || 'transfer-encoding' in request.headers
    if (hasBody && !request.complete) response.setHeader('connection', 'close') // the rest of it is not waited for
    const body = `${JSON.stringify({ error: wire })}\n`
    response.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body) })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  /** Takes nothing new, and answers what is under way. */
  async drain(): Promise<void> {
    this.stop.abort(new KumaError('KUMA_CLOSED', 'the daemon is ending', { path: this.host.engine.path }))
    this.server.close() // ends the watch
    clearInterval(this.watch)
    if (this.underWay > 0) await new Promise<void>((resolve) => (this.idle = resolve))
  }
}

function untilGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  return gone.signal
}

/** What is wrong with a request as HTTP. */
class HttpError extends KumaError<'KUMA_INVALID_REQUEST'> {
  constructor(
    readonly status: number,
    call: string,
    message: string,
    readonly more: { readonly hint?: string; readonly allow?: string } = {},
  ) {
    super('KUMA_INVALID_REQUEST', message, { call }, more)
  }
}

function forbidden(message: string): KumaError<'KUMA_FORBIDDEN'> {
  return new KumaError('KUMA_FORBIDDEN', message, {})
}

/** Not by URL, to which an id like %2E%2E would be a way up. A query may have question marks of its own. */
function splitUrl(url: string): [path: string, search: string] {
  const at = url.indexOf('?')
  return at === -1 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

/** Each route's path as the parts between its slashes. */
const PATHS = ROUTES.map((route) => ({ route, parts: route.path.split('/') }))

function find(method: string, path: string): Match {
  const parts = path.split('/')
  const there = PATHS.filter((one) => fits(one.parts, parts))
  const found = there.find(({ route }) => route.method === (method === 'HEAD' ? 'GET' : method))
  if (found !== undefined) return { route: found.route, id: idIn(found.parts, parts) }
  if (there.length === 0)
    throw new HttpError(404, method, 'there is no such path', { hint: '/openapi.json lists them' })
  const allow = there.map(({ route }) => route.method).join(', ')
  throw new HttpError(405, method, `there is no ${method} of it`, { allow })
}

function fits(parts: readonly string[], given: readonly string[]): boolean {
  return (
    parts.length === given.length && parts.every((part, i) => (part === ':id' ? given[i] !== '' : part === given[i]))
  )
}

function idIn(parts: readonly string[], given: readonly string[]): string {
  const at = parts.indexOf(':id')
  if (at === -1) return ''
  return percentDecoded(given[at]!, (problem) => new HttpError(400, 'id', `the id ${problem}`, { hint: PERCENT }))
}

async function givenOf(request: IncomingMessage, { route, id }: Match, search: string): Promise<Given> {
  const wrong = (problem: string, hint?: string) =>
    new HttpError(400, route.path, problem, hint === undefined ? {} : { hint })
  const query = parseQueryString(search, (problem) => new HttpError(400, route.path, problem, { hint: PERCENT }))
  for (const [name, values] of query) {
    const parameter = Object.hasOwn(route.query ?? {}, name) ? route.query![name]! : null
    if (parameter === null) throw wrong(`it takes no ${quoted(name)}`, meantBy(name, Object.keys(route.query ?? {})))
    if (parameter.kind !== 'texts' && values.length > 1) throw wrong(`${name} is given twice`)
    if (parameter.kind === 'integer' && !/^\d{1,15}$/.test(values[0]!)) throw wrong(`${name} must be a whole number`)
    if (parameter.kind === 'boolean' && !['true', 'false', ''].includes(values[0]!))
      throw wrong(`${name} must be true or false`)
  }
  const lastEventId = request.headers['last-event-id']
  return {
    id,
    query: Object.fromEntries(Array.from(query, ([name, [value]]) => [name, value])),
    list: (name) => query.get(name),
    body: route.body === undefined ? undefined : await bodyOf(request, route),
    lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
  }
}

async function bodyOf(request: IncomingMessage, route: Route): Promise<unknown> {
  const declared = request.headers['content-type'] ?? ''
  const [type = ''] = declared.split(';', 1)
  if (type.trim().toLowerCase() !== JSON_TYPE) {
    const hint = 'curl --json, or -H "content-type: application/json"'
    throw new HttpError(415, route.path, `the body must be declared as ${JSON_TYPE}`, { hint })
  }
  for (const [, charset] of declared.matchAll(CHARSET))
    if (!/^"?utf-?8"?$/i.test(charset!))
      throw new HttpError(415, route.path, `the body must be UTF-8, not ${shortened(charset!)}`, { hint: TO_UTF8 })
  const text = decodeUtf8(await read(request, route), (problem) => invalidBody(problem, TO_UTF8))
  return parseJson(text, 'the body')
}

function invalidBody(problem: string, hint?: string): KumaError<'KUMA_INVALID_DATA'> {
  return new KumaError('KUMA_INVALID_DATA', `the body ${problem}`, { path: '' }, { hint })
}

/** By events: an iteration would cost as much as the append. It is counted what is in it: nobody waits for too much. */
function read(request: IncomingMessage, { path }: Route): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const counter = new JsonCounter(invalidBody)
    let bytes = 0
    const take = (chunk: Buffer) => {
      try {
        bytes += chunk.length
        if (bytes > LONG_LINE_BYTES_MAX)
          throw new HttpError(413, path, `the body is longer than ${LONG_LINE_BYTES_MAX / 1024 / 1024} MiB`)
        counter.add(chunk)
        chunks.push(chunk)
      } catch (error) {
        request.off('data', take).pause()
        reject(error)
      }
    }
    request.on('data', take)
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    request.once('close', () => reject(new HttpError(400, path, 'the body was cut short')))
  })
}

/** So that what was cut short is not taken for the whole: HTTP/1.0 tells the one from the other by how the connection ends. */
function cutOff({ httpVersion, socket }: IncomingMessage, response: ServerResponse): void {
  if (httpVersion === '1.0' && socket.remoteAddress !== undefined) socket.resetAndDestroy() // a Unix socket cannot
  response.destroy()
}

/** What is sent as one is turned into bytes here, so that nothing keeps the text while they are read. */
async function send(
  response: ServerResponse,
  reply: Reply,
  isHead: boolean,
  stop: AbortSignal,
  watch: Watch,
): Promise<void> {
  const { status = 200, type, body } = reply
  const headers = { 'content-type': type, 'cache-control': 'no-store' }
  if (typeof body === 'string') {
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
    if (!isHead && body.length > PIECE_BYTES) return sendLarge(response, Buffer.from(body), watch)
    response.end(isHead ? undefined : body)
    return
  }
  if (isHead) {
    response.writeHead(status, headers).end()
    return
  }
  // the first piece before the status: what goes wrong until then has a status of its own
  const pieces = body[Symbol.asyncIterator]()
  try {
    let piece = await pieces.next()
    response.writeHead(status, { ...headers, ...reply.headers?.() })
    for (; !piece.done; piece = await pieces.next()) {
      if (response.write(piece.value)) continue
      stop.throwIfAborted()
      await drained(response, response.writableLength, watch, stop)
      stop.throwIfAborted() // who does not read holds up no stop
    }
    response.end()
  } finally {
    await pieces.return?.()
  }
}

async function sendLarge(response: ServerResponse, body: Buffer, watch: Watch): Promise<void> {
  for (let at = 0; at < body.length; at += PIECE_BYTES)
    if (!response.write(body.subarray(at, at + PIECE_BYTES))) await drained(response, body.length - at, watch)
  response.end()
}

/** When the client has read what it was sent, or when it is time to stop. @param bytes that it holds here meanwhile */
async function drained(response: ServerResponse, bytes: number, watch: Watch, stop?: AbortSignal): Promise<void> {
  const waited = new AbortController() // else listeners would stay behind each time
  const events = [once(response, 'drain', waited), once(response, 'close', waited)]
  try {
    await watch(Promise.race(stop === undefined ? events : [...events, once(stop, 'abort', waited)]), bytes)
  } finally {
    waited.abort()
  }
  if (response.destroyed) throw new Error('the client has gone')
}

/** What was promised, unless the signal comes first. @throws its reason */
function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
