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
import { ioError } from '../store/directory.ts'
import { isSame, type Seen, see } from '../store/watch.ts'
import { formatAddress, isLoopback, type TcpAddress } from './address.ts'
import { Connection } from './connection.ts'
import type { Host } from './host.ts'
import { HttpSide } from './http.ts'
import { Peer } from './peer.ts'
import { socketPath } from './protocol.ts'

/** Those that may wait to be accepted: many programs start at once. */
const BACKLOG = 4_096
const OPENING_BRACE = 0x7b
/** How long someone may be connected and say nothing at first. */
const FIRST_BYTE_MS = 5_000
const KEEP_ALIVE_MS = 60_000

export class Server {
  private readonly peers = new Map<Socket, Peer>()
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
    this.listening.push(net)
    return net
  }

  get clients(): readonly Peer[] {
    return [...this.peers.values()]
  }

  private accept(socket: Socket, isLocal: boolean): void {
    const { clientsMax } = this.host.bounds
    if (this.peers.size >= clientsMax) {
      this.host.log.warn({ clients: clientsMax }, 'too many clients: one was turned away')
      return void socket.destroy()
    }
    const peer = new Peer(++this.lastId, socket, isLocal)
    this.peers.set(socket, peer)
    if (!isLocal) socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
    const silent = setTimeout(() => socket.destroy(), FIRST_BYTE_MS)
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => {
      clearTimeout(silent)
      this.peers.delete(socket)
      if (this.peers.size === 0) this.alone?.()
      this.host.log.debug({ client: peer.id, calls: peer.calls }, 'disconnected')
    })
    socket.once('data', (chunk) => {
      clearTimeout(silent)
      socket.pause()
      socket.unshift(chunk)
      peer.protocol = chunk[0] === OPENING_BRACE ? 'ndjson' : 'http'
      this.host.log.debug({ client: peer.id, protocol: peer.protocol, from: peer.info().from }, 'connected')
      if (peer.protocol === 'http') this.http.take(socket)
      else this.speakLines(peer)
      process.nextTick(() => socket.resume())
    })
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
    if (this.peers.size === 0) return
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, ms)
      this.alone = () => {
        clearTimeout(late)
        resolve()
      }
    })
  }

  /** Takes nobody and nothing new, and answers what is under way. The socket's name goes with it, while the lock is held. */
  async drain(): Promise<void> {
    for (const net of this.listening) net.close()
    if (this.socket !== null && isSame(this.socket, see(this.path))) rmSync(this.path, { force: true })
    this.sayGoodbye()
    await Promise.all([this.http.drain(), ...Array.from(this.connections, (connection) => connection.drain())])
  }

  /** Hangs up: whoever is connected knows then that it has ended. */
  async hangUp(): Promise<void> {
    await Promise.all(Array.from(this.connections, (connection) => connection.hangUp()))
    for (const { socket } of this.clients) socket.destroy()
  }
}
