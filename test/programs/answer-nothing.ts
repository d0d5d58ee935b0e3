/** Opens the order `o` of a store, executes a command that decides on nothing under a request key, and is killed. */
import { defineEntity, start, type } from 'kuma'

const Order = defineEntity({
  type: 'order',
  initial: { open: false },
  events: { Opened: type() },
  commands: { Apply: type() },
})
  .evolve({ Opened: () => ({ open: true }) })
  .decide({ Apply: () => undefined })
const ctx = await start({ path: process.argv[2]!, shards: 1, entities: [Order] })
const order = await ctx.spawn(Order, 'o')
const { version } = await order.execute({ type: 'Apply', data: {} }, { requestKey: 'message-1' })
process.stdout.write(`${version}\n`, () => process.kill(process.pid, 'SIGKILL'))
