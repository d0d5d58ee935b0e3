/**
 * Rows of a query: their columns are known only when they come.
 *
 * A spreadsheet that opens CSV runs what begins like a formula. So a text that does begins with a quote more, which
 * spreadsheets take for "this is text"; numbers stay as they are.
 */
import type { Behind } from '../api.ts'
import type { QueryPage } from '../engine.ts'
import type { Json, JsonObject } from '../entity/json.ts'
import { rowsOf } from '../projection/query-rows.ts'
import { isTerminal, note, print, visible } from './output.ts'
import { type Column, list } from './table.ts'

/** `csv` for spreadsheets, `raw csv` for programs: texts are what they are. */
export type RowFormat = 'table' | 'json' | 'csv' | 'raw csv'

/** Also as Japanese and Chinese write them: spreadsheets take them for the same. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/
/** An integer that JSON would take digits from comes as a text. */
const LARGE = /^-\d{16,19}$/

/** The same, after what is to be told of tables that are behind. */
export async function* noted(pages: AsyncIterable<QueryPage>): AsyncGenerator<QueryPage> {
  for await (const page of pages) {
    for (const table of page.behind ?? []) note(visible(behindText(table)))
    yield page
  }
}

function behindText({ projection, state, lagEvents, lagSeconds, error }: Behind): string {
  const late = lagEvents === 0 ? '' : ` (${lagSeconds.toFixed(1)} s)`
  const events = lagEvents === 1 ? '1 event' : `${lagEvents.toLocaleString('en')} events`
  const behind = `${projection} is ${events} behind${late}`
  if (error !== null)
    return `${behind}: it stopped${error.position === null ? '' : ` at ${error.position}`}: ${error.message}`
  if (state === 'paused') return `${behind}: it is paused`
  return state === 'orphaned' ? `${behind}: no projection of the config fills it` : behind
}

/** @param format `table`: NDJSON where there is no terminal */
export async function listRows(pages: AsyncIterable<QueryPage>, format: RowFormat): Promise<void> {
  if (format === 'csv' || format === 'raw csv') return printCsv(pages, format === 'csv' ? harmless : (text) => text)
  const { columns, all } = await withColumns(pages)
  await list(rowsOf(all), columns.map(columnOf), format === 'json')
}

/** The first page tells the columns. */
async function withColumns(pages: AsyncIterable<QueryPage>) {
  const iterator = pages[Symbol.asyncIterator]()
  const { value: first } = (await iterator.next()) as IteratorYieldResult<QueryPage>
  const rest: AsyncIterable<QueryPage> = { [Symbol.asyncIterator]: () => iterator }
  async function* all() {
    yield first
    yield* rest
  }
  return { columns: first.columns, all: all() }
}

function columnOf(head: string): Column<JsonObject> {
  return { head, text: (row) => (row[head] === null ? '' : textOf(row[head]!)) }
}

async function printCsv(pages: AsyncIterable<QueryPage>, safe: (text: string) => string): Promise<void> {
  const shown = isTerminal() ? visible : (text: string) => text
  const cell = (value: Json) => {
    if (value === null) return ''
    return csvField(shown(typeof value === 'string' ? safe(value) : JSON.stringify(value)))
  }
  let isFirst = true
  for await (const { columns, rows } of pages) {
    if (isFirst && !(await print(columns.map(cell).join(',')))) return
    isFirst = false
    for (const row of rows) if (!(await print(row.map(cell).join(',')))) return
  }
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function harmless(text: string): string {
  return FORMULA.test(text) && !LARGE.test(text) ? `'${text}` : text
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text
}
