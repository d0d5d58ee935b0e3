/**
 * Whoever projects is killed again and again, and so are nodes of rqlite, leaders among them, while events are recorded:
 * in the end every table, counters too, is what a fold of the log gives. KUMA_KILLS sets how often.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Config } from '../../src/api.ts'
import { loadConfig } from '../../src/config.ts'
import type { LiveEngine } from '../../src/engine.ts'
import { openEngine } from '../../src/kuma.ts'
import { rowsOf } from '../../src/projection/query-rows.ts'
import { accountConfig } from '../account-config.ts'
import { BINARY, environment } from '../cli.ts'
import { folder } from '../folder.ts'
import { randomFrom } from '../random.ts'
import { hasRqlite, leaderOf, ready, startCluster, startNode, urlOf } from '../rqlite.ts'

const KILLS = Math.ceil(Number(process.env['KUMA_KILLS'] ?? 100) / 5)
const NODE_KILLS = Math.ceil(KILLS / 2)
const ENTITIES = 40
const seed = Number(process.env['KUMA_SEED'] ?? Date.now() % 1_000_000)
const TIMEOUT = { timeout: 900_000 }

const CONFIG = accountConfig(
  4,
  `
    kuma.defineProjection({ name: 'balances', columns: { id: 'text', balance: 'integer' } })
      .rows(Account, ({ balance }, { id }) => ({ id, balance })),
    kuma.defineProjection({ name: 'counters', columns: { digit: 'integer', deposits: 'integer', total: 'integer' }, key: ['digit'] })
      .on(Account, { Deposited: ({ data }, table) => table.increment({ digit: data.amount % 10 }, { deposits: 1, total: data.amount }) }),
  `,
)

async function store(rqliteUrl?: string) {
  console.log(`KUMA_SEED=${seed}`)
  const cwd = folder()
  writeFileSync(join(cwd, 'kuma.config.ts'), CONFIG)
  const { config } = await loadConfig({ cwd })
  return { cwd, config: rqliteUrl === undefined ? config : { ...config, readModels: { rqliteUrl } } }
}

/** Records until it is told to stop. */
function recording(engine: LiveEngine, random: () => number) {
  let going = true
  const record = async (i: number) => {
    while (going) {
      const events = [{ type: 'Deposited', data: { amount: Math.floor(random() * 1_000) } }]
      await engine.append({ id: `acc_${i}`, newType: 'account', events })
      await setTimeout(random() * 20)
    }
  }
  const all = Promise.all(Array.from({ length: ENTITIES }, (_, i) => record(i)))
  return async () => {
    going = false
    await all
  }
}

function project(cwd: string, url: string | undefined): ChildProcess {
  const env = environment(url === undefined ? {} : { KUMA_RQLITE_URL: url })
  const child = spawn(process.execPath, [BINARY, 'projections', 'run', '--follow'], { cwd, env, stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function expectFolded(config: Config): Promise<void> {
  const engine = await openEngine(config, { access: 'read' })
  onTestFinished(() => engine.close())
  const balances = new Map<string, number>()
  const counters = new Map<string, { deposits: number; total: number }>()
  let events = 0
  for await (const { entity, data } of engine.log()) {
    const amount = data['amount'] as number
    events++
    balances.set(entity, (balances.get(entity) ?? 0) + amount)
    const key = `${entity} ${amount % 10}`
    const { deposits, total } = counters.get(key) ?? { deposits: 0, total: 0 }
    counters.set(key, { deposits: deposits + 1, total: total + amount })
  }
  const rows = async (sql: string) => {
    const found: Record<string, never>[] = []
    for await (const row of rowsOf(engine.readModels.query({ sql }))) found.push(row as never)
    return found
  }
  const made = await rows('select id, balance from balances')
  expect(new Map(made.map(({ id, balance }) => [id, balance]))).toEqual(balances)
  const counted = await rows('select id, digit, deposits, total from counters join balances using (_entity)')
  expect(new Map(counted.map(({ id, digit, deposits, total }) => [`${id} ${digit}`, { deposits, total }]))).toEqual(
    counters,
  )
  console.log(`${events} events`)
  expect(events).toBeGreaterThan(100)
}

/** @param url of rqlite; the embedded sink without it */
async function killProjectors(url?: string): Promise<void> {
  const random = randomFrom(seed)
  const { cwd, config } = await store(url)
  const { projections: _, readModels: __, ...plain } = config
  const engine = await openEngine(plain, { access: 'write', create: true })
  const stop = recording(engine, random)
  for (let kill = 0; kill < KILLS; kill++) {
    const child = project(cwd, url)
    await setTimeout(250 + random() * 700) // from before its first batch to many later
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  await stop()
  await engine.close()
  await expectFolded(config)
}

test(`${KILLS} kills of the process that projects into the embedded sink`, TIMEOUT, () => killProjectors())

test.skipIf(!hasRqlite)(`${KILLS} kills of the process that projects into rqlite`, TIMEOUT, async () => {
  const node = await startNode(folder())
  onTestFinished(() => node.kill())
  await killProjectors(node.url)
})

test.skipIf(!hasRqlite).each([1, 3])(`${NODE_KILLS} kills of rqlited, of %i`, TIMEOUT, async (size) => {
  const random = randomFrom(seed)
  const nodes = size === 1 ? [await startNode(folder())] : await startCluster(folder(), size)
  onTestFinished(async () => void (await Promise.all(nodes.map((node) => node.kill()))))
  const { config } = await store(urlOf(nodes))
  const engine = await openEngine(config, { access: 'write', create: true, projects: true })
  const stop = recording(engine, random)
  for (let kill = 0; kill < NODE_KILLS; kill++) {
    await setTimeout(200 + random() * 800)
    const node = random() < 0.6 ? await leaderOf(nodes) : nodes[Math.floor(random() * size)]!
    await node.kill()
    await setTimeout(random() * 500)
    await node.start()
    await ready(node.url)
  }
  await stop()
  await engine.readModels.catchUp().catch(() => {}) // it may just be waiting for a node
  await engine.close()
  await expectFolded(config)
})
