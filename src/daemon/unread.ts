/**
 * What was sent and is not read yet lies in the daemon's memory. Of one connection that is little: there is one answer at a
 * time beyond UNREAD_MAX, and it comes piece by piece; who does not take a piece in UNREAD_MS is cut off. Of many it would be
 * much all the same. So all of them together may leave `unreadBytesMax`, and when that is passed, the one that has taken
 * nothing for the longest time is cut off at once: who reads, however slowly, took a piece after it.
 */
interface Held {
  readonly bytes: number
  readonly cutOff: () => void
}

export class Unread {
  /** The one that has waited for the longest first. */
  private readonly all = new Set<Held>()
  private bytes = 0

  constructor(private readonly bytesMax: number) {}

  /**
   * Of one alone nothing more is asked: its answer must be as large as it is.
   * @param cutOff ends the connection
   * @returns to be called when they were read, or the connection has ended
   */
  hold(bytes: number, cutOff: () => void): () => void {
    const held = { bytes, cutOff }
    this.all.add(held)
    this.bytes += bytes
    while (this.bytes > this.bytesMax && this.all.size > 1) {
      const first = this.all.values().next().value!
      this.release(first)
      first.cutOff()
    }
    return () => this.release(held)
  }

  private release(held: Held): void {
    if (this.all.delete(held)) this.bytes -= held.bytes
  }
}
