/** A state: bare (pretty on a terminal, one line in a pipe), or with --json in its envelope. */
import type { Inspected } from '../api.ts'
import { isTerminal, prettyJson, print } from './output.ts'

export async function printState(inspected: Inspected, json: boolean): Promise<void> {
  const { state } = inspected
  await print(json ? envelope(inspected) : isTerminal() ? prettyJson(state) : JSON.stringify(state))
}

export function envelope({ id, type, version, at, state }: Inspected): string {
  return JSON.stringify({ id, type, version, at, state })
}
