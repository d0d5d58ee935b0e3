import { expect, test } from 'vitest'
import { lookalikesOf } from '../../../src/entity/lookalikes.ts'

test.each([
  ['user_1', []],
  ['andr\u00e9', ['andre\u0301']],
  ['andre\u0301', ['andr\u00e9']],
  ['user_1 ', ['user_1']],
  ['\u202euser_1', ['user_1']],
  ['user_1 \u200f', ['user_1 ', 'user_1']],
  [' ', []],
])('%j', (id, others) => {
  expect(lookalikesOf(id)).toEqual(others)
})

test('there are eight at most', () => {
  expect(lookalikesOf(' \u200eandr\u00e9 e\u0301\u2069 ')).toHaveLength(8)
})
