/** `kuma run` and signals: its program is told of each, once, and never goes on without its daemon. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createStore } from '../../src/store/create.ts'
import { BINARY, ended, environment } from '../cli.ts'
import { folder } from '../folder.ts'
import { isThere } from '../processes.ts'
import { KEYS, PseudoTerminal } from '../pseudo-terminal.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const

/** Prints who it is, and what it is told; ends at a signal, and before its daemon would miss it. */
const PROGRAM = `
for (const signal of ${JSON.stringify(SIGNALS)}) process.on(signal, () => { console.log(signal); process.exit(9) })
setTimeout(() => {}, 60_000)
console.log(process.pid)`

async function store() {
  const cwd = folder()
  await createStore(join(cwd, 'kuma-data'), { shards: 1 })
  return cwd
}

/** In a session without a terminal, as a supervisor has it. @returns when the program runs */
async function supervised() {
  const words = [BINARY, 'run', '--', process.execPath, '-e', PROGRAM]
  const run = spawn(process.execPath, words, { cwd: await store(), env: environment(), detached: true, stdio: 'pipe' })
  const output = ended(run)
  const [text] = (await once(run.stdout, 'data')) as [string]
  const pid = Number(text)
  onTestFinished(() => {
    run.kill('SIGKILL')
    if (isThere(pid)) process.kill(pid, 'SIGKILL')
  })
  return { run, pid, output }
}

test.each(SIGNALS)('%s is passed on, and its end is awaited', async (signal) => {
  const { run, pid, output } = await supervised()
  run.kill(signal)
  expect(await output).toEqual({ code: 9, stdout: `${pid}\n${signal}\n`, stderr: '' })
})

test('where it is killed itself, its program is ended', async () => {
  const { run, pid, output } = await supervised()
  run.kill('SIGKILL')
  expect((await output).stdout).toBe(`${pid}\nSIGTERM\n`) // whose end the program's end is
})

describe('on a terminal', () => {
  const COUNTS = `
let count = 0
process.on('SIGINT', () => console.log('told ' + ++count))
process.stdin.on('data', () => { console.log('in all ' + count); process.exit() })
console.log('ready')`

  test('Ctrl-C is told once, by the terminal', async () => {
    const command = `exec "${process.execPath}" "${BINARY}" run -- "${process.execPath}" -e '${COUNTS.replaceAll("'", '"')}'`
    const terminal = new PseudoTerminal(command, { columns: 80, rows: 20 }, { cwd: await store() })
    onTestFinished(() => terminal.kill())
    await terminal.sees('ready')
    terminal.type(KEYS.ctrlC)
    await terminal.sees('told 1')
    terminal.type('\r')
    await terminal.sees('in all 1')
    expect(await terminal.ended).toBe(0)
  })
})
