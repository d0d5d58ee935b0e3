import { describe, expect, test } from 'vitest'
import { type AnyEntityDefinition, asPublic, defineEntity, definitionOf } from '../../../src/entity/define-entity.ts'
import { document } from '../../../src/entity/document.ts'
import { anything, type, union } from '../../../src/entity/schema.ts'

const Lamp = defineEntity({
  type: 'lamp',
  initial: { on: false },
  events: { Switched: type<{ on: boolean }>() },
}).evolve({ Switched: (lamp, { on }) => ({ ...lamp, on }) })

/** As plain JavaScript would call it. */
interface Loose {
  decide(handlers: unknown): Loose & AnyEntityDefinition
  upcast(handlers: unknown): Loose & AnyEntityDefinition
  revert(handler: unknown): Loose & AnyEntityDefinition
}
const loose = defineEntity as unknown as (shape: unknown) => { evolve(handlers: unknown): Loose & AnyEntityDefinition }

/** A lamp of one event that takes commands. */
const commanded = (commands: unknown) =>
  loose({ type: 'lamp', initial: {}, events: { A: anything }, commands }).evolve({ A: (state: unknown) => state })

describe('a definition', () => {
  test('shows its type, and nothing that could be changed', () => {
    expect(Lamp.type).toBe('lamp')
    expect(Object.keys(Lamp)).toEqual(['type', 'decide', 'upcast', 'revert', 'given'])
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

  test('has a version and a distance between snapshots, also if it says neither', () => {
    expect(definitionOf(Lamp)).toMatchObject({ version: 1, snapshotEvery: 1_000 })
    const shape = { type: 'lamp', version: 7, initial: {}, events: {}, snapshotEvery: 1 }
    expect(definitionOf(defineEntity(shape).evolve({}))).toMatchObject({ version: 7, snapshotEvery: 1 })
  })

  test('freezes its first state, which all entities share', () => {
    const { initial } = definitionOf(
      defineEntity({ type: 'list', initial: { items: [] as string[] }, events: {} }).evolve({}),
    )
    expect(() => (initial as { items: string[] }).items.push('leak')).toThrow(TypeError)
  })

  test('can be read by another copy of the library', () => {
    const definition = { ...definitionOf(Lamp), type: 'x' }
    const symbol = Symbol.for('kuma.definition')
    expect(definitionOf({ type: 'x', [symbol]: definition } as never)).toBe(definition)
    expect(definitionOf(asPublic(definition))).toBe(definition)
  })
})

describe('a definition that decides', () => {
  const Switch = type<{ on: boolean }>()
  const handler = () => undefined

  test('knows its commands', () => {
    const before = commanded({ Switch })
    const { command, decider, commands } = definitionOf(before.decide({ Switch: handler }))
    expect(commands).toEqual(['Switch'])
    expect(command('Switch')).toBe(Switch)
    expect(decider('Switch')).toBe(handler)
    for (const name of ['Smash', 'constructor', 'toString', '__proto__']) {
      expect(command(name)).toBeUndefined()
      expect(decider(name)).toBeUndefined()
    }
  })

  test('is a new one: the one before is as it was', () => {
    const before = commanded({ Switch })
    const after = before.decide({ Switch: handler })
    expect(after).not.toBe(before)
    expect(definitionOf(before).decider('Switch')).toBeUndefined()
    expect(definitionOf(before)).toMatchObject({ commands: ['Switch'] })
  })

  test('may have a command called like something that every object inherits', () => {
    const { command, decider } = definitionOf(commanded({ constructor: Switch }).decide({ constructor: handler }))
    expect(command('constructor')).toBe(Switch)
    expect(decider('constructor')).toBe(handler)
  })

  test('on a union knows the commands that have a handler', () => {
    const Door = commanded(union<{ type: 'Open' } | { type: 'Shut' }>())
    const { command, commands } = definitionOf(Door.decide({ Open: handler, Shut: handler }))
    expect(commands).toEqual(['Open', 'Shut'])
    expect(command('Open')).toBe(anything)
    expect(command('Lock')).toBeUndefined()
  })

  test('on a union and schemas beside it knows both', () => {
    const Door = commanded({ ...union<{ type: 'Open' }>(), Switch })
    const { command } = definitionOf(Door.decide({ Open: handler, Switch: handler }))
    expect(command('Open')).toBe(anything)
    expect(command('Switch')).toBe(Switch)
    expect(() => Door.decide({ Open: handler })).toThrow('no decide handler for Switch')
  })

  test('takes its steps in any order, and keeps what it was', () => {
    const before = commanded({ Switch })
    for (const one of [
      before.decide({ Switch: handler }).upcast({ Old: handler }),
      before.upcast({ Old: handler }).decide({ Switch: handler }),
    ]) {
      const definition = definitionOf(one)
      expect(definition).toMatchObject({ type: 'lamp', events: ['A'], commands: ['Switch'], upcasts: ['Old'] })
      expect(definition.handler('A')).toBeDefined()
      expect(definition.decider('Switch')).toBe(handler)
      expect(definition.upcaster('Old')).toBe(handler)
      expect(definition.upcaster('constructor')).toBeUndefined()
    }
  })

  test.each([
    ['decide', { Switch: handler }],
    ['upcast', { Old: handler }],
  ] as const)('takes .%s once', (step, handlers) => {
    const once = commanded({ Switch })[step](handlers)
    expect(() => once[step](handlers)).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_CONFIG', message: expect.stringContaining(`.${step}(...)`) }),
    )
    const other = step === 'decide' ? once.upcast({ Old: handler }) : once.decide({ Switch: handler })
    expect(() => other[step](handlers)).toThrow(expect.objectContaining({ code: 'KUMA_INVALID_CONFIG' }))
  })

  test('takes .revert once, and only a function', () => {
    const once = commanded({ Switch }).revert(() => ({ type: 'A', data: {} }))
    expect(definitionOf(once).reverter).toBeDefined()
    const invalid = expect.objectContaining({ code: 'KUMA_INVALID_CONFIG' })
    expect(() => once.revert(() => [])).toThrow(invalid)
    expect(() => commanded({ Switch }).revert({} as never)).toThrow(invalid)
    expect(() => document.revert(() => [])).toThrow(invalid)
  })

  test.each([
    ['a command without a handler', { Switch }, {}, 'has no decide handler for Switch'],
    ['nothing at all', { Switch }, undefined, 'has no decide handler for Switch'],
    ['a handler that is not a function', { Switch }, { Switch: 'on' }, 'has no decide handler for Switch'],
    ['a handler without a command', { Switch }, { Switch: handler, Smash: handler }, 'Smash, but no such command'],
    ['a handler when no command is declared', undefined, { Smash: handler }, 'Smash, but no such command'],
    [
      'a handler of a union that is not a function',
      union(),
      { Open: 'no' },
      'Open by something that is not a function',
    ],
  ])('not with %s', (_, commands, handlers, problem) => {
    expect(() => commanded(commands).decide(handlers)).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_CONFIG', message: expect.stringContaining(problem) }),
    )
  })

  test('not with a nameless command, declared or of a union', () => {
    expect(() => commanded({ '': anything })).toThrow(expect.objectContaining({ code: 'KUMA_INVALID_ID' }))
    expect(() => commanded(union()).decide({ '': handler })).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_ID' }),
    )
  })

  test.each([['text'], [null], [{}]])('not with %j as an upcaster', (upcaster) => {
    expect(() => commanded({}).upcast({ Old: upcaster })).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_CONFIG', message: expect.stringContaining('upcasts Old') }),
    )
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
    [
      'with a command that is no schema',
      { type: 'lamp', initial: {}, events: {}, commands: { A: 1 } },
      'KUMA_INVALID_CONFIG',
    ],
    ['with commands of null', { type: 'lamp', initial: {}, events: {}, commands: null }, 'KUMA_INVALID_CONFIG'],
    ['with an event without a name', { type: 'lamp', initial: {}, events: { '': anything } }, 'KUMA_INVALID_ID'],
  ])('a shape %s', (_, shape, code) => {
    expect(() => loose(shape)).toThrow(expect.objectContaining({ code }))
  })

  test.each([0, -1, 1.5, Number.NaN, 2 ** 53, '2', null])(
    'a shape with a version, or a snapshotEvery, of %s',
    (count) => {
      for (const field of ['version', 'snapshotEvery']) {
        expect(() => loose({ type: 'lamp', initial: {}, events: {}, [field]: count })).toThrow(
          expect.objectContaining({ code: 'KUMA_INVALID_CONFIG', message: expect.stringContaining(field) }),
        )
      }
    },
  )

  test.each([[{}], [undefined], [{ A: 'not a function' }]])('an event without a handler: %j', (handlers) => {
    expect(() => loose({ type: 'lamp', initial: {}, events: { A: anything } }).evolve(handlers)).toThrow(
      expect.objectContaining({
        code: 'KUMA_INVALID_CONFIG',
        message: expect.stringContaining('no evolve handler for A'),
      }),
    )
  })
})
