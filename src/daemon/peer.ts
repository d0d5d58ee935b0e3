/** One who is connected, in whatever protocol. */
import type { Socket } from 'node:net'
import type { ClientInfo } from './host.ts'

export class Peer {
  protocol: ClientInfo['protocol'] = null
  calls = 0
  underWay = 0
  private readonly since = new Date().toISOString()

  constructor(
    readonly id: number,
    readonly socket: Socket,
    /** It came by the socket in the store, which only its owner may open. Others must show the token. */
    readonly isLocal: boolean,
  ) {}

  info(): ClientInfo {
    const { id, protocol, since, calls, underWay, socket } = this
    const from = this.isLocal ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`
    return { id, protocol, from, since, calls, underWay, bytesIn: socket.bytesRead, bytesOut: socket.bytesWritten }
  }
}
