import { expect, test } from 'vitest'
import { parseData } from '../../../src/cli/event-data.ts'

test.each<[string[], unknown]>([
  [[], {}],
  [['a=1'], { a: '1' }],
  [['a:=1'], { a: 1 }],
  [['a=b=c'], { a: 'b=c' }],
  [['a=b:=c'], { a: 'b:=c' }],
  [['a='], { a: '' }],
  [['a:={"b":[1]}', 'c=d'], { a: { b: [1] }, c: 'd' }],
  [['a b=c d'], { 'a b': 'c d' }],
  [[' {"a":1}'], { a: 1 }],
  [['a={}'], { a: '{}' }],
])('%j is %j', (words, data) => {
  expect(parseData(words)).toEqual(data)
})

test.each([[['=a']], [[':=1']], [['a']], [['a=1', 'a:=1']], [['{}', 'a=1']], [['a=1', '{}']], [['a:=']], [['[1]']]])(
  '%j is refused',
  (words) => {
    expect(() => parseData(words)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/KUMA_(USAGE|INVALID_DATA)/) }),
    )
  },
)
