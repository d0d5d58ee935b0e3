/** Entities that are not in memory: first reads, and reads of the past. */
import { Account, deposited, inFlight, open } from '../load.js'
import { median, p99 } from '../statistics.js'
import { millionStore } from '../stores.js'

const FIRST_READS = 20
const POINTS = 100

export const activation = [
  { name: 'first read, 10 events', unit: 'ms', inFlight: 1, goal: ['<', 0.2], run: firstReads },
  {
    name: 'first read, 1,000,000 events',
    unit: 'ms',
    inFlight: 1,
    goal: ['<', 5],
    prepare: millionStore,
    run: firstReadsOfLarge,
  },
  {
    name: 'the past, 1,000,000 events, p99',
    unit: 'ms',
    inFlight: 1,
    figures: [
      { name: 'at a version', goal: ['<', 20] },
      { name: 'at a time', goal: ['<', 20] },
    ],
    prepare: millionStore,
    run: readsOfThePast,
  },
]

/** The mean, with the opening of the shards in it. */
async function firstReads({ path, scaled }) {
  const count = scaled(2_000)
  const writing = await open(path)
  await inFlight(count, 64, async (i) => {
    const account = await writing.spawn(Account, `acc_${i}`)
    await account.appendAll(Array.from({ length: 9 }, (_, n) => deposited(n)))
  })
  await writing.close()
  const ctx = await open(path)
  const begin = performance.now()
  for (let i = 0; i < count; i++) await firstRead(ctx, `acc_${i}`)
  const ms = (performance.now() - begin) / count
  await ctx.close()
  return ms
}

/** Each on a context just started. Another entity is read first: opening the shard is measured elsewhere. */
async function firstReadsOfLarge(at) {
  const path = await millionStore(at)
  const waits = []
  for (let i = 0; i < FIRST_READS; i++) {
    const ctx = await open(path)
    await firstRead(ctx, 'small')
    const begin = performance.now()
    await firstRead(ctx, 'large')
    waits.push(performance.now() - begin)
    await ctx.close()
  }
  return median(waits)
}

async function readsOfThePast(at) {
  const ctx = await open(await millionStore(at))
  const large = await ctx.entity(Account, 'large')
  const [first, last] = [await large.inspect({ version: 1 }), await large.inspect()]
  const between = (from, to) => from + Math.floor(Math.random() * (to - from + 1))
  const figures = {
    'at a version': await p99(POINTS, () => large.read({ version: between(1, last.version) })),
    'at a time': await p99(POINTS, () => large.read({ at: between(first.at, last.at) })),
  }
  await ctx.close()
  return figures
}

async function firstRead(ctx, id) {
  return (await ctx.entity(Account, id)).read()
}
