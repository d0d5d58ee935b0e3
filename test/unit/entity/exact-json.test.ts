import { expect, test } from 'vitest'
import { exactJson } from '../../../src/entity/exact-json.ts'

test.each([[{}], [{ a: 1, b: [null, true, 'ż', { c: [] }], d: -0.5 }], [{ $set: 'x', constructor: 'y' }], [[1, 2, 3]]])(
  '%j comes back as it is',
  (value) => {
    expect(JSON.parse(exactJson(value)!)).toEqual(value)
  },
)

const cycle: Record<string, unknown> = {}
cycle['self'] = cycle

test.each([
  ['undefined', { a: undefined }],
  ['a date', { a: new Date(0) }],
  ['a set', { a: new Set() }],
  ['a map', new Map()],
  ['a bigint', { a: 1n }],
  ['a function', { a: () => 1 }],
  ['an instance', { a: new (class Point {})() }],
  ['an array with a hole', { a: new Array(2) }],
  ['an array with a name', { a: Object.assign([1], { name: 'x' }) }],
  ['NaN', { a: Number.NaN }],
  ['negative zero', { a: -0 }],
  ['a lone surrogate', { a: '\ud800' }],
  ['NUL', { a: 'a\0' }],
  ['a symbol', { [Symbol('a')]: 1 }],
  ['toJSON', { toJSON: () => 1 }],
  ['no prototype', Object.create(null)],
  ['a cycle', cycle],
])('%s does not', (_, value) => {
  expect(exactJson(value)).toBeNull()
})
