/** A daemon that is asked for more of the past than it can tell in a while: others are served, and who hangs up asks no more. */
import { once } from 'node:events'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { request as ask, type ClientRequest } from 'node:http'
import { connect as dial, type Socket } from 'node:net'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Client, engineOf } from '../../src/daemon/client.ts'
import type { ClientInfo, DaemonStatus } from '../../src/daemon/host.ts'
import { kuma as runKuma } from '../cli.ts'
import { startDaemon } from '../daemon.ts'
import { folder, makeFolder } from '../folder.ts'
import { http } from '../http.ts'

/** Who set its first field takes all of its events to tell, which is half a second. */
const EVENTS = 100_000
const GROUP = 1_000
const MANY = 100

let template: string
beforeAll(async () => {
  template = makeFolder()
  const db = await kuma.start({ path: template, shards: 2 })
  const long = await db.spawn(kuma.document, 'long', { born: 1 })
  for (let first = 0; first < EVENTS; first += GROUP)
    await long.appendAll(Array.from({ length: GROUP }, (_, i) => ({ type: 'Set' as const, data: { n: first + i } })))
  for (const id of ['cold', 'other'])
    await (await db.spawn(kuma.document, id, { n: 1 })).append({ type: 'Set', data: { n: 2 } })
  await db.close()
})
afterAll(() => rmSync(template, { recursive: true, force: true }))

/** A daemon in which no entity is awake. */
async function daemon(config?: string) {
  const cwd = folder()
  const store = join(cwd, 'kuma-data')
  cpSync(template, store, { recursive: true })
  if (config !== undefined) writeFileSync(join(cwd, 'kuma.config.ts'), config)
  await startDaemon(cwd)
  return { store, run: (...words: string[]) => runKuma(words, { cwd }) }
}

async function connected(store: string) {
  const client = await Client.connect(store, { reconnect: false })
  onTestFinished(() => client.close())
  return client
}

/** Someone who may hang up without a word. */
async function caller(store: string): Promise<Socket & { say(...messages: unknown[]): void }> {
  const socket = dial(join(store, 'kuma.sock'))
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  const say = (...messages: unknown[]) => void socket.write(messages.map((one) => `${JSON.stringify(one)}\n`).join(''))
  say({ kuma: 1 })
  await once(socket, 'data')
  return Object.assign(socket.resume(), { say })
}

const blames = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: i + 1, call: 'blame', params: { id: 'long' } }))

const slowCalls = async (client: Client) => (await client.call<DaemonStatus>('status')).slowCalls

/** When the daemon tells of slow calls. */
async function untilSlow(client: Client) {
  for (;;) {
    const found = await slowCalls(client)
    if (found.length > 0) return found
  }
}

test('an append to an entity that sleeps, and a question of someone else, are answered before a hundred others', async () => {
  const { store, run } = await daemon()
  const [many, good] = [await connected(store), await connected(store)]
  const answered: string[] = []
  const note = (name: string) => () => void answered.push(name)
  const asked = Array.from({ length: MANY }, () =>
    many.call('blame', { id: 'long' }).then(note('blame'), note('ended')),
  )
  const { pid } = await many.call<DaemonStatus>('status') // so they have come
  await good.call('append', { id: 'cold', events: [{ type: 'Set', data: { n: 3 } }] }).then(note('append'))
  await good.call('inspect', { id: 'other' }).then(note('inspect'))
  await good.call('diff', { id: 'other' }).then(note('diff'))
  await good.call('append', { id: 'new', newType: 'document', events: [{ type: 'Set' }] }).then(note('new'))
  expect(answered).toEqual(['append', 'inspect', 'diff', 'new'])
  const [slow] = await untilSlow(good)
  expect(slow).toEqual({
    call: 'blame',
    client: 1,
    count: expect.any(Number),
    waiting: slow!.count - 4,
    since: expect.any(String),
  })
  expect((await run('status')).stdout).toMatch(
    /^healthy\nprocess .*\n.*\n.*\nslow: blame of client 1, \d+ under way \(\d+ in line\), since \d{4}-.*Z\n/,
  )
  expect((await http(store, { path: '/metrics' })).text).toMatch(/^kuma_slow_calls [1-9]\d*$/m)
  process.kill(pid, 'SIGKILL')
  await Promise.all(asked)
})

test('who hangs up asks no more', async () => {
  const { store } = await daemon('export default { daemon: { slowCallsMax: 50 } }\n')
  const [bad, good] = [await caller(store), await connected(store)]
  const lists = ['log', 'replay', 'inspectAll', 'entities'].map((call, i) => {
    const params =
      call === 'log'
        ? { id: 'long', types: ['Nothing'] }
        : call === 'replay'
          ? { id: 'long', from: { version: EVENTS } }
          : {}
    return { id: MANY + 1 + i, call, params }
  })
  bad.say(...blames(MANY), ...lists)
  const [slow] = await untilSlow(good)
  expect(slow).toMatchObject({ call: 'blame', client: 1 })
  bad.destroy()
  await good.call('blame', { id: 'long' })
  expect(await slowCalls(good)).toEqual([])
  expect(await good.call<ClientInfo[]>('clients')).toHaveLength(1)
})

test('nor who hangs up over HTTP, by however many connections', async () => {
  const { store } = await daemon()
  const good = await connected(store)
  const get = (path: string) => {
    const request = ask({ socketPath: join(store, 'kuma.sock'), path, agent: false })
    return request.on('error', () => {}).end()
  }
  const asked: ClientRequest[] = []
  for (let i = 0; i < 2 * MANY; i++)
    asked.push(get(i % 2 === 0 ? '/v1/entities/long/log?event=Nothing' : '/v1/entities/long/export'))
  const slow = await untilSlow(good)
  for (const { call } of slow) expect(call).toMatch(/^GET \/v1\/entities\/:id\/(log|export)$/)
  for (const request of asked) request.destroy()
  await good.call('blame', { id: 'long' })
  expect(await slowCalls(good)).toEqual([])
  expect(await good.call<ClientInfo[]>('clients')).toHaveLength(1)
})

test('what records something is done all the same, also if it waited in line', async () => {
  const { store } = await daemon()
  const bad = await caller(store)
  const ctx = await kuma.connect(store)
  onTestFinished(() => ctx.close())
  const feed = ctx.subscribe({ from: 'now' })[Symbol.asyncIterator]()
  const seen = [feed.next(), feed.next()]
  const append = { id: 'cold', events: [{ type: 'Set', data: { n: 3 } }] }
  bad.say(
    ...blames(MANY),
    { id: MANY + 1, call: 'revert', params: { id: 'other', to: { version: 1 } } },
    { id: MANY + 2, call: 'append', params: append },
  )
  bad.end()
  const events = (await Promise.all(seen)).map(({ value }) => value.event)
  expect(events.map(({ entity, type }) => `${entity} ${type}`).sort()).toEqual(['cold Set', 'other Reverted'])
})

test('a client waits for its own slow calls, and reads from many lists at once', async () => {
  const { store } = await daemon('export default { daemon: { slowCallsMax: 2, slowCallsOfAllMax: 2 } }\n')
  const ctx = await kuma.connect(store)
  onTestFinished(() => ctx.close())
  const long = await ctx.entity('long')
  const lists = Array.from({ length: 8 }, () => long.log()[Symbol.asyncIterator]())
  for (let version = 1; version <= 500; version++) {
    const items = await Promise.all(lists.map((list) => list.next()))
    expect(items.map(({ value }) => value.version)).toEqual(lists.map(() => version))
  }
  for (const list of lists) await list.return?.()
  const status = await (await connected(store)).call<DaemonStatus>('status')
  expect(status.bounds).toMatchObject({ slowCallsMax: 2, slowCallsOfAllMax: 2 })
})

test('a question that its own signal ends is over in the daemon too', async () => {
  const { store } = await daemon()
  const client = await connected(store)
  const engine = engineOf(client)
  await engine.readModels.waitFor('entities', null)
  await engine.readModels.pause('entities')
  const { position } = await engine.append({ id: 'cold', events: [{ type: 'Set' }] })
  const stop = new AbortController()
  const asked = [
    engine.readModels.waitFor('entities', position, stop.signal),
    ...Array.from({ length: MANY }, () => engine.blame('long', undefined, AbortSignal.any([stop.signal]))),
  ]
  await client.call('stats')
  const reason = new Error('enough')
  stop.abort(reason)
  const rejected = { status: 'rejected', reason }
  expect(await Promise.allSettled(asked)).toEqual(asked.map(() => rejected))
  await engine.diff({ id: 'other' })
  expect(await client.call<ClientInfo[]>('clients')).toMatchObject([{ underWay: 1 }])
})
