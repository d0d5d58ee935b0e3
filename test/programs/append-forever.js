/**
 * Appends to random accounts of a store, many at once, and prints each acknowledgement as soon as it has it:
 * `entity version n`. The n of an event stands in its data, so that each one can be found again. It never ends.
 *
 * With several committers, snapshots at every fifth version, and actors that leave as soon as they can.
 */
import { defineEntity, start, type } from '../../dist/index.js'

const [path, first] = process.argv.slice(2)
const Account = defineEntity({
  type: 'account',
  snapshotEvery: 5,
  initial: { balance: 0, events: 0 },
  events: { Deposited: type(), Withdrawn: type() },
}).evolve({
  Deposited: (state, { amount }) => ({ balance: state.balance + amount, events: state.events + 1 }),
  Withdrawn: (state, { amount }) => ({ balance: state.balance - amount, events: state.events + 1 }),
})

const ctx = await start({ path, shards: 3, entities: [Account], committers: 3, actorsMax: 5, actorIdleMs: 20 })
let n = Number(first)
async function appendOn() {
  for (;;) {
    const account = await ctx.spawn(Account, `acc_${Math.floor(Math.random() * 40)}`)
    const events = Array.from({ length: 1 + (n % 3) }, () => ({ type: 'Deposited', data: { amount: n++ } }))
    const { version } = await account.appendAll(events)
    for (const [i, { data }] of events.entries()) {
      process.stdout.write(`${account.id} ${version - events.length + 1 + i} ${data.amount}\n`)
    }
  }
}
for (let i = 0; i < 30; i++) appendOn()
