/** The daemon: appends and reads through it, HTTP, many who are connected and say nothing, and what watching it costs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, document, start } from '../../../dist/index.js'
import { cpuSeconds, openFiles, residentBytes, withDaemon } from '../daemon.js'
import { data, FULL, IN_FLIGHT, inFlight, rate } from '../load.js'
import { binary, node } from '../shell.js'
import { median, percentile } from '../statistics.js'

const DOCUMENTS = 64
const APPENDS = 200_000
const READS_PER_SECOND = 5_000
const READ_SECONDS = 5
const IDLE = 1_000
const WATCHED = 10_000
const WATCH_SECONDS = 10
const SOAK_SECONDS = 600
const SAMPLES = 20
const SIZE = { columns: 120, rows: 40 }

/** One shard: as many fsyncs as one disk makes, whatever is in flight. */
const SHAPES = [
  { limit: IN_FLIGHT, shards: 16, goal: ['>=', 50_000], ratio: ['>=', 0.6] },
  { limit: 64, shards: 1, goal: ['>=', 40_000], ratio: null },
]

const embedded = (limit) => `documents in process (${limit})`
const served = (limit) => `documents through the daemon (${limit})`

export const daemon = [
  ...SHAPES.flatMap(({ limit, shards, goal, ratio }) => [
    {
      name: embedded(limit),
      unit: 'events/s',
      inFlight: limit,
      sync: FULL,
      run: async ({ path, scaled }) => {
        const ctx = await start({ path, shards })
        const figure = await appendRate([ctx], scaled(APPENDS), limit)
        await ctx.close()
        return figure
      },
    },
    {
      name: served(limit),
      unit: 'events/s',
      inFlight: limit,
      sync: FULL,
      goal,
      against: [{ name: embedded(limit), goal: ratio }],
      run: (at) => throughDaemon(at, shards, 1, limit),
    },
  ]),
  {
    name: '16 clients of 64 each, through the daemon',
    unit: 'events/s',
    inFlight: 16 * 64,
    sync: FULL,
    against: [{ name: served(IN_FLIGHT), goal: ['>=', 1] }],
    run: (at) => throughDaemon(at, 16, 16, 64),
  },
  {
    name: `reads through the daemon, ${READS_PER_SECOND.toLocaleString('en')}/s beside ${IN_FLIGHT} appends in flight, p99`,
    unit: 'ms',
    sync: FULL,
    goal: ['<', 1],
    run: readsBesideAppends,
  },
  {
    name: 'appends over HTTP, keep-alive',
    unit: 'events/s',
    inFlight: 64,
    sync: FULL,
    goal: ['>=', 10_000],
    run: (at) => withDaemon(at, 1, (store) => httpRate(store, at.scaled(30_000), 64)),
  },
  {
    name: '1,000 clients that say nothing',
    unit: 'MB',
    goal: ['<', 50],
    run: (at) => withDaemon(at, 1, idleClients),
  },
  {
    name: `kuma top, 10,000 live actors, 120x40, two frames a second`,
    unit: '% of a core',
    figures: [
      { name: 'top', goal: ['<', 10] },
      { name: 'the daemon', goal: ['<', 2] },
    ],
    run: (at) => withDaemon(at, 16, (store, pid) => watched(store, pid, at.scaled(WATCHED))),
  },
  {
    name: 'kuma top, first frame, to node -e 0',
    unit: 'times',
    goal: ['<', 8],
    run: (at) => withDaemon(at, 1, firstFrame),
  },
  {
    name: 'ten minutes under load',
    isLong: true,
    unit: 'of the second tenth',
    figures: [
      { name: 'memory', goal: ['<=', 1.05] },
      { name: 'open files', goal: ['<=', 1] },
    ],
    run: (at) => withDaemon(at, 16, (store, pid) => soak(store, pid, at.scaled(SOAK_SECONDS))),
  },
]

/** Warm, then counted. */
async function appendRate(contexts, count, limit) {
  const entities = await Promise.all(
    contexts.flatMap((ctx) => Array.from({ length: DOCUMENTS }, (_, n) => ctx.spawn(document, `doc_${n}`, {}))),
  )
  const append = (n) => entities[n % entities.length].append({ type: 'Set', data: data(n) })
  await inFlight(Math.ceil(count / 5), limit, append)
  return rate(count, limit, append)
}

async function throughDaemon(at, shards, clients, limit) {
  return withDaemon(at, shards, async (store) => {
    const contexts = await Promise.all(Array.from({ length: clients }, () => connect(store)))
    const figure = await appendRate(contexts, at.scaled(APPENDS), clients * limit)
    await Promise.all(contexts.map((ctx) => ctx.close()))
    return figure
  })
}

async function readsBesideAppends(at) {
  return withDaemon(at, 16, (store) =>
    underLoad(store, IN_FLIGHT, async () => {
      const ctx = await connect(store)
      const entities = await Promise.all(Array.from({ length: DOCUMENTS }, (_, n) => ctx.entity(document, `load_${n}`)))
      const waits = []
      const reads = []
      const begin = performance.now()
      const count = at.scaled(READS_PER_SECOND * READ_SECONDS)
      for (let n = 0; n < count; ) {
        const due = Math.min(count, ((performance.now() - begin) / 1_000) * READS_PER_SECOND)
        for (; n < due; n++) {
          const asked = performance.now()
          reads.push(entities[n % entities.length].read().then(() => waits.push(performance.now() - asked)))
        }
        await sleep(1) // a loop that asked the clock all the time would take a core from the others
      }
      await Promise.all(reads)
      await ctx.close()
      return percentile(waits, 0.99)
    }),
  )
}

/** While another process appends. */
async function underLoad(store, limit, use) {
  const script = join(import.meta.dirname, '..', 'children', 'daemon-load.js')
  const child = spawn(process.execPath, [script, store, String(limit)], { stdio: ['pipe', 'ignore', 'inherit'] })
  const ended = once(child, 'exit')
  try {
    await sleep(1_000)
    return await use()
  } finally {
    child.stdin.end()
    await ended
  }
}

/** By hand: a client of Node's own would be what is measured. */
async function httpRate(store, count, connections) {
  let left = count
  const begin = performance.now()
  await Promise.all(
    Array.from({ length: connections }, async (_, n) => {
      const body = JSON.stringify({ events: [{ type: 'Set', data: data(n) }] })
      const head = `POST /v1/entities/doc_${n}/events HTTP/1.1\r\nhost: kuma\r\ncontent-type: application/json`
      const request = `${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
      const socket = dial(join(store, 'kuma.sock'))
      await new Promise((resolve, reject) => {
        socket.on('data', (chunk) => {
          if (!chunk.includes('HTTP/1.1 200')) reject(new Error(chunk.toString()))
          if (left-- > 0) socket.write(request)
          else socket.end(resolve)
        })
        socket.write(request)
      })
    }),
  )
  return count / ((performance.now() - begin) / 1_000)
}

async function idleClients(store, pid) {
  await sleep(500)
  const before = residentBytes(pid)
  const clients = await Promise.all(Array.from({ length: IDLE }, () => connect(store)))
  await sleep(500)
  const bytes = residentBytes(pid) - before
  await Promise.all(clients.map((ctx) => ctx.close()))
  return bytes / 1e6
}

async function watched(store, daemon, actors) {
  const ctx = await connect(store)
  await inFlight(actors, IN_FLIGHT, (n) => ctx.spawn(document, `user_${n}`, { n }))
  await ctx.close()
  const begin = cpuSeconds(daemon)
  await sleep(WATCH_SECONDS * 500)
  const idle = (cpuSeconds(daemon) - begin) * 2
  const { pid, stop } = await top(store)
  await sleep(2_000) // its start is not what is meant
  const [topBegin, daemonBegin] = [cpuSeconds(pid), cpuSeconds(daemon)]
  await sleep(WATCH_SECONDS * 1_000)
  const figures = {
    top: ((cpuSeconds(pid) - topBegin) / WATCH_SECONDS) * 100,
    'the daemon': ((cpuSeconds(daemon) - daemonBegin - idle) / WATCH_SECONDS) * 100,
  }
  await stop()
  return figures
}

/** On a pseudo-terminal. Resolves with the first frame. */
async function top(store) {
  const { columns, rows } = SIZE
  const command = `stty cols ${columns} rows ${rows}; echo $$; exec '${process.execPath}' '${binary}' top --interval 500ms --dir '${store}'`
  const { NODE_EXTRA_CA_CERTS: _, CI: __, ...env } = process.env
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { ...env, SHELL: '/bin/sh', TERM: 'xterm-256color' },
  })
  let output = ''
  let pid = 0
  while (!output.includes('kuma top')) {
    output += String((await once(child.stdout, 'data'))[0])
    pid ||= Number(/^(\d+)\r?\n/.exec(output)?.[1] ?? 0)
  }
  child.stdout.resume()
  const ended = once(child, 'exit')
  return {
    pid,
    stop: async () => {
      child.stdin.write('q')
      await ended
    },
  }
}

async function firstFrame(store) {
  const ratios = []
  for (let n = 0; n < 9; n++) {
    const bare = median([node(['-e', '0']), node(['-e', '0']), node(['-e', '0'])])
    const begin = performance.now()
    const { stop } = await top(store)
    ratios.push((performance.now() - begin) / bare)
    await stop()
  }
  return median(ratios)
}

/** How the last tenth of the time compares with the second one. */
async function soak(store, pid, seconds) {
  return underLoad(store, 64, async () => {
    const samples = []
    for (let n = 0; n < SAMPLES; n++) {
      await sleep((seconds / SAMPLES) * 1_000)
      // clients come and go meanwhile
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const ctx = await connect(store)
          await (await ctx.entity(document, 'load_1')).read()
          await ctx.close()
        }),
      )
      samples.push({ memory: residentBytes(pid), files: openFiles(pid) })
    }
    const mean = (tenth, of) => (of(samples[tenth * 2]) + of(samples[tenth * 2 + 1])) / 2
    const growth = (of) => mean(9, of) / mean(1, of)
    return { memory: growth(({ memory }) => memory), 'open files': growth(({ files }) => files) }
  })
}
