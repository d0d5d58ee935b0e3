/** Appends far more at once than may wait, and prints what came of it. */
import { document, start } from '../../dist/index.js'

const APPENDS = 60_000
const text = 'x'.repeat(10_000)
const [path] = process.argv.slice(2)
const ctx = await start({ path, shards: 4 })
const entities = await Promise.all(Array.from({ length: 8 }, (_, i) => ctx.spawn(document, `e${i}`)))
const counts = { acknowledged: 0, overloaded: 0 }
const other = new Set()
let peak = 0
const all = []
for (let i = 0; i < APPENDS; i++) {
  const appended = entities[i % 8].append({ type: 'Set', data: { text: `${i} ${text}` } })
  all.push(
    appended.then(
      () => counts.acknowledged++,
      ({ code }) => {
        if (code === 'KUMA_OVERLOADED') counts.overloaded++
        else other.add(code)
      },
    ),
  )
  if (i % 1_000 === 999) {
    peak = Math.max(peak, process.memoryUsage.rss())
    await new Promise(setImmediate)
  }
}
await Promise.all(all)
const versions = await Promise.all(entities.map((entity) => entity.inspect()))
const recorded = versions.reduce((sum, { version }) => sum + version - 1, 0)
await ctx.close()
console.log(JSON.stringify({ ...counts, other: [...other], recorded, peakMiB: peak / 1024 / 1024 }))
