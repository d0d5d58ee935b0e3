import { expect, test } from 'vitest'
import { around, isPosition, parsePosition } from '../../../src/entity/position.ts'

test.each([
  ['000:1', [1, 0, 0]],
  ['001:1284,002:7', [0, 1284, 7]],
  ['002:7,000:0', [0, 0, 7]],
])('%s', (token, seqs) => {
  expect(isPosition(token)).toBe(true)
  expect(parsePosition(token, 3)).toEqual(seqs)
})

test.each([
  [''],
  ['0:1'],
  ['000:'],
  ['000:1,'],
  ['000:-1'],
  ['000:1 '],
  ['v3'],
  ['now'],
  ['2026-11-01T09:30'],
  ['000:99999999999999999'],
])('%j is none', (token) => {
  expect(isPosition(token)).toBe(false)
  expect(() => parsePosition(token, 3)).toThrow(expect.objectContaining({ code: 'KUMA_INVALID_POSITION' }))
})

test.each([
  ['003:1', 'names shard 3, and there are 3'],
  ['001:1,001:2', 'names shard 1 twice'],
  ['000:9007199254740993', 'is not a position'],
])('%j is refused: %s', (token, text) => {
  expect(() => parsePosition(token, 3)).toThrow(text)
})

test('the token of a place names the shards that have begun', () => {
  const token = (seqs: number[], shard: number) => around(seqs, shard).join('*')
  expect(token([5, 0, 7, 9], 2)).toBe('000:5,*,003:9')
  expect(token([0, 0, 7, 0], 2)).toBe('*')
  expect(token([0, 3, 0, 0], 0)).toBe('*,001:3')
})
