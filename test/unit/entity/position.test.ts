import { describe, expect, test } from 'vitest'
import { around, isPosition, parsePosition, placeIn } from '../../../src/entity/position.ts'

test.each([
  ['000:1', [1, 0, 0], null],
  ['001:1284,002:7', [0, 1284, 7], null],
  ['002:7,000:0', [0, 0, 7], null],
  ['002:7,000:1@9f3a01c4', [1, 0, 7], '9f3a01c4'],
])('%s', (token, seqs, timeline) => {
  expect(isPosition(token)).toBe(true)
  expect(parsePosition(token, 3)).toEqual({ seqs, timeline })
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
  ['000:1@'],
  ['000:1@9F3A01C4'],
  ['000:1@9f3a01c'],
  ['000:1@9f3a01c4,001:1'],
  ['@9f3a01c4'],
  ['000:1\n'],
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
  const token = (seqs: number[], shard: number, timeline: string | null = null) =>
    around(seqs, shard, timeline).join('*')
  expect(token([5, 0, 7, 9], 2)).toBe('000:5,*,003:9')
  expect(token([0, 0, 7, 0], 2)).toBe('*')
  expect(token([0, 3, 0, 0], 0)).toBe('*,001:3')
  expect(token([0, 3, 0, 0], 0, '9f3a01c4')).toBe('*,001:3@9f3a01c4')
  expect(token([0, 3, 0, 0], 1, '9f3a01c4')).toBe('*@9f3a01c4')
})

describe('a place in a store that was restored', () => {
  const store = { shards: 3, timelines: [{ id: '9f3a01c4', from: null, parted: { 0: 3, 1: 5 } }] }

  test.each([
    ['000:3,001:2', [3, 2, 0]],
    ['000:9,002:1@9f3a01c4', [9, 0, 1]],
  ])('%s is one', (token, seqs) => {
    expect(placeIn(store, token)).toEqual(seqs)
  })

  test.each([
    ['000:4,001:2', '000:3,001:2@9f3a01c4'],
    ['001:2,002:1', '001:2@9f3a01c4'],
    ['002:1', '000:0@9f3a01c4'],
    ['000:1@00000000', null],
  ])('%s is refused, and what is shared is %s', (token, shared) => {
    expect(() => placeIn(store, token)).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_POSITION', details: { position: token, shared } }),
    )
  })
})
