import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseQueryString, percentDecoded } from '../../../src/daemon/query-string.ts'

const refuse = (problem: string) => new Error(problem)
const parsed = (search: string) => [...parseQueryString(search, refuse)]

test.each<[search: string, names: [string, string[]][]]>([
  ['', []],
  ['&&', []],
  ['a', [['a', ['']]]],
  ['a=', [['a', ['']]]],
  ['=b', [['', ['b']]]],
  ['a=b=c?d', [['a', ['b=c?d']]]],
  [
    'a=1&b=2&a=3',
    [
      ['a', ['1', '3']],
      ['b', ['2']],
    ],
  ],
  ['a+b=c+d%2B', [['a b', ['c d+']]]],
  ['__proto__=1&constructor=2', [['__proto__', ['1']], ['constructor', ['2']]]], // biome-ignore format: two names
  ['by=J%C3%B6rg%EF%BF%BD', [['by', ['Jörg\ufffd']]]],
])('%j', (search, names) => {
  expect(parsed(search)).toEqual(names)
})

test.each([
  ['by=%FF', 'by is not UTF-8: byte 0xff at offset 0'],
  ['by=J%c3', 'by is not UTF-8: byte 0xc3 at offset 1'],
  ['a=1&%fc=1', 'a name in the query is not UTF-8: byte 0xfc at offset 0'],
  ['by=100%', 'by has a % without two'],
  ['by=%f', 'by has a % without two'],
  ['by=%zz', 'by has a % without two'],
  ['by=M\u00fcller', 'by is not UTF-8: byte 0xfc at offset 1'],
])('%j is refused', (search, problem) => {
  expect(() => parsed(search)).toThrow(problem)
})

test('what was written by the rules comes back, in a query and in a path', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }))), (given) => {
      const pairs = given.map(([name, value]) => [name, value.toWellFormed()] as const)
      const search = new URLSearchParams(pairs.map((pair) => [...pair])).toString()
      const names = new Map<string, string[]>()
      for (const [name, value] of pairs) names.set(name, [...(names.get(name) ?? []), value])
      expect(parsed(search)).toEqual([...names])
      for (const [, value] of pairs) expect(percentDecoded(encodeURIComponent(value), refuse)).toBe(value)
    }),
  )
})
