/** A daemon in a crowd: those who may speak to it get in, whoever else comes, stays and says what. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect as dial, type NetConnectOpts, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BINARY, ended, environment, kuma, ndjson, shell } from '../cli.ts'
import { startDaemon, tokenFile } from '../daemon.ts'
import { http } from '../http.ts'
import { launchProgram } from '../program.ts'

/** A store whose config sets bounds of the daemon. */
async function bounded(daemon: object, more = '') {
  const made = await shell()
  writeFileSync(join(made.cwd, 'kuma.config.ts'), `${more}export default { daemon: ${JSON.stringify(daemon)} }\n`)
  return { ...made, store: join(made.cwd, 'kuma-data') }
}

/** And the daemon, over TCP too. */
async function listening(daemon: object) {
  const made = await bounded(daemon)
  const file = tokenFile(made.cwd)
  const running = await startDaemon(made.cwd, ['--listen', '127.0.0.1:0', '--token-file', file])
  const [host, port] = running.listening.address!.split(':') as [string, string]
  const there = ['--url', `tcp://${host}:${port}`, '--token-file', file]
  return { ...made, ...running, host, port: Number(port), there }
}

/** Someone who does not hang up when he is hung up on. */
async function stubborn(where: NetConnectOpts, said = ''): Promise<Socket> {
  const socket = dial({ ...where, allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (said !== '') socket.write(said)
  return socket
}

/** When the other side has hung up. */
function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed || socket.readableEnded) resolve()
    socket.resume().once('end', resolve).once('close', resolve)
  })
}

test('garbage over TCP, however much of it and however long it stays, keeps nobody out and is logged in sums', async () => {
  const { run, host, port, there, output } = await listening({ clientsMax: 100 })
  const flood = launchProgram('garbage.js', host, String(port), '1500')
  await once(flood.stdout!, 'data')
  for (const words of [[], there, [], there])
    expect(await run(['append', 'a', 'Set', 'n=1', ...words])).toMatchObject({ code: 0, stderr: '' })
  const status = JSON.parse((await run(['status', '--json'])).stdout)
  expect(status.bounds.unauthorizedMax).toBe(64)
  expect(status.clients).toBeLessThanOrEqual(65)
  expect((await run(['stop'])).code).toBe(0)
  const refused = ndjson((await output).stderr).filter(({ msg }) => msg === 'refused')
  expect(refused.length).toBeLessThan(40)
  expect(refused.reduce((sum, { count }) => sum + Number(count ?? 1), 0)).toBeGreaterThan(1_000)
})

test('as many without a token as there may be: one more takes the place of the oldest', async () => {
  const { host, port, there, run } = await listening({ unauthorizedMax: 3 })
  const silent = [await stubborn({ host, port }), await stubborn({ host, port }), await stubborn({ host, port })]
  const fourth = await stubborn({ host, port })
  await gone(silent[0]!)
  expect(silent.slice(1).map(({ readyState }) => readyState)).toEqual(['open', 'open'])
  fourth.write(
    `GET /v1/entities HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${'0123456789abcdef'.repeat(2)}\r\n\r\n`,
  )
  expect(String((await once(fourth, 'data'))[0])).toMatch(/^HTTP\/1.1 200 /)
  // it has shown the token: others take each other's places, not its own
  for (let n = 0; n < 5; n++) await stubborn({ host, port })
  await Promise.all(silent.map(gone))
  expect(fourth.readyState).toBe('open')
  expect((await run(['append', 'a', 'Set', ...there])).code).toBe(0)
})

test('places that are taken over TCP are none of those of the socket, and who finds none is told so', async () => {
  const { host, port, there, run, store } = await listening({ clientsMax: 2 })
  const greeting = `{"kuma":1,"token":"${'0123456789abcdef'.repeat(2)}"}\n`
  for (let n = 0; n < 2; n++) await once(await stubborn({ host, port }, greeting), 'data')
  const noPlace = { code: 5, stderr: expect.stringContaining('no place for one more client: 2 are connected') }
  expect(await run(['read', 'a', ...there])).toMatchObject(noPlace)
  expect((await run(['append', 'a', 'Set'])).code).toBe(0)
  const path = join(store, 'kuma.sock')
  for (let n = 0; n < 2; n++) await once(await stubborn({ path }, '{"kuma":1}\n'), 'data')
  expect(await run(['read', 'a'])).toMatchObject(noPlace)
})

test('who was refused has no place, whether he hangs up or not', async () => {
  const { run, store } = await listening({ clientsMax: 2 })
  const path = join(store, 'kuma.sock')
  for (const said of [
    '{garbage\n',
    'garbage\r\n\r\n',
    '{"kuma":7}\n',
    '{"kuma":1}\n[]\n',
    'GET /healthz HTTP/9.9\r\n\r\n',
  ])
    await once(await stubborn({ path }, said), 'data')
  expect((await run(['append', 'a', 'Set'])).code).toBe(0)
})

test('a first line, or the head of a request, that comes byte by byte is not waited for', {
  timeout: 30_000,
}, async () => {
  const { host, port } = await listening({})
  const ask = 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n'
  const dripping = [
    ['{', 'k'],
    ['GET /healthz HTTP/1.1\r\nhost: ', 'x'],
    [`${ask}GET /healthz HTTP/1.1\r\nhost: `, 'x'],
    ['\r\n', '\r\n'],
  ].map(async ([first, byte]) => {
    const socket = await stubborn({ host, port }, first)
    socket.resume()
    const dripped = setInterval(() => socket.write(byte!), 100)
    socket.once('close', () => clearInterval(dripped))
    await gone(socket)
  })
  await Promise.all(dripping)
})

test('the log of a detached daemon is bounded, and what is printed by others still lands in it', async () => {
  const hook = `process.on('SIGUSR2', () => console.error('printed by hand'))\n`
  const { run, store } = await bounded({ logBytesMax: 6_000 }, hook)
  onTestFinished(async () => void (await run(['stop'])))
  expect((await run(['start', '--detach', '--log-level', 'debug'])).code).toBe(0)
  const [log, older] = [join(store, 'kuma.log'), join(store, 'kuma.log.1')]
  for (let n = 0; n < 60; n++) expect((await http(store, { path: '/healthz' })).status).toBe(200)
  for (const file of [log, older]) {
    expect(statSync(file)).toMatchObject({ mode: 0o100600, size: expect.toSatisfy((size) => size < 6_000 + 300) })
    expect(ndjson(readFileSync(file, 'utf8')).every(({ msg }) => typeof msg === 'string')).toBe(true)
  }
  const text = readFileSync(older, 'utf8') + readFileSync(log, 'utf8')
  expect(text.match(/"msg":"answered"/g)!.length).toBeGreaterThan(15)
  process.kill(JSON.parse((await run(['status', '--json'])).stdout).pid, 'SIGUSR2')
  await run(['stop'])
  expect(readFileSync(log, 'utf8') + readFileSync(older, 'utf8')).toContain('printed by hand\n')
})

test('when no file is left to be opened, a daemon goes on', async () => {
  const { cwd, store, run } = await bounded({ clientsMax: 1_000 })
  const file = tokenFile(cwd)
  const words = ['start', '--listen', '127.0.0.1:0', '--token-file', file]
  const limited = ['-c', 'ulimit -n 100; exec "$@"', 'bash', process.execPath, BINARY, ...words]
  const daemon = spawn('bash', limited, { cwd, env: environment(), stdio: 'pipe' })
  onTestFinished(() => void daemon.kill('SIGKILL'))
  const output = ended(daemon)
  const [text] = (await once(daemon.stderr!, 'data')) as [string]
  const [host, port] = JSON.parse(text.split('\n')[0]!).address.split(':')
  const token = `{"kuma":1,"token":"${'0123456789abcdef'.repeat(2)}"}\n`
  const over = await Promise.all(Array.from({ length: 150 }, () => stubborn({ host, port }, token)))
  expect(await kuma(['append', 'a', 'Set'], { cwd })).toMatchObject({ code: 0, stderr: '' })
  const path = join(store, 'kuma.sock')
  const local = await Promise.all(Array.from({ length: 150 }, () => stubborn({ path })))
  for (const socket of [...over, ...local]) socket.destroy()
  expect((await run(['append', 'b', 'Set'])).code).toBe(0)
  expect((await run(['stop'])).code).toBe(0)
  expect((await output).code).toBe(0)
  expect(existsSync(path)).toBe(false)
})

describe('answers that nobody reads', () => {
  const ASK = 'GET /v1/entities/large HTTP/1.1\r\nhost: localhost\r\n'

  /** A daemon with an entity of 3.6 MB. */
  async function large(daemon: object) {
    const made = await bounded(daemon)
    const running = await startDaemon(made.cwd)
    const set = Array.from({ length: 4 }, (_, n) => ({ type: 'Set', data: { [`t${n}`]: 'x'.repeat(900_000) } }))
    const input = set.map((event) => `${JSON.stringify(event)}\n`).join('')
    expect((await made.run(['append', 'large', '-'], { input })).code).toBe(0)
    const memory = async () => JSON.parse((await made.run(['status', '--json'])).stdout).memoryBytes as number
    return { ...made, ...running, memory, path: join(made.store, 'kuma.sock') }
  }

  test.each([
    ['HTTP', `${ASK}\r\n`.repeat(300)],
    [
      'lines',
      `{"kuma":1}\n${Array.from({ length: 300 }, (_, id) => `{"id":${id},"call":"inspect","params":{"id":"large"}}\n`).join('')}`,
    ],
  ])('in %s are not made before those that were asked for earlier have gone', async (_, asked) => {
    const { store, path, memory, run } = await large({})
    const before = await memory()
    const socket = await stubborn({ path }, asked)
    await new Promise((resolve) => socket.once('readable', resolve))
    for (let n = 0; n < 20; n++) await http(store, { path: '/v1/entities/large' })
    expect((await memory()) - before).toBeLessThan(250_000_000)
    expect((await run(['append', 'a', 'Set'])).code).toBe(0)
  })

  test('are bounded all together: who has read nothing for the longest time goes', async () => {
    const { path } = await large({ unreadBytesMax: 6_000_000 })
    const ask = async () => {
      const socket = await stubborn({ path }, `${ASK}connection: close\r\n\r\n`)
      await new Promise((resolve) => socket.once('readable', resolve))
      return socket
    }
    const bytes = async (socket: Socket) => {
      let sum = 0
      socket.on('data', (chunk: Buffer) => (sum += chunk.length))
      await gone(socket)
      return sum
    }
    const [first, second] = [await ask(), await ask()]
    expect(await bytes(first)).toBeLessThan(3_600_000)
    expect(await bytes(second)).toBeGreaterThan(3_600_000)
  })

  test('requests that come together are answered in their order, all of them', async () => {
    const { path } = await large({})
    const ids = Array.from({ length: 150 }, (_, n) => (n % 10 === 9 ? 'large' : `nobody${n}`))
    const head = `HTTP/1.1\r\nhost: kuma\r\npadding: ${'x'.repeat(2_000)}\r\n`
    const asked = ids.map((id) => `GET /v1/entities/${id} ${head}\r\n`)
    const socket = await stubborn({ path }, `${asked.join('')}GET /healthz ${head}connection: close\r\n\r\n`)
    let text = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
    await gone(socket)
    const answered = text.matchAll(/"id":"(large)"|no entity \\"(\w+)\\"|(healthy)/g)
    expect(Array.from(answered, ([, ...found]) => found.find(Boolean))).toEqual([...ids, 'healthy'])
  })

  test('who sends requests by the thousand and reads none of the answers is hung up on', async () => {
    const { host, port, store, run, output } = await listening({})
    const ask = 'GET /healthz HTTP/1.1\r\nhost:localhost\r\n\r\n'
    await gone(await stubborn({ host, port }, ask.repeat(40)))
    await gone(await stubborn({ path: join(store, 'kuma.sock') }, ask.repeat(10_000)))
    expect((await run(['stop'])).code).toBe(0)
    expect((await output).stderr).toContain('"reason":"too many requests at once"')
  })
})
