import { describe, expect, test } from 'vitest'
import { defineEntity, definitionOf } from '../../../src/entity/define-entity.ts'
import type { RecordedEvent } from '../../../src/entity/event.ts'
import { type } from '../../../src/entity/schema.ts'
import { type StoredEvent, upcast } from '../../../src/entity/upcast.ts'
import { KumaError } from '../../../src/errors.ts'

const Meter = defineEntity({
  type: 'meter',
  initial: { wattHours: 0 },
  events: { Read: type<{ wattHours: number }>(), Reset: type<{ why?: string }>() },
}).evolve({
  Read: (_, { wattHours }) => ({ wattHours }),
  Reset: () => ({ wattHours: 0 }),
})

const Upcasting = Meter.upcast({
  Read: ({ data }) => ({ type: 'Read', data: 'kwh' in data ? { wattHours: data.kwh * 1000 } : data }),
  Zeroed: ({ meta }) => ({ type: 'Reset', data: meta.reason === undefined ? {} : { why: meta.reason } }),
  Created: ({ data }) => ({ type: 'Created', data: { wattHours: data.start } }),
})

function recorded(type: string, data: RecordedEvent['data'] = {}): RecordedEvent {
  const meta = { by: 'ann', reason: 'moved' }
  return { type, data, entity: 'm1', entityType: 'meter', version: 3, position: '004:17', at: 99, meta }
}

/** A definition that makes of `Old` what it is told. */
function answering(answer: (event: StoredEvent) => unknown) {
  return definitionOf(Meter.upcast({ Old: answer as never }))
}

describe('upcast', () => {
  test.each([
    ['shape', recorded('Read', { kwh: 2 }), { type: 'Read', data: { wattHours: 2000 } }],
    ['name', recorded('Zeroed'), { type: 'Reset', data: { why: 'moved' } }],
    ['first state', recorded('Created', { start: 5 }), { type: 'Created', data: { wattHours: 5 } }],
  ])('gives an event of another %s as it is today, in its old place', (_, event, today) => {
    const before = structuredClone(event)
    expect(upcast(definitionOf(Upcasting), event)).toEqual({ ...event, ...today })
    expect(event).toEqual(before)
  })

  test('gives back the very event if its type has no upcaster', () => {
    for (const event of [recorded('Reset'), recorded('constructor')]) {
      expect(upcast(definitionOf(Upcasting), event)).toBe(event)
    }
    const event = recorded('Read')
    expect(upcast(definitionOf(Meter), event)).toBe(event)
  })

  test('shows the event as it stands on disk, and nothing else', () => {
    let seen: unknown
    const definition = answering((event) => {
      seen = event
      return { type: 'Reset', data: {} }
    })
    upcast(definition, recorded('Old', { a: 1 }))
    const meta = { by: 'ann', reason: 'moved' }
    expect(seen).toEqual({ type: 'Old', data: { a: 1 }, entity: 'm1', version: 3, at: 99, meta })
  })

  test('an event without data has none of its fields', () => {
    expect(
      upcast(
        answering(() => ({ type: 'Reset' })),
        recorded('Old', { a: 1 }),
      ).data,
    ).toEqual({})
  })

  test('takes one step: what comes of it is not upcast again', () => {
    const chained = definitionOf(
      Meter.upcast({
        Old: () => ({ type: 'Read', data: { wattHours: 1 } }),
        Read: () => ({ type: 'Reset', data: {} }),
      }),
    )
    expect(upcast(chained, recorded('Old'))).toMatchObject({ type: 'Read', data: { wattHours: 1 } })
  })
})

describe('an upcaster fails the model', () => {
  test.each([
    ['undefined', undefined, 'it returned undefined instead of an event'],
    ['null', null, 'it returned null instead of an event'],
    ['text', 'Reset', 'it returned string instead of an event'],
    ['no type', { data: {} }, 'it returned something without a `type` instead of an event'],
    ['a list', [{ type: 'Reset' }], 'it returned something without a `type` instead of an event'],
    ['data of null', { type: 'Reset', data: null }, 'it returned Reset with null as its data instead of an object'],
    [
      'data that is a list',
      { type: 'Reset', data: [] },
      'it returned Reset with an array as its data instead of an object',
    ],
    ['another event', { type: 'Rest' }, 'it returned Rest, an event that the definition does not know'],
    ['an inherited name', { type: 'toString' }, 'it returned toString, an event that the definition does not know'],
  ])('by returning %s', (_, answer, problem) => {
    const run = () =>
      upcast(
        answering(() => answer),
        recorded('Old'),
      )
    expect(run).toThrow(
      expect.objectContaining({
        code: 'KUMA_MODEL_FAILED',
        message: `the model of "meter" failed on Old (version 3 of m1): ${problem}`,
        details: { entity: 'm1', type: 'Old', version: 3 },
        hint: expect.stringContaining('upcast'),
      }),
    )
  })

  test.each([
    ['succeeds', async () => ({ type: 'Reset' })],
    ['fails', async () => Promise.reject(new Error('later'))],
  ])('by returning a promise that %s, and the process goes on', async (_, answer) => {
    expect(() => upcast(answering(answer), recorded('Old'))).toThrow('it returned a promise: upcast is synchronous')
    await new Promise(setImmediate)
  })

  test('by throwing', () => {
    const cause = new TypeError('kwh is undefined')
    const throwing = (error: Error) =>
      answering(() => {
        throw error
      })
    expect(() => upcast(throwing(cause), recorded('Old'))).toThrow(
      expect.objectContaining({ code: 'KUMA_MODEL_FAILED', message: expect.stringContaining('threw: kwh'), cause }),
    )
    const own = new KumaError('KUMA_USAGE', 'no', {})
    expect(() => upcast(throwing(own), recorded('Old'))).toThrow(own)
  })
})
