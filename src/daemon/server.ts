/**
 * Listens on the store's socket. Whoever may open the folder may speak to the daemon: folder and socket belong to the user
 * who runs it, and to nobody else. The engine holds the store's lock, so a socket that is there already is one that a
 * daemon left behind when it was killed.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { ioError } from '../store/directory.ts'
import { Connection, type Host } from './connection.ts'
import { socketPath } from './protocol.ts'

const CLIENTS_MAX = 10_000

export class Server {
  private readonly connections = new Set<Connection>()
  private readonly net: NetServer

  private constructor(
    private readonly path: string,
    private readonly host: Host,
  ) {
    this.net = createServer((socket) => this.accept(socket))
  }

  /** @throws KUMA_INVALID_CONFIG if the socket's path is too long, KUMA_IO */
  static async listen(store: string, host: Host): Promise<Server> {
    const path = socketPath(store)
    const server = new Server(path, host)
    rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.net.once('error', (error) => reject(ioError(error, path)))
      server.net.listen(path, resolve)
    })
    chmodSync(path, 0o600)
    return server
  }

  get clients(): number {
    return this.connections.size
  }

  private accept(socket: Socket): void {
    if (this.connections.size >= CLIENTS_MAX) return void socket.destroy()
    const connection = new Connection(socket, this.host)
    this.connections.add(connection)
    socket.on('close', () => this.connections.delete(connection))
  }

  /** Takes nobody and nothing new, and answers what is under way. The socket's name goes with it, while the lock is held. */
  async drain(): Promise<void> {
    this.net.close()
    rmSync(this.path, { force: true })
    await Promise.all(Array.from(this.connections, (connection) => connection.drain()))
  }

  /** Hangs up: whoever is connected knows then that it has ended. */
  async hangUp(): Promise<void> {
    await Promise.all(Array.from(this.connections, (connection) => connection.hangUp()))
  }
}
