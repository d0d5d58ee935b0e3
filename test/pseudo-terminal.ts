/**
 * A program on a pseudo-terminal (by script(1)), and what a person would see of it: the terminal's cells, as xterm knows
 * them. Keys are typed, the size changes, and whoever waits for something to be seen waits for just that.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import xterm from '@xterm/headless'
import { environment } from './cli.ts'

export interface Size {
  readonly columns: number
  readonly rows: number
}

export class PseudoTerminal {
  readonly screen: InstanceType<typeof xterm.Terminal>
  /** everything that was written to it */
  output = ''
  private readonly child: ChildProcess
  private device = ''
  private wake: () => void = () => {}
  readonly ended: Promise<number | null>

  /** @param command what a shell runs there */
  constructor(command: string, size: Size, { cwd, env }: { cwd: string; env?: Record<string, string> }) {
    this.screen = new xterm.Terminal({ cols: size.columns || 80, rows: size.rows || 24, allowProposedApi: true })
    const line = `stty cols ${size.columns} rows ${size.rows}; tty; ${command}`
    const words = process.platform === 'darwin' ? ['-q', '/dev/null', 'sh', '-c', line] : ['-qec', line, '/dev/null']
    this.child = spawn('script', words, {
      cwd,
      env: environment({ TERM: 'xterm-256color', SHELL: '/bin/sh', ...env }),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.child.stdout!.on('data', (chunk: Buffer) => {
      this.output += chunk.toString()
      this.device ||= /\/dev\/\S+/.exec(this.output)?.[0] ?? ''
      this.screen.write(chunk, () => this.wake())
    })
    this.ended = once(this.child, 'close').then(([code]) => code as number | null)
    void this.ended.then(() => this.wake())
  }

  type(keys: string): void {
    this.child.stdin!.write(keys)
  }

  /** Tells the terminal, which tells the program. */
  resize({ columns, rows }: Size): void {
    this.screen.resize(Math.max(2, columns), Math.max(1, rows))
    execFileSync('stty', ['-F', this.device, 'cols', String(columns), 'rows', String(rows)])
  }

  /** What stands in its rows. */
  get lines(): string[] {
    const { buffer, rows } = this.screen
    return Array.from({ length: rows }, (_, i) =>
      buffer.active.getLine(buffer.active.viewportY + i)!.translateToString(true),
    )
  }

  get text(): string {
    return this.lines.join('\n')
  }

  /** Waits until that is seen. @throws if it is not, within a minute */
  async sees(what: RegExp | string | ((text: string) => boolean)): Promise<void> {
    const isSeen =
      typeof what === 'function'
        ? what
        : (text: string) => (typeof what === 'string' ? text.includes(what) : what.test(text))
    const deadline = Date.now() + 15_000
    while (!isSeen(this.text)) {
      if (Date.now() > deadline) throw new Error(`not seen: ${what}\n${this.text}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  kill(): void {
    this.child.kill('SIGKILL')
  }
}

export const KEYS = {
  up: '\x1b[A',
  down: '\x1b[B',
  right: '\x1b[C',
  left: '\x1b[D',
  home: '\x1b[H',
  end: '\x1b[F',
  pageDown: '\x1b[6~',
  enter: '\r',
  escape: '\x1b',
  tab: '\t',
  ctrlC: '\x03',
  killLine: '\x15',
  ctrlZ: '\x1a',
} as const
