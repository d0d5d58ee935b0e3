/** Read models: how fast they catch up, how soon they show what was recorded, and what they cost those who append. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createJiti } from 'jiti'
import { anyOf, deposited, ENTITIES, FULL, IN_FLIGHT, inFlight, open, rate, spawnAll } from '../load.js'
import { rawUpserts, upsertsOf } from '../raw-upserts.js'
import { percentile } from '../statistics.js'
import { copyStore } from '../stores.js'

const { hasRqlite, startNode } = await createJiti(import.meta.url).import('../../rqlite.ts')

const MILLION = 1_000_000
const FEWER = 200_000
const ROWS_A_TRANSACTION = 1_000
const FOLLOWED_PER_SECOND = 5_000
const FOLLOWED_SECONDS = 10
const FOLLOWED_ENTITIES = 1_000
const BESIDE_ENTITIES = 10_000
const BESIDE = { 1: 5_000, 64: 100_000, [IN_FLIGHT]: 400_000 }

const RAW = 'raw SQLite, the same upserts, 1,000 a transaction'
const PLAIN = 'rqlite, the same upserts, 1,000 a request'
const without = (limit) => `10,000 entities at random, no read models (${limit})`

/** By path of a store: the position of its end. */
const ends = new Map()

const rqlite = [
  {
    name: PLAIN,
    unit: 'events/s',
    inFlight: 1,
    sync: 'Raft, 1 node',
    run: ({ path, scaled }) => withNode(path, (url) => postedUpserts(url, scaled(FEWER))),
  },
  {
    name: 'catching up from nothing, rqlite',
    unit: 'events/s',
    sync: 'Raft, 1 node',
    against: [{ name: PLAIN, goal: ['>=', 0.8] }],
    prepare: (at) => recordedStore(at, FEWER),
    run: (at) => withNode(at.path, (rqliteUrl) => caughtUp(at, FEWER, { rqliteUrl })),
  },
  {
    name: 'a row shows an event after its ack, rqlite, 5,000/s, p99',
    unit: 'ms',
    sync: FULL,
    goal: ['<', 250],
    run: (at) => withNode(at.path, (rqliteUrl) => following(at, { rqliteUrl })),
  },
]

export const readModels = [
  {
    name: RAW,
    unit: 'events/s',
    inFlight: 1,
    sync: 'WAL, NORMAL',
    run: ({ path, scaled }) => rawUpserts(path, scaled(MILLION), scaled(ENTITIES), ROWS_A_TRANSACTION),
  },
  {
    name: 'catching up from nothing, 1,000,000 events, 100,000 entities',
    unit: 'events/s',
    sync: 'WAL, NORMAL',
    goal: ['>=', 150_000],
    against: [{ name: RAW, goal: ['>=', 0.5] }],
    prepare: (at) => recordedStore(at, MILLION),
    run: (at) => caughtUp(at, MILLION, {}),
  },
  {
    name: 'a row shows an event after its ack, 5,000/s, p99',
    unit: 'ms',
    sync: FULL,
    goal: ['<', 50],
    run: (at) => following(at, {}),
  },
  ...[1, 64, IN_FLIGHT].flatMap((limit) => [
    {
      name: without(limit),
      unit: 'events/s',
      inFlight: limit,
      sync: FULL,
      run: (at) => appendsBeside(at, limit, undefined),
    },
    {
      name: `10,000 entities at random, while a read model follows (${limit})`,
      unit: 'events/s',
      inFlight: limit,
      sync: FULL,
      against: [{ name: without(limit), goal: ['>=', 0.8] }],
      run: (at) => appendsBeside(at, limit, {}),
    },
  ]),
  ...(hasRqlite ? rqlite : []),
]

/** One event at a time, of an entity at random: so hardly two of a batch are one entity's, and each is a row to write. */
async function recordedStore({ folder, scaled }, count) {
  const path = join(folder, `recorded-${count}`)
  if (existsSync(path)) return path
  const ctx = await open(path)
  const accounts = await spawnAll(ctx, scaled(ENTITIES))
  const last = new Map()
  await inFlight(scaled(count) - accounts.length, IN_FLIGHT, async (n) => {
    const { position } = await anyOf(accounts).append(deposited(n))
    const [shard, seq] = position.split(':')
    last.set(shard, Math.max(last.get(shard) ?? 0, Number(seq)))
  })
  ends.set(path, [...last].map(([shard, seq]) => `${shard}:${seq}`).join(','))
  await ctx.close()
  return path
}

async function caughtUp(at, count, readModels) {
  const recorded = await recordedStore(at, count)
  const path = join(at.path, 'store')
  copyStore(recorded, path)
  const begin = performance.now()
  const ctx = await open(path, undefined, { readModels })
  await ctx.waitFor('entities', ends.get(recorded))
  const ms = performance.now() - begin
  await ctx.close()
  return at.scaled(count) / (ms / 1_000)
}

/** Every event is waited for. The first tenth finds the sink still being opened, and is not counted. */
async function following(at, readModels) {
  const ctx = await open(join(at.path, 'store'), 16, { readModels })
  const accounts = await spawnAll(ctx, FOLLOWED_ENTITIES)
  const count = at.scaled(FOLLOWED_PER_SECOND * FOLLOWED_SECONDS)
  const waits = []
  const append = async (n) => {
    const { position } = await anyOf(accounts).append(deposited(n))
    const begin = performance.now()
    await ctx.waitFor('entities', position)
    if (n >= count / 10) waits.push(performance.now() - begin)
  }
  const appends = []
  const begin = performance.now()
  for (let n = 0; n < count; ) {
    const due = Math.min(count, ((performance.now() - begin) / 1_000) * FOLLOWED_PER_SECOND)
    for (; n < due; n++) appends.push(append(n))
    await sleep(1)
  }
  await Promise.all(appends)
  await ctx.close()
  return percentile(waits, 0.99)
}

async function appendsBeside(at, limit, readModels) {
  const ctx = await open(at.path, 16, { readModels })
  const accounts = await spawnAll(ctx, BESIDE_ENTITIES)
  const { position } = await accounts[0].append(deposited(0))
  if (readModels !== undefined) await ctx.waitFor('entities', position)
  const figure = await rate(at.scaled(BESIDE[limit]), limit, (n) => anyOf(accounts).append(deposited(n)))
  await ctx.close()
  return figure
}

async function withNode(path, use) {
  mkdirSync(path, { recursive: true })
  const node = await startNode(path)
  try {
    return await use(node.url)
  } finally {
    await node.kill()
  }
}

/** What a plain program would do: a request after the other. */
async function postedUpserts(url, count) {
  const { create, upsert, paramsOf } = upsertsOf(ENTITIES)
  const post = async (statements) => {
    const response = await fetch(`${url}/db/execute?transaction`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(statements),
    })
    const { results } = await response.json()
    const failed = results.find(({ error }) => error !== undefined)
    if (failed) throw new Error(failed.error)
  }
  await post(create.map((sql) => [sql]))
  const begin = performance.now()
  for (let n = 0; n < count; ) {
    const statements = []
    for (const end = Math.min(n + ROWS_A_TRANSACTION, count); n < end; n++) statements.push([upsert, ...paramsOf(n)])
    await post(statements)
  }
  return count / ((performance.now() - begin) / 1_000)
}
