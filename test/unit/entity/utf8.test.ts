import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeUtf8 } from '../../../src/entity/utf8.ts'

const decode = (...bytes: (string | number)[]) =>
  decodeUtf8(
    Buffer.concat(bytes.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part])))),
    (problem) => new Error(problem),
  )

test.each<[what: string, bytes: (string | number)[], place: string]>([
  ['a letter of Latin-1', ['M', 0xfc, 'ller'], '0xfc at offset 1'],
  ['the first byte', [0xff], '0xff at offset 0'],
  ['a sequence that the end cuts short', ['caf', 0xc3], '0xc3 at offset 3'],
  ['a sequence that a letter cuts short', ['\u20ac', 0xe2, 0x82, 'x'], '0xe2 at offset 3'],
  ['a byte that only goes on', ['ä', 0x80], '0x80 at offset 2'],
  ['a letter in more bytes than it needs', ['a', 0xc0, 0xaf], '0xc0 at offset 1'],
  ['half a pair of surrogates', ['a', 0xed, 0xa0, 0x80], '0xed at offset 1'],
  ['what is beyond Unicode', [0xf4, 0x90, 0x80, 0x80], '0xf4 at offset 0'],
  ['what comes after a U+FFFD that is one', ['ä\ufffd\ufffd\u{1f600}\ufffd', 0xfe], '0xfe at offset 15'],
])('%s is refused with its place', (_, bytes, place) => {
  expect(() => decode(...bytes)).toThrow(new Error(`is not UTF-8: byte ${place}`))
})

test.each(['', 'plain', 'Müller \u20ac \u{1f600}', 'a well-formed \ufffd', '\ufffd\ufffd', '\ufeffa BOM'])(
  'text comes as it is: %j',
  (text) => expect(decode(text)).toBe(text),
)

test('of any bytes: those that Node calls UTF-8, and the place is where what can be read ends', () => {
  const soup = fc.array(
    fc.oneof(
      fc.constantFrom(0xef, 0xbf, 0xbd, 0xc3, 0xe2, 0xed, 0xf0, 0x80, 0xff).map((byte) => [byte]),
      fc.string({ unit: 'binary' }).map((text) => [...Buffer.from(text)]),
    ),
  )
  fc.assert(
    fc.property(soup, (parts) => {
      const bytes = Uint8Array.from([0x61, ...parts.flat(), 0x61]).subarray(1, -1)
      let place = -1
      try {
        const text = decodeUtf8(bytes, (problem) => new Error(problem))
        expect(Buffer.from(text)).toEqual(Buffer.from(bytes))
      } catch (error) {
        place = Number(/at offset (\d+)$/.exec((error as Error).message)?.[1])
      }
      expect(place === -1).toBe(isUtf8(bytes))
      if (place === -1) return
      expect(isUtf8(bytes.subarray(0, place))).toBe(true)
      // whatever more of it is taken, it is not UTF-8
      for (let length = 1; length <= 4 && place + length <= bytes.length; length++)
        expect(isUtf8(bytes.subarray(place, place + length))).toBe(false)
    }),
  )
})

test('the place is told wherever it is in a long text, also where it is full of U+FFFD that are meant', () => {
  for (const wrong of ['\xff', '\xe2\x82', '\xef\xbf', '\xf0\x9f\x98']) {
    for (const length of [65_533, 65_534, 65_535, 65_536, 65_537, 200_000]) {
      for (const before of ['\ufffd'.repeat(Math.floor(length / 3)) + 'a'.repeat(length % 3), 'a'.repeat(length)]) {
        const bytes = Buffer.from(wrong, 'latin1')
        const place = new Error(`is not UTF-8: byte 0x${bytes[0]!.toString(16)} at offset ${length}`)
        for (const end of ['', 'a', '€\ufffd', 'a'.repeat(100_000)])
          expect(() => decode(before, ...bytes, end)).toThrow(place)
      }
    }
  }
  expect(decode('\ufffd'.repeat(100_000))).toHaveLength(100_000)
})
