import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Line, lines } from '../../../src/cli/lines.ts'

async function linesOf(...chunks: (string | Uint8Array)[]): Promise<Line[]> {
  async function* source() {
    for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  }
  const all: Line[] = []
  for await (const found of lines(source())) all.push(...found)
  return all
}

test.each<[string, string, [number, string][]]>([
  ['nothing', '', []],
  ['one line', 'a', [[1, 'a']]],
  [
    'blank lines are skipped and counted',
    '\n\na\n \nb\n',
    [
      [3, 'a'],
      [5, 'b'],
    ],
  ],
  [
    'CRLF',
    'a\r\nb\r\n',
    [
      [1, 'a'],
      [2, 'b'],
    ],
  ],
  [
    'a BOM is not part of the first line',
    '\ufeffa\n\ufeffb',
    [
      [1, 'a'],
      [2, '\ufeffb'],
    ],
  ],
  ['U+2028 does not end a line', '"\u2028"\n', [[1, '"\u2028"']]],
])('%s', async (_, text, expected) => {
  expect(await linesOf(text)).toEqual(expected.map(([number, line]) => ({ number, text: line })))
})

test('however the bytes come, the lines are the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'binary' })), fc.array(fc.nat(40)), async (texts, cuts) => {
      const clean = texts.map((text) => text.toWellFormed().replace(/[\r\n\ufeff]/g, ''))
      const bytes = Buffer.from(clean.join('\n'))
      const chunks: Uint8Array[] = []
      let at = 0
      for (const cut of cuts) {
        chunks.push(bytes.subarray(at, at + cut))
        at += cut
      }
      chunks.push(bytes.subarray(at))
      expect(await linesOf(...chunks)).toEqual(
        clean.flatMap((text, i) => (text.trim() === '' ? [] : [{ number: i + 1, text }])),
      )
    }),
  )
})

test('what is too long or no UTF-8 is a problem of its line only', async () => {
  const long = 'x'.repeat(4 * 1024 * 1024 + 1)
  expect(await linesOf(`${long}\n`, Buffer.from([0x61, 0xff, 0x0a]), 'good')).toEqual([
    { number: 1, problem: 'is longer than 4 MiB' },
    { number: 2, problem: 'is not UTF-8: byte 0xff at offset 1 of the line' },
    { number: 3, text: 'good' },
  ])
})
