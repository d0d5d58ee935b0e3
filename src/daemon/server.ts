/**
 * Listens on the store's socket, and over TCP if that is wanted. Whoever may open the folder may speak to the daemon: folder
 * and socket belong to the user who runs it, and to nobody else. The engine holds the store's lock, so a socket that is
 * there already is one that a daemon left behind when it was killed.
 *
 * The socket's name goes when the daemon ends. By then another store may stand at that path, with a daemon of its own: so only
 * the name of the very socket that was made here is removed. Node would remove whatever has the name that it was told to
 * listen on; so it is told another one, which is then renamed.
 *
 * The first byte tells what someone speaks: `{` begins a line of JSON (protocol.ts), anything else should be HTTP (http.ts).
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, renameSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { toWire } from '../errors.ts'
import { ioError } from '../store/directory.ts'
import { isSame, type Seen, see } from '../store/watch.ts'
import { formatAddress, isLoopback, type TcpAddress } from './address.ts'
import { Connection } from './connection.ts'
import type { Host } from './host.ts'
import { HttpSide } from './http.ts'
import { type Door, Peer } from './peer.ts'
import { Places } from './places.ts'
import { socketPath } from './protocol.ts'

/** Those that may wait to be accepted: many programs start at once. */
const BACKLOG = 4_096
const OPENING_BRACE = 0x7b
/** How long someone may be connected until his first line is here; in HTTP his first byte, and http.ts goes on. */
const FIRST_LINE_MS = 5_000
const KEEP_ALIVE_MS = 60_000
/** How long someone who was hung up on may read why, and how many may at a time: the one who does so for the longest goes. */
const LINGER_MS = 1_000
const LINGERING_MAX = 32
/** How long calls that are under way may take when it ends: appends take milliseconds, and what waits longer is told so. */
const ANSWER_MS = 5_000
/** How long clients may then read. */
const HANG_UP_MS = 1_500

export class Server implements Door {
  private readonly peers = new Map<Socket, Peer>()
  private readonly places: Places
  /** Of those who have not said their first line: when they have to. */
  private readonly deadlines = new Map<Peer, NodeJS.Timeout>()
  /** They have no place any more. */
  private readonly lingering = new Set<Socket>()
  private readonly connections = new Set<Connection>()
  private readonly listening: NetServer[] = []
  private readonly http: HttpSide
  private lastId = 0
  private isLeaving = false
  private alone: (() => void) | null = null
  /** The socket in the store. */
  private socket: Seen | null = null
  /** Where it listens over TCP. */
  address: string | null = null

  private constructor(
    private readonly path: string,
    private readonly host: Host,
    tcp: TcpAddress | null,
  ) {
    this.places = new Places(host.bounds, host.engine.shards().length)
    this.http = new HttpSide(host, (socket) => this.peers.get(socket)!, tcp && isLoopback(tcp.host) ? tcp.host : null)
  }

  /** @throws KUMA_INVALID_CONFIG if the socket's path is too long, KUMA_IO */
  static async listen(store: string, host: Host, tcp: TcpAddress | null): Promise<Server> {
    const path = socketPath(store)
    const server = new Server(path, host, tcp)
    const made = join(dirname(path), `.${randomBytes(4).toString('hex')}`) // no longer than the name that it gets
    await server.listen({ path: made }, true)
    chmodSync(made, 0o600) // where a folder has default ACLs, the umask does not count
    renameSync(made, path)
    server.socket = see(path)
    if (tcp === null) return server
    try {
      const { address, port } = (await server.listen(tcp, false)).address() as AddressInfo
      server.address = formatAddress({ host: address, port })
      return server
    } catch (error) {
      await server.drain()
      throw error
    }
  }

  private async listen(where: TcpAddress | { readonly path: string }, isLocal: boolean): Promise<NetServer> {
    const net = createServer((socket) => this.accept(socket, isLocal))
    await new Promise<void>((resolve, reject) => {
      net.once('error', (error) => reject(ioError(error, 'path' in where ? where.path : formatAddress(where))))
      const umask = isLocal ? process.umask(0o177) : null // the socket is made at once: at no moment may others open it
      try {
        net.listen({ ...where, backlog: BACKLOG }, resolve)
      } finally {
        if (umask !== null) process.umask(umask)
      }
    })
    // no file is left for one more, for one: he was hung up on, and the others go on
    net.removeAllListeners('error').on('error', ({ code }: NodeJS.ErrnoException) => {
      this.host.refusals.add(code ?? 'accept')
    })
    if (this.host.isEmbedded) net.unref()
    this.listening.push(net)
    return net
  }

  get clients(): readonly Peer[] {
    return this.places.all
  }

  private accept(socket: Socket, isLocal: boolean): void {
    if (this.host.isEmbedded) socket.unref()
    const peer = new Peer(++this.lastId, socket, isLocal, this)
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => this.left(peer))
    this.peers.set(socket, peer)
    try {
      this.displace(this.places.enter(peer))
    } catch (error) {
      this.host.refusals.add('too many clients', { client: peer.id, from: peer.info().from })
      peer.dismiss(isLocal ? `${JSON.stringify({ error: toWire(error) })}\n` : '')
      return
    }
    if (!isLocal) socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
    this.deadlines.set(
      peer,
      setTimeout(() => this.tooLate(peer), FIRST_LINE_MS),
    )
    socket.once('data', (chunk: Buffer) => this.heard(peer, chunk))
  }

  private heard(peer: Peer, chunk: Buffer): void {
    const { socket } = peer
    socket.pause()
    socket.unshift(chunk)
    peer.protocol = chunk[0] === OPENING_BRACE ? 'ndjson' : 'http'
    this.host.log.debug({ client: peer.id, protocol: peer.protocol, from: peer.info().from }, 'connected')
    if (peer.protocol === 'ndjson') this.speakLines(peer)
    else {
      this.inTime(peer)
      this.http.take(socket)
    }
    process.nextTick(() => socket.resume())
  }

  private tooLate(peer: Peer): void {
    this.host.refusals.add('no first line in time', { client: peer.id, from: peer.info().from })
    peer.socket.destroy()
  }

  private inTime(peer: Peer): void {
    clearTimeout(this.deadlines.get(peer))
    this.deadlines.delete(peer)
  }

  /** @param oldest of those who have shown no token: it goes for one who has come just now */
  private displace(oldest: Peer | null): void {
    if (oldest === null) return
    this.host.refusals.add('displaced: too many without a token', { client: oldest.id, from: oldest.info().from })
    oldest.socket.destroy()
  }

  admit(peer: Peer): void {
    this.places.admit(peer)
    this.inTime(peer)
  }

  /** Not only by an end, after which it could stay for as long as it likes. */
  dismiss(peer: Peer, last: string): void {
    const { socket } = peer
    this.leave(peer)
    if (socket.destroyed || this.lingering.has(socket)) return
    if (this.lingering.size >= LINGERING_MAX) this.lingering.values().next().value!.destroy()
    this.lingering.add(socket)
    const late = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.on('close', () => {
      clearTimeout(late)
      this.lingering.delete(socket)
    })
    // what it still says is passed over: bytes that nobody reads would make the kernel throw away the last ones for it
    socket.resume().end(last)
  }

  private leave(peer: Peer): void {
    this.inTime(peer)
    this.places.leave(peer)
    if (this.places.size === 0) this.alone?.()
  }

  private left(peer: Peer): void {
    this.leave(peer)
    this.peers.delete(peer.socket)
    this.host.log.debug({ client: peer.id, calls: peer.calls }, 'disconnected')
  }

  private speakLines(peer: Peer): void {
    const connection = new Connection(peer, this.host)
    if (this.isLeaving) connection.sayGoodbye() // it was connected, and had said nothing yet
    this.connections.add(connection)
    peer.socket.on('close', () => this.connections.delete(connection))
  }

  /** Tells every client of the protocol which of its calls was the last one that is taken. */
  sayGoodbye(): void {
    this.isLeaving = true
    for (const connection of this.connections) connection.sayGoodbye()
  }

  /** Resolves when nobody is connected, or when the time is over. */
  async untilAlone(ms: number): Promise<void> {
    if (this.places.size === 0) return
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, ms)
      this.alone = () => {
        clearTimeout(late)
        resolve()
      }
    })
  }

  /**
   * Takes nobody and nothing new, and answers what is under way, for as long as ANSWER_MS. The socket's name goes with it,
   * while the lock is held. What comes of the rest is still told until they are hung up on.
   * @returns how many calls were not answered
   */
  async drain(): Promise<number> {
    for (const net of this.listening) net.close()
    if (this.socket !== null && isSame(this.socket, see(this.path))) rmSync(this.path, { force: true })
    this.sayGoodbye()
    const answered = [this.http.drain(), ...Array.from(this.connections, (connection) => connection.drain())]
    let late: NodeJS.Timeout | undefined
    await Promise.race([Promise.all(answered), new Promise((resolve) => (late = setTimeout(resolve, ANSWER_MS)))])
    clearTimeout(late)
    return this.clients.reduce((sum, { underWay }) => sum + underWay, 0)
  }

  /** Whoever is connected knows then that it has ended. One that does not read what it was told holds up nobody for long. */
  async hangUp(): Promise<void> {
    const late = setTimeout(() => {
      for (const socket of this.peers.keys()) socket.destroy()
    }, HANG_UP_MS)
    for (const connection of this.connections) connection.hangUp()
    for (const peer of this.peers.values()) if (peer.protocol !== 'ndjson') peer.socket.destroySoon()
    // not by `once`, which would reject if a client is killed meanwhile
    await Promise.all(Array.from(this.peers.keys(), (socket) => new Promise((closed) => socket.on('close', closed))))
    clearTimeout(late)
  }
}
