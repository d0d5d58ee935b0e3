/** Rows of a query: their columns are known only when they come. */
import type { QueryPage } from '../engine.ts'
import type { Json, JsonObject } from '../entity/json.ts'
import { rowsOf } from '../projection/query-rows.ts'
import { print } from './output.ts'
import { type Column, list } from './table.ts'

export type RowFormat = 'table' | 'json' | 'csv'

/** @param format `table`: NDJSON where there is no terminal */
export async function listRows(pages: AsyncIterable<QueryPage>, format: RowFormat): Promise<void> {
  if (format === 'csv') return printCsv(pages)
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

async function printCsv(pages: AsyncIterable<QueryPage>): Promise<void> {
  let isFirst = true
  for await (const { columns, rows } of pages) {
    if (isFirst && !(await print(columns.map(csvField).join(',')))) return
    isFirst = false
    for (const row of rows)
      if (!(await print(row.map((value) => (value === null ? '' : csvField(textOf(value)))).join(',')))) return
  }
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text
}
