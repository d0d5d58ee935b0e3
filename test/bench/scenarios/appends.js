/** How many events a second: SQLite by itself, one entity, many at random. */
import { document } from '../../../dist/index.js'
import { Account, anyOf, data, deposited, ENTITIES, FULL, IN_FLIGHT, open, rate, spawnAll } from '../load.js'
import { rawAppends } from '../raw.js'

const BATCH = 100
/** Long enough for every shard to write its heads more than once. */
export const WINDOW = 600_000

export const ONE = 'one entity'
export const MANY = '100,000 entities at random'

export const raw = [
  {
    name: 'raw SQLite, commits of 1',
    unit: 'events/s',
    inFlight: 1,
    sync: FULL,
    chart: { panels: [ONE], label: 'better-sqlite3, a transaction per event' },
    run: rawIn(20_000, 1),
  },
  { name: 'raw SQLite, commits of 100', unit: 'events/s', inFlight: 100, sync: FULL, run: rawIn(200_000, 100) },
  {
    name: 'raw SQLite, commits of 1,000',
    unit: 'events/s',
    inFlight: 1_000,
    sync: FULL,
    chart: { panels: [ONE, MANY], label: 'raw SQLite, 1,000 events a commit' },
    run: rawIn(400_000, 1_000),
  },
]

export const appends = [
  {
    name: 'one entity, 1 in flight',
    unit: 'events/s',
    inFlight: 1,
    sync: FULL,
    against: [{ name: 'raw SQLite, commits of 1', goal: ['>=', 0.8] }],
    run: oneEntity(20_000, 1),
  },
  { name: 'one entity, 64 in flight', unit: 'events/s', inFlight: 64, sync: FULL, run: oneEntity(100_000, 64) },
  {
    name: 'one entity, 1,024 in flight',
    unit: 'events/s',
    inFlight: IN_FLIGHT,
    sync: FULL,
    against: [
      { name: 'raw SQLite, commits of 1,000', goal: ['>=', 0.8] },
      { name: 'lmdb, one entity, 1,024 in flight', goal: ['>=', 1] },
      { name: 'Emmett on SQLite, one stream, 1 in flight', goal: ['>=', 20] },
    ],
    chart: { panels: [ONE], label: 'Kuma' },
    run: oneEntity(400_000, IN_FLIGHT),
  },
  {
    name: 'one entity, atomic batches of 100, 16 in flight',
    unit: 'events/s',
    inFlight: 16,
    sync: FULL,
    against: [{ name: 'raw SQLite, commits of 100', goal: ['>=', 1] }],
    run: batches,
  },
  {
    name: '100,000 entities at random, 1,024 in flight',
    unit: 'events/s',
    inFlight: IN_FLIGHT,
    sync: FULL,
    against: [
      { name: 'raw SQLite, commits of 1,000', goal: ['>=', 0.5] },
      { name: 'lmdb, 100,000 entities at random, 1,024 in flight', goal: ['>=', 4] },
    ],
    chart: { panels: [MANY], label: 'Kuma', stored: 0 },
    run: manyEntities,
  },
  {
    name: '400,000 entities, of which 100,000 may be live, 1,024 in flight',
    unit: 'events/s',
    inFlight: IN_FLIGHT,
    sync: FULL,
    figures: [
      { name: 'making them' },
      { name: 'at random', against: [{ name: '100,000 entities at random, 1,024 in flight' }] },
    ],
    run: moreThanAreLive,
  },
  { name: 'one field of a document of 10, 64 in flight', unit: 'events/s', inFlight: 64, sync: FULL, run: fieldOf(10) },
  {
    name: 'one field of a document of 20,000, 64 in flight',
    unit: 'events/s',
    inFlight: 64,
    sync: FULL,
    against: [{ name: 'one field of a document of 10, 64 in flight', goal: ['>=', 0.33] }],
    run: fieldOf(20_000),
  },
]

function rawIn(events, size) {
  return ({ path, scaled }) => rawAppends(path, { events: scaled(events), size, data })
}

function oneEntity(events, limit) {
  return async ({ path, scaled }) => {
    const ctx = await open(path)
    const account = await ctx.spawn(Account, 'acc_1')
    const perSecond = await rate(scaled(events), limit, (n) => account.append(deposited(n)))
    await ctx.close()
    return perSecond
  }
}

async function batches({ path, scaled }) {
  const ctx = await open(path)
  const account = await ctx.spawn(Account, 'acc_1')
  const perSecond = await rate(scaled(4_000), 16, (n) =>
    account.appendAll(Array.from({ length: BATCH }, (_, i) => deposited(n * BATCH + i))),
  )
  await ctx.close()
  return perSecond * BATCH
}

/** The entities exist before the clock starts; their actors are alive. */
async function manyEntities({ path, scaled }) {
  const ctx = await open(path)
  const accounts = await spawnAll(ctx, scaled(ENTITIES))
  const perSecond = await rate(scaled(WINDOW), IN_FLIGHT, (n) => anyOf(accounts).append(deposited(n)))
  await ctx.close()
  return perSecond
}

/** Most appends bring an entity to life, and send another one away. */
async function moreThanAreLive({ path, scaled }) {
  const ctx = await open(path, 16, { actorsMax: scaled(ENTITIES) })
  const accounts = new Array(scaled(4 * ENTITIES))
  const figures = {
    'making them': await rate(accounts.length, IN_FLIGHT, async (n) => {
      accounts[n] = await ctx.spawn(Account, `acc_${n}`)
    }),
    'at random': await rate(scaled(100_000), IN_FLIGHT, (n) => anyOf(accounts).append(deposited(n))),
  }
  await ctx.close()
  return figures
}

/** A document used as a map. Snapshots of it are taken meanwhile. */
function fieldOf(fields) {
  return async ({ path, scaled }) => {
    const ctx = await open(path)
    const entries = Array.from({ length: fields }, (_, n) => [`field_${n}`, n])
    const map = await ctx.spawn(document, 'map', Object.fromEntries(entries))
    const set = (n) => ({ type: 'Set', data: { [`field_${(n * 7_919) % fields}`]: n } })
    const perSecond = await rate(scaled(100_000), 64, (n) => map.append(set(n)))
    await ctx.close()
    return perSecond
  }
}
