/** A state: bare (pretty on a terminal, one line in a pipe), or with --json in its envelope. */
import type { Inspected } from '../api.ts'
import { writeJson } from '../entity/json.ts'
import { isTerminal, prettyJson, print } from './output.ts'

export async function printState(inspected: Inspected, json: boolean): Promise<void> {
  const { state } = inspected
  await print(
    json ? envelope(inspected) : isTerminal() ? prettyJson(state) : writeJson(state, `the state of ${inspected.id}`),
  )
}

export function envelope({ id, type, version, at, state }: Inspected): string {
  return writeJson({ id, type, version, at, state }, `the state of ${id}`)
}
