import { type as ark } from 'arktype'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { anything, isUnion, type Schema, type, undeclared, union, validate } from '../../../src/entity/schema.ts'
import { isKumaError, type KumaError } from '../../../src/errors.ts'

function refusal(schema: Schema, data: unknown): KumaError<'KUMA_INVALID_EVENT'> {
  try {
    validate(schema, 'Moved', data)
  } catch (error) {
    if (isKumaError(error, 'KUMA_INVALID_EVENT')) return error
    throw error
  }
  throw new Error('it was accepted')
}

function custom(answer: (data: unknown) => unknown): Schema {
  return { '~standard': { version: 1, vendor: 'test', validate: answer as never } }
}

describe('type', () => {
  test('takes anything as it is: it exists for the compiler', () => {
    const data = { x: 'not a number' }
    expect(validate(type<{ x: number }>(), 'Moved', data)).toBe(data)
    expect(validate(type<{ x: number }>(), 'Moved', undefined)).toBeUndefined()
  })
})

describe('union', () => {
  test('has no names at run time', () => {
    expect(Object.keys(union<{ type: 'Moved'; data: { x: number } }>())).toEqual([])
  })

  test('is known as one, also with schemas beside it', () => {
    expect(isUnion(union())).toBe(true)
    expect(isUnion({ ...union<{ type: 'Moved' }>(), Turned: anything })).toBe(true)
    expect(isUnion({})).toBe(false)
  })
})

describe('validate', () => {
  test.each([
    ['zod', z.object({ x: z.coerce.number(), unit: z.string().default('cm') })],
    ['valibot', v.object({ x: v.pipe(v.unknown(), v.transform(Number)), unit: v.optional(v.string(), 'cm') })],
    ['arktype', ark({ x: 'string.numeric.parse', unit: 'string = "cm"' })],
  ])('gives what %s makes of the data: defaults filled in, values coerced', (_, schema) => {
    expect(validate(schema as Schema, 'Moved', { x: '5' })).toEqual({ x: 5, unit: 'cm' })
  })

  test.each([
    ['zod', z.object({ to: z.object({ x: z.number() }), who: z.string() })],
    ['valibot', v.object({ to: v.object({ x: v.number() }), who: v.string() })],
    ['arktype', ark({ to: { x: 'number' }, who: 'string' })],
  ])('tells the issues that %s found as plain JSON, with their paths', (_, schema) => {
    const { details, message } = refusal(schema as Schema, { to: { x: 'far' }, who: 7 })
    const paths = details.issues.map(({ path }) => path)
    expect(paths).toHaveLength(2)
    expect(paths).toEqual(expect.arrayContaining([['to', 'x'], ['who']]))
    expect(details.type).toBe('Moved')
    expect(JSON.parse(JSON.stringify(details))).toEqual(details)
    expect(Object.getPrototypeOf(details.issues)).toBe(Array.prototype)
    expect(message).toMatch(/^Moved is not valid at \.(to\.x|who): ./)
  })

  test('reads the paths that Standard Schema allows', () => {
    const path = [{ key: 'a' }, 0, Symbol('s'), { key: Symbol('t') }]
    const { details } = refusal(
      custom(() => ({ issues: [{ message: 'no', path }] })),
      {},
    )
    expect(details.issues[0]?.path).toEqual(['a', 0, 'Symbol(s)', 'Symbol(t)'])
  })

  test('says so if no reason was given', () => {
    expect(
      refusal(
        custom(() => ({ issues: [] })),
        {},
      ).message,
    ).toBe('Moved is not valid: no reason given')
  })

  test('refuses an asynchronous validator, whatever it would have said', async () => {
    const zod = z.object({ x: z.number().refine(async () => true) })
    expect(refusal(zod, { x: 1 }).message).toContain('an asynchronous validator cannot be used')
    // a rejection that nobody handles would end the process
    refusal(
      custom(() => Promise.reject(new Error('later'))),
      {},
    )
    // biome-ignore lint/suspicious/noThenProperty: a promise of another library
    const foreign = { then: (_: unknown, failed: (error: Error) => void) => failed(new Error('later')) }
    refusal(
      custom(() => foreign),
      {},
    )
    await new Promise(setImmediate)
  })

  test('reports a validator that throws, with what it threw', () => {
    const cause = new Error('no such table')
    const error = refusal(
      custom(() => {
        throw cause
      }),
      {},
    )
    expect(error.message).toBe('Moved is not valid: the validator threw: no such table')
    expect(error.cause).toBe(cause)
  })
})

describe('of a command', () => {
  test('validate tells what is wrong in a code of its own', () => {
    const run = () => validate(z.object({ x: z.number() }), 'Move', { x: 'far' }, 'command')
    expect(run).toThrow(
      expect.objectContaining({
        code: 'KUMA_INVALID_COMMAND',
        message: expect.stringMatching(/^Move is not valid at \.x: ./),
        details: { command: 'Move', issues: [{ message: expect.any(String), path: ['x'] }] },
      }),
    )
    const later = custom(async () => ({ value: {} }))
    expect(() => validate(later, 'Move', {}, 'command')).toThrow('commands are validated in order')
  })
})

describe('undeclared', () => {
  test('suggests the name that was meant, else names them all', () => {
    expect(undeclared('event', 'cart', 'Movd', ['Moved', 'Turned'])).toMatchObject({
      code: 'KUMA_INVALID_EVENT',
      message: '"cart" has no event "Movd"',
      hint: 'did you mean Moved?',
      details: { type: 'Movd', issues: [{ message: '"cart" has no event "Movd"' }] },
    })
    expect(undeclared('command', 'cart', 'Buy', ['Move', 'Turn'])).toMatchObject({
      code: 'KUMA_INVALID_COMMAND',
      message: '"cart" has no command "Buy"',
      hint: 'it has Move, Turn',
      details: { command: 'Buy' },
    })
    expect(undeclared('command', 'cart', 'Buy', []).hint).toBe('it has none')
  })
})
