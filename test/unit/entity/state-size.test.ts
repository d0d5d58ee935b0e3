import { describe, expect, test } from 'vitest'
import { leastSizeOf, STATE_DEPTH_MAX, sizeOf } from '../../../src/entity/state-size.ts'

const MAX = 1024 * 1024

describe('the text of a state', () => {
  test.each([
    [{}],
    [{ a: 1, b: [null, true, 'ż', { c: [] }], d: -0.5 }],
    [{ $set: 'x', constructor: 'y' }],
    [[1, 2, 3]],
  ])('%j comes back as it is, and its size is that of the text', (value) => {
    const { text, bytes } = sizeOf(value, MAX)
    expect(JSON.parse(text!)).toEqual(value)
    expect(bytes).toBe(Buffer.byteLength(text!))
    expect(leastSizeOf(value, MAX).bytes).toBeLessThanOrEqual(bytes)
  })

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
  ])('%s has none', (_, value) => {
    expect(sizeOf(value, MAX).text).toBeNull()
  })
})

test('bytes are those of UTF-8', () => {
  expect(sizeOf({ a: '熊'.repeat(100) }, MAX).bytes).toBe('{"a":""}'.length + 300)
})

test('what JSON leaves out counts, since it is held in memory', () => {
  const items = Array.from({ length: 1_000 }, (_, i) => `item ${i}`)
  expect(sizeOf({ items: new Set(items) }, MAX).bytes).toBeGreaterThan(6_000)
  expect(sizeOf(new Map(items.map((item) => [item, item])), MAX).bytes).toBeGreaterThan(12_000)
  expect(sizeOf({ bytes: new Uint8Array(5_000) }, MAX).bytes).toBeGreaterThan(5_000)
})

test('a state that shares its parts is not walked to the end of its text', () => {
  let state: object = { end: true }
  for (let i = 0; i < 100; i++) state = { left: state, right: state } // 2 ** 100 ends
  const { bytes, isDeep, text } = sizeOf(state, 10_000)
  expect({ isDeep, text }).toEqual({ isDeep: false, text: null })
  expect(bytes).toBeGreaterThan(10_000)
})

function nested(levels: number): object {
  return levels === 1 ? {} : { a: nested(levels - 1) }
}

test('a state is deep from one level more than is allowed on', () => {
  expect(sizeOf(nested(STATE_DEPTH_MAX), MAX)).toMatchObject({ isDeep: false, text: expect.any(String) })
  expect(sizeOf(nested(STATE_DEPTH_MAX + 1), MAX)).toMatchObject({ isDeep: true, text: null })
})

test('parts that point back are neither deep nor large', () => {
  const root: Record<string, unknown> = { text: 'x'.repeat(1_000) }
  root['children'] = Array.from({ length: 10 }, (_, i) => ({ i, parent: root }))
  const { bytes, isDeep } = sizeOf(root, 10_000)
  expect(isDeep).toBe(false)
  expect(bytes).toBeGreaterThan(1_000)
  expect(bytes).toBeLessThan(2_000)
})
