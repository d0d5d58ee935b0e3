/**
 * Does something when nothing has happened for a while. It costs next to nothing each time that something happens: one
 * timer goes on as long as there is something to wait for. It keeps no program alive.
 */
export class AfterLast {
  private at = 0
  private timer: NodeJS.Timeout | null = null

  constructor(
    private readonly ms: number,
    private readonly act: () => void,
  ) {}

  /** From now on. */
  begin(): void {
    this.at = performance.now()
    this.timer ??= this.wait(this.ms)
  }

  private wait(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      const left = this.at + this.ms - performance.now()
      this.timer = left > 1 ? this.wait(left) : null
      if (this.timer === null) this.act()
    }, ms).unref()
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }
}
