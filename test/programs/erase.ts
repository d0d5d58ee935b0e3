/** Erases entities while others are appended to; prints `begun` before and `done` after. */
import { openEngine } from '../../src/kuma.ts'

const [path, ...ids] = process.argv.slice(2) as [string, ...string[]]
const engine = await openEngine({ path }, { access: 'write' })
let going = true
const appending = (async () => {
  for (let n = 0; going; n++)
    await engine.append({ id: 'noise', newType: 'document', events: [{ type: 'Made', data: { n } }] })
})()
process.stdout.write('begun\n')
await engine.erase(ids)
process.stdout.write('done\n')
going = false
await appending
await engine.close()
