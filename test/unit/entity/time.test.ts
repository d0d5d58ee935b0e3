import { describe, expect, test } from 'vitest'
import { parsePoint, parseTime, resolvePoint } from '../../../src/entity/time.ts'
import { isKumaError, type KumaError } from '../../../src/errors.ts'

const NOW = Date.parse('2026-11-05T14:30:15.250Z')
const HOUR = 3_600_000

function refusal(run: () => unknown): KumaError<'KUMA_INVALID_POINT'> {
  try {
    run()
  } catch (error) {
    if (isKumaError(error, 'KUMA_INVALID_POINT')) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('parseTime', () => {
  test.each([
    ['2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['2026-11', '2026-11-01T00:00:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['2026-11-01T09:30', '2026-11-01T09:30:00.000Z'],
    ['2026-11-01 09:30', '2026-11-01T09:30:00.000Z'],
    ['2026-11-01T09:30:15', '2026-11-01T09:30:15.000Z'],
    ['2026-11-01T09:30:15.25', '2026-11-01T09:30:15.250Z'],
    ['2026-11-01T09:30:15.123456789Z', '2026-11-01T09:30:15.123Z'],
    ['2026-11-01T09:30Z', '2026-11-01T09:30:00.000Z'],
    ['2026-11-01t09:30z', '2026-11-01T09:30:00.000Z'],
    ['2026-11-01T09:30+02:00', '2026-11-01T07:30:00.000Z'],
    ['2026-11-01T09:30-0530', '2026-11-01T15:00:00.000Z'],
    ['2026-11-01T00:30+02:00', '2026-10-31T22:30:00.000Z'],
    ['1969-07-20', '1969-07-20T00:00:00.000Z'],
    ['now', '2026-11-05T14:30:15.250Z'],
    ['NOW', '2026-11-05T14:30:15.250Z'],
    ['today', '2026-11-05T00:00:00.000Z'],
    ['yesterday', '2026-11-04T00:00:00.000Z'],
    [' yesterday ', '2026-11-04T00:00:00.000Z'],
    ['30s ago', '2026-11-05T14:29:45.250Z'],
    ['-15m', '2026-11-05T14:15:15.250Z'],
    ['2h ago', '2026-11-05T12:30:15.250Z'],
    ['2 hours ago', '2026-11-05T12:30:15.250Z'],
    ['120 mins ago', '2026-11-05T12:30:15.250Z'],
    ['2 h ago', '2026-11-05T12:30:15.250Z'],
    ['2h', '2026-11-05T12:30:15.250Z'],
    ['2 hours', '2026-11-05T12:30:15.250Z'],
    ['-2h', '2026-11-05T12:30:15.250Z'],
    ['-2H', '2026-11-05T12:30:15.250Z'],
    ['1d ago', '2026-11-04T14:30:15.250Z'],
    ['-1w', '2026-10-29T14:30:15.250Z'],
    ['1793500000000', '2026-11-01T02:26:40.000Z'],
    ['100000000000', '1973-03-03T09:46:40.000Z'],
  ])('%j is %s', (text, iso) => {
    expect(new Date(parseTime(text, NOW)).toISOString()).toBe(iso)
  })

  test('does not depend on the zone of the machine', () => {
    const zone = process.env['TZ']
    try {
      for (const name of ['America/New_York', 'Asia/Kolkata']) {
        process.env['TZ'] = name
        expect(new Date(2026, 0).getTimezoneOffset()).not.toBe(0) // the zone took effect
        expect(parseTime('2026-11-01', NOW)).toBe(Date.UTC(2026, 10, 1))
        expect(parseTime('2026-11-01T09:30', NOW)).toBe(Date.UTC(2026, 10, 1, 9, 30))
        expect(parseTime('today', NOW)).toBe(Date.UTC(2026, 10, 5))
      }
    } finally {
      if (zone === undefined) delete process.env['TZ']
      else process.env['TZ'] = zone
    }
  })

  test('takes now for now', () => {
    const before = Date.now()
    const now = parseTime('now')
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now())
    expect(parseTime('-1h') + HOUR).toBeGreaterThanOrEqual(before)
  })

  test.each([
    ['2026-02-31', 'there is no such date'],
    ['2025-02-29', 'there is no such date'],
    ['2026-13', 'there is no such date'],
    ['2026-13-01', 'there is no such date'],
    ['2026-11-01T25:00', 'there is no such date'],
    ['2026-11-01T09:60', 'there is no such date'],
    ['2026-11-01T09:30+99:00', 'there is no such date'],
    ['-999999999w', 'this is earlier than any date'],
    ['99999999999999999', 'this is later than any date'],
  ])('%j: %s', (text, hint) => {
    expect(refusal(() => parseTime(text, NOW)).hint).toBe(hint)
  })

  test.each([
    '',
    'tomorrow',
    'ago',
    '2y ago',
    '2h  later',
    '1.5h ago',
    '-5',
    '2026',
    '01.11.2026',
    '11/01/2026',
    '2026-11-01T',
    '2026-11-01Z',
    '2026-1-1',
    '2026-11-01T9:30',
  ])('cannot read %j, and says what can be read', (text) => {
    const error = refusal(() => parseTime(text, NOW))
    if (text === '2026') expect(error.hint).toContain('did you mean v2026?')
    else expect(error.hint).toContain("'2h ago'")
    expect(error.details).toEqual({ point: text })
    expect(error.message).toBe(`cannot read the point ${JSON.stringify(text)}`)
  })

  test.each([
    ['3', 'v3'],
    ['0', 'v0'],
    ['99999999', 'v99999999'],
    ['1793500000', '1793500000000, which is 2026-11-01T02:26:40.000Z'],
    ['99999999999', '99999999999000, which is 5138-11-16T09:46:39.000Z'],
  ])('takes %s for a version or seconds, not for milliseconds', (text, meant) => {
    expect(refusal(() => parseTime(text, NOW)).hint).toBe(
      `did you mean ${meant}? A time in milliseconds has 12 digits or more`,
    )
  })
})

describe('parsePoint', () => {
  test('reads a version, or a time', () => {
    expect(parsePoint('v3')).toEqual({ version: 3 })
    expect(parsePoint(' V12 ')).toEqual({ version: 12 })
    expect(parsePoint('v0')).toEqual({ version: 0 })
    expect(parsePoint('-2h', NOW)).toEqual({ at: NOW - 2 * HOUR })
    expect(parsePoint('2026-11-01', NOW)).toEqual({ at: Date.UTC(2026, 10, 1) })
  })

  test.each(['3', 'v', 'v-1', 'v1.5', 'v1e3', 'version 3', 'v9999999999999999'])('cannot read %j', (text) => {
    refusal(() => parsePoint(text, NOW))
  })
})

describe('resolvePoint', () => {
  test('takes a version, a Date, milliseconds or text', () => {
    expect(resolvePoint({ version: 0 })).toEqual({ version: 0 })
    expect(resolvePoint({ at: new Date(5) })).toEqual({ at: 5 })
    expect(resolvePoint({ at: 1_234.9 })).toEqual({ at: 1_234 })
    expect(resolvePoint({ at: 'yesterday' }, NOW)).toEqual({ at: Date.UTC(2026, 10, 4) })
  })

  test.each([
    ['a negative version', { version: -1 }],
    ['half a version', { version: 1.5 }],
    ['a version that loses digits', { version: 2 ** 53 }],
    ['a version as text', { version: '3' }],
    ['both', { version: 1, at: 0 }],
    ['neither', {}],
    ['a bare number', 3],
    ['an invalid Date', { at: new Date(Number.NaN) }],
    ['NaN', { at: Number.NaN }],
    ['a time beyond all dates', { at: 9e15 }],
    ['null', { at: null }],
  ])('refuses %s', (_, point) => {
    refusal(() => resolvePoint(point as never, NOW))
  })
})
