/** A daemon as its users meet it: commands and programs that share it, what it refuses, how it ends. */
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect as dial, type Socket } from 'node:net'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { verifyStore } from '../../src/store/verify.ts'
import { ndjson, shell } from '../cli.ts'
import { startDaemon, started } from '../daemon.ts'
import { folder } from '../folder.ts'

/** Malformed ones. */
const MESSAGES = Number(process.env['KUMA_MESSAGES'] ?? 15_000)

/** Someone who speaks to the socket by hand. */
async function caller(store: string, hello: string | null = '{"kuma":1}') {
  const socket = dial(join(store, 'kuma.sock'))
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => {})
  const lines = async (count: number): Promise<Record<string, never>[]> => {
    while (text.split('\n').length <= count) await once(socket, 'data')
    return ndjson(text) as never
  }
  const say = (...messages: unknown[]) =>
    socket.write(messages.map((one) => `${typeof one === 'string' ? one : JSON.stringify(one)}\n`).join(''))
  if (hello !== null) {
    say(hello)
    await lines(1)
  }
  return { socket, say, lines }
}

const closed = (socket: Socket) => (socket.closed ? Promise.resolve() : once(socket, 'close'))

test('commands go through it, many at once, and it ends with everything answered', { timeout: 120_000 }, async () => {
  const { run, store, output } = await started()
  const socket = statSync(join(store, 'kuma.sock'))
  expect(socket.mode & 0o777).toBe(0o600)
  const appends = await Promise.all(
    Array.from({ length: 12 }, (_, n) => run(['append', 'user_1', 'Set', `k${n}=1`, '--as', `p${n}`])),
  )
  expect(appends.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(12).fill({ code: 0, stderr: '' }))
  expect(JSON.parse((await run(['read', 'user_1', '--json'])).stdout)).toMatchObject({ version: 12 })
  expect(ndjson((await run(['log', '--by', 'p3'])).stdout)).toHaveLength(1)
  expect((await run(['diff', 'user_1'])).stdout).toMatch(/^user_1 v11 .*\n\+ \/k/)
  expect((await run(['revert', 'user_1', '--to', 'v1'])).stdout).toMatch(/^ok user_1 v13 /)
  expect(await run(['append', 'user_1', 'Set', '--expect-version', '1'])).toMatchObject({ code: 4 })
  expect(await run(['read', 'nobody'])).toMatchObject({ code: 3, stderr: 'Error: there is no entity "nobody"\n' })
  const status = JSON.parse((await run(['status', '--json'])).stdout)
  expect(status).toMatchObject({ isHealthy: true, path: store, stats: { events: 13, poisonedShards: [] } })
  expect((await run(['status'])).stdout).toMatch(/^healthy\nprocess /)
  expect((await run(['delete', 'user_1', '--yes'])).code).toBe(0)
  const stopped = await run(['stop'])
  expect(stopped.stdout).toBe(`stopped: process ${status.pid}\n`)
  expect(await output).toMatchObject({ code: 0 })
  expect(existsSync(join(store, 'kuma.sock'))).toBe(false)
  for (const command of ['stop', 'status'])
    expect(await run([command])).toMatchObject({ code: 3, stderr: expect.stringContaining('no daemon runs') })
  expect((await run(['append', 'user_2', 'Set'])).code).toBe(0)
  for await (const { problems } of verifyStore(store)) expect(problems).toEqual([])
})

test('a second one is refused, and one that was killed leaves nothing in the way', async () => {
  const { run, store, daemon, start, cwd } = await started()
  expect(await run(['start'])).toMatchObject({ code: 5, stderr: expect.stringContaining(`process ${daemon.pid}`) })
  await run(['append', 'a', 'Set', 'x=1'])
  daemon.kill('SIGKILL')
  await once(daemon, 'close')
  expect(existsSync(join(store, 'kuma.sock'))).toBe(true)
  expect((await run(['read', 'a'])).stdout).toBe('{"x":"1"}\n')
  expect((await run(['append', 'a', 'Set', 'y=1'])).code).toBe(0)
  const { daemon: second, output } = await start()
  expect((await run(['read', 'a'])).stdout).toBe('{"x":"1","y":"1"}\n')
  second.kill('SIGTERM')
  expect(await output).toMatchObject({ code: 0, stderr: expect.stringContaining('stopped') })
  const long = join(cwd, 'x'.repeat(100))
  await run(['init', long])
  expect((await run(['append', 'a', 'Set', '--dir', long])).code).toBe(0)
  expect(await run(['start', '--dir', long])).toMatchObject({ code: 1, stderr: expect.stringContaining('107') })
})

test('--detach returns when it can be spoken to, and tells what went wrong', async () => {
  const { run, cwd } = await shell()
  onTestFinished(async () => void (await run(['stop'])))
  const { code, stderr } = await run(['start', '--detach'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^listening: .*, process \d+\n$/) })
  expect((await run(['append', 'a', 'Set'])).code).toBe(0)
  const { pid } = JSON.parse((await run(['status', '--json'])).stdout)
  expect(stderr).toContain(`process ${pid}\n`)
  expect(await run(['start', '--detach'])).toMatchObject({
    code: 5,
    stderr: expect.stringContaining(`a daemon runs for ${join(cwd, 'kuma-data')} already`),
  })
  expect((await run(['stop'])).code).toBe(0)
  const logged = ndjson(readFileSync(join(cwd, 'kuma-data', 'kuma.log'), 'utf8'))
  expect(logged.map(({ msg, error }) => msg ?? (error as { code: string }).code)).toEqual([
    'listening',
    'KUMA_LOCKED',
    'stopping: what was accepted is answered first',
    'stopped',
  ])
  expect((await run(['start', '--detach', '--dir', 'nowhere'])).code).toBe(3)
})

test('it says so when its config has changed since', async () => {
  const { cwd, run } = await started()
  const append = () => run(['append', 'a', 'Set'])
  expect((await append()).stderr).toBe('')
  writeFileSync(join(cwd, 'limits.ts'), 'export const actorsMax: number = 10\n')
  const config = `import { actorsMax } from './limits.ts'\nexport default { actorsMax }\n`
  writeFileSync(join(cwd, 'kuma.config.ts'), config)
  expect(await append()).toMatchObject({ code: 0, stderr: expect.stringContaining('the config has changed') })
  expect((await run(['status'])).stdout).toContain('the config has changed')
  await run(['stop'])
  await startDaemon(cwd)
  expect((await append()).stderr).toBe('')
  writeFileSync(join(cwd, 'limits.ts'), 'export const actorsMax: number = 11\n')
  expect((await append()).stderr).toContain('the config has changed')
})

describe('run', () => {
  const program = `
    const { connect } = await import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)})
    const { document } = await import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)})
    const ctx = await connect(process.env.KUMA_DIR)
    await ctx.spawn(document, 'made', {})
    await ctx.close()
    process.exitCode = Number(process.argv[1])`

  test('ends with the program, with its code', async () => {
    const { run, cwd } = await shell()
    const words = ['run', '--', process.execPath, '--input-type=module', '-e', program]
    expect(await run([...words, '0'])).toEqual({ code: 0, stdout: '', stderr: '' })
    expect((await run([...words, '7'])).code).toBe(7)
    expect((await run(['read', 'made'])).code).toBe(0)
    expect((await run(['status'])).code).toBe(3)
    expect(existsSync(join(cwd, 'kuma-data', 'kuma.sock'))).toBe(false)
    expect((await run(['run', '--', process.execPath, '-e', "process.kill(process.pid, 'SIGTERM')"])).code).toBe(143)
    expect((await run(['run', '--', process.execPath, '--help'])).stdout).toContain('node [options]')
  })

  test('has 125 where nothing was run', async () => {
    const { run, cwd } = await shell()
    expect(await run(['run', '--', join(cwd, 'no-such-program')])).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('cannot run'),
    })
    expect((await run(['run', '--dir', 'nowhere', '--', 'true'])).code).toBe(125)
    expect((await run(['run'])).code).toBe(125)
    expect((await run(['status'])).code).toBe(3)
  })
})

describe('a program that is connected', () => {
  const Account = kuma.document

  test('has the same interface', async () => {
    const { store } = await started()
    const ctx = await kuma.connect(store)
    const entity = await ctx.as({ by: 'joe' }).spawn(Account, 'a')
    const feed = ctx.subscribe({ from: 'start' })[Symbol.asyncIterator]()
    expect((await feed.next()).value).toMatchObject({ event: { type: 'Created', meta: { by: 'joe' } } })
    const next = feed.next()
    const appended = await Promise.all(
      Array.from({ length: 500 }, (_, n) => entity.append({ type: 'Set', data: { n } })),
    )
    expect(appended.map(({ version }) => version)).toEqual(Array.from({ length: 500 }, (_, n) => n + 2))
    expect((await next).value).toMatchObject({ event: { version: 2 } })
    await feed.return!()
    expect(await entity.read()).toEqual({ n: 499 })
    expect(await entity.read({ version: 11 })).toEqual({ n: 9 })
    expect(await entity.log({ limit: 300 }).toArray()).toHaveLength(300)
    expect(await entity.replay({ from: { version: 400 } }).toArray()).toHaveLength(102)
    expect((await entity.diff()).patch).toEqual([{ op: 'replace', path: '/n', value: 499 }])
    expect(await ctx.entities().toArray()).toMatchObject([{ id: 'a', version: 501 }])
    await expect(entity.append({ type: 'Set', data: { n: 1 } }, { expectedVersion: 3 })).rejects.toMatchObject({
      code: 'KUMA_CONFLICT',
      details: { entity: 'a', expected: 3, actual: 501 },
    })
    expect(ctx.stats().actors).toBeGreaterThanOrEqual(0)
    expect(await entity.delete()).toMatchObject({ erased: 501, notReached: [] })
    await ctx.close()
    await expect(entity.read()).rejects.toMatchObject({ code: 'KUMA_CLOSED' })
  })

  test('gets large events and states whole', { timeout: 120_000 }, async () => {
    const { store } = await started()
    const ctx = await kuma.connect(store)
    const entity = await ctx.spawn(Account, 'large', {})
    const text = 'ä"'.repeat(150_000)
    for (let n = 0; n < 40; n++) await entity.append({ type: 'Set', data: { [`t${n}`]: text } })
    expect(Object.values(await entity.read())).toEqual(Array(40).fill(text))
    const events = await entity.log({ type: 'Set' }).toArray()
    expect(events.map(({ data }) => Object.values(data)[0] === text)).toEqual(Array(40).fill(true))
    let steps = 0
    for await (const { state } of entity.replay({ from: { version: 38 } })) steps += Object.keys(state).length
    expect(steps).toBe(37 + 38 + 39 + 40)
    let heard = 0
    for await (const item of ctx.subscribe({ filter: { event: 'Set' } }))
      if (item.kind === 'event' && ++heard === 40) break
    await ctx.close()
  })

  test('comes back to a daemon that was killed: with a request key it happens once', { timeout: 120_000 }, async () => {
    const { store, daemon, start } = await started()
    const ctx = await kuma.connect(store)
    const entity = await ctx.spawn(Account, 'a')
    const feed = ctx.subscribe({ from: 'now' })[Symbol.asyncIterator]()
    const heard: number[] = []
    const listening = (async () => {
      while (heard.length < 200)
        heard.push(((await feed.next()).value as never as { event: { data: { n: number } } }).event.data.n)
    })()
    await entity.read()
    let n = 0
    const appends: Promise<unknown>[] = []
    const appendSome = (count: number) => {
      for (let i = 0; i < count; i++, n++) {
        const appended = entity.append({ type: 'Set', data: { n } }, { requestKey: `k${n}` })
        appends.push(appended)
        appended.catch(() => {})
      }
    }
    appendSome(100)
    daemon.kill('SIGKILL')
    const unkeyed = entity.append({ type: 'Set', data: { n: -1 } })
    unkeyed.catch(() => {})
    await once(daemon, 'close')
    appendSome(100)
    await start()
    await Promise.all(appends)
    await listening
    const recorded = (await entity.log({ type: 'Set' }).toArray())
      .map(({ data }) => data['n'] as number)
      .filter((each) => each >= 0)
    expect(recorded.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, each) => each))
    await unkeyed.catch((error: unknown) => expect(error).toMatchObject({ code: 'KUMA_INDETERMINATE' }))
    await feed.return!()
    await ctx.close()
  })

  test('a subscription ends with the connection, as it does in process', async () => {
    const { store } = await started()
    const ctx = await kuma.connect(store)
    await ctx.spawn(Account, 'a')
    const seen: string[] = []
    const listening = (async () => {
      for await (const item of ctx.subscribe({ from: 'start' })) {
        seen.push(item.kind)
        await ctx.close()
      }
    })()
    await listening
    expect(seen).toEqual(['event'])
  })

  test('to nothing', async () => {
    const path = join(folder(), 'store')
    await (await kuma.start({ path })).close()
    await expect(kuma.connect(path)).rejects.toMatchObject({ code: 'KUMA_NOT_RUNNING', details: { path } })
  })
})

describe('someone who does not keep to the protocol', () => {
  test.each([
    ['garbage', '{hello\n', 'is not JSON'],
    ['another version', '{"kuma":99}\n', 'version 1'],
    ['no greeting', '{"id":1,"call":"stats"}\n', 'version 1'],
    ['a greeting without an end', `{"kuma":1,"token":"${'x'.repeat(5_000)}`, 'is no greeting'],
    ['a list', '{"kuma":1}\n[1]\n', 'is not an object'],
    ['no id', '{"kuma":1}\n{"call":"stats"}\n', 'has no id'],
    ['neither', '{"kuma":1}\n{"id":1}\n', 'neither a call nor about one'],
    ['a line without an end', `{"kuma":1}\n${'x'.repeat(17 * 1024 * 1024)}`, 'longer than 4 MiB'],
  ])('%s: is told, and hung up on; others go on', async (_, bytes, text) => {
    const { store, run } = await started()
    const { socket, lines, say } = await caller(store, null)
    socket.write(bytes)
    const last = (await lines(bytes.startsWith('{"kuma":1}\n') ? 2 : 1)).at(-1)!
    expect(last).toMatchObject({ error: { code: 'KUMA_PROTOCOL', message: expect.stringContaining(text) } })
    await closed(socket)
    say({ id: 1, call: 'stats' })
    expect((await run(['append', 'a', 'Set'])).code).toBe(0)
  })

  test.each([
    ['apend', {}, 'did you mean append?'],
    ['append', { id: 'a' }, 'needs events'],
    ['append', { id: 'a', events: [1] }, 'its events[0] is of the wrong kind'],
    ['append', { id: 7, events: [] }, 'its id is of the wrong kind'],
    ['append', { id: 'a', events: [], sneaky: 1 }, 'takes no "sneaky"'],
    ['inspect', { id: 'a', point: { version: -1 } }, 'its point is of the wrong kind'],
    ['log', { from: { at: 'today' } }, 'its from is of the wrong kind'],
    ['log', [], 'must be an object'],
    ['constructor', {}, 'there is no such call'],
  ])('%s %j', async (call, params, text) => {
    const { store } = await started()
    const { say, lines } = await caller(store)
    say({ id: 5, call, params })
    const [, answer] = await lines(2)
    const { code, message, hint } = (answer as never as { error: { code: string; message: string; hint: string } })
      .error
    expect(code).toBe('KUMA_INVALID_REQUEST')
    expect(`${message} ${hint}`).toContain(text)
    say({ id: 6, call: 'stats' })
    expect((await lines(3))[2]).toMatchObject({ id: 6, result: { poisonedShards: [] } })
  })

  test('a number whose digits would not come back is refused, and the calls around it are answered', async () => {
    const { store } = await started()
    const { say, lines } = await caller(store)
    const append = (id: number, n: string) =>
      `{"id":${id},"call":"append","params":{"id":"a","newType":"document","events":[{"type":"Set","data":{"n":${n}}}]}}`
    say(append(1, '1e16'), append(2, '9007199254740993'), append(3, '6.02214076e23'))
    say('{"id":4,"call":"query","params":{"sql":"select ?","params":[9007199254740993]}}')
    const answers = new Map((await lines(5)).slice(1).map((answer) => [answer['id'] as unknown, answer]))
    const refused = { code: 'KUMA_INVALID_DATA', details: { path: '.params.events[0].data.n' } }
    expect(answers.get(1)).toMatchObject({ result: { version: 1 } })
    expect(answers.get(2)).toMatchObject({ error: refused })
    expect(answers.get(3)).toMatchObject({ result: { version: 2 } })
    expect(answers.get(4)).toMatchObject({
      error: { code: 'KUMA_INVALID_DATA', details: { path: '.params.params[0]' } },
    })
  })

  test('an expected version of the wrong kind, or misspelt, is no conflict', async () => {
    const { store, run } = await started()
    await run(['append', 'a', 'Set'])
    const { say, lines } = await caller(store)
    const versions = ['"1"', 'null', '2.5', '-1', '1e400', '9007199254740992', '[1]']
    const asked = [
      ...versions.map((version) => ['append', `"events":[{"type":"Set"}],"expectedVersion":${version}`]),
      ...versions.map((version) => ['execute', `"command":{"type":"Set"},"expectedVersion":${version}`]),
      ...versions.map((version) => ['revert', `"to":{"version":1},"expectedVersion":${version}`]),
      ['append', '"events":[{"type":"Set"}],"expectVersion":1'],
    ]
    say(...asked.map(([call, params], id) => `{"id":${id},"call":"${call}","params":{"id":"a",${params}}}`))
    const answers = (await lines(asked.length + 1)).slice(1)
    for (const { id, error } of answers as never as { id: number; error: { code: string; hint: string } }[]) {
      const hint =
        id === asked.length - 1 ? 'did you mean expectedVersion?' : expect.stringContaining('a whole number from 0 on')
      expect({ of: asked[id], ...error }).toMatchObject({ code: 'KUMA_INVALID_REQUEST', hint })
    }
    expect(answers).toHaveLength(asked.length)
    say({ id: 99, call: 'append', params: { id: 'a', events: [{ type: 'Set' }], expectedVersion: 1 } })
    expect((await lines(asked.length + 2)).at(-1)).toMatchObject({ id: 99, result: { version: 2 } })
  })

  test('a page comes only if it is let', async () => {
    const { store, run } = await started()
    const input = Array.from({ length: 1_000 }, (_, n) => JSON.stringify({ type: 'Set', data: { n } })).join('\n')
    await run(['append', 'x', '-'], { input })
    const { say, lines } = await caller(store)
    say({ id: 1, call: 'log', params: { id: 'x' } }, { id: 2, call: 'find', params: { id: 'x' } })
    const pages = (all: Record<string, never>[]) => all.filter((one) => 'items' in one).length
    expect(pages(await lines(4))).toBe(2) // the greeting, two pages, and the other answer
    say({ id: 3, call: 'find', params: { id: 'x' } })
    expect(pages(await lines(5))).toBe(2)
    say({ id: 1, more: 1 })
    expect(pages(await lines(6))).toBe(3)
    say({ id: 1, cancel: true })
    expect((await lines(7))[6]).toEqual({ id: 1, end: true })
  })

  test('who asks for much and reads nothing does not hold up others, nor the end', { timeout: 120_000 }, async () => {
    const { store, run, output } = await started()
    const text = 'x'.repeat(900_000)
    await run(['append', 'x', '-'], { input: JSON.stringify({ type: 'Set', data: { text } }) })
    const { socket, say } = await caller(store)
    socket.pause()
    say(...Array.from({ length: 200 }, (_, id) => ({ id, call: 'inspect', params: { id: 'x' } })))
    expect((await run(['append', 'x', 'Set', 'y=1'])).code).toBe(0)
    expect((await run(['stop'])).code).toBe(0)
    expect((await output).code).toBe(0)
  })

  test('any bytes at all: it lives, and others are undisturbed', { timeout: 900_000 }, async () => {
    const seed = Number(process.env['KUMA_SEED'] ?? Date.now() % 1_000_000)
    console.log(`KUMA_SEED=${seed}`)
    const { store, run } = await started()
    const other = await kuma.connect(store)
    const entity = await other.spawn(kuma.document, 'steady', {})
    const { randomFrom } = await import('../random.ts')
    const random = randomFrom(seed)
    const pick = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)]!
    const values = ['null', '1', '-1', '"x"', '[]', '{}', '{"version":1}', '1e999', '"\\ud800"', 'true', '[[[[]]]]']
    const calls = [
      'append',
      'execute',
      'erase',
      'log',
      'feed',
      'inspect',
      'diff',
      'blame',
      'revert',
      'find',
      '__proto__',
    ]
    const fields = ['id', 'events', 'type', 'command', 'ids', 'to', 'from', 'point', 'path', 'limit', 'meta']
    const field = () => `"${pick(fields)}":${pick(values)}`
    let id = 0
    /** A call that makes no sense, and that the connection outlives. */
    const wrong = () => `{"id":${++id},"call":"${pick(calls)}","params":{${field()},${field()},${field()}}}`
    /** Mostly one after which it is ended. */
    const rough = () =>
      pick([
        wrong,
        () => `{"id":${pick(values)},"call":"${pick(calls)}"}`,
        () => `{"id":1,"${pick(['more', 'cancel', 'call'])}":${pick(values)}}`,
        () => Array.from({ length: 20 }, () => String.fromCharCode(1 + random() * 255)).join(''),
      ])()
    const rounds = Math.ceil(MESSAGES / 100)
    for (let round = 0; round < rounds; round++) {
      const { socket, say, lines } = await caller(store, '{"kuma":1}')
      if (round % 4 === 0) say(...Array.from({ length: 100 }, rough))
      else {
        say(...Array.from({ length: 100 }, wrong))
        await lines(101) // each is answered, after the greeting
      }
      socket.end()
      socket.resume()
      await closed(socket)
      if (round % 30 === 0) expect((await entity.append({ type: 'Set', data: { round } })).version).toBeGreaterThan(1)
    }
    expect(await entity.read()).toEqual({ round: Math.floor((rounds - 1) / 30) * 30 })
    await other.close()
    expect((await run(['status'])).stdout).toMatch(/^healthy/)
    expect((await run(['stop'])).code).toBe(0)
    for await (const { problems } of verifyStore(store)) expect(problems).toEqual([])
  })
})
