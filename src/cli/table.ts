/** Rows as a table on a terminal, as NDJSON anywhere else. */
import { isTerminal, print, visible, wantsColor } from './output.ts'

export interface Column<T> {
  readonly head: string
  readonly align?: 'right' | undefined
  /** what a person sees */
  readonly text: (row: T) => string
}

/** A table is laid out as a whole: longer lists come as several. */
const ROWS_MAX = 1_000

/** Columns of the terminal that the last column gets however narrow the terminal is. */
const LAST_MIN = 12

/** @returns how many there were; fewer if nobody reads any more */
export async function list<T>(
  rows: AsyncIterable<T> | Iterable<T>,
  columns: readonly Column<T>[],
  json: boolean,
): Promise<number> {
  let count = 0
  if (json || !isTerminal()) {
    for await (const row of rows) {
      count++
      if (!(await print(JSON.stringify(row)))) break
    }
    return count
  }
  let page: T[] = []
  for await (const row of rows) {
    count++
    if (page.push(row) < ROWS_MAX) continue
    if (!(await print(await table(page, columns)))) return count
    page = []
  }
  if (page.length > 0) await print(await table(page, columns))
  return count
}

/** cli-table3 colours even a pipe, unless told not to. */
export async function table<T>(rows: readonly T[], columns: readonly Column<T>[]): Promise<string> {
  const [{ default: Table }, { default: widthOf }] = await Promise.all([import('cli-table3'), import('string-width')])
  const color = wantsColor(process.stdout)
  const heads = columns.map(({ head }) => visible(head))
  const texts = rows.map((row) => columns.map(({ text }) => visible(text(row))))
  const drawn = new Table({
    head: heads,
    colWidths: widths([heads, ...texts].map((row) => row.map((text) => widthOf(text)))),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
    style: color ? { head: ['cyan'], border: ['grey'] } : { head: [], border: [] },
  })
  for (const row of texts) drawn.push(row)
  return drawn.toString()
}

/**
 * Each as wide as its widest text, but the last one ends with the terminal: its texts are cut rather than wrapped.
 * @param cells of each row, in columns of the terminal: a Japanese character takes two
 */
function widths(cells: readonly (readonly number[])[]): number[] {
  const all = cells[0]!.map((_, i) => 2 + Math.max(...cells.map((row) => row[i]!)))
  const last = all.pop()!
  const room = (process.stdout.columns || Number.POSITIVE_INFINITY) - all.reduce((sum, width) => sum + width + 1, 2)
  return [...all, Math.max(LAST_MIN, Math.min(last, room))]
}
