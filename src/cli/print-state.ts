/** A state: bare (pretty on a terminal, one line in a pipe), or with --json in its envelope. */
import type { Inspected } from '../api.ts'
import { writeJson } from '../entity/json.ts'
import { isTerminal, prettyJson, print, timed } from './output.ts'

export async function printState(inspected: Inspected, json: boolean): Promise<void> {
  const { state } = inspected
  await print(
    json
      ? envelope(inspected, true)
      : isTerminal()
        ? prettyJson(state)
        : writeJson(state, `the state of ${inspected.id}`),
  )
}

/** @param json Was it asked for? */
export function envelope({ id, type, version, at, state }: Inspected, json: boolean): string {
  const row = { id, type, version, at, state }
  return writeJson(json ? timed(row) : row, `the state of ${id}`)
}
