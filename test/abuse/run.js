/**
 * npm run abuse [-- --seconds N]
 *
 * Fifty hostile clients beside one good one, on a daemon of its own: garbage, floods of slow questions, huge messages,
 * queries without an end, answers that nobody reads. It ends with 1 if anything that was acknowledged is lost, if the good
 * client's calls fail or take above 5 s, if the daemon's memory grows by more than 200 MB, or if it cannot be stopped within
 * 10 s while they go on. The waits in between are figures of the run: they say how well a client is served.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { residentBytes } from '../bench/daemon.js'
import { binary } from '../bench/shell.js'
import { percentile } from '../bench/statistics.js'
import { Good } from './good.js'
import { countLost, makeStore } from './store.js'

const HOSTILE = {
  garbage: 2,
  drip: 4,
  blame: 4,
  hangUp: 4,
  longName: 4,
  brackets: 4,
  httpBrackets: 4,
  sort: 4,
  huge: 4,
  grow: 4,
  unread: 4,
  waits: 4,
  deafFeed: 4,
}
const WARM_UP_MS = 5_000
const SAMPLE_MS = 250
const MB = 1_000_000
const MEMORY_MAX = 200 * MB
const WAIT_MAX_MS = 5_000
const STOP_MAX_MS = 10_000
/** Then it is taken for one that hangs. */
const STOP_HANGS_MS = 60_000
/** A goal, not a bound: it depends on the machine. */
const P99_GOAL_MS = 100
const SHORT_S = 15

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: String(process.env['CI'] ? SHORT_S : 60) } },
})
const seconds = Number(values.seconds)
const folder = mkdtempSync(join(tmpdir(), 'kuma-abuse-'))
const path = join(folder, 'kuma-data')
const failures = []
const must = (isRight, what) => isRight || failures.push(what)

try {
  await makeStore(path)
  await abuse()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const what of failures) console.error(`failed: ${what}`)
process.exitCode = failures.length > 0 ? 1 : 0

async function abuse() {
  const token = 'abuse'.repeat(8)
  writeFileSync(join(folder, 'token'), token, { mode: 0o600 })
  const daemon = await startDaemon()
  const children = []
  let good
  let stopMs
  try {
    good = await Good.connect(path)
    await sleep(WARM_UP_MS)
    const before = residentBytes(daemon.pid)
    good.begin()
    const words = [path, daemon.port, token]
    for (const [kind, count] of Object.entries(HOSTILE))
      children.push(
        spawn(process.execPath, [join(import.meta.dirname, 'hostile.js'), kind, count, ...words], { stdio: 'inherit' }),
      )
    const peak = await watch(daemon.pid)
    const after = residentBytes(daemon.pid)
    await good.end()
    report(good, { before, peak, after })
    stopMs = await stop()
    await Promise.race([daemon.ended, sleep(STOP_MAX_MS)])
  } finally {
    for (const child of children) child.kill('SIGKILL')
    daemon.child.kill('SIGKILL')
  }
  console.log(`kuma stop, while they go on: ${(stopMs / 1_000).toFixed(1)} s`)
  must(stopMs <= STOP_MAX_MS, 'kuma stop took too long')
  const lost = await countLost(path, good.acknowledged)
  console.log(`acknowledged events that are lost: ${lost}`)
  must(lost === 0, `${lost} acknowledged events are lost`)
}

/** With the project's own package under the name that a config imports. */
async function startDaemon() {
  copyFileSync(join(import.meta.dirname, 'kuma.config.js'), join(folder, 'kuma.config.js'))
  const words = ['start', '--dir', path, '--listen', '127.0.0.1:0', '--token-file', join(folder, 'token')]
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const child = spawn(process.execPath, [binary, ...words], { cwd: folder, env, stdio: ['ignore', 'inherit', 'pipe'] })
  const ended = once(child, 'exit')
  let log = ''
  child.stderr.on('data', (chunk) => {
    log += chunk
    if (log.length > MB) log = log.slice(-MB)
  })
  while (!log.includes('"listening"'))
    await Promise.race([once(child.stderr, 'data'), ended.then(() => Promise.reject(new Error(log)))])
  const { address } = JSON.parse(log.split('\n').find((line) => line.includes('"listening"')))
  return { child, pid: child.pid, port: address.split(':').at(-1), ended }
}

/** The most memory that it had while that went on. */
async function watch(pid) {
  let peak = 0
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; await sleep(SAMPLE_MS))
    peak = Math.max(peak, residentBytes(pid))
  return peak
}

function report({ waitsMs, appends, overloaded, errors }, { before, peak, after }) {
  const count = Object.values(HOSTILE).reduce((sum, each) => sum + each, 0)
  const [median, p99, longest] = [0.5, 0.99, 1].map((share) => percentile(waitsMs, share) ?? Number.NaN)
  const mb = (bytes) => `${Math.round(bytes / MB)} MB`
  console.log(`${count} hostile clients for ${seconds} s, and a good one with 64 appends in flight:`)
  console.log(`  appends a second ${Math.round(appends / seconds)}, told to come again ${overloaded}`)
  console.log(
    `  waits: median ${median.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms (goal ${P99_GOAL_MS}), longest ${longest.toFixed(0)} ms`,
  )
  console.log(`  the daemon's memory: ${mb(before)} before, ${mb(peak)} at most, ${mb(after)} at the end`)
  must(longest <= WAIT_MAX_MS, `a call took ${Math.round(longest)} ms`) // none at all is NaN
  must(errors.length === 0, `${errors.length} calls failed: ${errors[0]?.code} ${errors[0]?.message}`)
  must(peak - before <= MEMORY_MAX, `the daemon's memory grew by ${mb(peak - before)}`)
}

/** Milliseconds. Not at once: this process reads what the daemon logs. */
async function stop() {
  const begun = performance.now()
  await once(
    spawn(process.execPath, [binary, 'stop', '--dir', path], { stdio: 'ignore', timeout: STOP_HANGS_MS }),
    'exit',
  )
  return performance.now() - begun
}
