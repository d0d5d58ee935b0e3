/** What is asked and answered by people: parameters as texts, rows as objects. */
import type { Behind } from '../api.ts'
import type { QueryPage } from '../engine.ts'
import { type JsonObject, parseJson } from '../entity/json.ts'
import { quoted } from '../errors.ts'
import { invalidQuery } from './sink.ts'

/** Rows by the names of their columns; of two with the same name, the last one. @param told of tables that are behind */
export async function* rowsOf(
  pages: AsyncIterable<QueryPage>,
  told: (behind: readonly Behind[]) => void = () => {},
): AsyncGenerator<JsonObject> {
  for await (const { columns, rows, behind } of pages) {
    if (behind !== undefined) told(behind)
    for (const row of rows) yield Object.fromEntries(columns.map((column, i) => [column, row[i]]))
  }
}

/** `text`, or `:=json` for a number, true, false or null. @throws KUMA_INVALID_QUERY */
export function parseParam(text: string): string | number | boolean | null {
  if (!text.startsWith(':=')) return text
  let value: unknown
  try {
    value = parseJson(text.slice(2), `the parameter ${quoted(text)}`)
  } catch (error) {
    throw invalidQuery((error as Error).message)
  }
  if (typeof value === 'object' && value !== null)
    throw invalidQuery('a parameter is a text, a number, true, false or null')
  return value as string | number | boolean | null
}
