import { describe, expect, test } from 'vitest'
import { asPublic, defineEntity, definitionOf } from '../../../src/entity/define-entity.ts'
import { anything, type, union } from '../../../src/entity/schema.ts'

const Lamp = defineEntity({
  type: 'lamp',
  initial: { on: false },
  events: { Switched: type<{ on: boolean }>() },
}).evolve({ Switched: (lamp, { on }) => ({ ...lamp, on }) })

// as plain JavaScript would call it
const loose = defineEntity as unknown as (shape: unknown) => { evolve(handlers: unknown): typeof Lamp }

describe('a definition', () => {
  test('shows its type, and nothing that could be changed', () => {
    expect(Lamp.type).toBe('lamp')
    expect(Object.keys(Lamp)).toEqual(['type'])
    expect(Object.isFrozen(Lamp)).toBe(true)
  })

  test('knows its events', () => {
    const { schema, handler, initial } = definitionOf(Lamp)
    expect(schema('Switched')).toBeDefined()
    expect(schema('Smashed')).toBeUndefined()
    expect(handler('Switched')?.({ on: false }, { on: true }, {})).toEqual({ on: true })
    expect(handler('Smashed')).toBeUndefined()
    expect(initial).toEqual({ on: false })
  })

  test('knows no events by what every object inherits', () => {
    const { schema, handler } = definitionOf(Lamp)
    for (const name of ['constructor', 'toString', '__proto__']) {
      expect(schema(name)).toBeUndefined()
      expect(handler(name)).toBeUndefined()
    }
  })

  test('may have an event called like something that every object inherits', () => {
    const Odd = defineEntity({ type: 'odd', initial: { built: false }, events: { constructor: anything } })
    const { schema, handler } = definitionOf(Odd.evolve({ constructor: () => ({ built: true }) }))
    expect(schema('constructor')).toBe(anything)
    expect(handler('constructor')?.({}, {}, {})).toEqual({ built: true })
  })

  test('of a union knows the events that have a handler', () => {
    const Door = defineEntity({
      type: 'door',
      initial: { open: false },
      events: union<{ type: 'Opened' } | { type: 'Shut' }>(),
    })
    const { schema } = definitionOf(Door.evolve({ Opened: () => ({ open: true }), Shut: () => ({ open: false }) }))
    expect(schema('Opened')).toBe(anything)
    expect(schema('Locked')).toBeUndefined()
  })

  test('freezes its first state, which all entities share', () => {
    const { initial } = definitionOf(
      defineEntity({ type: 'list', initial: { items: [] as string[] }, events: {} }).evolve({}),
    )
    expect(() => (initial as { items: string[] }).items.push('leak')).toThrow(TypeError)
  })

  test('can be read by another copy of the library', () => {
    const definition = { type: 'x', initial: {}, schema: () => undefined, handler: () => undefined, events: [] }
    const symbol = Symbol.for('kuma.definition')
    expect(definitionOf({ type: 'x', [symbol]: definition } as never)).toBe(definition)
    expect(definitionOf(asPublic(definition))).toBe(definition)
  })
})

describe('what is not a definition is refused', () => {
  test.each([
    ['the first half of one', loose({ type: 'lamp', initial: {}, events: {} })],
    ['an object', { type: 'lamp' }],
    ['text', 'lamp'],
    ['undefined', undefined],
    ['null', null],
  ])('%s', (_, value) => {
    expect(() => definitionOf(value as never)).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_CONFIG', hint: expect.stringContaining('.evolve') }),
    )
  })

  test.each([
    ['without a type', { initial: {}, events: {} }, 'KUMA_INVALID_ID'],
    ['with an empty type', { type: '', initial: {}, events: {} }, 'KUMA_INVALID_ID'],
    ['without `initial`', { type: 'lamp', events: {} }, 'KUMA_INVALID_CONFIG'],
    ['with an `initial` of null', { type: 'lamp', initial: null, events: {} }, 'KUMA_INVALID_CONFIG'],
    ['without events', { type: 'lamp', initial: {} }, 'KUMA_INVALID_CONFIG'],
    ['with an event that is no schema', { type: 'lamp', initial: {}, events: { A: 'string' } }, 'KUMA_INVALID_CONFIG'],
    ['with an event without a name', { type: 'lamp', initial: {}, events: { '': anything } }, 'KUMA_INVALID_ID'],
  ])('a shape %s', (_, shape, code) => {
    expect(() => loose(shape)).toThrow(expect.objectContaining({ code }))
  })

  test.each([[{}], [undefined], [{ A: 'not a function' }]])('an event without a handler: %j', (handlers) => {
    expect(() => loose({ type: 'lamp', initial: {}, events: { A: anything } }).evolve(handlers)).toThrow(
      expect.objectContaining({
        code: 'KUMA_INVALID_CONFIG',
        message: expect.stringContaining('no evolve handler for A'),
      }),
    )
  })
})
