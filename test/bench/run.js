/**
 * npm run bench [-- --json] [--rounds N] [--scale F] [--only TEXT]
 *
 * Runs every scenario once in each round, so that what it is held against ran a moment before on the same disk, and
 * prints medians over the rounds. Ratios are medians of the ratios within a round: they hold where times do not.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { scenarios } from './scenarios.js'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    scale: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const scale = Number(values.scale)
const chosen = scenarios.filter(
  ({ name }) =>
    values.only === undefined ||
    name.includes(values.only) ||
    scenarios.some((other) => other.against === name && other.name.includes(values.only)),
)

const folder = mkdtempSync(join(tmpdir(), 'kuma-bench-'))
const measured = new Map(chosen.map(({ name }) => [name, []]))
try {
  for (const scenario of chosen) await scenario.prepare?.({ folder })
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of chosen) {
      process.stderr.write(`round ${round + 1} of ${rounds}: ${name}\n`)
      measured.get(name).push(await run({ folder, round, scale }))
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const results = chosen.map(({ name, unit, against, goal }) => {
  const runs = measured.get(name)
  const ratio = against === undefined ? null : median(runs.map((value, round) => value / measured.get(against)[round]))
  return { name, unit, median: median(runs), ratio, against: against ?? null, goal: goal ?? null, runs }
})
const machine = {
  node: process.version,
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  memoryBytes: totalmem(),
  synchronous: 'FULL',
}

if (values.json) console.log(JSON.stringify({ machine, rounds, scale, results }, null, 2))
else print()

function print() {
  const table = new Table({
    head: ['', 'median', 'ratio', 'goal'],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  })
  for (const { name, unit, median: value, ratio, against, goal } of results) {
    table.push([
      name,
      `${number(value)} ${unit}`,
      ratio === null ? '' : `${ratio.toFixed(2)} of ${against}`,
      goal === null ? '' : goalText(goal),
    ])
  }
  console.log(table.toString())
  console.log(
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, synchronous=FULL, medians of ${rounds} rounds`,
  )
}

/** A negative goal is an upper bound. */
function goalText(goal) {
  return goal < 0 ? `at most ${-goal}` : `at least ${number(goal)}`
}

function number(value) {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}
