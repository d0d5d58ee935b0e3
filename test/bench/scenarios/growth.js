/** A large store: appends, opening after a crash, and what it takes on disk. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { childResult } from '../child.js'
import { Account, anyOf, deposited, ENTITIES, FULL, IN_FLIGHT, inFlight, open, rate } from '../load.js'
import { copyStore, grownStore } from '../stores.js'
import { WINDOW } from './appends.js'

const LARGEST = 10_000_000

export const growth = [
  grownTo(100_000, '0.1 million'),
  grownTo(1_000_000, '1 million'),
  {
    ...grownTo(LARGEST, '10 million'),
    against: [{ name: '100,000 entities at random, 1,024 in flight', goal: ['>=', 0.85] }],
  },
  {
    name: 'open after SIGKILL, 10 million events',
    unit: 'ms',
    goal: ['<', 1_000],
    prepare: (at) => grownStore(at, LARGEST),
    run: openAfterKill,
  },
  { name: 'one event on disk, beyond its data', unit: 'bytes', goal: ['<=', 60], run: bytesBeyondData },
]

function grownTo(size, text) {
  return {
    name: `at random, ${text} events stored`,
    unit: 'events/s',
    inFlight: IN_FLIGHT,
    sync: FULL,
    chart: { panels: [], label: 'Kuma', stored: size },
    prepare: (at) => grownStore(at, size),
    run: (at) => appendsAt(at, size),
  }
}

/** As on the empty store: the actors are alive before the clock starts. */
async function appendsAt({ folder, path, scaled }, size) {
  copyStore(await grownStore({ folder, scaled }, size), path)
  const ctx = await open(path)
  const accounts = new Array(scaled(ENTITIES))
  await inFlight(accounts.length, 64, async (n) => {
    accounts[n] = await ctx.entity(Account, `acc_${n}`)
    await accounts[n].read()
  })
  const perSecond = await rate(scaled(WINDOW), IN_FLIGHT, (n) => anyOf(accounts).append(deposited(n)))
  await ctx.close()
  return perSecond
}

/** From `start` to the first read in the last shard: every shard has been recovered then. */
async function openAfterKill({ folder, path, scaled }) {
  copyStore(await grownStore({ folder, scaled }, LARGEST), path)
  const ids = await childResult('killed.js', [path, scaled(200_000), scaled(ENTITIES)], 'SIGKILL')
  const begin = performance.now()
  const ctx = await open(path)
  await Promise.all(ids.map(async (id) => (await ctx.entity(Account, id)).read()))
  const ms = performance.now() - begin
  await ctx.close()
  return ms
}

/** What a whole store takes, less the JSON that was given to it. */
async function bytesBeyondData({ path, scaled }) {
  const events = scaled(100_000)
  let given = 0
  const ctx = await open(path, 1)
  const account = await ctx.spawn(Account, 'acc_1')
  await inFlight(events, IN_FLIGHT, (n) => {
    const event = deposited(n)
    given += Buffer.byteLength(JSON.stringify(event.data))
    return account.append(event)
  })
  await ctx.close()
  const shards = join(path, 'shards')
  const taken = readdirSync(shards).reduce((sum, file) => sum + statSync(join(shards, file)).size, 0)
  return (taken - given) / events
}
