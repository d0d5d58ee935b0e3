/** Appends through the daemon of a store, so many at a time, until stdin is closed: STORE IN_FLIGHT */
import { connect, document } from '../../../dist/index.js'
import { data } from '../load.js'

const [store, inFlight] = process.argv.slice(2)
const ctx = await connect(store)
const entities = await Promise.all(Array.from({ length: 64 }, (_, n) => ctx.spawn(document, `load_${n}`)))
let isOver = false
process.stdin.once('end', () => {
  isOver = true
})
process.stdin.resume()
let n = 0
await Promise.all(
  Array.from({ length: Number(inFlight) }, async () => {
    while (!isOver) await entities[n++ % entities.length].append({ type: 'Set', data: data(n) })
  }),
)
await ctx.close()
console.log(JSON.stringify(n))
