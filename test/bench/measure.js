/**
 * Runs scenarios in rounds and makes the results of it: a plain document that the table and the chart are drawn from.
 *
 * A scenario has a `name`, a `unit`, the calls it keeps `inFlight`, its `sync` mode, a `goal` (`['>=', 1_000]`), what it
 * is held `against` (rows by their name, each with the goal of the ratio), where it stands in the `chart`, an optional
 * `prepare` and a `run`, which gives one figure. One with `figures` gives several, by their names, each a row. One that
 * `isLong` runs only if it is asked for.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { median } from './statistics.js'

const HOLDS = {
  '>=': (value, bound) => value >= bound,
  '<=': (value, bound) => value <= bound,
  '<': (value, bound) => value < bound,
}

/** Those whose name, or the name of one of their rows, has the text in it, and those that they are held against. */
export function choose(scenarios, text = '') {
  const isWanted = ({ isLong, ...scenario }) =>
    (text !== '' || !isLong) && rowsOf(scenario).some(({ name }) => name.includes(text))
  const wanted = scenarios.filter(isWanted)
  const bases = new Set(wanted.flatMap(rowsOf).flatMap(({ against = [] }) => against.map(({ name }) => name)))
  return scenarios.filter(
    (scenario) => wanted.includes(scenario) || rowsOf(scenario).some(({ name }) => bases.has(name)),
  )
}

function rowsOf({ figures, ...scenario }) {
  if (figures === undefined) return [scenario]
  return figures.map((figure) => ({ ...scenario, ...figure, name: `${scenario.name}: ${figure.name}` }))
}

/** The figures of each row, one for each round. A scenario that fails ends; the others go on. */
export async function measure(scenarios, { folder, rounds, scale }) {
  const scaled = (count) => Math.max(1, Math.round(count * scale))
  const runs = new Map(scenarios.flatMap(rowsOf).map(({ name }) => [name, []]))
  const failed = new Set()
  const attempt = async (scenario, text, work) => {
    if (failed.has(scenario)) return
    process.stderr.write(`${text}: ${scenario.name}\n`)
    try {
      await work()
    } catch (error) {
      failed.add(scenario)
      process.stderr.write(`${scenario.name} failed: ${error.stack}\n`)
    }
  }
  for (const scenario of scenarios) {
    if (scenario.prepare) await attempt(scenario, 'preparing', () => scenario.prepare({ folder, scaled }))
  }
  for (let round = 0; round < rounds; round++) {
    for (const [i, scenario] of scenarios.entries()) {
      const path = join(folder, `run-${i}`)
      await attempt(scenario, `round ${round + 1} of ${rounds}`, async () => {
        const measured = await scenario.run({ folder, path, scaled })
        const values = scenario.figures ? scenario.figures.map(({ name }) => measured[name]) : [measured]
        for (const [row, { name }] of rowsOf(scenario).entries()) runs.get(name).push(values[row])
      })
      rmSync(path, { recursive: true, force: true })
    }
  }
  for (const { name } of [...failed].flatMap(rowsOf)) runs.set(name, [])
  return runs
}

/** A row that has no figures failed: its median is null, and its goals are not reached. */
export function resultsOf(scenarios, runs) {
  return scenarios.flatMap(rowsOf).map((row) => {
    const { name, unit, inFlight = null, sync = null, goal = null, against = [], chart = null } = row
    const own = runs.get(name)
    const value = own.length === 0 ? null : median(own)
    return {
      name,
      unit,
      inFlight,
      sync,
      median: value,
      goal,
      reached: reached(value, goal),
      against: against.filter((base) => runs.has(base.name)).map((base) => compared(own, base, runs.get(base.name))),
      chart,
      runs: own,
    }
  })
}

/** The ratio is the median of those within a round: it holds where times do not. */
function compared(own, { name, goal = null }, base) {
  const ratio = own.length === 0 || base.length === 0 ? null : median(own.map((value, round) => value / base[round]))
  return { name, ratio, goal, reached: reached(ratio, goal) }
}

function reached(value, goal) {
  if (goal === null) return null
  return value !== null && HOLDS[goal[0]](value, goal[1])
}
