/**
 * Appends to many documents of one shard, each event under a request key of its own, and prints each acknowledgement:
 * `n version`. Fast enough that heads and request keys are being swept at almost any moment. It never ends.
 */
import { document, start } from '../../dist/index.js'

const [path, first] = process.argv.slice(2)
const ctx = await start({ path, shards: 1 })
let next = Number(first)
async function appendOn() {
  for (;;) {
    const n = next++
    const entity = await ctx.spawn(document, `e${n % 3_000}`)
    const { version } = await entity.append({ type: 'Counted', data: { n } }, { requestKey: `k${n}` })
    process.stdout.write(`${n} ${version}\n`)
  }
}
for (let i = 0; i < 512; i++) appendOn()
