/** How much of a message must come until it is refused, and what is not. */
import { describe, expect, test } from 'vitest'
import { LineReader } from '../../../src/daemon/line-reader.ts'
import { DATA_BYTES_MAX } from '../../../src/entity/json.ts'

const KiB = 1024
const MiB = 1024 * KiB
const CHUNK = 64 * KiB

/** What becomes of a line that comes in pieces: it, or why it is refused and after how many bytes. */
function read(line: string | Buffer, chunk = CHUNK): { message?: unknown; problem?: string; bytes: number } {
  const reader = new LineReader()
  const bytes = Buffer.concat([Buffer.from(line), Buffer.from('\n')])
  for (let start = 0; start < bytes.length; start += chunk) {
    try {
      const [message] = reader.push(bytes.subarray(start, start + chunk))
      if (message !== undefined) return { message, bytes: bytes.length }
    } catch (error) {
      return { problem: (error as Error).message, bytes: start + chunk }
    }
  }
  throw new Error('no end')
}

const call = (name: string, params: string) => `{"id":1,"call":"${name}","params":${params}}`
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const zeros = (bytes: number) => `[${'0,'.repeat(bytes / 2)}0]`

describe('is refused as soon as it is too much:', () => {
  test.each<[what: string, line: string | Buffer, problem: string, bytes: number]>([
    ['16 MiB of brackets', '['.repeat(16 * MiB), 'is nested deeper than 72 levels', CHUNK],
    ['the same in an append', call('append', nested(8 * MiB)), 'is nested deeper than 72 levels', CHUNK],
    ['what is deep at the end', call('append', `["${'x'.repeat(MiB)}",${nested(80)}]`), 'deeper than 72', MiB + CHUNK],
    ['16 MiB of numbers', call('append', zeros(15 * MiB)), 'more than 765,367 values', 1.5 * MiB],
    [
      '16 MiB of names',
      call('append', `{${'"a":0,'.repeat(2 * MiB)}"b":0}`),
      'where a name counts for three',
      1.5 * MiB,
    ],
    ['many values of another call', call('erase', zeros(3 * MiB)), 'only append, appendCopy, execute may', 5 * CHUNK],
    [
      '16 MiB of another call',
      call('log', `{"id":"${'x'.repeat(15 * MiB)}"}`),
      'longer than 4 MiB: only append',
      4 * MiB + CHUNK,
    ],
    ['16 MiB of no call', 'x'.repeat(16 * MiB), 'with "id" and "call" before "params"', 4 * MiB + CHUNK],
    [
      '16 MiB with the parameters first',
      `{"params":{"id":"${'x'.repeat(15 * MiB)}"},"id":1,"call":"append"}`,
      'longer than 4 MiB: only append, appendCopy, execute may have more, with "id" and "call" before "params"',
      4 * MiB + CHUNK,
    ],
    ['more than 16 MiB', call('append', `"${'x'.repeat(17 * MiB)}"`), 'longer than 16 MiB', 16 * MiB + CHUNK],
  ])('%s', (_, line, problem, bytes) => {
    const refused = read(line)
    expect(refused.problem).toContain(problem)
    expect(refused.bytes).toBeLessThanOrEqual(bytes)
  })

  test('a long one that names two calls', () => {
    const line = `{"id":1,"call":"append","params":"${'x'.repeat(5 * MiB)}","call":"log"}`
    expect(read(line).problem).toContain('names two calls')
  })
})

describe('is taken:', () => {
  const data = (text: string) => call('append', `{"id":"a","events":[{"type":"A","data":${text}}]}`)

  test.each<[what: string, line: string]>([
    ['data of 64 levels', data(`{"a":${nested(63)}}`)],
    ['the same in a long line', data(`{"t":"${'x'.repeat(MiB / 2)}","a":${nested(63)}}`)],
    ['an event of as many numbers as it can hold', data(`{"a":${zeros(DATA_BYTES_MAX - 10)}}`)],
    ['an event of as many objects as it can hold', data(`{"a":[${'{"":0},'.repeat(DATA_BYTES_MAX / 7 - 3)}0]}`)],
    ['brackets, commas and quotes in a text', data(`{"a":"${'[{,:\\\\\\"'.repeat(MiB)}"}`)],
    ['16 MiB with the id left to the end', `{"call":"append","params":"${'x'.repeat(15 * MiB)}","id":1}`],
    ['4 MiB with the parameters first', `{"params":"${'x'.repeat(4 * MiB - 100)}","id":1,"call":"log"}`],
  ])('%s', (_, line) => {
    expect(read(line).message).toEqual(JSON.parse(line))
  })

  test('whatever the pieces in which it comes', () => {
    const line = data(`{"a":"${'\\\\\\"[{'.repeat(2_000)}","b":${nested(60)},"ü":[${'"\\\\",'.repeat(2_000)}0]}`)
    for (const chunk of [1, 2, 3, 7, 4_095, 4_096, 4_097]) expect(read(line, chunk).message).toEqual(JSON.parse(line))
  })
})
