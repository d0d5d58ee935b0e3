/** `kuma top` beside a real daemon: on a pseudo-terminal, and in a pipe. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BINARY, ended, launch, ndjson, shell } from '../../cli.ts'
import { started } from '../../daemon.ts'
import { KEYS, PseudoTerminal, type Size } from '../../pseudo-terminal.ts'
import { hasTerminal } from '../../terminal.ts'

const SMALL = { columns: 80, rows: 24 }
const LEAVE = '\x1b[?1049l'

async function filled(entities = 40) {
  const made = await started()
  const lines = Array.from({ length: entities }, (_, n) =>
    JSON.stringify({ entity: `user_${n}`, type: 'SignedUp', data: { n, plan: 'free' } }),
  )
  expect((await made.run(['import', '-'], { input: lines.join('\n') })).code).toBe(0)
  await made.run(['append', 'user_7', 'PlanChanged', 'plan=pro', '--as', 'ann'])
  return made
}

function onPty(cwd: string, words: readonly string[], size: Size = SMALL, env: Record<string, string> = {}) {
  const command = ['exec', process.execPath, BINARY, ...words]
    .map((word) => `'${word}'`)
    .join(' ')
    .replace("'exec'", 'exec')
  const terminal = new PseudoTerminal(command, size, { cwd, env })
  onTestFinished(() => terminal.kill())
  return terminal
}

describe.skipIf(!hasTerminal)('on a terminal', () => {
  test('frames at three sizes, as it is resized, and the terminal is as it was afterwards', async () => {
    const { cwd } = await filled()
    const terminal = onPty(cwd, ['top', '--interval', '100ms', '--sort', 'id'])
    await terminal.sees('user_10')
    for (const { columns, rows } of [
      SMALL,
      { columns: 200, rows: 60 },
      { columns: 40, rows: 10 },
      { columns: 20, rows: 4 },
      SMALL,
    ]) {
      terminal.resize({ columns, rows })
      const isFrame = (text: string) => {
        const lines = text.split('\n')
        const footer = lines[rows - 2]!
        return (
          lines[0]!.startsWith('kuma top') &&
          footer.startsWith('? help  q quit'.slice(0, columns - 1)) &&
          lines[rows - 1] === '' &&
          lines.every((line) => line.length <= columns) &&
          // wide or narrow, they begin in alphabetical order
          (rows < 10 || /^user_0 .*\nuser_1 /m.test(text)) &&
          (rows < 60 || /^user_9 /m.test(text)) &&
          (columns < 200 || /AGE +IDLE$/m.test(text))
        )
      }
      await terminal.sees(isFrame)
    }
    terminal.type('q')
    expect(await terminal.ended).toBe(0)
    expect(terminal.output).toContain(LEAVE)
    expect(terminal.text).not.toContain('kuma top')
  })

  test('an actor: live, back in time, and what differs', async () => {
    const { cwd, run } = await filled()
    const terminal = onPty(cwd, ['top', '--interval', '100ms'])
    await terminal.sees('1 actors')
    terminal.type('/user_7')
    await terminal.sees('/user_7_')
    terminal.type(KEYS.enter)
    await terminal.sees((text) => /^user_7 /m.test(text) && !text.includes('user_10'))
    terminal.type(KEYS.enter)
    await terminal.sees(/user_7 {2}document {2}v2 live/)
    await terminal.sees('PlanChanged by ann')
    await run(['append', 'user_7', 'SeatsChanged', 'seats:=5'])
    await terminal.sees('"seats": 5')
    terminal.type('d')
    await terminal.sees('marked v3')
    terminal.type(KEYS.left)
    await terminal.sees('v2 of 3')
    terminal.type(KEYS.left)
    await terminal.sees('v1 of 3')
    terminal.type('d')
    await terminal.sees('+ /seats  5')
    await terminal.sees('~ /plan  "free" -> "pro"')
    terminal.type('d')
    terminal.type('s')
    await terminal.sees('y/N')
    terminal.type('y')
    await terminal.sees('is kept')
    terminal.type(KEYS.escape)
    await terminal.sees('1 actors')
    terminal.type(KEYS.tab)
    await terminal.sees('ENTITIES')
    terminal.type('3')
    await terminal.sees(/^unix .*ndjson/m)
    terminal.type(KEYS.ctrlC)
    expect(await terminal.ended).toBe(0)
  })

  test('a daemon that goes away and comes back; one that was never there', async () => {
    const { cwd, run, daemon, output, start } = await filled()
    const terminal = onPty(cwd, ['top', '--interval', '100ms'])
    await terminal.sees('user_1')
    daemon.kill('SIGSTOP')
    await terminal.sees('the daemon does not answer')
    daemon.kill('SIGCONT')
    await terminal.sees((text) => !text.includes('does not answer'))
    await run(['stop'])
    await output
    await terminal.sees(': waiting for it')
    await start()
    await terminal.sees(/0 live, 40 passive/)
    await run(['read', 'user_3'])
    await terminal.sees(/^user_3 .*idle/m)
    terminal.type('q')
    expect(await terminal.ended).toBe(0)
    await run(['stop'])
    const alone = onPty(cwd, ['top', '--interval', '100ms'])
    await alone.sees('no daemon runs for')
    alone.type('f')
    await alone.sees(/^user_1 .*stored/m)
    await alone.sees('40 entities, 41 events in 2 shards')
    alone.type(KEYS.enter)
    await alone.sees('STATE')
    alone.type('q')
    expect(await alone.ended).toBe(0)
  })

  test('a signal puts the terminal right first', async () => {
    const { cwd } = await filled()
    for (const [signal, code] of [
      ['TERM', 143],
      ['HUP', 143],
    ] as const) {
      const terminal = onPty(cwd, ['top'])
      await terminal.sees('user_1')
      const pid = execFileSync('pgrep', ['-f', `${cwd.split('/').at(-1)}|run.js top`]).toString()
      for (const each of pid.trim().split('\n')) {
        const command = execFileSync('ps', ['-o', 'args=', '-p', each], { encoding: 'utf8' }).trim()
        if (command.endsWith('run.js top')) process.kill(Number(each), `SIG${signal}`)
      }
      expect(await terminal.ended).toBe(code)
      expect(terminal.output.lastIndexOf(LEAVE)).toBeGreaterThan(terminal.output.lastIndexOf('user_1'))
    }
  })

  test('Ctrl-Z and fg', async () => {
    const { cwd } = await filled()
    const terminal = new PseudoTerminal('exec bash --norc --noprofile -i', SMALL, { cwd, env: { PS1: 'prompt> ' } })
    onTestFinished(() => terminal.kill())
    await terminal.sees('prompt>')
    terminal.type(`'${process.execPath}' '${BINARY}' top --interval 100ms\r`)
    await terminal.sees('1 actors')
    terminal.type(KEYS.ctrlZ)
    await terminal.sees((text) => text.includes('Stopped') && !text.includes('1 actors'))
    terminal.type('stty -a | grep -c " icanon"\r')
    await terminal.sees(/^1$/m)
    terminal.type('fg\r')
    await terminal.sees('1 actors')
    terminal.type('?')
    await terminal.sees('Any key closes this.')
    terminal.type('x')
    await terminal.sees('1 actors')
    terminal.type('q')
    await terminal.sees((text) => text.includes('Stopped') && text.trimEnd().endsWith('prompt>'))
    terminal.type('exit\r')
    await terminal.ended
  })

  test.each([
    ['no colour', { NO_COLOR: '1' }, SMALL],
    ['what CI sets', { CI: 'true' }, SMALL],
    ['no size', {}, { columns: 0, rows: 0 }],
  ])('with %s', async (what, env, size) => {
    const { cwd } = await filled()
    const terminal = onPty(cwd, ['top', '--read-only', '--interval', '100ms'], size, env as never)
    await terminal.sees('user_1')
    terminal.type('p')
    await terminal.sees('this is --read-only')
    terminal.type('q')
    expect(await terminal.ended).toBe(0)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what colours begin with
    const isColoured = /\x1b\[[\d;]*[1-9]\d*m/.test(terminal.output)
    expect(isColoured).toBe(what !== 'no colour')
  })
})

describe('in a pipe', () => {
  test('--once, --json, --count, --sort', async () => {
    const { run } = await filled()
    const { stdout, code } = await run(['top', '--once', '--sort', 'version'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^kuma top {2}.*\nhealthy /)
    expect(stdout).toMatch(/^ID .* VERSION▼ .*\nuser_7 +document .* v2 /m)
    const looks = ndjson((await run(['top', '--json', '--count', '2', '--interval', '100ms'])).stdout)
    expect(looks).toHaveLength(2)
    expect(looks[1]).toMatchObject({ total: 40, status: { isHealthy: true, stats: { actors: 40 } } })
    expect((await run(['top', '--once', '--count', '2'])).code).toBe(2)
    expect((await run(['top', '--interval', '1ms'])).code).toBe(2)
    expect((await run(['top', '--sort', 'size'])).code).toBe(2)
  })

  test('until it is interrupted', async () => {
    const { cwd } = await filled()
    const child = launch(['top', '--interval', '100ms'], { cwd })
    const output = ended(child)
    for (let looks = 0; looks < 3; looks++) await once(child.stdout!, 'data')
    child.kill('SIGTERM')
    expect((await output).code).toBe(143)
  })

  test('without a daemon', async () => {
    const { run } = await shell()
    expect(await run(['top', '--once'])).toMatchObject({ code: 3, stderr: expect.stringContaining('no daemon runs') })
  })
})

test('demo --live records until it is interrupted, and leaves no daemon behind', async () => {
  const child = launch(['demo', '--live', '--rate', '500'])
  const output = ended(child)
  let text = ''
  while (!text.includes('Ctrl-C')) text += String((await once(child.stdout!, 'data'))[0])
  const store = /--dir (\S+)/.exec(text)![1]!
  const look = async () => {
    const top = launch(['top', '--once', '--json', '--dir', store])
    return JSON.parse((await ended(top)).stdout) as {
      total: number
      subscribers: unknown[]
      status: { stats: { events: number; reads: number } }
    }
  }
  let { total, status } = await look()
  while (status.stats.reads === 0) ({ total, status } = await look())
  expect(total).toBeGreaterThan(10)
  expect(status.stats.events).toBeGreaterThan(400)
  child.kill('SIGINT')
  expect(await output).toMatchObject({ code: 130, stdout: expect.stringContaining('stopped: process') })
  expect((await ended(launch(['status', '--dir', store]))).code).toBe(3)
})
