/** The results as a table: a line for each row, and one for each of its comparisons. */
import Table from 'cli-table3'

const SIGNS = { '>=': '≥', '<=': '≤', '<': '<' }

export function table({ machine, rounds, scale, results }) {
  const lines = new Table({
    head: ['', 'in flight', 'sync', 'median', 'held against', 'goal', ''],
    colAligns: ['left', 'right', 'left', 'right', 'left', 'right', 'left'],
    style: { head: [], border: [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  })
  for (const row of results) lines.push(...linesOf(row))
  const { cpu, cores, node, fileSystem } = machine
  const tiny = scale === 1 ? '' : `\nscale ${scale}: so short a run shows that it works, not how fast it is`
  return `${lines}\n${cpu}, ${cores} cores, Node ${node}, ${fileSystem}, medians of ${rounds} rounds${tiny}`
}

function linesOf({ name, unit, inFlight, sync, median, goal, reached, against }) {
  const value = median === null ? 'failed' : `${number(median)} ${unit}`
  const start = [name, inFlight === null ? '' : number(inFlight), sync ?? '', value]
  const compared = against.map((base) => [ratioText(base), goalText(base.goal), mark(base.reached)])
  const held = goal === null && compared.length > 0 ? compared : [['', goalText(goal), mark(reached)], ...compared]
  return held.map((cells, i) => [...(i === 0 ? start : ['', '', '', '']), ...cells])
}

function ratioText({ name, ratio }) {
  return `${ratio === null ? 'no ratio' : ratio.toFixed(2)} of ${name}`
}

function goalText(goal) {
  return goal === null ? '' : `${SIGNS[goal[0]]} ${Number.isInteger(goal[1]) ? number(goal[1]) : goal[1].toFixed(2)}`
}

function mark(reached) {
  return reached === null ? '' : reached ? '✓' : '✗'
}

export function number(value) {
  if (Number.isInteger(value) || value >= 100) return Math.round(value).toLocaleString('en')
  return value >= 1 ? value.toFixed(2) : value.toPrecision(2)
}
