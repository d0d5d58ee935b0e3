/** A daemon that is told to stop ends soon, whatever somebody waits for: with what it took answered, or told that it was not. */
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { createServer, connect as dial } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { kuma, ndjson } from '../cli.ts'
import { startDaemon } from '../daemon.ts'
import { folder } from '../folder.ts'

const BOUND_MS = 10_000

const configOf = (rqliteUrl: string | undefined) => `
import * as kuma from 'kuma'
if (process.argv.includes('start')) setInterval(() => {}, 1_000) // as a pool would, or a model
const Account = kuma.defineEntity({
  type: 'account',
  initial: { balance: 0 },
  events: { Deposited: kuma.type<{ amount: number }>() },
  commands: { Ask: kuma.type<Record<never, never>>() },
})
  .evolve({ Deposited: (state, { amount }) => ({ balance: state.balance + amount }) })
  .decide({ Ask: () => new Promise(() => {}) })
export default kuma.defineConfig({
  path: './store',
  shards: 1,
  entities: [Account],
  projections: [
    kuma.defineProjection({ name: 'sums', columns: { id: 'text', balance: 'integer' } })
      .rows(Account, ({ balance }, { id }) => ({ id, balance })),
  ],
  readModels: ${JSON.stringify({ rqliteUrl })},
})
`

/** A daemon of accounts, and someone who speaks to it by hand. */
async function accounts(rqliteUrl?: string) {
  const cwd = folder()
  writeFileSync(join(cwd, 'kuma.config.ts'), configOf(rqliteUrl))
  const run = (args: readonly string[], input = '') => kuma(args, { cwd, input })
  expect((await run(['init'])).code).toBe(0)
  const { daemon, output } = await startDaemon(cwd)
  const deposited = await run(['append', 'a', 'Deposited', 'amount:=1', '--type', 'account'])
  expect(deposited.code).toBe(0)
  const socket = dial(join(cwd, 'store', 'kuma.sock'))
  onTestFinished(() => void socket.destroy())
  let text = ''
  socket.on('error', () => {})
  await once(socket, 'connect')
  const hear = () => socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const say = (...messages: object[]) => socket.write(messages.map((one) => `${JSON.stringify(one)}\n`).join(''))
  /** Resolves when it has been told so much. */
  const heard = async (part: string) => {
    while (!text.includes(part)) await once(socket, 'data')
    return text
  }
  /** @returns what the socket heard until the process had ended */
  const stopped = async (how: 'kuma stop' | 'SIGTERM') => {
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => reject(new Error('it has not ended in time')), BOUND_MS)
      void output.then(() => clearTimeout(timer))
    })
    if (how === 'SIGTERM') daemon.kill('SIGTERM')
    else
      expect(await Promise.race([run(['stop']), late])).toMatchObject({
        code: 0,
        stdout: `stopped: process ${daemon.pid}\n`,
      })
    const { code, stderr } = await Promise.race([output, late])
    expect(code).toBe(0)
    expect(stderr).toContain('"msg":"stopped')
    return text
  }
  return { cwd, run, socket, hear, say, heard, stopped }
}

/** One at which nobody listens for now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((closed) => server.close(closed))
  return port
}

const answers = (text: string) => Object.fromEntries(ndjson(text).map((line) => [String(line['id']), line]))

test.each(['kuma stop', 'SIGTERM'] as const)(
  '%s: a decision that never comes is given up, and what waits behind it is recorded',
  async (how) => {
    const { run, hear, say, heard, stopped } = await accounts()
    hear()
    say({ kuma: 1 }, { id: 1, call: 'execute', params: { id: 'a', command: { type: 'Ask', data: {} } } })
    say({ id: 2, call: 'append', params: { id: 'a', events: [{ type: 'Deposited', data: { amount: 2 } }] } })
    say({ id: 3, call: 'find', params: { id: 'b' } })
    await heard('"id":3')
    const told = answers(await stopped(how))
    expect(told['1']).toMatchObject({
      error: { code: 'KUMA_CLOSED', hint: expect.stringContaining('nothing was recorded') },
    })
    expect(told['2']).toMatchObject({ result: { version: 2 } })
    expect((await run(['read', 'a'])).stdout).toBe('{"balance":3}\n')
  },
)

test('who waits for a projection that is paused may ask the next daemon, and who has it rebuilt is told', async () => {
  const { hear, say, heard, stopped } = await accounts()
  hear()
  say({ kuma: 1 }, { id: 1, call: 'waitFor', params: { projection: 'sums', position: null } })
  await heard('"id":1')
  say({ id: 2, call: 'rebuildProjection', params: { name: 'sums' } })
  say({ id: 3, call: 'pauseProjection', params: { name: 'sums' } })
  await heard('"id":3')
  say({ id: 4, call: 'append', params: { id: 'a', events: [{ type: 'Deposited', data: { amount: 2 } }] } })
  await heard('"id":4')
  say({ id: 5, call: 'waitFor', params: { projection: null, position: null } }, { id: 6, call: 'stats' })
  await heard('"id":6')
  const text = await stopped('kuma stop')
  expect(text).toContain('{"goodbye":6}')
  // that it ended in the middle of it, or that it was paused first
  expect(answers(text)).toMatchObject({ 2: { error: { code: expect.stringMatching(/^KUMA_(DISCONNECTED|USAGE)$/) } } })
  expect(Object.keys(answers(text))).not.toContain('5')
})

test('read models in a database that never answers, and an erasure that waits for it', async () => {
  const port = await freePort()
  const { cwd, run, hear, say, heard, stopped } = await accounts(`http://127.0.0.1:${port}`)
  const silent = createServer((socket) => void socket.on('error', () => {})).listen(port, '127.0.0.1')
  onTestFinished(() => void silent.close())
  hear()
  say({ kuma: 1 }, { id: 1, call: 'waitFor', params: { projection: 'sums', position: null } })
  say({ id: 2, call: 'rebuildProjection', params: { name: 'sums' } }, { id: 3, call: 'projections' })
  say({ id: 4, call: 'query', params: { sql: 'select 1' } }, { id: 5, call: 'rowsOf', params: { id: 'a' } })
  say({ id: 6, call: 'erase', params: { ids: ['a'] } }, { id: 7, call: 'stats' })
  await heard('"id":7')
  while ((await run(['read', 'a'])).code === 0); // until it is recorded
  await stopped('SIGTERM')
  expect((await run(['read', 'a'])).code).toBe(3)
  // it goes on when the store is opened next
  expect(readdirSync(join(cwd, 'store', 'erasures')).length).toBeGreaterThan(0)
})

test('a body that does not come is not waited for', async () => {
  const { socket, hear, heard, stopped } = await accounts()
  hear()
  const head = 'HTTP/1.1\r\nhost: kuma\r\ncontent-type: application/json\r\n'
  socket.write(`GET /healthz ${head}\r\nPOST /v1/entities/a/events ${head}content-length: 100\r\n\r\n{"events"`)
  await heard('healthy')
  expect(await stopped('kuma stop')).toMatch(/HTTP\/1.1 503 [\s\S]*KUMA_CLOSED/)
})

test('whoever does not read what was asked for holds up nothing', async () => {
  const { run, socket, stopped } = await accounts()
  const text = JSON.stringify({ type: 'Set', data: { text: 'x'.repeat(900_000) } })
  expect((await run(['append', 'b', '-', '--type', 'document'], `${text}\n`.repeat(4))).code).toBe(0)
  const asked = '/v1/entities/b/log HTTP/1.1\r\nhost: kuma\r\n\r\n'
  socket.pause()
  socket.write(`GET ${asked}`.repeat(20))
  socket.once('readable', () => {})
  await once(socket, 'readable')
  await stopped('kuma stop')
})
