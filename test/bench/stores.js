/** Stores that take long to fill. Each is filled once, and measured on copies, so that every round finds it the same. */
import { closeSync, cpSync, existsSync, fsyncSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Account, deposited, ENTITIES, inFlight, open, spawnAll } from './load.js'

export const SIZES = [100_000, 1_000_000, 10_000_000]
/** An entity gets so many events at a time: small, so that its events lie apart as they do in life. */
const BATCH = 9

/** A store of so many events, spread evenly over 100,000 entities. Each size is grown from the one before. */
export async function grownStore({ folder, scaled }, size) {
  const path = join(folder, `grown-${size}`)
  if (existsSync(path)) return path
  const smaller = SIZES.findLast((other) => other < size)
  if (smaller !== undefined) copyStore(await grownStore({ folder, scaled }, smaller), path)
  const ctx = await open(path)
  const accounts = await spawnAll(ctx, scaled(ENTITIES))
  const groups = Math.round((size - (smaller ?? ENTITIES)) / ENTITIES / BATCH) * accounts.length
  await inFlight(groups, 256, (n) => accounts[n % accounts.length].appendAll(eventsFrom(n, BATCH)))
  await ctx.close()
  return path
}

/** One shard with the entity `large` of 1,000,000 events, and `small` beside it. Half a snapshot's way from the last one. */
export async function millionStore({ folder, scaled }) {
  const path = join(folder, 'million')
  if (existsSync(path)) return path
  const ctx = await open(path, 1)
  await ctx.spawn(Account, 'small')
  const large = await ctx.spawn(Account, 'large')
  await inFlight(scaled(1_000), 4, (n) => large.appendAll(eventsFrom(n, 1_000)))
  await large.appendAll(eventsFrom(0, 499))
  await ctx.close()
  return path
}

function eventsFrom(group, count) {
  return Array.from({ length: count }, (_, i) => deposited(group * count + i))
}

/** On disk when this returns: otherwise the first fsync of what is measured would pay for the copying. */
export function copyStore(from, to) {
  cpSync(from, to, { recursive: true })
  for (const name of readdirSync(join(to, 'shards'))) {
    const file = openSync(join(to, 'shards', name), 'r')
    fsyncSync(file)
    closeSync(file)
  }
}
