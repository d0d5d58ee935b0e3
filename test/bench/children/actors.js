/** What a live actor takes in memory beyond its state. Run with --expose-gc. */
import { setImmediate } from 'node:timers/promises'
import { defineEntity, start, type } from '../../../dist/index.js'
import { data, IN_FLIGHT, inFlight } from '../load.js'

const [path, actors] = process.argv.slice(2)
const count = Number(actors)
const Account = defineEntity({ type: 'account', initial: data(0), events: { Replaced: type() } }).evolve({
  Replaced: (_, state) => state,
})

/** About 100 bytes, with strings of its own. */
const state = (n) => JSON.parse(JSON.stringify(data(n)))

/** `external` has the array buffers in it. */
function heldBytes() {
  for (let i = 0; i < 3; i++) globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function plainStates() {
  const before = heldBytes()
  const states = new Map()
  for (let n = 0; n < count; n++) states.set(`acc_${n}`, state(n))
  const bytes = heldBytes() - before
  return bytes / states.size
}

async function liveActors() {
  const ctx = await start({ path, entities: [Account], shards: 16, actorsMax: 2_000_000 })
  await inFlight(64, 64, (n) => ctx.spawn(Account, `first_${n}`)) // so that every shard is open
  const before = heldBytes()
  const witnesses = []
  await inFlight(count, IN_FLIGHT, async (n) => {
    const account = await ctx.spawn(Account, `acc_${n}`, state(n))
    if (n % 100 === 0) witnesses.push(new WeakRef(await account.read()))
  })
  await setImmediate() // a WeakRef holds what it points to until the turn ends
  const bytes = heldBytes() - before
  if (witnesses.some((state) => state.deref() === undefined)) throw new Error('not all actors have stayed alive')
  await ctx.close()
  return bytes / count
}

const plain = plainStates()
console.log(JSON.stringify((await liveActors()) - plain))
