/**
 * What changed from one JSON value to another, as JSON Patch (RFC 6902). The library that works it out looks for the
 * shortest way to change an array, which takes time and memory by the square of its length: only short ones are left to
 * it. Of a long one, what is the same at both ends stays, and what is between is changed in place.
 */
import { createPatch, type Operation, type Pointer } from 'rfc6902'
import type { PatchOperation } from '../api.ts'
import { canonicalJson } from '../entity/canonical-json.ts'
import type { Json } from '../entity/json.ts'

/** The product of the lengths of two arrays. */
const SHORT = 1_024

export function patchOf(from: Json, to: Json): PatchOperation[] {
  return operations(from, to) as PatchOperation[]
}

/** The pointer only of a nested value. */
function operations(from: unknown, to: unknown, at?: Pointer): Operation[] {
  const within = createPatch(from, to, (a, b, pointer) => {
    if (Array.isArray(a) && Array.isArray(b) && a.length * b.length > SHORT) return longArray(a, b, pointer)
  })
  return at === undefined ? within : within.map((operation) => ({ ...operation, path: `${at}${operation.path}` }))
}

function longArray(from: readonly Json[], to: readonly Json[], at: Pointer): Operation[] {
  const isSame = (i: number, j: number) => canonicalJson(from[i]!) === canonicalJson(to[j]!)
  const shorter = Math.min(from.length, to.length)
  let [head, tail] = [0, 0]
  while (head < shorter && isSame(head, head)) head++
  while (tail < shorter - head && isSame(from.length - 1 - tail, to.length - 1 - tail)) tail++
  const both = shorter - tail
  const changes: Operation[] = []
  for (let i = head; i < both; i++) changes.push(...operations(from[i], to[i], at.add(String(i))))
  for (let i = from.length - tail; i > both; i--) changes.push({ op: 'remove', path: `${at.add(String(i - 1))}` })
  for (let i = both; i < to.length - tail; i++) changes.push({ op: 'add', path: `${at.add(String(i))}`, value: to[i] })
  return changes
}
