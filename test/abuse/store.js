/** What the store under abuse holds before it begins. */
import { document, start } from '../../dist/index.js'
import { inFlight } from '../bench/load.js'

/** Of many events: a question about its past takes a while. */
export const LONG = 'long'
const LONG_EVENTS = 50_000
const GROUP = 500
/** Of a state that is large to send. */
const LARGE = 'large'
const LARGE_BYTES = 1_000_000
/** More than stay in memory. */
const ENTITIES = 10_000
const SHARDS = 16

export const idOf = (n) => `item-${n % ENTITIES}`

export async function makeStore(path) {
  const ctx = await start({ path, shards: SHARDS })
  const long = await ctx.spawn(document, LONG)
  for (let n = 0; n < LONG_EVENTS; n += GROUP) {
    await long.appendAll(Array.from({ length: GROUP }, (_, i) => ({ type: 'Set', data: { [`f${i % 50}`]: n + i } })))
  }
  const large = await ctx.spawn(document, LARGE)
  await large.append({ type: 'Set', data: { text: 'x'.repeat(LARGE_BYTES) } })
  await inFlight(ENTITIES, 512, (n) => ctx.spawn(document, idOf(n)))
  await ctx.close()
}

/** How many of the events that a client was told are on disk are not: for each entity, up to the version it was told. */
export async function countLost(path, acknowledged) {
  const ctx = await start({ path })
  let lost = 0
  await inFlight(acknowledged.size, 64, async (n) => {
    const [id, version] = [...acknowledged][n]
    const { version: found } = await (await ctx.entity(document, id)).inspect()
    lost += Math.max(0, version - found)
  })
  await ctx.close()
  return lost
}
