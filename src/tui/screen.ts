/**
 * The terminal while a picture has it: on the alternate screen, so that what was there before comes back, and with keys as
 * they are pressed. Whatever ends it (a signal too), the terminal is put right first; Ctrl-Z puts it right until `fg`.
 */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[2J\x1b[H'
const LEAVE = '\x1b[?25h\x1b[?1049l'
const ENDING = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const

export interface ScreenEvents {
  /** The process shall end: the terminal is right already. */
  onSignal(signal: NodeJS.Signals): void
  /** It is back from being suspended: draw it anew. */
  onContinue(): void
}

export class Screen {
  private isTaken = false

  constructor(private readonly events: ScreenEvents) {}

  private readonly onSignal = (signal: NodeJS.Signals) => {
    this.putRight()
    this.events.onSignal(signal)
  }

  /** Also when it was somebody else's doing: kill -STOP, and then fg. */
  private readonly onContinue = () => {
    process.stdin.setRawMode(false) // the shell has changed it, and Node does not know
    this.takeOver()
    this.events.onContinue()
  }

  private readonly onExit = () => this.putRight()

  enter(): void {
    for (const signal of ENDING) process.on(signal, this.onSignal)
    process.on('SIGCONT', this.onContinue).on('exit', this.onExit)
    this.takeOver()
  }

  leave(): void {
    this.putRight()
    for (const signal of ENDING) process.off(signal, this.onSignal)
    process.off('SIGCONT', this.onContinue).off('exit', this.onExit)
  }

  suspend(): void {
    this.putRight()
    process.kill(process.pid, 'SIGSTOP')
  }

  /** Empty, and from its beginning. */
  takeOver(): void {
    this.isTaken = true
    process.stdin.setRawMode(true)
    process.stdout.write(ENTER)
  }

  private putRight(): void {
    if (!this.isTaken) return
    this.isTaken = false
    process.stdout.write(LEAVE)
    process.stdin.setRawMode(false)
  }
}

/** A terminal that does not know its size says 0. */
export function sizeOf({ columns, rows }: { columns?: number; rows?: number }): { columns: number; rows: number } {
  return { columns: columns || 80, rows: rows || 24 }
}
