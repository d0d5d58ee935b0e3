/** A person's data, taken out and erased, and backups: how long it takes, and how much of it others notice. */
import { Account, deposited, FULL, IN_FLIGHT, open, rate, spawnAll } from '../load.js'
import { percentile } from '../statistics.js'
import { copyStore, grownStore, millionStore } from '../stores.js'

const DOOMED_EVENTS = 1_000
const APPENDS = 200_000
const NEIGHBOURS = 64

export const privacy = [
  {
    name: 'erasing 1,000 events, 1,000,000 stored',
    unit: 'ms',
    inFlight: NEIGHBOURS,
    sync: FULL,
    figures: [
      { name: 'until unreadable', goal: ['<', 10] },
      { name: 'until proven', goal: ['<', 500] },
      { name: 'longest append beside it', goal: ['<', 100] },
    ],
    prepare: (at) => grownStore(at, 1_000_000),
    run: erasure,
  },
  {
    name: 'export of 1,000,000 events',
    unit: 'events/s',
    inFlight: 1,
    goal: ['>=', 100_000],
    prepare: millionStore,
    run: exporting,
  },
  {
    name: 'appends without a backup',
    unit: 'appends/s',
    inFlight: IN_FLIGHT,
    sync: FULL,
    prepare: (at) => grownStore(at, 1_000_000),
    run: besideNothing,
  },
  {
    name: 'appends during a backup, 1,000,000 stored',
    unit: 'appends/s',
    inFlight: IN_FLIGHT,
    sync: FULL,
    figures: [
      { name: 'rate', against: [{ name: 'appends without a backup', goal: ['>=', 0.6] }] },
      { name: 'p99.9', unit: 'ms', goal: ['<', 100] },
    ],
    prepare: (at) => grownStore(at, 1_000_000),
    run: besideBackups,
  },
  {
    name: 'appends, 1,024 entities, plain',
    unit: 'appends/s',
    inFlight: IN_FLIGHT,
    sync: FULL,
    run: (at) => appending(at, {}),
  },
  {
    name: 'appends, 1,024 entities, keys per entity',
    unit: 'appends/s',
    inFlight: IN_FLIGHT,
    sync: FULL,
    against: [{ name: 'appends, 1,024 entities, plain' }],
    run: (at) => appending(at, { encryption: 'entity-keys', masterKey: '5a'.repeat(32) }),
  },
]

/** Others append all the while, to every shard. */
async function erasure(at) {
  copyStore(await grownStore(at, 1_000_000), at.path)
  const ctx = await open(at.path)
  const doomed = await ctx.spawn(Account, 'doomed')
  await doomed.appendAll(Array.from({ length: DOOMED_EVENTS }, (_, n) => deposited(n)))
  const others = await Promise.all(Array.from({ length: NEIGHBOURS }, (_, n) => ctx.spawn(Account, `acc_${n}`)))
  const waits = []
  let going = true
  const load = others.map(async (other) => {
    while (going) {
      const begin = performance.now()
      await other.append(deposited(waits.length))
      waits.push(performance.now() - begin)
    }
  })
  const begin = performance.now()
  const deleted = doomed.delete()
  while (await ctx.entity('doomed').catch(() => null));
  const unreadable = performance.now() - begin
  await deleted
  const proven = performance.now() - begin
  going = false
  await Promise.all(load)
  await ctx.close()
  return {
    'until unreadable': unreadable,
    'until proven': proven,
    'longest append beside it': Math.max(...waits),
  }
}

/** The library's, which keeps the document in memory. */
async function exporting(at) {
  const ctx = await open(await millionStore(at))
  const large = await ctx.entity(Account, 'large')
  const begin = performance.now()
  const { version } = await large.export()
  const seconds = (performance.now() - begin) / 1_000
  await ctx.close()
  return version / seconds
}

async function appending(at, config) {
  const ctx = await open(at.path, 16, config)
  const accounts = await spawnAll(ctx, IN_FLIGHT)
  const measured = await rate(at.scaled(APPENDS), IN_FLIGHT, (n) => accounts[n % IN_FLIGHT].append(deposited(n)))
  await ctx.close()
  return measured
}

async function besideNothing(at) {
  return (await appendsBeside(at, async () => {})).rate
}

/** One backup after the other, so that every append has one beside it. */
function besideBackups(at) {
  return appendsBeside(at, async (ctx, isGoing) => {
    while (isGoing()) await ctx.backup({ link: false, keep: 1 })
  })
}

async function appendsBeside(at, beside) {
  copyStore(await grownStore(at, 1_000_000), at.path)
  const ctx = await open(at.path)
  const accounts = await Promise.all(Array.from({ length: IN_FLIGHT }, (_, n) => ctx.spawn(Account, `acc_${n}`)))
  const append = (n) => accounts[n % IN_FLIGHT].append(deposited(n))
  await rate(4 * IN_FLIGHT, IN_FLIGHT, append) // the first commits of a store that was just opened are slow, with or without
  const waits = new Float64Array(at.scaled(APPENDS))
  let going = true
  const other = beside(ctx, () => going)
  const measured = await rate(waits.length, IN_FLIGHT, async (n) => {
    const begin = performance.now()
    await append(n)
    waits[n] = performance.now() - begin
  })
  going = false
  await other
  await ctx.close()
  return { rate: measured, 'p99.9': percentile(waits, 0.999) }
}
