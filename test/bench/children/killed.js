/** Appends to a store, tells one entity of each shard on stdout, and kills itself with appends under way. */
import { writeSync } from 'node:fs'
import { Account, deposited, IN_FLIGHT, inFlight, open } from '../load.js'

const [path, events, entities] = process.argv.slice(2)
const ctx = await open(path)
const byShard = new Map()

await inFlight(Number.MAX_SAFE_INTEGER, IN_FLIGHT, async (n) => {
  const id = `acc_${Math.floor(Math.random() * Number(entities))}`
  const { position } = await (await ctx.entity(Account, id)).append(deposited(n))
  byShard.set(position.split(':')[0], id)
  if (n < Number(events)) return
  writeSync(1, JSON.stringify([...byShard.values()]))
  process.kill(process.pid, 'SIGKILL')
})
