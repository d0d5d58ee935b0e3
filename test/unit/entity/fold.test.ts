import { describe, expect, test } from 'vitest'
import { type AnyEntityDefinition, defineEntity, definitionOf } from '../../../src/entity/define-entity.ts'
import { document } from '../../../src/entity/document.ts'
import type { RecordedEvent } from '../../../src/entity/event.ts'
import { deepFreeze, evolve, initialState } from '../../../src/entity/fold.ts'
import { anything, type } from '../../../src/entity/schema.ts'
import { isKumaError, KumaError } from '../../../src/errors.ts'

const Lamp = defineEntity({
  type: 'lamp',
  initial: (id) => ({ id, watts: 0, room: '' }),
  events: { Dimmed: type<{ watts: number }>() },
}).evolve({ Dimmed: (lamp, { watts }, { version }) => ({ ...lamp, watts: watts * version }) })

function recorded(type: string, data: RecordedEvent['data'] = {}, version = 1): RecordedEvent {
  return { type, data, entity: 'l1', entityType: 'lamp', version, position: '000:1', at: 0, meta: {} }
}

/** A definition whose one event, `Broke`, is answered as told. */
function answering(answer: () => unknown): AnyEntityDefinition {
  return defineEntity({ type: 'odd', initial: {}, events: { Broke: anything } }).evolve({ Broke: answer as never })
}

function failure(run: () => unknown): KumaError<'KUMA_MODEL_FAILED'> {
  try {
    run()
  } catch (error) {
    if (isKumaError(error, 'KUMA_MODEL_FAILED')) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('initialState', () => {
  test('is the object given, or what the function makes of the id', () => {
    expect(initialState(definitionOf(document), 'd1')).toEqual({})
    expect(initialState(definitionOf(Lamp), 'l7')).toEqual({ id: 'l7', watts: 0, room: '' })
  })

  test('reports a function that throws', () => {
    const Odd = defineEntity({
      type: 'odd',
      initial: (id): { id: string } => {
        throw new Error(`no ${id}`)
      },
      events: {},
    }).evolve({})
    const error = failure(() => initialState(definitionOf(Odd), 'o1'))
    expect(error.message).toContain('threw: no o1')
    expect(error.details).toEqual({ entity: 'o1', type: 'initial', version: 0 })
  })
})

describe('evolve', () => {
  test('gives the handler the state, the data and the event', () => {
    const state = evolve(definitionOf(Lamp), { id: 'l1', watts: 1, room: 'attic' }, recorded('Dimmed', { watts: 5 }, 3))
    expect(state).toEqual({ id: 'l1', watts: 15, room: 'attic' })
  })

  test('lays the data of `Created` over the state, unless there is a handler for it', () => {
    const before = { id: 'l1', watts: 0, room: '' }
    expect(evolve(definitionOf(Lamp), before, recorded('Created', { room: 'hall' }))).toEqual({
      ...before,
      room: 'hall',
    })
    expect(before.room).toBe('')

    const Own = defineEntity({ type: 'own', initial: { seen: '' }, events: { Created: type<{ by: string }>() } })
    const handled = definitionOf(Own.evolve({ Created: (_, { by }) => ({ seen: by }) }))
    expect(evolve(handled, { seen: '' }, recorded('Created', { by: 'ann' }))).toEqual({ seen: 'ann' })
  })

  test('reports an event that the definition no longer knows', () => {
    const error = failure(() => evolve(definitionOf(Lamp), {}, recorded('Smashed', {}, 4)))
    expect(error.details).toEqual({ entity: 'l1', type: 'Smashed', version: 4 })
    expect(error.message).toBe(
      'the model of "lamp" failed on Smashed (version 4 of l1): it has no evolve handler for it',
    )
  })

  test('reports a handler that throws, with what it threw', () => {
    const cause = new TypeError('lines is undefined')
    const throwing = answering(() => {
      throw cause
    })
    const error = failure(() => evolve(definitionOf(throwing), {}, recorded('Broke')))
    expect(error.message).toContain('threw: lines is undefined')
    expect(error.cause).toBe(cause)
    expect(error.hint).toContain('evolve')
  })

  test('lets an error of Kuma through as it is', () => {
    const cause = new KumaError('KUMA_USAGE', 'no', {})
    const throwing = answering(() => {
      throw cause
    })
    expect(() => evolve(definitionOf(throwing), {}, recorded('Broke'))).toThrow(cause)
  })

  test.each([
    ['undefined', undefined, 'returned undefined instead of a state'],
    ['null', null, 'returned null instead of a state'],
    ['a number', 7, 'returned number instead of a state'],
    ['a promise', Promise.resolve({}), 'returned a promise'],
  ])('reports a handler that returns %s', (_, answer, problem) => {
    const odd = definitionOf(answering(() => answer))
    expect(failure(() => evolve(odd, {}, recorded('Broke'))).message).toContain(problem)
  })

  test('a promise that fails later does not end the process', async () => {
    const odd = definitionOf(answering(() => Promise.reject(new Error('later'))))
    failure(() => evolve(odd, {}, recorded('Broke')))
    await new Promise(setImmediate)
  })

  test('reports a handler that writes to the first state, which all entities share', () => {
    const Sloppy = defineEntity({
      type: 'sloppy',
      initial: { items: [] as number[] },
      events: { Added: anything },
    }).evolve({
      Added: (state) => {
        ;(state.items as number[]).push(1) // what plain JavaScript may do
        return state
      },
    })
    const definition = definitionOf(Sloppy)
    const created = evolve(definition, initialState(definition, 'a'), recorded('Created'))
    failure(() => evolve(definition, created, recorded('Added', {}, 2)))
    expect(initialState(definition, 'b')).toEqual({ items: [] })
  })
})

describe('deepFreeze', () => {
  test('freezes every part', () => {
    const state = deepFreeze({ a: { b: [{ c: 1 }] } })
    expect(() => {
      state.a.b[0]!.c = 2
    }).toThrow(TypeError)
    expect(() => state.a.b.push({ c: 2 })).toThrow(TypeError)
    expect(state).toEqual({ a: { b: [{ c: 1 }] } })
  })

  test('gives back the value itself', () => {
    const state = {}
    expect(deepFreeze(state)).toBe(state)
    expect(deepFreeze('text')).toBe('text')
    expect(deepFreeze(null)).toBeNull()
  })

  test('freezes the new parts of a version whose old parts are frozen', () => {
    const first = deepFreeze({ lines: [{ n: 1 }] })
    const second = deepFreeze({ lines: [...first.lines, { n: 2 }] })
    expect(second.lines.every((line) => Object.isFrozen(line))).toBe(true)
  })

  test('survives a circle, and bytes, which cannot be frozen', () => {
    const circle: { self?: unknown; bytes: Uint8Array } = { bytes: new Uint8Array([1]) }
    circle.self = circle
    expect(Object.isFrozen(deepFreeze(circle))).toBe(true)
  })
})
