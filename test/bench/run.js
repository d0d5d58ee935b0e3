/**
 * npm run bench [-- --rounds N] [--scale F] [--only TEXT] [--peers] [--json] [--chart FILE] [--from FILE]
 *
 * Runs every scenario once in each round, so that what it is held against ran a moment before on the same disk, and
 * prints medians over the rounds with the goals beside them. `--peers` measures other stores too. `--chart` draws an
 * SVG. `--from` takes the results from a document that `--json` printed, and runs nothing.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chart } from './chart.js'
import { fileSystemOf } from './file-system.js'
import { choose, measure, resultsOf } from './measure.js'
import { table } from './table.js'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    scale: { type: 'string', default: '1' },
    only: { type: 'string' },
    peers: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    chart: { type: 'string' },
    from: { type: 'string' },
  },
})

// peers print too: what is on stdout is the table, or the document, and nothing else
const print = console.log
console.log = console.error

const document = options.from === undefined ? await run() : JSON.parse(readFileSync(options.from, 'utf8'))
if (options.chart !== undefined) writeFileSync(options.chart, chart(document))
print(options.json ? JSON.stringify(document, null, 2) : table(document))
if (document.results.some(({ median }) => median === null)) process.exitCode = 1

async function run() {
  // loaded here: the results of another day are drawn without a build
  const { scenariosWith } = await import('./scenarios/index.js')
  const rounds = Number(options.rounds)
  const scale = Number(options.scale)
  const folder = mkdtempSync(join(tmpdir(), 'kuma-bench-'))
  try {
    const machine = machineOf(folder)
    const peers = options.peers ? await (await import('./peers/index.js')).peers(folder) : []
    const scenarios = choose(scenariosWith(peers), options.only)
    const runs = await measure(scenarios, { folder, rounds, scale })
    return { machine, rounds, scale, results: resultsOf(scenarios, runs) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function machineOf(folder) {
  return {
    node: process.version,
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryBytes: totalmem(),
    fileSystem: fileSystemOf(folder),
    date: new Date().toISOString().slice(0, 10),
  }
}
