/** A state: bare (pretty on a terminal, one line in a pipe), or with --json in its envelope. */
import type { Inspected } from '../api.ts'
import { isTerminal, prettyJson, print } from './output.ts'

export async function printState({ id, type, version, at, state }: Inspected, json: boolean): Promise<void> {
  if (json) await print(JSON.stringify({ id, type, version, at, state }))
  else await print(isTerminal() ? prettyJson(state) : JSON.stringify(state))
}
