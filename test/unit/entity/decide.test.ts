import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { checkCommand, type Deciding, decide } from '../../../src/entity/decide.ts'
import { defineEntity, definitionOf } from '../../../src/entity/define-entity.ts'
import { anything, type, union } from '../../../src/entity/schema.ts'
import { isKumaError, KumaError, type KumaErrorCode } from '../../../src/errors.ts'

const about: Deciding = { id: 'kettle_1', version: 4, now: 1_700_000_000_000, meta: { by: 'ann' } }

/** A kettle whose one command, `Heat`, is decided as told. */
function kettle(decider: (...given: never) => unknown, Heat = anything) {
  const shape = { type: 'kettle', initial: { litres: 1 }, events: { Heated: anything }, commands: { Heat } }
  return definitionOf(
    defineEntity(shape)
      .evolve({ Heated: (state) => state })
      .decide({ Heat: decider as never }),
  )
}

function deciding(decider: (...given: never) => unknown, state: unknown = {}) {
  const definition = kettle(decider)
  return decide(definition, checkCommand(definition, { type: 'Heat' }), state, about)
}

function throwing(error: unknown): () => never {
  return () => {
    throw error
  }
}

/** What is wrong, whether it is thrown or a rejection. */
async function failure<C extends KumaErrorCode>(code: C, run: () => unknown): Promise<KumaError<C>> {
  try {
    await run()
  } catch (error) {
    if (isKumaError(error, code)) return error as KumaError<C>
    throw error
  }
  throw new Error('it did not fail')
}

describe('checkCommand', () => {
  test('gives what the schema makes of the data: defaults filled in, values coerced', () => {
    const schema = z.object({ celsius: z.coerce.number(), fast: z.boolean().default(false) })
    const checked = checkCommand(
      kettle(() => undefined, schema),
      { type: 'Heat', data: { celsius: '90' } },
    )
    expect(checked).toMatchObject({ type: 'Heat', data: { celsius: 90, fast: false } })
  })

  test('takes a command without data as one with none of its fields', () => {
    expect(
      checkCommand(
        kettle(() => undefined),
        { type: 'Heat' },
      ).data,
    ).toEqual({})
  })

  test('tells the issues that the schema found', async () => {
    const definition = kettle(() => undefined, z.object({ celsius: z.number() }))
    const error = await failure('KUMA_INVALID_COMMAND', () => checkCommand(definition, { type: 'Heat', data: {} }))
    expect(error.details).toMatchObject({ command: 'Heat', issues: [{ path: ['celsius'] }] })
  })

  test('knows no other command, and suggests what was meant', async () => {
    const definition = kettle(() => undefined)
    const error = await failure('KUMA_INVALID_COMMAND', () => checkCommand(definition, { type: 'Haet' }))
    expect(error).toMatchObject({ message: '"kettle" has no command "Haet"', hint: 'did you mean Heat?' })
    for (const name of ['constructor', '__proto__']) {
      await failure('KUMA_INVALID_COMMAND', () => checkCommand(definition, { type: name }))
    }
    await failure('KUMA_INVALID_ID', () => checkCommand(definition, { type: 7 as never }))
  })

  test.each([
    ['a schema', { Heat: anything }],
    ['a union', union<{ type: 'Heat' }>()],
  ])('a command declared by %s that nobody decides says so', async (_, commands) => {
    const shape = { type: 'kettle', initial: {}, events: {}, commands }
    const definition = definitionOf(defineEntity(shape).evolve({}))
    const error = await failure('KUMA_INVALID_COMMAND', () => checkCommand(definition, { type: 'Heat' }))
    expect(error.message).toBe('"kettle" declares the command Heat, but does not decide it')
    expect(error.hint).toContain('.decide')
  })
})

describe('decide', () => {
  test('gives the handler the state, the data and what it is about', () => {
    const seen: unknown[] = []
    const definition = kettle((...given: unknown[]) => void seen.push(...given))
    decide(definition, checkCommand(definition, { type: 'Heat', data: { celsius: 90 } }), { litres: 2 }, about)
    expect(seen).toEqual([{ litres: 2 }, { celsius: 90 }, about])
  })

  test('makes a list of whatever was decided', () => {
    const heated = { type: 'Heated', data: { celsius: 90 }, meta: { reason: 'tea' } }
    expect(deciding(() => undefined)).toEqual([])
    expect(deciding(() => [])).toEqual([])
    expect(deciding(() => heated)).toEqual([heated])
    expect(deciding(() => [heated, { type: 'Heated' }])).toEqual([heated, { type: 'Heated' }])
  })

  test('answers at once if the handler did, and later if it did not', async () => {
    expect(deciding(() => ({ type: 'Heated' }))).toBeInstanceOf(Array)
    const later = deciding(async () => ({ type: 'Heated' }))
    expect(later).toBeInstanceOf(Promise)
    expect(await later).toEqual([{ type: 'Heated' }])
    // biome-ignore lint/suspicious/noThenProperty: a promise of another library
    const foreign = { then: (done: (value: unknown) => void) => done([{ type: 'Heated' }]) }
    expect(await deciding(() => foreign)).toEqual([{ type: 'Heated' }])
  })

  test('leaves the handler no way to change the state', async () => {
    const state = { litres: 2, log: [{ at: 1 }] }
    const change = (given: typeof state) => {
      given.log[0]!.at = 2
    }
    const error = await failure('KUMA_REJECTED', () => deciding(change, state))
    expect(error.cause).toBeInstanceOf(TypeError)
    expect(state).toEqual({ litres: 2, log: [{ at: 1 }] })
  })

  test.each([
    ['throws', (error: unknown) => throwing(error)],
    ['rejects', (error: unknown) => () => Promise.reject(error)],
  ])('a handler that %s rejects the command', async (_, handler) => {
    const cause = new RangeError('it is full')
    const error = await failure('KUMA_REJECTED', () => deciding(handler(cause)))
    expect(error.message).toBe('Heat on kettle_1 was rejected: it is full')
    expect(error.details).toEqual({ command: 'Heat', reason: 'it is full' })
    expect(error.cause).toBe(cause)
    expect(error.hint).toContain('nothing was recorded')
  })

  test.each([
    ['an error of Kuma', new KumaError('KUMA_CONFLICT', 'no', { entity: 'x', expected: 1, actual: 2 }), 'no'],
    ['an error without a message', new TypeError(), 'TypeError'],
    ['text', 'not now', 'not now'],
    ['undefined', undefined, 'undefined'],
  ])('so does one that throws %s', async (_, cause, reason) => {
    const error = await failure('KUMA_REJECTED', () => deciding(throwing(cause)))
    expect(error.details.reason).toBe(reason)
    expect(error.cause).toBe(cause)
  })

  test.each([
    ['null', null, 'it decided on null, which is no event'],
    ['a number', 7, 'it decided on number, which is no event'],
    ['text', 'Heated', 'it decided on string, which is no event'],
    ['something without a type', { data: {} }, 'it decided on an object without a `type`, which is no event'],
    ['a type that is no text', { type: 7 }, 'it decided on an object without a `type`, which is no event'],
    [
      'a list with a hole',
      [{ type: 'Heated' }, undefined],
      'it decided on a list with undefined at [1], which is no event',
    ],
    ['a list in a list', [[{ type: 'Heated' }]], 'it decided on a list with an array at [0], which is no event'],
  ])('a handler that returns %s is a failure of the model', async (_, answer, problem) => {
    for (const handler of [() => answer, async () => answer]) {
      const error = await failure('KUMA_MODEL_FAILED', () => deciding(handler))
      expect(error.message).toBe(`the model of "kettle" failed on Heat (version 4 of kettle_1): ${problem}`)
      expect(error.details).toEqual({ entity: 'kettle_1', type: 'Heat', version: 4 })
      expect(error.hint).toContain('decide')
    }
  })
})

test('a bare type checks nothing at run time', () => {
  const definition = kettle(() => undefined, type<{ celsius: number }>())
  expect(checkCommand(definition, { type: 'Heat', data: { celsius: 'hot' } }).data).toEqual({ celsius: 'hot' })
})
