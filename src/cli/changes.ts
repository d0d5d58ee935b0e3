/** A JSON Patch for people: a line for each change, with what was there before. */
import { Pointer } from 'rfc6902'
import type { Diff, PatchOperation } from '../api.ts'
import { asJson, type Json } from '../entity/json.ts'
import { colors, visible } from './output.ts'

export interface Change {
  readonly op: 'add' | 'remove' | 'replace'
  readonly path: string
  /** what came or went; `before -> after` */
  readonly text: string
}

export function changes(diff: Diff): string[] {
  const color = colors(process.stdout)
  return changeRows(diff).map(({ op, path, text }) => {
    if (op === 'remove') return color.red(`- ${path}  ${text}`)
    return op === 'add' ? color.green(`+ ${path}  ${text}`) : color.yellow(`~ ${path}  ${text}`)
  })
}

export function changeRows({ from, patch }: Diff): Change[] {
  const root = { '': asJson(from.state, from.id) }
  return patch.map((operation) => {
    const before = visible(JSON.stringify(applied(root, operation)) ?? '')
    const path = visible(operation.path || '/')
    const { op } = operation
    if (op === 'remove') return { op, path, text: before }
    const value = visible(JSON.stringify(operation.value))
    return { op, path, text: op === 'add' ? value : `${before} -> ${value}` }
  })
}

/**
 * Applies an operation, since the paths of the next one are those after it. Not by the library, which for its safety
 * passes over keys like `constructor`: these states are JSON, and it is only their own fields that are set.
 * @returns what was there before
 */
function applied(root: Json, operation: PatchOperation): Json | undefined {
  const tokens = Pointer.fromJSON(operation.path).tokens
  const last = tokens.pop()!
  const parent = tokens.reduce((part, token) => part[token] as Fields, root as unknown as Fields)
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last)
    if (operation.op === 'remove') return parent.splice(index, 1)[0]
    return parent.splice(index, operation.op === 'add' ? 0 : 1, operation.value)[0]
  }
  const before = parent[last]
  if (operation.op === 'remove') delete parent[last]
  else parent[last] = operation.value
  return before
}

type Fields = { [key: string]: Json | undefined }
