/** One who is connected, in whatever protocol. */
import type { Socket } from 'node:net'
import type { ClientInfo } from './host.ts'

/** Where it came in. */
export interface Door {
  /** It has said what everybody must say first. @throws KUMA_OVERLOADED if there is no place for one more */
  admit(peer: Peer): void
  /** Hangs up on it. @param last what it is told */
  dismiss(peer: Peer, last: string): void
}

export class Peer {
  protocol: ClientInfo['protocol'] = null
  calls = 0
  underWay = 0
  /** It may ask: over TCP it has shown the token. */
  isAdmitted = false
  private readonly since = new Date().toISOString()

  constructor(
    readonly id: number,
    readonly socket: Socket,
    /** It came by the socket in the store, which only its owner may open. Others must show the token. */
    readonly isLocal: boolean,
    private readonly door: Door,
  ) {}

  /** @throws KUMA_OVERLOADED */
  admit(): void {
    if (this.isAdmitted) return
    this.door.admit(this)
    this.isAdmitted = true
  }

  /** From now on it has no place here, whether it closes its side or not; what it was told it may read for a moment. */
  dismiss(last = ''): void {
    this.door.dismiss(this, last)
  }

  info(): ClientInfo {
    const { id, protocol, since, calls, underWay, socket } = this
    const from = this.isLocal ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`
    return { id, protocol, from, since, calls, underWay, bytesIn: socket.bytesRead, bytesOut: socket.bytesWritten }
  }
}
