/**
 * What is measured, as data. Each scenario has a name, a unit, what it is held against (`raw 1`: the baseline in commits
 * of one, `raw 1,000`, `node -e 0`, or nothing), the figure it should reach, and a function that gives one measurement.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { defineEntity, start, type } from '../../dist/index.js'
import { rawAppends } from './raw.js'

const ENTITIES = 100_000
const root = join(import.meta.dirname, '..', '..')
const binary = join(root, 'bin', 'run.js')

/** About 100 bytes of JSON. */
export const data = (n) => ({
  amount: n % 1_000,
  currency: 'EUR',
  note: 'monthly transfer from the savings account',
  ref: `r-${n}`,
})

const Account = defineEntity({
  type: 'account',
  initial: { balance: 0, events: 0 },
  events: { Deposited: type() },
}).evolve({ Deposited: (state, { amount }) => ({ balance: state.balance + amount, events: state.events + 1 }) })

export const scenarios = [
  {
    name: 'raw SQLite, commits of 1',
    unit: 'events/s',
    run: ({ folder, scale }) => rawAppends(folder, { events: 20_000 * scale, size: 1, data }),
  },
  {
    name: 'raw SQLite, commits of 1,000',
    unit: 'events/s',
    run: ({ folder, scale }) => rawAppends(folder, { events: 200_000 * scale, size: 1_000, data }),
  },
  {
    name: 'one entity, 1 in flight',
    unit: 'events/s',
    against: 'raw SQLite, commits of 1',
    goal: 0.6,
    run: oneEntity(20_000, 1),
  },
  {
    name: 'one entity, 64 in flight',
    unit: 'events/s',
    against: 'raw SQLite, commits of 1,000',
    run: oneEntity(60_000, 64),
  },
  {
    name: 'one entity, 1,024 in flight',
    unit: 'events/s',
    against: 'raw SQLite, commits of 1,000',
    goal: 0.45,
    run: oneEntity(200_000, 1_024),
  },
  {
    name: '100,000 entities, 1,024 in flight',
    unit: 'events/s',
    against: 'raw SQLite, commits of 1,000',
    goal: 0.25,
    run: manyEntities,
  },
  { name: 'read of a live actor', unit: 'reads/s', goal: 500_000, run: reads },
  { name: 'cold activation, 20 events', unit: 'entities/s', run: activations },
  { name: 'bytes on disk, one event', unit: 'bytes', run: bytesPerEvent },
  { name: 'node -e 0', unit: 'ms', run: () => timed('node', ['-e', '0']) },
  {
    name: 'kuma read',
    unit: 'ms',
    against: 'node -e 0',
    goal: -4.2,
    prepare: prepareRead,
    run: ({ folder }) => timed('node', [binary, 'read', 'acc_1', '--dir', join(folder, 'read')]),
  },
  { name: 'kuma import', unit: 'events/s', goal: 30_000, run: importFixture },
  { name: 'peak memory, import of 200,000', unit: 'MiB', run: importMemory(200_000) },
  {
    name: 'peak memory, import of 800,000',
    unit: 'MiB',
    against: 'peak memory, import of 200,000',
    run: importMemory(800_000),
  },
]

function oneEntity(events, inFlight) {
  return async ({ folder, round, scale }) => {
    const ctx = await start({ path: join(folder, `one-${inFlight}-${round}`), entities: [Account], shards: 16 })
    const account = await ctx.spawn(Account, 'acc_1')
    const rate = await appending(events * scale, inFlight, () => account)
    await ctx.close()
    return rate
  }
}

/** The entities exist before the clock starts; their actors are alive. */
async function manyEntities({ folder, round, scale }) {
  const ctx = await start({ path: join(folder, `many-${round}`), entities: [Account], shards: 16 })
  const accounts = []
  let next = 0
  await Promise.all(
    Array.from({ length: 1_024 }, async () => {
      while (next < ENTITIES) accounts.push(await ctx.spawn(Account, `acc_${next++}`))
    }),
  )
  const rate = await appending(200_000 * scale, 1_024, () => accounts[Math.floor(Math.random() * accounts.length)])
  await ctx.close()
  return rate
}

async function appending(events, inFlight, pick) {
  const begin = performance.now()
  let n = 0
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (n < events) await pick().append({ type: 'Deposited', data: data(n++) })
    }),
  )
  return events / ((performance.now() - begin) / 1_000)
}

async function reads({ folder, scale }) {
  const ctx = await start({ path: join(folder, 'reads'), entities: [Account], shards: 1 })
  const account = await ctx.spawn(Account, 'acc_1')
  const count = 500_000 * scale
  const begin = performance.now()
  for (let i = 0; i < count; i++) await account.read()
  const rate = count / ((performance.now() - begin) / 1_000)
  await ctx.close()
  return rate
}

async function activations({ folder, round, scale }) {
  const config = { path: join(folder, `cold-${round}`), entities: [Account], shards: 4 }
  const count = 2_000 * scale
  const writing = await start(config)
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const account = await writing.spawn(Account, `acc_${i}`)
      for (let n = 1; n < 20; n++) await account.append({ type: 'Deposited', data: data(n) })
    }),
  )
  await writing.close()
  const ctx = await start(config)
  const begin = performance.now()
  for (let i = 0; i < count; i++) await (await ctx.entity(Account, `acc_${i}`)).read()
  const rate = count / ((performance.now() - begin) / 1_000)
  await ctx.close()
  return rate
}

async function bytesPerEvent({ folder, round, scale }) {
  const path = join(folder, `bytes-${round}`)
  const ctx = await start({ path, entities: [Account], shards: 1 })
  const account = await ctx.spawn(Account, 'acc_1')
  const events = 50_000 * scale
  await appending(events, 1_024, () => account)
  await ctx.close()
  return statSync(join(path, 'shards', '000.db')).size / events
}

async function prepareRead({ folder }) {
  const ctx = await start({ path: join(folder, 'read'), shards: 16 })
  const { document } = await import('../../dist/index.js')
  await ctx.spawn(document, 'acc_1', { plan: 'free' })
  await ctx.close()
}

function importFixture({ folder, round }) {
  const config = join(root, 'fixtures', 'models', 'kuma.config.ts')
  const dir = join(folder, `import-${round}`)
  kuma(['init', dir])
  const ms = timed('node', [
    binary,
    'import',
    join(root, 'fixtures', 'flights.ndjson.gz'),
    '--dir',
    dir,
    '--config',
    config,
  ])
  return 20_000 / (ms / 1_000)
}

/** The most that the process ever held, as the kernel counts it. Linux only. */
function importMemory(lines) {
  return async ({ folder, round }) => {
    const dir = join(folder, `memory-${lines}-${round}`)
    kuma(['init', dir])
    const child = spawn(process.execPath, [binary, 'import', '-', '--dir', dir], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    const ended = once(child, 'exit')
    let peak = 0
    const look = () => {
      const [, kibibytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? []
      peak = Math.max(peak, Number(kibibytes ?? 0) / 1_024)
    }
    for (let n = 0; n < lines; n++) {
      const line = JSON.stringify({ entity: `e${n % 1_000}`, type: 'Deposited', data: data(n) })
      if (!child.stdin.write(`${line}\n`)) {
        await once(child.stdin, 'drain')
        look()
      }
    }
    look()
    child.stdin.end()
    await ended
    return peak
  }
}

function kuma(args) {
  return timed('node', [binary, ...args])
}

function timed(command, args) {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env // reading certificates would triple every start
  const begin = performance.now()
  const child = spawnSync(command === 'node' ? process.execPath : command, args, { env, encoding: 'utf8' })
  const ms = performance.now() - begin
  if (child.status !== 0) throw new Error(`${args.join(' ')} ended with ${child.status}: ${child.stderr}`)
  return ms
}
