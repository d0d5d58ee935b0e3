/** A cursor moves past what was handled, and no further: by the exit code of --exec, or when a file is on disk. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BINARY, environment, launch, ndjson, shell } from '../../cli.ts'
import { startDaemon, tokenFile } from '../../daemon.ts'
import { PseudoTerminal } from '../../pseudo-terminal.ts'

type Run = Awaited<ReturnType<typeof shell>>['run']

async function fill(run: Run, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, n) =>
    JSON.stringify({ entity: `e${n % 7}`, type: 'Set', data: { n } }),
  )
  expect((await run(['import', '-'], { input: lines.join('\n') })).code).toBe(0)
}

/** A store with so many events, and what runs a command that notes in a file what it got. */
async function filled(count: number) {
  const { cwd, run } = await shell()
  await fill(run, count)
  const read = (name: string) => (existsSync(join(cwd, name)) ? readFileSync(join(cwd, name), 'utf8') : null)
  /** Of a cursor that was begun and has not moved yet: the beginning. */
  const placeIn = (name: string) => JSON.parse(read(name)!).position as string
  return { cwd, run, read, placeIn, numbers: (name: string) => numbersIn(read(name) ?? '') }
}

const numbersIn = (text: string) => ndjson(text).map(({ event }) => (event as { data: { n: number } }).data.n)
async function heard(child: ChildProcess): Promise<{ readonly code: number | null; readonly stderr: string }> {
  let stderr = ''
  child.stderr!.on('data', (text) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stderr }
}

const WIDE = { columns: 400, rows: 24 }

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)
const sorted = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b)

test('into a pipe, --cursor alone is refused, with the ways that there are', async () => {
  const { run, read } = await filled(3)
  for (const more of [[], ['-f']]) {
    const { code, stdout, stderr } = await run(['tail', '--cursor', 'c', ...more])
    expect([code, stdout, read('c')]).toEqual([2, '', null])
    expect(stderr).toContain('--exec CMD')
    expect(stderr).toContain('--cursor-on write')
  }
})

/** Tells of each fsync and rename, and refuses to sync stdout if FAIL is set. */
const SPY = `
  const fs = require('fs')
  const { fsyncSync, renameSync } = fs
  fs.fsyncSync = (fd) => {
    fs.appendFileSync('order', 'sync ' + (fd === 1 ? 'stdout' : 'another') + '\\n')
    if (fd === 1 && process.env.FAIL) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
    fsyncSync(fd)
  }
  fs.renameSync = (from, to) => {
    fs.appendFileSync('order', 'rename\\n')
    renameSync(from, to)
  }
  require('module').syncBuiltinESMExports()`

test('a file is synced before the cursor moves, and if that fails it does not', async () => {
  const { cwd, run, read, numbers } = await filled(5)
  writeFileSync(join(cwd, 'spy.cjs'), SPY)
  const intoFile = (file: string, more: Record<string, string> = {}) => {
    const env = environment({ NODE_OPTIONS: `--require ${join(cwd, 'spy.cjs')}`, ...more })
    const stdout = openSync(join(cwd, file), 'a')
    const child = spawn(process.execPath, [BINARY, 'tail', '--cursor', 'c', '--json'], {
      cwd,
      env,
      stdio: ['ignore', stdout, 'pipe'],
    })
    closeSync(stdout)
    return heard(child)
  }
  const failed = await intoFile('failed', { FAIL: '1' })
  expect([failed.code, JSON.parse(failed.stderr).error.code, read('c')]).toEqual([1, 'KUMA_IO', null])
  rmSync(join(cwd, 'order'))
  expect((await intoFile('out')).code).toBe(0)
  expect(sorted(numbers('out'))).toEqual(upTo(5))
  expect(read('order')).toMatch(/^sync stdout\nsync another\nrename\nsync another\n$/)
  expect((await run(['tail', '--cursor', 'c', '--cursor-on', 'write'])).stdout).toBe('')
})

test('on a terminal the cursor follows what was shown', async () => {
  const { cwd, run } = await filled(3)
  const terminal = new PseudoTerminal(`"${process.execPath}" "${BINARY}" tail --cursor c`, WIDE, { cwd })
  expect(await terminal.ended).toBe(0)
  expect(terminal.output).toContain('"n":2')
  expect(await run(['tail', '--cursor', 'c', '--cursor-on', 'write'])).toEqual({ code: 0, stdout: '', stderr: '' })
})

/** Notes each number that it gets, and is killed after the third if there is a file `die`. */
const CONSUMER = `
  const fs = require('fs')
  let count = 0
  for (const line of fs.readFileSync(0, 'utf8').trim().split('\\n')) {
    fs.appendFileSync('done', line + '\\n')
    if (++count === 3 && fs.existsSync('die')) process.kill(process.pid, 'SIGKILL')
  }`

/** How the store is reached: what is done before, and the words that say so. */
const WAYS: [string, (cwd: string) => Promise<string[]>][] = [
  ['in this process', async () => []],
  [
    'through a daemon',
    async (cwd) => {
      await startDaemon(cwd)
      return []
    },
  ],
  [
    'through one elsewhere',
    async (cwd) => {
      const file = tokenFile(cwd)
      const { listening } = await startDaemon(cwd, ['--listen', '127.0.0.1:0', '--token-file', file])
      return ['--url', `tcp://${listening.address}`, '--token-file', file]
    },
  ],
]

describe.each(WAYS)('--exec, %s', (_, prepare) => {
  test('a command that was killed is given again what it had not handled', async () => {
    const { cwd, run, read, placeIn, numbers } = await filled(50)
    writeFileSync(join(cwd, 'consumer.cjs'), CONSUMER)
    const words = [...(await prepare(cwd)), '--cursor', 'c', '--batch', '20', '--exec', 'exec node consumer.cjs']
    writeFileSync(join(cwd, 'die'), '')
    const { code, stdout, stderr } = await run(['tail', '-f', ...words, '--json'])
    expect([code, stdout, placeIn('c')]).toEqual([8, '', '000:0'])
    expect(JSON.parse(stderr).error).toMatchObject({
      code: 'KUMA_EXEC_FAILED',
      message: expect.stringMatching(/^the command of --exec was ended by SIGKILL: the \d+ lines .* not handled$/),
      hint: expect.stringContaining('the cursor stays before them'),
    })
    expect(numbers('done')).toHaveLength(3)
    rmSync(join(cwd, 'die'))
    expect((await run(['tail', ...words])).code).toBe(0)
    expect(sorted(new Set(numbers('done')))).toEqual(upTo(50))
    expect(numbers('done')).toHaveLength(53)
    const kept = read('c')
    expect((await run(['tail', ...words])).code).toBe(0)
    expect([numbers('done').length, read('c')]).toEqual([53, kept])
  })

  test('-f hands over what comes, and ends with the signal', async () => {
    const { cwd, run, numbers } = await filled(3)
    const way = await prepare(cwd)
    const tail = launch(['tail', '-f', ...way, '--cursor', 'c', '--exec', 'cat >> done; echo given'], { cwd })
    await once(tail.stdout!, 'data')
    while (numbers('done').length < 3) await once(tail.stdout!, 'data')
    await run(['append', 'x', 'Set', 'n:=3'])
    while (numbers('done').length < 4) await once(tail.stdout!, 'data')
    tail.kill('SIGINT')
    expect((await once(tail, 'close'))[0]).toBe(130)
    await run(['append', 'x', 'Set', 'n:=4'])
    expect((await run(['tail', ...way, '--cursor', 'c', '--exec', 'cat >> done'])).code).toBe(0)
    expect(sorted(numbers('done'))).toEqual(upTo(5))
  })
})

describe('--exec', () => {
  test('gives at most --batch lines at a time, in order, and the cursor stays before those that were not handled', async () => {
    const { run, read, numbers } = await filled(25)
    const words = ['tail', '--cursor', 'c', '--batch', '10', '--exec']
    const take =
      'cat > part; wc -l < part >> sizes; test $(cat done part | wc -l) -le 15 || exit 3; cat part >> done; echo ok'
    await run(['tail', '--exec', 'true > done'])
    const failing = await run([...words, take])
    expect(failing).toMatchObject({ code: 8, stdout: expect.stringMatching(/^(ok\n)+$/) })
    expect(failing.stderr).toMatch(/ended with exit code 3: .* not handled/)
    const { position } = ndjson(read('done')!).at(-1) as { position: string }
    expect(JSON.parse(read('c')!)).toMatchObject({ position })
    expect((await run([...words, 'cat > part; wc -l < part >> sizes; cat part >> done'])).code).toBe(0)
    expect(Math.max(...read('sizes')!.trim().split('\n').map(Number))).toBe(10)
    expect(sorted(numbers('done'))).toEqual(upTo(25))
    const places = ndjson(read('done')!).map(({ event }) => (event as { position: string }).position.split(':'))
    for (const shard of ['000', '001']) {
      const seqs = places.filter(([of]) => of === shard).map(([, seq]) => Number(seq))
      expect(seqs).toEqual(sorted(seqs))
    }
  })

  test('a command that is not there has handled nothing', async () => {
    const { run, placeIn } = await filled(1)
    const { code, stderr } = await run(['tail', '-f', '--cursor', 'c', '--exec', 'no-such-command'])
    expect([code, placeIn('c')]).toEqual([8, '000:0'])
    expect(stderr).toContain('ended with exit code 127: the line that it got is not handled')
  })

  test('one that does not read what it gets has handled it if it says so', async () => {
    const { cwd, run } = await shell()
    const big = JSON.stringify({ entity: 'x', type: 'Set', data: { n: 0, text: 'x'.repeat(500_000) } })
    await run(['import', '-'], { input: big })
    expect(await run(['tail', '--cursor', 'c', '--exec', 'true'])).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(existsSync(join(cwd, 'c'))).toBe(true)
  })

  test('goes past what did not pass the filter, without the command', async () => {
    const { run, read } = await filled(5)
    await run(['tail', '--cursor', 'd', '--exec', 'cat > all'])
    expect(read('d')).not.toBeNull()
    expect((await run(['tail', '--cursor', 'c', '--event', 'Other', '--exec', 'touch ran'])).code).toBe(0)
    expect([read('c'), read('ran')]).toEqual([read('d'), null])
  })

  test('without a cursor says where to go on', async () => {
    const { run, numbers } = await filled(5)
    const { code, stderr } = await run(['tail', '--batch', '2', '--exec', 'test -e done && exit 1; cat > done'])
    expect(code).toBe(8)
    const [, from] = /--from (\S+) goes on there/.exec(stderr)!
    await run(['tail', '--from', from!, '--exec', 'cat >> done'])
    expect(sorted(numbers('done'))).toEqual(upTo(5))
  })

  test('a signal lets the batch under way come to its end', async () => {
    const { cwd, run, read, numbers } = await filled(3)
    execFileSync('mkfifo', [join(cwd, 'fifo')])
    const fifo = openSync(join(cwd, 'fifo'), 'r+') // without waiting for the other side
    const tail = launch(['tail', '-f', '--cursor', 'c', '--exec', 'cat >> done; echo begun; read go < fifo'], { cwd })
    await once(tail.stdout!, 'data')
    tail.kill('SIGTERM')
    await once(tail.stderr!, 'data')
    expect(read('c')).toBeNull()
    writeSync(fifo, 'go\n')
    expect((await once(tail, 'close'))[0]).toBe(143)
    closeSync(fifo)
    await run(['tail', '--cursor', 'c', '--exec', 'cat >> done'])
    expect(sorted(numbers('done'))).toEqual(upTo(3))
  })

  test('a second one is passed on to the command', async () => {
    const { cwd, placeIn } = await filled(3)
    const tail = launch(['tail', '-f', '--cursor', 'c', '--exec', 'echo begun; exec sleep 600'], { cwd })
    let stderr = ''
    tail.stderr!.on('data', (text) => (stderr += text))
    await once(tail.stdout!, 'data')
    tail.kill('SIGINT')
    await once(tail.stderr!, 'data')
    tail.kill('SIGTERM')
    expect((await once(tail, 'close'))[0]).toBe(143)
    expect(stderr).toContain('interrupted: the command of --exec was ended by SIGTERM')
    expect(placeIn('c')).toBe('000:0')
  })

  test('a cursor that could not be kept is told before anything is handed over', async () => {
    const { run, read } = await filled(1)
    const { code, stderr } = await run(['tail', '--cursor', 'no/such/folder/c', '--exec', 'touch ran'])
    expect([code, read('ran')]).toEqual([1, null])
    expect(stderr).toContain('no/such/folder/c')
  })

  test('what does not fit together is refused', async () => {
    const { run } = await shell()
    const refused = [
      ['--exec', ' '],
      ['--batch', '5'],
      ['--exec', 'cat', '--batch', '0'],
      ['--cursor-on', 'write'],
      ['--cursor', 'c', '--cursor-on', 'write', '--exec', 'cat'],
      ['--cursor', 'c', '--cursor-on', 'read'],
    ]
    const ends = await Promise.all(refused.map((words) => run(['tail', ...words])))
    expect(ends.map(({ code }) => code)).toEqual(refused.map(() => 2))
  })
})
