/** A JSON Patch for people: one line for each change, with what was there before. */
import { applyPatch, type Operation, Pointer } from 'rfc6902'
import type { Diff } from '../api.ts'
import { asJson } from '../entity/json.ts'
import { colors, visible } from './output.ts'

export function changes({ from, patch }: Diff): string[] {
  const color = colors(process.stdout)
  const state = asJson(from.state, from.id)
  return patch.map((operation) => {
    const before = JSON.stringify(Pointer.fromJSON(operation.path).get(state))
    applyPatch(state, [operation as Operation]) // the paths of the next operation are those after this one
    const path = visible(operation.path || '/')
    if (operation.op === 'remove') return color.red(`- ${path}  ${visible(before)}`)
    const value = visible(JSON.stringify(operation.value))
    if (operation.op === 'add') return color.green(`+ ${path}  ${value}`)
    return color.yellow(`~ ${path}  ${visible(before)} -> ${value}`)
  })
}
