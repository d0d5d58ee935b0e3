/** Sets fields of a large document at once, more often than its state would fit into memory, and prints what came of it. */
import { document, start } from '../../dist/index.js'

const FIELDS = 20_000
const APPENDS = 3_000
const [path] = process.argv.slice(2)
const ctx = await start({ path, shards: 1 })
const fields = Object.fromEntries(Array.from({ length: FIELDS }, (_, i) => [`field_${i}`, i]))
const entity = await ctx.spawn(document, 'large', fields)
await Promise.all(Array.from({ length: APPENDS }, (_, i) => entity.append({ type: 'Set', data: { [`new_${i}`]: i } })))
const { version, state } = await entity.inspect()
await ctx.close()
console.log(JSON.stringify({ version, fields: Object.keys(state).length, last: state[`new_${APPENDS - 1}`] }))
