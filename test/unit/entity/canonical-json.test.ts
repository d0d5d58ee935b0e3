import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson } from '../../../src/entity/canonical-json.ts'

describe('the examples of RFC 8785', () => {
  test('3.2.2: numbers and texts', () => {
    const given = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`
    expect(canonicalJson(JSON.parse(given))).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
  })

  test('3.2.3: keys are in order of UTF-16 code units', () => {
    const given = String.raw`{
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    }`
    const values = Object.values(JSON.parse(canonicalJson(JSON.parse(given))) as object)
    // as a text, since an object that is parsed has its key 1 first in any case
    expect(canonicalJson(JSON.parse(given)).match(/"[^"]*":/g)).toEqual(
      ['\\r', '1', '\u0080', '\u00f6', '\u20ac', '\u{1f600}', '\ufb33'].map((key) => `"${key}":`),
    )
    expect(values).toHaveLength(7)
  })
})

test('keys that are numbers are in order of their text', () => {
  expect(canonicalJson({ 9: 1, 10: 2, a: { b: 1, 2: 1, 11: 1 } })).toBe('{"10":2,"9":1,"a":{"11":1,"2":1,"b":1}}')
})

test('what JSON writes in its own way is written so at any depth', () => {
  const given = { z: [undefined, { b: new Date(0), a: undefined }], a: { toJSON: () => ({ y: 1, x: 2 }) } }
  expect(canonicalJson(given)).toBe('{"a":{"x":2,"y":1},"z":[null,{"b":"1970-01-01T00:00:00.000Z"}]}')
})

test('any JSON is as another implementation has it, and says the same', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (dictionary) => {
      // without what RFC 8785 refuses: lone surrogates
      const value = JSON.parse(JSON.stringify(dictionary).replace(/\\ud[89a-f][0-9a-f]{2}/gi, '')) as object
      const canonical = canonicalJson(value)
      expect(canonical).toBe(canonicalize(value))
      expect(JSON.parse(canonical)).toEqual(value)
    }),
  )
})

test('looks at a value as often, however deep it lies', () => {
  const looksAt = (depth: number) => {
    let looks = 0
    let value: unknown = {
      get b() {
        return ++looks
      },
      a: 1,
    }
    for (let level = 0; level < depth; level++) value = [value]
    canonicalJson(value as never)
    return looks
  }
  expect(looksAt(60)).toBe(looksAt(1))
})
