/** How long callers wait, and how long the event loop is held up, while 1,024 appends are in flight. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { Account, deposited, FULL, IN_FLIGHT, inFlight, open } from '../load.js'
import { percentile } from '../statistics.js'

const APPENDS = 400_000
const RESOLUTION_MS = 1

export const latency = [
  {
    name: 'acknowledgement, one entity',
    unit: 'ms',
    inFlight: IN_FLIGHT,
    sync: FULL,
    figures: [
      { name: 'p50' },
      { name: 'p99', against: [{ name: 'acknowledgement, one entity: p50', goal: ['<=', 3] }] },
      { name: 'p99.9', goal: ['<=', 50] },
    ],
    run: underLoad(acknowledgements),
  },
  {
    name: 'awaited read under write load',
    unit: 'ms',
    inFlight: IN_FLIGHT,
    figures: [{ name: 'p99', goal: ['<', 1] }],
    run: underLoad(readsBeside),
  },
  {
    name: 'event-loop delay under write load',
    unit: 'ms',
    inFlight: IN_FLIGHT,
    figures: [{ name: 'p99' }, { name: 'max' }],
    run: underLoad(eventLoopDelay),
  },
  { name: 'read of a live actor at rest', unit: 'reads/s', inFlight: 1, goal: ['>=', 1_000_000], run: reads },
]

/** A short load goes before it: the first calls would tell how code is compiled. */
function underLoad(run) {
  return async ({ path, scaled }) => {
    const ctx = await open(path)
    const account = await ctx.spawn(Account, 'acc_1')
    const append = (n) => account.append(deposited(n))
    await inFlight(scaled(20_000), IN_FLIGHT, append)
    const figures = await run({ ctx, append, count: scaled(APPENDS) })
    await ctx.close()
    return figures
  }
}

async function acknowledgements({ append, count }) {
  const waits = new Float64Array(count)
  await inFlight(count, IN_FLIGHT, async (n) => {
    const begin = performance.now()
    await append(n)
    waits[n] = performance.now() - begin
  })
  return { p50: percentile(waits, 0.5), p99: percentile(waits, 0.99), 'p99.9': percentile(waits, 0.999) }
}

/** Reads another entity once in each turn of the event loop. */
async function readsBeside({ ctx, append, count }) {
  const other = await ctx.spawn(Account, 'acc_2')
  const waits = []
  let loaded = true
  const load = inFlight(count, IN_FLIGHT, append).finally(() => {
    loaded = false
  })
  while (loaded) {
    const begin = performance.now()
    await other.read()
    waits.push(performance.now() - begin)
    await setImmediate()
  }
  await load
  return { p99: percentile(waits, 0.99) }
}

/** The monitor counts the time between its own timers, which is the resolution and what came on top. */
async function eventLoopDelay({ append, count }) {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  monitor.enable()
  await inFlight(count, IN_FLIGHT, append)
  monitor.disable()
  const delay = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  return { p99: delay(monitor.percentile(99)), max: delay(monitor.max) }
}

async function reads({ path, scaled }) {
  const ctx = await open(path, 1)
  const account = await ctx.spawn(Account, 'acc_1')
  const count = scaled(1_000_000)
  const begin = performance.now()
  for (let i = 0; i < count; i++) await account.read()
  const perSecond = count / ((performance.now() - begin) / 1_000)
  await ctx.close()
  return perSecond
}
