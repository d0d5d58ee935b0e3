import { basename } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { split } from 'shlex'
import { BaseCommand, writeFlags } from '../cli/base-command.ts'
import { complete, idsLike, insertions } from '../cli/completion.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { type Line, lines } from '../cli/lines.ts'
import { runWords } from '../cli/main.ts'
import { isTerminal, note, visible } from '../cli/output.ts'
import type { Engine } from '../engine.ts'

const HISTORY = 1_000
const INTRO = 'commands without `kuma`; tab completes; `as NAME` says who you are; `help`, `exit`'

export default class Shell extends BaseCommand {
  static override summary = 'Type commands one after the other, over one connection to the store.'
  static override description =
    'A line is a command without `kuma`. Arrow keys go back to earlier lines, tab completes, also ids. What was typed is kept only until it ends: it may hold what will be erased. Without a daemon it has the store open itself, and others cannot write meanwhile. Not on a terminal it runs the lines of stdin; the exit code is that of the last one.'
  static override examples = [
    '<%= config.bin %> shell',
    '<%= config.bin %> shell --as ann',
    '<%= config.bin %> shell < commands',
  ]
  static override flags = { as: writeFlags.as }

  private history: string[] = []

  async run(): Promise<void> {
    const { flags } = await this.parse(Shell)
    const session = await this.open(flags, { access: 'write' })
    BaseCommand.session = session
    // for what works on files, and must not take others
    const url = this.urlOf(flags)
    if (url === undefined) {
      delete process.env['KUMA_URL']
      process.env['KUMA_DIR'] = session.located.path
    } else process.env['KUMA_URL'] = url
    if (flags['token-file'] !== undefined) process.env['KUMA_TOKEN_FILE'] = flags['token-file']
    if (flags.as !== undefined) process.env['KUMA_AS'] = flags.as
    try {
      if (process.stdin.isTTY && isTerminal()) await this.talk(session.engine)
      else await this.runLines()
    } finally {
      BaseCommand.session = null
      await session.engine.close()
    }
  }

  private async talk(engine: Engine): Promise<void> {
    note(INTRO)
    for (;;) {
      const line = await this.ask(engine)
      if (line === null || !(await this.runLine(line)) || process.stdin.readableEnded) return
    }
  }

  /** The next line; null at the end. A command that runs in between has the terminal for itself. */
  private async ask(engine: Engine): Promise<string | null> {
    const completer = async (line: string): Promise<[string[], string]> => {
      const found = await complete(line, 'kuma', this.config, (prefix) => idsLike(engine, prefix))
      const part = found.word.raw.slice(found.word.within)
      return [insertions(found, 'kuma', part), part]
    }
    const { stdin: input, stdout: output } = process
    const reader = createInterface({ input, output, completer, history: this.history, historySize: HISTORY })
    reader.on('history', (history: string[]) => {
      this.history = history
    })
    const stop = new AbortController()
    reader.once('close', () => stop.abort())
    // Ctrl-C throws away what was typed
    reader.on('SIGINT', () => {
      reader.write(null, { ctrl: true, name: 'e' })
      reader.write(null, { ctrl: true, name: 'u' })
    })
    try {
      return await reader.question(promptOf(engine), stop)
    } catch {
      return null
    } finally {
      reader.close()
    }
  }

  private async runLines(): Promise<void> {
    const given: Line[] = []
    for await (const found of lines(process.stdin)) given.push(...found)
    for (const line of given) {
      if ('problem' in line) refuse(`line ${line.number} ${line.problem}`)
      else if (!(await this.runLine(line.text))) return
    }
  }

  /** False to end. */
  private async runLine(line: string): Promise<boolean> {
    const words = wordsIn(line)
    if (words === null) return true
    const [first, second] = words
    if (first === 'exit' || first === 'quit') return false
    process.exitCode = undefined // as a process of its own would begin
    if (first === 'as' && second !== undefined) process.env['KUMA_AS'] = second
    else if (first === 'shell') note('this is one')
    else if (first !== undefined) await runAlone(() => runWords(first === 'kuma' ? words.slice(1) : words, this.config))
    return true
  }
}

/** None of a comment. Null if a quote is left open, which is said. */
function wordsIn(line: string): string[] | null {
  try {
    return line.trimStart().startsWith('#') ? [] : split(line)
  } catch (error) {
    refuse((error as Error).message)
    return null
  }
}

/** What is no line that can be run. */
function refuse(problem: string): void {
  note(`Error: ${problem}`)
  process.exitCode = EXIT.usage
}

/** Ctrl-C ends what can be ended in between, and never the shell. */
async function runAlone(run: () => Promise<void>): Promise<void> {
  const stay = () => {}
  process.on('SIGINT', stay)
  await run().finally(() => process.off('SIGINT', stay))
}

/** `ann@kuma-data> `; without a name only the store. */
function promptOf({ path }: Engine): string {
  const as = process.env['KUMA_AS']
  return visible(`${as === undefined ? '' : `${as}@`}${basename(path)}> `)
}
