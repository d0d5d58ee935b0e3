/**
 * A daemon is killed again and again while programs append through it: they come back to the next one, and what they
 * append under a request key happens exactly once, whether the answer was lost or not. KUMA_KILLS sets how often.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { document } from '../../src/entity/document.ts'
import { isKumaError } from '../../src/errors.ts'
import { connect, openEngine } from '../../src/kuma.ts'
import { createStore } from '../../src/store/create.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { BINARY, environment } from '../cli.ts'
import { folder } from '../folder.ts'
import { randomFrom } from '../random.ts'

const KILLS = Math.ceil(Number(process.env['KUMA_KILLS'] ?? 100) / 5)
const CLIENTS = 3
const IN_FLIGHT = 20
const seed = Number(process.env['KUMA_SEED'] ?? Date.now() % 1_000_000)

test(`nothing is lost or doubled by ${KILLS} kills of the daemon`, { timeout: 900_000 }, async () => {
  console.log(`KUMA_SEED=${seed}`)
  const random = randomFrom(seed)
  const path = join(folder(), 'store')
  await createStore(path, { shards: 3 })
  let daemon = await start(path)
  const acknowledged = new Set<number>()
  let [n, unclear, going] = [0, 0, true]
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(path)))
  const appending = clients.flatMap((client, c) =>
    Array.from({ length: IN_FLIGHT }, async (_, i) => {
      const entity = await client.spawn(document, `e${c}-${i % 7}`, {}, { requestKey: `spawn-${c}-${i}` })
      while (going) {
        const own = n++
        try {
          await entity.append({ type: 'Set', data: { n: own } }, { requestKey: `k${own}` })
          acknowledged.add(own)
        } catch (error) {
          // there was no daemon for longer than a client looks for one
          if (!isKumaError(error, 'KUMA_INDETERMINATE', 'KUMA_CLOSED')) throw error
          unclear++
        }
      }
    }),
  )
  for (let kill = 0; kill < KILLS; kill++) {
    await setTimeout(100 + random() * 500)
    daemon.kill('SIGKILL')
    await once(daemon, 'close')
    daemon = await start(path)
  }
  going = false
  await Promise.all(appending)
  await Promise.all(clients.map((client) => client.close()))
  daemon.kill('SIGTERM')
  const [code] = await once(daemon, 'close')
  expect(code).toBe(0)

  for await (const { problems } of verifyStore(path)) expect(problems).toEqual([])
  const engine = await openEngine({ path }, { access: 'read' })
  const found: number[] = []
  for await (const { data } of engine.log({ types: ['Set'] })) found.push(data['n'] as number)
  await engine.close()
  console.log(`acknowledged ${acknowledged.size}, recorded ${found.length}, unclear ${unclear}`)
  const recorded = new Set(found)
  expect(found.length - recorded.size).toBe(0)
  expect([...acknowledged].filter((own) => !recorded.has(own))).toEqual([])
  expect(unclear).toBe(0)
  expect(acknowledged.size).toBeGreaterThan(KILLS * 10)
})

async function start(path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [BINARY, 'start', '--dir', path], {
    env: environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [text] = (await once(child.stderr!, 'data')) as [Buffer]
  expect(text.toString()).toContain('"listening"')
  return child
}
