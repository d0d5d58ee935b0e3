/** Appends until the disk fails, and prints what it was told as JSON. */
import { openEngine } from '../../src/kuma.ts'

const [path, committer] = process.argv.slice(2) as [string, 'inline' | 'worker']
const engine = await openEngine({ path }, { access: 'write', committer })
const event = { type: 'Set', data: { text: 'x'.repeat(20_000) } }
let acknowledged = 0
let first: unknown
while (first === undefined) {
  try {
    await engine.append({ id: 'a', newType: 'document', events: [event], requestKey: `k${acknowledged}` })
    acknowledged++
  } catch (error) {
    first = error
  }
}
const second = await engine.append({ id: 'b', newType: 'document', events: [event] }).catch((error: unknown) => error)
const { version } = await engine.inspect('a')
process.stdout.write(JSON.stringify({ acknowledged, first, second, version }))
await engine.close()
