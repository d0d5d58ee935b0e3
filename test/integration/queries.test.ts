/** What queries may take of a daemon and its machine, and what becomes of them: real daemons, and the processes that they start. */
import { once, setMaxListeners } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request as ask, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Client } from '../../src/daemon/client.ts'
import type { DaemonStatus } from '../../src/daemon/host.ts'
import { openDatabase } from '../../src/store/driver.ts'
import { shell } from '../cli.ts'
import { startDaemon } from '../daemon.ts'
import { http } from '../http.ts'
import { childrenOf, isThere } from '../processes.ts'

const MIB = 1024 * 1024
/** For what comes when the machine has the time. */
const SOON = { timeout: 30_000 }
const upTo = (n: number) => `with recursive c(x) as (select 1 union all select x + 1 from c where x < ${n})`
const SHORT = `${upTo(100_000)} select count(*) n from c`
const FOREVER = 'with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) n from c'
const SORTS = 'with recursive c(x) as (select 1 union all select x + 1 from c) select x from c order by x % 1000, x'
/** Four megabytes: more than is sent unasked. */
const LONG = `${upTo(1_000)} select x, hex(zeroblob(2000)) as text from c`

/** A daemon, with these bounds for queries. */
async function served(readModels: kuma.ReadModelsConfig = {}) {
  const { cwd } = await shell()
  const config = `import { defineConfig } from 'kuma'\nexport default defineConfig({ readModels: ${JSON.stringify(readModels)} })\n`
  writeFileSync(join(cwd, 'kuma.config.ts'), config)
  const store = join(cwd, 'kuma-data')
  const { daemon } = await startDaemon(cwd)
  const open = async () => {
    const ctx = await kuma.connect(store)
    onTestFinished(() => ctx.close())
    return ctx
  }
  const client = await Client.connect(store)
  onTestFinished(() => client.close())
  const status = () => client.call<DaemonStatus>('status')
  return { store, daemon, pid: daemon.pid!, open, client, status, ctx: await open() }
}

const outcome = <T>(promise: Promise<T>) =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
const failed = (code: kuma.KumaErrorCode, message: string | RegExp) => ({
  error: expect.objectContaining({ name: 'KumaError', code, message: expect.stringMatching(message) }),
})

describe('many queries at once', () => {
  test('are answered by four processes, one after the other', async () => {
    const { pid, open } = await served()
    const clients = [await open(), await open(), await open()]
    let isOver = false
    const answers = Promise.all(clients.flatMap((ctx) => Array.from({ length: 20 }, () => ctx.query(SHORT).toArray())))
    const over = answers.finally(() => (isOver = true))
    let most = 0
    while (!isOver) most = Math.max(most, (await childrenOf(pid)).length)
    expect(await over).toEqual(Array(60).fill([{ n: 100_000 }]))
    expect(most).toBe(4)
  })

  test('wait, by default or as the config says; status tells how many; who hangs up waits no more', async () => {
    const { status, store } = await served({ queriesMax: 2 })
    expect((await status()).queries).toMatchObject({ running: 0, waiting: 0, queriesMax: 2, queryTimeoutMs: 30_000 })
    const ctx = await kuma.connect(store)
    const leave = new AbortController()
    const asked = Array.from({ length: 5 }, () => outcome(ctx.query(FOREVER, [], leave).toArray()))
    await expect.poll(async () => (await status()).queries, SOON).toMatchObject({ running: 2, waiting: 3 })
    leave.abort(new Error('enough'))
    expect(await Promise.all(asked)).toEqual(Array(5).fill({ error: new Error('enough') }))
    await expect.poll(async () => (await status()).queries, SOON).toMatchObject({ running: 0, waiting: 0 })
    const other = ask({
      socketPath: join(store, 'kuma.sock'),
      path: `/v1/query?sql=${encodeURIComponent(FOREVER)}`,
    }).end()
    other.on('error', () => {})
    await expect.poll(async () => (await status()).queries.running, SOON).toBe(1)
    other.destroy()
    await expect.poll(async () => (await status()).queries.running, SOON).toBe(0)
    await ctx.close()
  })

  test('of one client do not keep another one waiting for all of them', async () => {
    const { open } = await served({ queriesMax: 1 })
    const [much, little] = [await open(), await open()]
    let answered = 0
    const many = Array.from({ length: 20 }, () =>
      much
        .query(SHORT)
        .toArray()
        .then(() => answered++),
    )
    await Promise.race(many)
    await little.query(SHORT).toArray()
    expect(answered).toBeLessThan(10)
    await Promise.all(many)
  })

  test('beyond the thousand that wait are refused, first those of who waits with the most', async () => {
    const { open, status } = await served({ queriesMax: 1 })
    const [greedy, one, more] = [await open(), await open(), await open()]
    const leave = new AbortController()
    setMaxListeners(0, leave.signal)
    const refused: kuma.KumaError[] = []
    const askMany = (ctx: kuma.Kuma, count: number) =>
      Array.from({ length: count }, () =>
        ctx
          .query(FOREVER, [], leave)
          .toArray()
          .catch((error) => refused.push(error)),
      )
    const all = [...askMany(greedy, 900), ...askMany(more, 200)]
    await expect.poll(() => refused.length, SOON).toBe(99)
    expect(refused[0]).toMatchObject({ code: 'KUMA_OVERLOADED', details: { retryAfterMs: expect.any(Number) } })
    const polite = outcome(one.query('select 1 as one').toArray())
    await expect.poll(() => refused.length, SOON).toBe(100)
    expect((await status()).queries).toMatchObject({ running: 1, waiting: 1_000 })
    leave.abort(new Error('enough'))
    await Promise.all(all)
    expect(await polite).toEqual({ value: [{ one: 1 }] })
  })
})

describe('a query that takes too much', () => {
  test('memory is ended, is told how much it may take, and nobody else notices', async () => {
    const { ctx, open } = await served({ queryMemoryBytesMax: 128 * MIB })
    const other = await open()
    const [sorted, joined, answered] = await Promise.all([
      outcome(ctx.query(SORTS).toArray()),
      outcome(ctx.query(`${upTo(1e9)} select length(group_concat(x, ' and ')) n from c`).toArray()),
      outcome(other.query(LONG).toArray()),
    ])
    expect(sorted).toEqual(failed('KUMA_INVALID_QUERY', /134,217,728 bytes/))
    expect(joined).toEqual(failed('KUMA_INVALID_QUERY', /134,217,728 bytes/))
    expect(answered).toMatchObject({ value: { length: 1_000 } })
    expect(await ctx.spawn(kuma.document, 'd')).toMatchObject({ id: 'd' })
    expect(await ctx.query('select 1 as one').toArray()).toEqual([{ one: 1 }])
  })

  test('time is ended after what the config says; that it catches up first does not count', async () => {
    const { ctx, client, store } = await served({ queryTimeoutMs: 300 })
    await client.call('pauseProjection', { name: 'entities' })
    const { position } = await (await ctx.spawn(kuma.document, 'd')).append({ type: 'Set', data: { n: 1 } })
    const after = outcome(ctx.query('select version from entities', [], { after: position }).toArray())
    expect(await outcome(ctx.query(FOREVER).toArray())).toEqual(failed('KUMA_TIMEOUT', /300 ms/))
    const path = `/v1/query?sql=${encodeURIComponent(FOREVER)}`
    expect(await http(store, { path })).toMatchObject({ status: 503, text: expect.stringContaining('KUMA_TIMEOUT') })
    await client.call('resumeProjection', { name: 'entities' })
    expect(await after).toEqual({ value: [{ version: 2 }] })
  })

  test('time by reading slowly is ended where others wait for its place, and only there', async () => {
    const { ctx, open } = await served({ queriesMax: 2, queryTimeoutMs: 1_000 })
    const alone = ctx.query(LONG)[Symbol.asyncIterator]()
    await alone.next()
    const other = await open()
    expect(await outcome(other.query(FOREVER, [], { timeoutMs: 1_500 }).toArray())).toEqual(
      failed('KUMA_TIMEOUT', /1500 ms/),
    )
    for (let next = await alone.next(), x = 2; !next.done; next = await alone.next(), x++)
      expect(next.value).toMatchObject({ x })
    const readers = [1, 2].map(() => ctx.query(LONG)[Symbol.asyncIterator]())
    for (const reader of readers) await reader.next()
    expect(await other.query('select 1 as one').toArray()).toEqual([{ one: 1 }])
    const rest = async (reader: AsyncIterator<unknown>) => {
      while (!(await reader.next()).done);
    }
    expect(await Promise.all(readers.map((reader) => outcome(rest(reader))))).toContainEqual(
      failed('KUMA_TIMEOUT', /1000 ms/),
    )
  })

  test('in one row is refused, whichever way it is asked', async () => {
    const { ctx, store } = await served()
    const row = (bytes: number) => `select hex(zeroblob(${bytes / 2})) as x`
    const length = async (bytes: number) => ((await ctx.query(row(bytes)).toArray())[0] as { x: string }).x.length
    expect(await outcome(length(16 * MIB))).toEqual(failed('KUMA_INVALID_QUERY', /16 MiB/))
    const path = `/v1/query?sql=${encodeURIComponent(row(16 * MIB))}`
    expect(await http(store, { path })).toMatchObject({ status: 400, text: expect.stringContaining('16 MiB') })
    expect(await length(15 * MIB)).toBe(15 * MIB)
  })
})

describe('an answer of 100 MB that is read slowly leaves the memory of the daemon as it is', () => {
  const ROWS = 200
  const ALL = `${upTo(ROWS)} select e.state from entities e, c`

  async function filled() {
    const made = await served()
    const doc = await made.ctx.spawn(kuma.document, 'd')
    const { position } = await doc.append({ type: 'Set', data: { text: 'x'.repeat(500_000) } })
    await made.ctx.query('select 1', [], { after: position }).toArray()
    const before = (await made.status()).memoryBytes
    let most = 0
    const look = async () => {
      most = Math.max(most, (await made.status()).memoryBytes - before)
    }
    return { ...made, look, most: () => most }
  }

  test('by the protocol', async () => {
    const { ctx, look, most } = await filled()
    let rows = 0
    for await (const _ of ctx.query(ALL)) if (rows++ % 10 === 0) await look()
    expect(rows).toBe(ROWS)
    expect(most()).toBeLessThan(100 * MIB)
  })

  test('by HTTP', async () => {
    const { store, look, most } = await filled()
    const asked = ask({
      socketPath: join(store, 'kuma.sock'),
      path: `/v1/query?sql=${encodeURIComponent(ALL)}`,
      agent: false,
    })
    const [response] = (await once(asked.end(), 'response')) as [IncomingMessage]
    let [bytes, looked] = [0, 0]
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length
      if (bytes - looked < 5 * MIB) continue
      looked = bytes
      await look()
    }
    expect(bytes).toBeGreaterThan(ROWS * 500_000)
    expect(most()).toBeLessThan(100 * MIB)
  })
})

test('a daemon that is killed leaves no process behind, whatever that is in the middle of', async () => {
  const { ctx, daemon, pid } = await served()
  for (const sql of [FOREVER, FOREVER, SORTS]) void outcome(ctx.query(sql).toArray())
  await expect.poll(async () => (await childrenOf(pid)).length, SOON).toBe(3)
  const children = await childrenOf(pid)
  onTestFinished(() => {
    for (const child of children.filter(isThere)) process.kill(child, 'SIGKILL')
  })
  daemon.kill('SIGKILL')
  await expect.poll(() => children.filter(isThere), SOON).toEqual([])
})

describe('an erasure', () => {
  test('ends the queries that still read, and is whole; they are told so, and what comes next is answered', async () => {
    const { ctx, open } = await served()
    const doc = await ctx.spawn(kuma.document, 'someone')
    const { position } = await (await ctx.spawn(kuma.document, 'other')).append({ type: 'Set', data: {} })
    const reading = ctx.query(LONG)[Symbol.asyncIterator]()
    await reading.next()
    const counting = outcome((await open()).query(FOREVER, [], { after: position }).toArray())
    const again = expect.objectContaining({ code: 'KUMA_INTERRUPTED', hint: expect.stringContaining('ask again') })
    const receipt = await doc.delete()
    expect(receipt.reached).toContain('projections.db')
    expect(receipt.notReached).toEqual([])
    expect(await counting).toEqual({ error: again })
    const rest = async () => {
      while (!(await reading.next()).done);
    }
    expect(await outcome(rest())).toEqual({ error: again })
    expect(await ctx.query('select id from entities').toArray()).toEqual([{ id: 'other' }])
  })

  test('waits only so long for another program that reads, and says that its pages were not reached', async () => {
    const { ctx, store } = await served()
    const doc = await ctx.spawn(kuma.document, 'someone')
    const { position } = await (await ctx.spawn(kuma.document, 'other')).append({ type: 'Set', data: {} })
    await ctx.query('select 1', [], { after: position }).toArray()
    const db = openDatabase(join(store, 'projections.db'), 'read')
    onTestFinished(() => void db.close())
    db.exec('begin; select * from kuma_sink')
    const asked = await ctx.query('select id from entities').toArray()
    expect(asked).toHaveLength(2)
    expect((await doc.delete()).notReached).toMatchObject([{ what: 'projections.db-wal' }])
    expect(await ctx.query('select id from entities').toArray()).toEqual([{ id: 'other' }])
  })
})
