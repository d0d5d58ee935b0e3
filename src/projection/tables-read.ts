/**
 * Which tables a question reads is SQLite's to say, since names in SQL mislead: a view, a column or a text may be called like
 * a table. `EXPLAIN` lists the steps of a prepared statement, without running it, and each tree of the file that it will open
 * stands there as `OpenRead` (or `ReopenIdx`) with its root page; `sqlite_schema` tells whose that is, of an index too. Views
 * are no longer there. The one has to be asked in the transaction of the other: a VACUUM moves roots.
 */
import type { SinkRow } from './sink.ts'

export const ROOTS = 'SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage > 0'

const OPENING = ['OpenRead', 'ReopenIdx']
/** of databases, in p3: beside it there is the one of temporary tables */
const MAIN = 0

/** @param steps of EXPLAIN @param roots what `ROOTS` gives */
export function tablesRead(steps: readonly SinkRow[], roots: readonly SinkRow[]): string[] {
  const opened = steps.filter(({ opcode, p3 }) => OPENING.includes(String(opcode)) && Number(p3) === MAIN)
  const pages = new Set(opened.map(({ p2 }) => Number(p2)))
  return [
    ...new Set(roots.filter(({ rootpage }) => pages.has(Number(rootpage))).map((root) => String(root['tbl_name']))),
  ]
}
