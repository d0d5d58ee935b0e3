/** A look as plain lines, for a pipe or a file. */
import { Chalk } from 'chalk'
import { headerLines } from './header.ts'
import type { Look, Sort } from './look.ts'
import { headLine, rowLine } from './table.ts'
import { arrowOf, headOf, tableOf } from './tabs.ts'

const COLUMNS = 120

export function plainLines(look: Look, name: string, sort: Sort): string[] {
  const color = new Chalk({ level: 0 })
  const header = headerLines(look, { appends: [], reads: [] }, { name, columns: COLUMNS, rows: 24, color })
  const { columns, rows } = tableOf('actors', look)
  const head = headLine(columns, COLUMNS, [headOf(sort), arrowOf(sort, false)])
  return [...header, '', head, ...rows.map((row) => rowLine(columns, COLUMNS, row)), ''].map((line) => line.trimEnd())
}
