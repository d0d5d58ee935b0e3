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
  private isEntered = false
  private isSuspended = false

  constructor(private readonly events: ScreenEvents) {}

  private readonly onSignal = (signal: NodeJS.Signals) => {
    this.leave()
    this.events.onSignal(signal)
  }

  /** Also when it was somebody else's doing: kill -STOP, and then fg. */
  private readonly onContinue = () => {
    this.isSuspended = false
    process.stdin.setRawMode(false) // the shell has changed it, and Node does not know
    this.enter()
    this.events.onContinue()
  }

  private readonly onExit = () => this.leave()

  enter(): void {
    process.stdin.setRawMode(true)
    process.stdout.write(ENTER)
    if (this.isEntered) return
    this.isEntered = true
    for (const signal of ENDING) process.on(signal, this.onSignal)
    process.on('SIGCONT', this.onContinue).on('exit', this.onExit)
  }

  leave(): void {
    if (!this.isEntered) return
    this.isEntered = false
    for (const signal of ENDING) process.off(signal, this.onSignal)
    process.off('exit', this.onExit)
    if (!this.isSuspended) process.off('SIGCONT', this.onContinue)
    process.stdout.write(LEAVE)
    process.stdin.setRawMode(false)
  }

  suspend(): void {
    this.isSuspended = true
    this.leave()
    process.kill(process.pid, 'SIGSTOP')
  }
}
