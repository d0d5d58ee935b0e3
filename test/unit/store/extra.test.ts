import { expect, test } from 'vitest'
import { extraWith, extraWithout, tagsOf } from '../../../src/store/extra.ts'

const empty = new Uint8Array(0)
const bytes = (...values: number[]) => Uint8Array.from(values)

test('a list has its tags in ascending order, each once, and gives back what was put into it', () => {
  const list = extraWith(extraWith(extraWith(empty, 9, bytes(1, 2)), 1, bytes(3)), 255, empty)
  expect([...list]).toEqual([1, 1, 0, 0, 0, 3, 9, 2, 0, 0, 0, 1, 2, 255, 0, 0, 0, 0])
  expect([...tagsOf(list)!].map(([tag, value]) => [tag, ...value])).toEqual([[1, 3], [9, 1, 2], [255]])
  expect(extraWith(list, 9, bytes(1, 2))).toEqual(list)
  expect([...extraWithout(list, 9)]).toEqual([1, 1, 0, 0, 0, 3, 255, 0, 0, 0, 0])
  expect(extraWithout(extraWith(empty, 1, bytes(3)), 1)).toHaveLength(0)
  expect(tagsOf(empty)!.size).toBe(0)
})

test.each([
  ['ends within a head', [1, 0, 0, 0]],
  ['ends within a value', [1, 2, 0, 0, 0, 7]],
  ['has a tag twice', [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]],
  ['is not in order', [2, 0, 0, 0, 0, 1, 0, 0, 0, 0]],
  ['claims more bytes than there are', [1, 255, 255, 255, 255]],
])('one that %s is none', (_, list) => {
  expect(tagsOf(Uint8Array.from(list))).toBeNull()
})
