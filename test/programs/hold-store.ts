/** Opens a store for writing, says so, and holds it until it is killed. */
import { start } from '../../src/kuma.ts'

const ctx = await start({ path: process.argv[2] })
console.log('held')
setInterval(() => ctx, 1_000)
