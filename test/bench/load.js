/** What every scenario appends, and how it keeps a number of calls in flight. */
import { defineEntity, start, type } from '../../dist/index.js'

/** As many appends as a busy server has under way. */
export const IN_FLIGHT = 1_024
export const ENTITIES = 100_000
/** The sync mode of Kuma and of the raw baselines, as the table prints it. */
export const FULL = 'WAL, FULL'

/** About 100 bytes of JSON. */
export const data = (n) => ({
  amount: n % 1_000,
  currency: 'EUR',
  note: 'monthly transfer from the savings account',
  ref: `r-${n}`,
})

export const deposited = (n) => ({ type: 'Deposited', data: data(n) })

export const Account = defineEntity({
  type: 'account',
  initial: { balance: 0, events: 0 },
  events: { Deposited: type() },
}).evolve({ Deposited: (state, { amount }) => ({ balance: state.balance + amount, events: state.events + 1 }) })

export const open = (path, shards = 16, config = {}) => start({ path, entities: [Account], shards, ...config })

/** Calls `job(0)` to `job(count - 1)`, never more than `limit` at a time. */
export async function inFlight(count, limit, job) {
  let n = 0
  const worker = async () => {
    while (n < count) await job(n++)
  }
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker))
}

/** How often a second `job` was done. */
export async function rate(count, limit, job) {
  const begin = performance.now()
  await inFlight(count, limit, job)
  return count / ((performance.now() - begin) / 1_000)
}

export const anyOf = (items) => items[Math.floor(Math.random() * items.length)]

export async function spawnAll(ctx, count) {
  const accounts = new Array(count)
  await inFlight(count, IN_FLIGHT, async (n) => {
    accounts[n] = await ctx.spawn(Account, `acc_${n}`)
  })
  return accounts
}
