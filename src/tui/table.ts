/** Rows of a table in the room that there is: a narrow terminal leaves out the columns that matter least. */
import type { ChalkInstance } from 'chalk'
import { fitted } from './text.ts'

export interface Column<T> {
  readonly head: string
  /** The first column gets what is left. */
  readonly width: number
  readonly align?: 'right'
  /** 1 is shown as long as anything is */
  readonly rank: number
  readonly text: (row: T) => string
}

const GAP = 1
const FIRST_MIN = 12

/** Those for which there is room. */
export function fitting<T>(columns: readonly Column<T>[], width: number): readonly Column<T>[] {
  const shown = [...columns]
  const room = () => shown.slice(1).reduce((sum, column) => sum + column.width + GAP, FIRST_MIN)
  while (shown.length > 1 && room() > width) {
    const least = shown.slice(1).reduce((a, b) => (b.rank >= a.rank ? b : a))
    shown.splice(shown.indexOf(least), 1)
  }
  return shown
}

/** @param sorted the head of the column by which they are sorted, with its arrow */
export function headLine<T>(
  columns: readonly Column<T>[],
  width: number,
  sorted: readonly [head: string, arrow: string],
) {
  return cells(columns, width, ({ head }) => (head === sorted[0] ? `${head}${sorted[1]}` : head).toUpperCase())
}

export function rowLine<T>(columns: readonly Column<T>[], width: number, row: T): string {
  return cells(columns, width, ({ text }) => text(row))
}

function cells<T>(columns: readonly Column<T>[], width: number, textOf: (column: Column<T>) => string): string {
  const [first, ...others] = columns as [Column<T>, ...Column<T>[]]
  const left = width - others.reduce((sum, column) => sum + column.width + GAP, 0)
  return [
    fitted(textOf(first), left),
    ...others.map((column) => fitted(textOf(column), column.width, column.align)),
  ].join(' '.repeat(GAP))
}

/** One line of the table, coloured as a whole: what a line costs is its pieces. */
export function painted(
  line: string,
  color: ChalkInstance,
  look: 'head' | 'selected' | 'busy' | 'odd' | 'plain',
): string {
  switch (look) {
    case 'head':
      return color.bold.cyan(line)
    case 'selected':
      return color.inverse(line)
    case 'busy':
      return color.green(line)
    case 'odd':
      return color.yellow(line)
    default:
      return line
  }
}
