/**
 * The requests of one HTTP connection, one at a time: the next is looked at when the answer to the one before has gone. Node
 * would begin them all at once, keep every answer until those before it are read, and count none of that.
 *
 * A connection with many that wait is not listened to until they are fewer. What was read before that took effect is
 * handed over all the same, which may be tens of thousands of requests: so there is a number at which it is cut off. It is a
 * low one for who has not shown the token.
 */
import type { ServerResponse } from 'node:http'
import type { Peer } from './peer.ts'

/** That wait before no more are read; and at which a stranger is cut off. */
const WAITING_MAX = 32
/** At which anybody is. */
const WAITING_FAR_TOO_MANY = 1_024

export class Turns {
  private readonly waiting: (() => void)[] = []
  private isTaken = false
  /** When it was last given back, in milliseconds of `performance.now()`; null while it is taken. */
  idleSince: number | null = performance.now()

  /** @param tooMany is called before it is cut off */
  constructor(
    private readonly peer: Peer,
    private readonly tooMany: () => void,
  ) {
    peer.socket.once('close', () => this.next())
  }

  /** Until the response has gone, or the connection. */
  async take(response: ServerResponse): Promise<void> {
    if (this.peer.socket.destroyed) return
    response.once('close', () => this.next())
    if (this.isTaken) await this.wait()
    this.isTaken = true
    this.idleSince = null
  }

  private wait(): Promise<void> {
    const { socket, isLocal, isAdmitted } = this.peer
    const { length } = this.waiting
    if (length >= (isLocal || isAdmitted ? WAITING_FAR_TOO_MANY : WAITING_MAX)) {
      this.tooMany()
      socket.destroy()
    } else if (length >= WAITING_MAX) socket.pause()
    return new Promise<void>((resolve) => this.waiting.push(resolve))
  }

  private next(): void {
    const { socket } = this.peer
    if (socket.destroyed) for (const wake of this.waiting.splice(0)) wake()
    const wake = this.waiting.shift()
    this.isTaken = wake !== undefined
    if (wake === undefined) this.idleSince = performance.now()
    else wake()
    if (this.waiting.length === WAITING_MAX - 1) socket.resume()
  }
}
