/** The past: how fast it is told, of one long history and of everything; and how soon a subscriber hears of the present. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineEntity, start, type } from '../../../dist/index.js'
import { Account, deposited, FULL, inFlight, open, spawnAll } from '../load.js'
import { kuma } from '../shell.js'
import { p99, percentile } from '../statistics.js'
import { grownStore } from '../stores.js'

const POINTS = 100
const FOLLOWED = 20_000
const MILLION = 1_000_000

/** With a field that is set once, by the first event: whoever asks who set it has to go back all the way. */
const Owned = defineEntity({
  type: 'account',
  initial: { balance: 0, owner: '' },
  events: { Deposited: type() },
}).evolve({ Deposited: (state, { amount }) => ({ ...state, balance: state.balance + amount }) })

export const history = [
  {
    name: 'one history of 1,000,000 events',
    unit: 'ms',
    inFlight: 1,
    figures: [
      { name: 'replay at a point, p99', goal: ['<', 20] },
      { name: 'diff of two points, p99', goal: ['<', 20] },
      { name: 'blame, back to the first event', goal: ['<', 3_000] },
      { name: 'grown by', unit: 'MB' },
    ],
    prepare: ownedStore,
    run: oneHistory,
  },
  {
    name: 'replay --all --at, 1,000,000 events, 100,000 entities',
    unit: 'events/s',
    inFlight: 1,
    goal: ['>=', 100_000],
    prepare: (at) => grownStore(at, MILLION),
    run: (at) => wholeProcess(at, (path) => ['replay', '--all', '--at', 'now', '--dir', path]),
  },
  {
    name: 'tail from the start, 1,000,000 events',
    unit: 'events/s',
    inFlight: 1,
    goal: ['>=', 200_000],
    prepare: (at) => grownStore(at, MILLION),
    run: (at) => wholeProcess(at, (path) => ['tail', '--dir', path]),
  },
  {
    name: 'fork, 1,000,000 events',
    unit: 'events/s',
    inFlight: 1,
    prepare: (at) => grownStore(at, MILLION),
    run: (at) => wholeProcess(at, (path) => ['fork', join(at.path, 'fork'), '--dir', path]),
  },
  ...[1, 64].map((limit) => ({
    name: `a subscriber sees an event after its ack, p99 (${limit})`,
    unit: 'ms',
    inFlight: limit,
    sync: FULL,
    goal: ['<', 5],
    run: (at) => following(at, limit),
  })),
]

async function ownedStore({ folder, scaled }) {
  const path = join(folder, 'owned')
  if (existsSync(path)) return path
  const ctx = await start({ path, shards: 1, entities: [Owned] })
  const large = await ctx.spawn(Owned, 'large', { owner: 'ann' })
  const thousand = (n) => Array.from({ length: 1_000 }, (_, i) => deposited(n * 1_000 + i))
  await inFlight(scaled(1_000), 4, (n) => large.appendAll(thousand(n)))
  await ctx.close()
  return path
}

async function oneHistory(at) {
  const ctx = await start({ path: await ownedStore(at), entities: [Owned] })
  const large = await ctx.entity(Owned, 'large')
  const { version: last } = await large.inspect()
  const any = () => ({ version: 1 + Math.floor(Math.random() * last) })
  const figures = {
    'replay at a point, p99': await p99(POINTS, () => large.inspect(any())),
    'diff of two points, p99': await p99(POINTS, () => {
      const [from, to] = [any(), any()].sort((a, b) => a.version - b.version)
      return large.diff({ from, to })
    }),
  }
  const before = process.memoryUsage().rss
  const begin = performance.now()
  await large.blame()
  figures['blame, back to the first event'] = performance.now() - begin
  figures['grown by'] = Math.max(0, process.memoryUsage().rss - before) / 1024 / 1024
  await ctx.close()
  return figures
}

/** With its start. The stores are of accounts, so the command needs their model. */
async function wholeProcess(at, wordsFor) {
  const path = await grownStore(at, MILLION)
  const config = join(import.meta.dirname, '..', 'kuma.config.js')
  return at.scaled(MILLION) / (kuma([...wordsFor(path), '--config', config], 'ignore') / 1_000)
}

/** Caught up: every event is waited for. */
async function following(at, limit) {
  const ctx = await open(at.path)
  const accounts = await spawnAll(ctx, limit)
  const count = at.scaled(FOLLOWED)
  const [acknowledged, seen] = [new Map(), new Map()]
  const feed = ctx.subscribe({ entities: [Account], from: 'now' })[Symbol.asyncIterator]()
  const follow = async () => {
    while (seen.size < count) seen.set((await feed.next()).value.event.position, performance.now())
    await feed.return()
  }
  const following = follow()
  await inFlight(count, limit, async (n) => {
    const { position } = await accounts[n % limit].append(deposited(n))
    acknowledged.set(position, performance.now())
  })
  await following
  await ctx.close()
  return percentile(
    [...seen].map(([position, at]) => Math.max(0, at - acknowledged.get(position))),
    0.99,
  )
}
