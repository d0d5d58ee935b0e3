/**
 * What stands in the blocks of a page, and whether it is true. A page is run from its top to its end in one folder and one
 * shell, as a reader would:
 *
 *     ```ts src/order.ts     a file, which is written (any language, with a path behind it)
 *     ```console             a session: `$ ` before a command, and what it prints below. A command whose output is not shown may print
 *                            anything. `# exit code 4` behind a command says that it fails, and how
 *
 * Any other language without a path is for the eye (a diagram, a line of output), and may hold no code. `<!-- not run: WHY -->`
 * above a block says why it cannot be run here. In what is printed, `...` stands for lines that are left out, and what differs
 * each time counts as the same: times, positions, hashes, processes, sizes, how long something took, and the folder.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, symlinkSync, type WriteStream, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { environment } from '../cli.ts'

export interface Block {
  readonly language: string
  /** of a file */
  readonly path: string | null
  readonly text: string
  /** of the fence, counted from 1 */
  readonly line: number
  /** why it cannot be run here */
  readonly notRun: string | null
}

const FENCE = /^```(\S*)(?: +(\S+))?\s*$/
const NOT_RUN = /^<!-- not run: (.*) -->$/

export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  const lines = markdown.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const fence = FENCE.exec(lines[i]!)
    if (fence === null) continue
    const end = lines.indexOf('```', i + 1)
    if (end === -1) throw new Error(`the block in line ${i + 1} has no end`)
    const above = lines.slice(0, i).findLast((line) => line.trim() !== '')
    const [, language = '', path = null] = fence
    const notRun = NOT_RUN.exec(above ?? '')?.[1] ?? null
    blocks.push({ language, path, text: `${lines.slice(i + 1, end).join('\n')}\n`, line: i + 1, notRun })
    i = end
  }
  return blocks
}

/** A command of a session, and what the page says that it prints. */
export interface Step {
  readonly command: string
  readonly exitCode: number
  /** null where the page does not show it */
  readonly output: string | null
}

export function stepsOf(session: string): Step[] {
  const steps: { command: string; output: string[] }[] = []
  for (const line of session.replace(/\n$/, '').split('\n')) {
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: [] })
    else if (steps.at(-1)?.command.endsWith('\\')) steps.at(-1)!.command += `\n${line}`
    else if (steps.length > 0) steps.at(-1)!.output.push(line)
    else throw new Error(`a session begins with \`$ \`, and not with ${JSON.stringify(line)}`)
  }
  return steps.map(({ command, output }) => {
    const exitCode = Number(/# exit code (\d+)$/.exec(command)?.[1] ?? 0)
    return { command, exitCode, output: output.length === 0 ? null : output.join('\n') }
  })
}

/** The folder that pages speak of. */
const HOME = '/home/ann'
/** What is drawn and taken away again, since a machine was slow. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's
const BAR = /\x1b7(?:.|\n)*?\x1b8\n?/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's
const CONTROLS = /\x1b\[[\d;?]*[A-Za-z]/g
const VARIES: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ/g, 'TIME'],
  [/\b\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z?| \d\d:\d\d(:\d\d(\.\d+)?)?)?/g, 'TIME'],
  [/\b1[5-9]\d{11}\b/g, 'TIME'],
  [/\b\d{3}:\d+(,\d{3}:\d+)*(@[0-9a-f]{8})?/g, 'POSITION'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UUID'],
  [/\b[0-9a-f]{16,}\b/g, 'HASH'],
  [/\bprocess \d+/g, 'process N'],
  [/\b[\d,.]+ ?(ms|s|min|kB|MB|GB|bytes)\b/g, 'AMOUNT'],
]

/** With what differs each time left out. */
export function alike(text: string, home = HOME): string {
  const plain = text.replaceAll(home, HOME).replace(BAR, '').replace(CONTROLS, '').trimEnd()
  return VARIES.reduce((all, [what, name]) => all.replace(what, name), plain)
}

/** Does it print what the page says? */
export function matches(shown: string, printed: string): boolean {
  const parts = alike(shown)
    .split(/^\.\.\.$/m)
    .map((part) => part.replace(/^\n|\n$/g, ''))
  const escaped = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${escaped.join('(?:.|\\n)*')}$`).test(printed)
}

const COLUMNS = 120

/** A shell on a terminal, in a folder in which the package is installed and `kuma` is on the PATH. */
export class Shell {
  private readonly child: ChildProcess
  private readonly session: WriteStream
  private text = ''
  private heard: () => void = () => {}

  constructor(
    readonly folder: string,
    root: string,
  ) {
    const modules = join(folder, 'node_modules')
    mkdirSync(join(modules, '.bin'), { recursive: true })
    symlinkSync(root, join(modules, 'kuma'))
    for (const name of ['vitest', 'zod', '@types', 'typescript'])
      symlinkSync(join(root, 'node_modules', name), join(modules, name))
    for (const name of ['vitest', 'tsc', 'jiti'])
      symlinkSync(join(root, 'node_modules', '.bin', name), join(modules, '.bin', name))
    symlinkSync(join(root, 'bin', 'run.js'), join(modules, '.bin', 'kuma'))
    const PATH = `${join(modules, '.bin')}:${dirname(process.execPath)}:${process.env['PATH']}`
    const env = environment({
      HOME: folder,
      PATH,
      PS1: '',
      NO_COLOR: '1',
      LANG: 'C.UTF-8',
      npm_config_progress: 'false',
    })
    const fifo = join(folder, '.session')
    execFileSync('mkfifo', [fifo])
    const terminal = `stty -echo cols ${COLUMNS} rows 50; exec bash --noprofile --norc ${fifo}`
    this.child = spawn('script', ['-qec', terminal, '/dev/null'], { cwd: folder, env, detached: true })
    this.child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk.replaceAll('\r\n', '\n')
      this.heard()
    })
    this.session = createWriteStream(fifo).on('error', () => {}) // it may be over before the shell has opened it
  }

  write({ path, text }: Block): void {
    const file = join(this.folder, path!)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }

  async run(command: string): Promise<{ exitCode: number; printed: string }> {
    this.text = ''
    this.session.write(`{ ${command}\n}\necho "<<ended $?>>"\n`)
    for (;;) {
      const end = /<<ended (\d+)>>\n$/.exec(this.text)
      if (end !== null) return { exitCode: Number(end[1]), printed: alike(this.text.slice(0, end.index), this.folder) }
      await new Promise<void>((resolve) => (this.heard = resolve))
    }
  }

  /** And all that it started. */
  end(): void {
    this.session.destroy()
    process.kill(-this.child.pid!, 'SIGKILL')
  }
}
