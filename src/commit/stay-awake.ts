/**
 * A thread that sleeps takes 30 to 50 microseconds to wake, which on a fast disk is a third of a commit. So whoever
 * expects to be spoken to within a moment turns its event loop instead of sleeping; timers and sockets go on as ever.
 * It costs the processor for that moment and no longer: an idle store sleeps.
 */
export class StayAwake {
  private deadline = 0
  private turning = false

  /** @param wanted asked at each turn: is there still something to wait for? */
  constructor(
    private readonly momentMs: number,
    private readonly wanted: () => boolean = () => true,
  ) {}

  /** From now on for a moment. */
  begin(): void {
    this.deadline = performance.now() + this.momentMs
    if (this.turning) return
    this.turning = true
    setImmediate(this.turn)
  }

  private readonly turn = () => {
    if (performance.now() < this.deadline && this.wanted()) setImmediate(this.turn)
    else this.turning = false
  }
}
