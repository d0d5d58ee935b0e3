/**
 * The requests of one HTTP connection, one at a time: the next is looked at when the answer to the one before has gone. Node
 * would begin them all at once, keep every answer until those before it are read, and count none of that. A connection with
 * many that wait is not listened to until they are fewer.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const WAITING_MAX = 32

export class Turns {
  private readonly waiting: (() => void)[] = []
  private isTaken = false
  /** When it was last given back, in milliseconds of `performance.now()`; null while it is taken. */
  idleSince: number | null = performance.now()

  constructor(private readonly socket: Socket) {
    socket.once('close', () => this.next())
  }

  /** Until the response has gone, or the connection. */
  async take(response: ServerResponse): Promise<void> {
    response.once('close', () => this.next())
    if (this.isTaken) {
      if (this.waiting.length >= WAITING_MAX) this.socket.pause()
      await new Promise<void>((resolve) => this.waiting.push(resolve))
    }
    this.isTaken = true
    this.idleSince = null
  }

  private next(): void {
    if (this.socket.destroyed) for (const wake of this.waiting.splice(0)) wake()
    const wake = this.waiting.shift()
    this.isTaken = wake !== undefined
    if (wake === undefined) this.idleSince = performance.now()
    else wake()
    if (this.waiting.length === WAITING_MAX - 1) this.socket.resume()
  }
}
