import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cleanJson,
  DATA_BYTES_MAX,
  DATA_DEPTH_MAX,
  type JsonObject,
  jsonText,
  parseJson,
} from '../../../src/entity/json.ts'
import { isKumaError } from '../../../src/errors.ts'

function refusal(run: () => unknown): { message: string; path: string } {
  try {
    run()
  } catch (error) {
    if (isKumaError(error, 'KUMA_INVALID_DATA')) return { message: error.message, path: error.details.path }
    throw error
  }
  throw new Error('it was accepted')
}

/** `depth` objects, one within the other. */
function nested(depth: number): JsonObject {
  let value: JsonObject = {}
  for (let i = 1; i < depth; i++) value = { in: value }
  return value
}

describe('cleanJson', () => {
  test('takes JSON of every kind', () => {
    const value = { text: 'Zürich 🐻', count: -1.5, yes: true, no: null, list: [1, ['two'], {}], 'a key': {} }
    expect(cleanJson(value, 'it')).toEqual(value)
  })

  test('takes objects without a prototype, such as JSON from another realm', () => {
    const bare = Object.assign(Object.create(null) as object, { a: 1 })
    expect(cleanJson({ bare }, 'it')).toEqual({ bare: { a: 1 } })
  })

  test('gives a copy that no longer hangs on what it was given', () => {
    const given = { list: [{ a: 1 }] }
    const clean = cleanJson(given, 'it')
    given.list[0]!.a = 2
    given.list.push({ a: 3 })
    expect(clean).toEqual({ list: [{ a: 1 }] })
  })

  test('leaves out fields that are undefined, and turns -0 into 0', () => {
    const clean = cleanJson({ a: undefined, b: { c: undefined }, zero: -0 }, 'it')
    expect(Object.keys(clean)).toEqual(['b', 'zero'])
    expect(clean['b']).toEqual({})
    expect(Object.is(clean['zero'], 0)).toBe(true)
  })

  test.each([
    ['null', null],
    ['text', 'text'],
    ['a list', []],
    ['undefined', undefined],
    ['a date', new Date(0)],
  ])('wants an object on top, not %s', (_, value) => {
    expect(refusal(() => cleanJson(value, 'data of Moved')).message).toBe('data of Moved must be a JSON object')
  })

  class Money {
    amount = 1
  }
  const cyclic: Record<string, unknown> = {}
  cyclic['again'] = cyclic

  test.each([
    ['NaN', { a: Number.NaN }, '.a'],
    ['Infinity', { a: [0, Number.NEGATIVE_INFINITY] }, '.a[1]'],
    ['a lone surrogate', { a: { b: 'x\ud800' } }, '.a.b'],
    ['a NUL', { a: ['\0'] }, '.a[0]'],
    ['a NUL in a key', { 'a\0': 1 }, '.a\0'],
    ['a lone surrogate in a key', { '\udc00': 1 }, '.\ufffd'],
    ['__proto__ as a key', JSON.parse('{"a":{"__proto__":{"admin":true}}}'), '.a.__proto__'],
    ['undefined in a list', { a: [undefined] }, '.a[0]'],
    ['a hole in a list', { a: new Array(1) }, '.a[0]'],
    ['a Date', { a: new Date(0) }, '.a'],
    ['a Map', { a: new Map() }, '.a'],
    ['a Set', { a: new Set() }, '.a'],
    ['a bigint', { a: 1n }, '.a'],
    ['a symbol', { a: Symbol('s') }, '.a'],
    ['a function', { a: { toJSON: () => 1 } }, '.a.toJSON'],
    ['an instance of a class', { a: new Money() }, '.a'],
    ['a boxed number', { a: Object(1) as unknown }, '.a'],
    ['bytes', { a: new Uint8Array(1) }, '.a'],
    ['a promise', { a: Promise.resolve(1) }, '.a'],
  ])('refuses %s and says where', (_, value, path) => {
    expect(refusal(() => cleanJson(value, 'it'))).toMatchObject({ path })
  })

  test('takes every number that JSON can hold', () => {
    const most = [Number.MAX_SAFE_INTEGER, 2 ** 53, 2 ** 60, 1e16, 6.02214076e23, 1e30, Number.MAX_VALUE]
    const value = { most, least: most.map((number) => -number), tiny: 5e-324 }
    expect(cleanJson(value, 'it')).toEqual(value)
  })

  test('says what it found', () => {
    expect(refusal(() => cleanJson({ since: new Date(0) }, 'meta')).message).toBe(
      'meta at .since is a Date, which JSON cannot give back',
    )
    expect(refusal(() => cleanJson({ n: 1n }, 'it')).message).toContain('a bigint')
  })

  test(`goes ${DATA_DEPTH_MAX} levels deep, and no deeper`, () => {
    expect(cleanJson(nested(DATA_DEPTH_MAX), 'it')).toEqual(nested(DATA_DEPTH_MAX))
    expect(refusal(() => cleanJson(nested(DATA_DEPTH_MAX + 1), 'it')).message).toContain('deeper than 64 levels')
    expect(refusal(() => cleanJson(cyclic, 'it')).message).toContain('deeper than 64 levels')
  })

  test('gives back what JSON.stringify and JSON.parse make of it, whatever JSON it is given', () => {
    const key = fc.string({ unit: 'grapheme' }).filter((text) => text !== '__proto__' && !text.includes('\0'))
    const text = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'))
    const leaf = fc.oneof(
      text,
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 52), max: 2 ** 52 }),
      fc.boolean(),
      fc.constant(null),
      fc.constant(-0),
    )
    const { object } = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: 'small' }, leaf, tie('object'), fc.array(tie('value'), { maxLength: 4 })),
      object: fc.dictionary(key, fc.option(tie('value'), { nil: undefined, freq: 10 }), { maxKeys: 5 }),
    }))
    fc.assert(
      fc.property(object, (value) => {
        const clean = cleanJson(value, 'it')
        expect(clean).toStrictEqual(JSON.parse(JSON.stringify(value)))
        expect(JSON.parse(jsonText(clean, 'it'))).toStrictEqual(clean)
      }),
    )
  })
})

describe('jsonText', () => {
  const around = '{"a":""}'.length

  test('takes 1 MiB of UTF-8, and not a byte more', () => {
    const most = { a: 'x'.repeat(DATA_BYTES_MAX - around) }
    expect(jsonText(most, 'it')).toHaveLength(DATA_BYTES_MAX)
    expect(refusal(() => jsonText({ a: `${most.a}x` }, 'data of Moved')).message).toBe(
      `data of Moved is larger than 1 MiB (${DATA_BYTES_MAX + 1} bytes)`,
    )
  })

  test('counts bytes, not characters', () => {
    const thirds = { a: '€'.repeat(Math.floor((DATA_BYTES_MAX - around) / 3)) }
    expect(Buffer.byteLength(jsonText(thirds, 'it'))).toBeLessThanOrEqual(DATA_BYTES_MAX)
    expect(refusal(() => jsonText({ a: `${thirds.a}€` }, 'it')).message).toContain('larger than 1 MiB')
  })
})

describe('parseJson', () => {
  test('reads JSON', () => {
    expect(parseJson(' {"a": [1, {"a": "b"}], "b": {"a": null}} ', 'it')).toEqual({
      a: [1, { a: 'b' }],
      b: { a: null },
    })
    expect(parseJson('"text"', 'it')).toBe('text')
  })

  test.each([
    ['not JSON', '{a: 1}'],
    ['nothing', ''],
    ['two values', '{} {}'],
  ])('refuses %s', (_, text) => {
    expect(refusal(() => parseJson(text, 'line 7')).message).toMatch(/^line 7 is not JSON: /)
  })

  test.each([
    ['on top', '{"a":1,"b":2,"a":3}', 'a'],
    ['further in', '{"x":[0,{"a":1,"a":1}]}', 'a'],
    ['after an inner object', '{"a":{"b":1},"a":2}', 'a'],
    ['written in two ways', '{"\\u0061":1,"a":2}', 'a'],
    ['of brackets and quotes', '{"\\"{":1,"\\"{":2}', '"{'],
    ['that ends in a backslash', '{"\\\\":1,"\\\\":2}', '\\'],
    ['called __proto__', '{"__proto__":1,"__proto__":2}', '__proto__'],
  ])('refuses a key that stands twice %s', (_, text, key) => {
    expect(refusal(() => parseJson(text, 'it')).message).toBe(
      `it has the key ${JSON.stringify(key)} twice in one object`,
    )
  })

  test.each([
    ['in a sibling', '{"x":{"a":1},"y":{"a":2}}'],
    ['in an object within', '{"a":{"a":{"a":1}}}'],
    ['as a value', '{"a":"a","b":"a"}'],
    ['inside a text', String.raw`{"a":"\"a\":1,\"a\":2","b":"{\\"}`],
  ])('does not mind the same name %s', (_, text) => {
    expect(parseJson(text, 'it')).toEqual(JSON.parse(text))
  })

  test('finds a double key exactly when there is one', () => {
    const key = fc.constantFrom('a', 'b', '"', '\\', '\\"', '{', ':', 'a:', '')
    const value = fc.constantFrom('1', '"a"', '"\\\\"', '"\\":"', '{"a":1}', '[{"b":[]}]', 'null')
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value), { maxLength: 5 }), (entries) => {
        const text = `{${entries.map(([name, content]) => `${JSON.stringify(name)}:${content}`).join(',')}}`
        const isDouble = new Set(entries.map(([name]) => name)).size < entries.length
        if (isDouble) expect(refusal(() => parseJson(text, 'it')).message).toContain('twice in one object')
        else expect(parseJson(text, 'it')).toEqual(JSON.parse(text))
      }),
    )
  })

  test.each([
    '9007199254740992', // 2^53
    '1e16',
    '10000000000000000',
    '1152921504606847000', // 2^60, as JavaScript writes it
    '6.02214076e23',
    '602214076000000000000000',
    '1E30',
    '-1.0e+0030',
    '0.30000000000000004',
    '333333333.33333329', // of RFC 8785
    '0.10000000000000001', // as %.17g writes 0.1
    '0.000000000000000000000000001',
    '5e-324',
    '-0.00000000000000000000000000000',
    '0e999',
    '1.7976931348623157e308',
  ])('reads the number %s', (number) => {
    expect(parseJson(`{"a":[{"b":${number}}]}`, 'it')).toEqual({ a: [{ b: Number(number) }] })
    expect(parseJson(number, 'it')).toBe(Number(number))
  })

  test.each([
    ['9007199254740993', 'an integer beyond 2^53, whose digits would not come back (but 9007199254740992)'],
    ['-9007199254740993', 'an integer beyond 2^53'],
    ['1152921504606846976', 'would not come back (but 1152921504606847000)'],
    ['9007199254740993.5', '9007199254740993.5, whose digits'],
    ['0.1234567890123456789', '(but 0.12345678901234568)'],
    ['3.14159265358979323846', '(but 3.141592653589793)'],
    ['12345678901234567891e2', '12345678901234567891e2, whose digits'],
    ['1e-400', '(but 0)'],
  ])('refuses the number %s, whose digits would not come back, and says where', (number, message) => {
    const text = `{"x":"1e999 ]}","list":[0,{"a":1,"b":[9007199254740993e0]},{"a\\"b":${number}}],"z":1}`
    const refused = refusal(() => parseJson(text.replace('9007199254740993e0', '{}'), 'it'))
    expect(refused.path).toBe('.list[2].a"b')
    expect(refused.message).toContain(message)
    expect(refusal(() => parseJson(number, 'it')).path).toBe('')
  })

  test('reads every number that JSON.stringify writes, and what reads the same', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true })
    const large = fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(Number)
    fc.assert(
      fc.property(fc.oneof(double, large), (number) => {
        const texts = [JSON.stringify(number), number.toExponential()]
        if (Math.abs(number) < 2 ** 53) texts.push(number.toPrecision(17))
        for (const text of texts) expect(parseJson(`[${text}]`, 'it')).toEqual([Number(text)])
      }),
    )
  })

  test('reads a whole number exactly when its digits come back', () => {
    fc.assert(
      // JavaScript writes a number without a power up to 10^21
      fc.property(fc.bigInt({ min: -(2n ** 69n), max: 2n ** 69n }), (whole) => {
        const isExact = String(Number(whole)) === String(whole)
        if (isExact) expect(parseJson(String(whole), 'it')).toBe(Number(whole))
        else expect(refusal(() => parseJson(String(whole), 'it')).message).toContain('beyond 2^53')
      }),
    )
  })

  test('looks at many suspect numbers in time that their length takes', { timeout: 20_000 }, () => {
    const zeros = `0.${`1${'0'.repeat(100)}`.repeat(5_000)}1`
    expect(refusal(() => parseJson(`[${zeros}]`, 'it')).message).toContain('would not come back')
    const many = `[${Array.from({ length: 50_000 }, () => '1234567890.123456').join(',')}]`
    expect(parseJson(many, 'it')).toHaveLength(50_000)
  })

  test('reads a long text', () => {
    const long = { a: '\\"x'.repeat(5_000_000) }
    expect(parseJson(JSON.stringify(long), 'it')).toEqual(long)
  })
})
