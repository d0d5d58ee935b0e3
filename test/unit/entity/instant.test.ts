import { describe, expect, test } from 'vitest'
import { instantOf, parseRfc3339 } from '../../../src/entity/instant.ts'

const INVALID = (message: RegExp) =>
  expect.objectContaining({ code: 'KUMA_INVALID_DATA', message: expect.stringMatching(message) })

describe('a time in data', () => {
  test.each([
    [1_793_500_000_000, '2026-11-01T02:26:40.000Z'],
    ['1793500000000', '2026-11-01T02:26:40.000Z'],
    [-1_793_500_000_000, '1913-03-02T21:33:20.000Z'],
    ['2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['2026-11-01T09:30+02:00', '2026-11-01T07:30:00.000Z'],
    ['1969-07-20T20:17:40Z', '1969-07-20T20:17:40.000Z'],
  ])('%j is %s', (value, iso) => {
    expect(new Date(instantOf(value, 'at')).toISOString()).toBe(iso)
  })

  test.each([1_700_000_000, '1700000000', 1_700_000_000.25, 0, 5, -1_700_000_000])('%j looks like seconds', (value) => {
    expect(() => instantOf(value, 'at')).toThrow(INVALID(/at is .*seconds since 1970/))
  })

  test('what looks like seconds is told both ways to write it', () => {
    const hint = expect.stringMatching(/1700000000000 would be 2023-11-14T22:13:20.000Z.*"1970-01-20T16:13:20.000Z"/)
    expect(() => instantOf(1_700_000_000, 'at')).toThrow(expect.objectContaining({ hint }))
  })

  test.each(['now', ' Today ', 'yesterday', '2h ago', '2 hours ago', '-2h', '2h'])(
    '%j means another each time',
    (value) => {
      expect(() => instantOf(value, 'at')).toThrow(INVALID(/at is .*another time whenever it is read/))
    },
  )

  test.each([
    ['soon', /cannot read/],
    ['2026-02-31', /at is no time/],
    [true, /must be a time/],
    [null, /must be a time/],
  ])('%j is none', (value, message) => {
    expect(() => instantOf(value, 'at')).toThrow(INVALID(message))
  })
})

describe('RFC 3339', () => {
  test.each([
    ['2026-11-01T09:30:15Z', '2026-11-01T09:30:15.000Z'],
    ['2026-11-01t09:30:15z', '2026-11-01T09:30:15.000Z'],
    ['2026-11-01 09:30:15Z', '2026-11-01T09:30:15.000Z'],
    ['2026-11-01T09:30:15.123456789012Z', '2026-11-01T09:30:15.123Z'],
    ['2026-11-01T09:30:15.5+02:00', '2026-11-01T07:30:15.500Z'],
    ['2026-11-01T09:30:15-00:00', '2026-11-01T09:30:15.000Z'],
    ['0000-01-01T00:00:00Z', '0000-01-01T00:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59.000Z'],
    ['2016-12-31T23:59:60.25Z', '2016-12-31T23:59:59.250Z'],
    ['1990-12-31T15:59:60-08:00', '1990-12-31T23:59:59.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(new Date(parseRfc3339(text, 'time')).toISOString()).toBe(iso)
  })

  test.each([
    '2026-11-01',
    '2026-11-01T09:30Z',
    '2026-11-01T09:30:15',
    '2026-11-01T09:30:15+0200',
    '2026-11-01T09:30:15+24:00',
    '2026-11-01T09:30:15+02:60',
    '2026-11-01T24:00:00Z',
    '2026-11-01T12:30:60Z',
    '2016-12-31T23:59:60+02:00',
    '2016-12-31T23:59:61Z',
    '2026-02-31T00:00:00Z',
    'now',
    '1793500000000',
    '',
    1_793_500_000_000,
  ])('%j is none', (text) => {
    expect(() => parseRfc3339(text, 'time')).toThrow(
      INVALID(/time (?:is no time of RFC 3339|is a time that|has a zone)/),
    )
  })
})
