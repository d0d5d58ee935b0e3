/** How long the last appends of one actor took. */
const KEPT = 32

export class Acks {
  private readonly ring = new Float32Array(KEPT)
  private count = 0

  add(ms: number): void {
    this.ring[this.count++ % KEPT] = ms
  }

  spread(): { readonly p50: number; readonly p99: number } {
    const sorted = this.ring.slice(0, Math.min(this.count, KEPT)).sort()
    return { p50: sorted[(sorted.length - 1) >> 1]!, p99: sorted.at(-1)! }
  }
}
