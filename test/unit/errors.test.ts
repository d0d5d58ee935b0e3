import { describe, expect, test } from 'vitest'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { fromWire, internal, isKumaError, KumaError, toWire } from '../../src/errors.ts'

const conflict = new KumaError(
  'KUMA_CONFLICT',
  'user_1 is at version 3, not 2',
  { entity: 'user_1', expected: 2, actual: 3 },
  { hint: 'read it again' },
)

describe('KumaError', () => {
  test('is an Error that says what went wrong, in which words, and what to do', () => {
    expect(conflict).toBeInstanceOf(Error)
    expect(conflict.name).toBe('KumaError')
    expect(conflict.code).toBe('KUMA_CONFLICT')
    expect(conflict.hint).toBe('read it again')
    expect(conflict.stack).toContain('user_1 is at version 3, not 2')
  })

  test('has its message in JSON too', () => {
    expect(JSON.parse(JSON.stringify({ error: conflict })).error).toEqual({
      name: 'KumaError',
      code: 'KUMA_CONFLICT',
      message: 'user_1 is at version 3, not 2',
      hint: 'read it again',
      details: { entity: 'user_1', expected: 2, actual: 3 },
    })
  })

  test('has no hint and no cause unless given', () => {
    const error = new KumaError('KUMA_USAGE', 'no', {})
    expect(error.hint).toBeNull()
    expect('cause' in error).toBe(false)
    expect(new KumaError('KUMA_USAGE', 'no', {}, { cause: undefined })).toHaveProperty('cause', undefined)
  })
})

describe('isKumaError', () => {
  test('knows the codes asked for', () => {
    expect(isKumaError(conflict)).toBe(true)
    expect(isKumaError(conflict, 'KUMA_CONFLICT')).toBe(true)
    expect(isKumaError(conflict, 'KUMA_LOCKED', 'KUMA_CONFLICT')).toBe(true)
    expect(isKumaError(conflict, 'KUMA_LOCKED')).toBe(false)
  })

  test('knows an error of another copy of the library', () => {
    const other = Object.assign(new Error('no'), { name: 'KumaError', code: 'KUMA_LOCKED', details: {}, hint: null })
    expect(isKumaError(other, 'KUMA_LOCKED')).toBe(true)
  })

  test.each([
    ['another error', Object.assign(new Error('no'), { code: 'ENOENT' })],
    ['an object that looks alike', { name: 'KumaError', code: 'KUMA_CONFLICT' }],
    ['text', 'KUMA_CONFLICT'],
    ['null', null],
    ['undefined', undefined],
  ])('does not take %s for one', (_, value) => {
    expect(isKumaError(value)).toBe(false)
  })
})

describe('on the wire', () => {
  test('an error arrives as it was sent, but for its cause', () => {
    const sent = JSON.parse(JSON.stringify(toWire(conflict)))
    const arrived = fromWire(sent)
    expect(isKumaError(arrived, 'KUMA_CONFLICT')).toBe(true)
    expect(toWire(arrived)).toEqual(toWire(conflict))
    expect(toWire(fromWire(toWire(new KumaError('KUMA_USAGE', 'no', {}))))).toMatchObject({ hint: null })
  })

  test.each([
    ['an error', new TypeError('x is undefined'), 'x is undefined'],
    ['anything thrown', 'oh', 'oh'],
    ['undefined', undefined, 'undefined'],
  ])('%s that is not of Kuma is an internal one', (_, cause, message) => {
    expect(toWire(cause)).toMatchObject({ code: 'KUMA_INTERNAL', message, hint: expect.stringContaining('report') })
    expect(internal(cause).cause).toBe(cause)
  })
})

describe('of a command', () => {
  const issues = [{ message: 'expected a number', path: ['amount'] }]

  test.each([
    ['conflicts with the rules', new KumaError('KUMA_REJECTED', 'no', { command: 'Withdraw', reason: 'no' }), 4],
    ['was not given rightly', new KumaError('KUMA_INVALID_COMMAND', 'no', { command: 'Withdraw', issues }), 2],
    [
      'would make the state too large',
      new KumaError('KUMA_STATE_TOO_LARGE', 'no', { entity: 'a', bytes: 11, max: 10 }),
      2,
    ],
    ['took too long', new KumaError('KUMA_TIMEOUT', 'no', { command: 'Withdraw', timeoutMs: 5 }), 1],
  ])('one that %s tells a script so, and arrives as it was sent', (_, error, exitCode) => {
    expect(exitCodeOf(error)).toBe(exitCode)
    expect(toWire(fromWire(JSON.parse(JSON.stringify(toWire(error)))))).toEqual(toWire(error))
  })
})
