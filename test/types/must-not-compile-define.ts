// Each line under an expected error must be refused by the compiler. Definitions.
import * as kuma from 'kuma'
import { z } from 'zod'

const shape = kuma.defineEntity({
  type: 'lamp',
  initial: { on: false, watts: 0 },
  events: { Switched: kuma.type<{ on: boolean }>(), Dimmed: kuma.type<{ watts: number }>() },
})

shape.evolve({
  // @ts-expect-error the returned state has a field that the state does not have
  Switched: (lamp, { on }) => ({ ...lamp, isOn: on }),
  Dimmed: (lamp, { watts }) => ({ ...lamp, watts }),
})

shape.evolve({
  Switched: (lamp, { on }) => ({ ...lamp, on }),
  // @ts-expect-error the returned state has a field of the wrong type
  Dimmed: (lamp, { watts }) => ({ ...lamp, on: watts }),
})

shape.evolve({
  Switched: (lamp, { on }) => ({ ...lamp, on }),
  // @ts-expect-error the returned state lacks a field
  Dimmed: (_lamp, { watts }) => ({ watts }),
})

shape.evolve({
  // @ts-expect-error the event carries no such field
  Switched: (lamp, { off }) => ({ ...lamp, on: !off }),
  Dimmed: (lamp) => lamp,
})

// @ts-expect-error an event without a handler
shape.evolve({ Switched: (lamp) => lamp })

shape.evolve({
  Switched: (lamp) => lamp,
  Dimmed: (lamp) => lamp,
  // @ts-expect-error a handler for an event that is not declared
  Dimed: (lamp: { on: boolean; watts: number }) => lamp,
})

shape.evolve({
  // @ts-expect-error a handler that answers later
  Switched: async (lamp, { on }) => ({ ...lamp, on }),
  Dimmed: (lamp) => lamp,
})

// @ts-expect-error there is no state to begin with
kuma.defineEntity({ type: 'lamp', events: { Broke: kuma.type<{ cause: string }>() } })

// @ts-expect-error a state is an object, so that it can have fields
kuma.defineEntity({ type: 'lamp', initial: 0, events: {} })

// @ts-expect-error there are no events
kuma.defineEntity({ type: 'lamp', initial: {} })

// @ts-expect-error a version is a number
kuma.defineEntity({ type: 'lamp', version: '2', initial: {}, events: {} })

// @ts-expect-error an event is declared by a schema
kuma.defineEntity({ type: 'lamp', initial: {}, events: { Broke: 'string' } })

kuma.defineEntity({
  type: 'lamp',
  initial: {},
  events: {
    // @ts-expect-error JSON gives a date back as a string
    Installed: kuma.type<{ on: Date }>(),
    // @ts-expect-error JSON has no map, however deep it lies
    Wired: kuma.type<{ plan: { cables: Map<string, string> }[] }>(),
    // @ts-expect-error JSON has no bigint
    Metered: kuma.type<{ total: bigint }>(),
    // @ts-expect-error what a validator makes of the data counts, not what it takes
    Replaced: z.object({ at: z.string().transform((text) => new Date(text)) }),
  },
})

// ---- commands

const Lamp = kuma
  .defineEntity({
    type: 'lamp',
    initial: { on: false, watts: 0 },
    events: { Switched: kuma.type<{ on: boolean }>(), Dimmed: kuma.type<{ watts: number }>() },
    commands: { Switch: kuma.type<{ on: boolean }>(), Dim: z.object({ watts: z.coerce.number() }) },
  })
  .evolve({ Switched: (lamp, { on }) => ({ ...lamp, on }), Dimmed: (lamp, { watts }) => ({ ...lamp, watts }) })
const nothing = () => undefined

// @ts-expect-error a command without a handler
Lamp.decide({ Switch: nothing })

// @ts-expect-error a handler for a command that is not declared
Lamp.decide({ Switch: nothing, Dim: nothing, Smash: nothing })

Lamp.decide({
  // @ts-expect-error decides on an event that is not declared
  Switch: (_lamp, { on }) => ({ type: 'Swiched', data: { on } }),
  // @ts-expect-error decides on an event with a field it does not have
  Dim: (_lamp, { watts }) => ({ type: 'Dimmed', data: { wats: watts } }),
})

Lamp.decide({
  // @ts-expect-error the data is missing, also later
  Switch: async () => ({ type: 'Switched' }),
  // @ts-expect-error the second of them is wrong
  Dim: () => [{ type: 'Dimmed', data: { watts: 0 } }, { type: 'Dimmed' }],
})

Lamp.decide({
  // @ts-expect-error the command carries no such field
  Switch: (_lamp, { off }) => ({ type: 'Switched', data: { on: !off } }),
  // @ts-expect-error what a validator makes of the data is given, not what it takes
  Dim: (_lamp, { watts }) => ({ type: 'Dimmed', data: { watts: watts.length } }),
})

Lamp.decide({
  // @ts-expect-error the state has no such field
  Switch: (lamp) => (lamp.isOn ? undefined : { type: 'Switched', data: { on: true } }),
  // @ts-expect-error an answer is an event, not a state
  Dim: (lamp) => ({ ...lamp, watts: 0 }),
})

// @ts-expect-error a command is declared by a schema
kuma.defineEntity({ type: 'lamp', initial: {}, events: {}, commands: { Smash: 'string' } })

// @ts-expect-error half a definition decides nothing
shape.decide({})

// ---- upcast

Lamp.upcast({
  // @ts-expect-error to an event that is not declared
  Turned: ({ data }) => ({ type: 'Swiched', data }),
  // @ts-expect-error to an event with a field of the wrong type
  Lit: () => ({ type: 'Switched', data: { on: 'yes' } }),
  // @ts-expect-error to nothing
  Burnt: () => undefined,
  // @ts-expect-error to several
  Flickered: () => [{ type: 'Switched', data: { on: true } }],
  // @ts-expect-error later
  Faded: async () => ({ type: 'Dimmed', data: { watts: 0 } }),
})

// ---- given and when

// @ts-expect-error an event that is not declared
Lamp.given([{ type: 'Swiched', data: { on: true } }])
// @ts-expect-error data that does not fit
Lamp.given([{ type: 'Switched', data: { on: 1 } }])
// @ts-expect-error a command that is not declared
Lamp.given([]).when({ type: 'Swich', data: { on: true } })
// @ts-expect-error a command without its data
Lamp.given([]).when({ type: 'Switch' })
// @ts-expect-error the time is a number
Lamp.given([]).when({ type: 'Switch', data: { on: true } }, { now: new Date() })

// ---- definitions in a config

// @ts-expect-error the first half of a definition is not a definition
kuma.defineConfig({ entities: [shape] })

// @ts-expect-error nor is it one in `ids`
kuma.defineConfig({ ids: { 'lamp-*': shape } })

// @ts-expect-error an option that does not exist
kuma.defineConfig({ shard: 4 })

// ---- a state is not its model's to change

const stock = kuma.defineEntity({
  type: 'stock',
  initial: { items: [{ sku: '', count: 0 }], bySku: {} as Record<string, number> },
  events: { Added: kuma.type<{ sku: string }>(), Emptied: kuma.type<{ skus: string[] }>() },
  commands: { Empty: kuma.type<Record<never, never>>() },
})

stock.evolve({
  Added: (state, { sku }) => {
    // @ts-expect-error an item is added to the list that was given
    state.items.push({ sku, count: 1 })
    // @ts-expect-error an item that was given is changed
    state.items[0]!.count++
    // @ts-expect-error a field that was given is changed
    state.bySku[sku] = 1
    return state
  },
  Emptied: (state) => {
    // @ts-expect-error the list that was given is sorted in its place
    state.items.sort()
    return { ...state, items: [] }
  },
})

const Stock = stock.evolve({ Added: (state) => state, Emptied: (state) => ({ ...state, items: [] }) })

Stock.decide({
  Empty: ({ items }) => ({
    type: 'Emptied',
    // @ts-expect-error the list that was given is turned round in its place
    data: { skus: items.reverse().map(({ sku }: { sku: string }) => sku) },
  }),
})

Stock.revert((from, to) => {
  // @ts-expect-error the state that it is now is changed
  from.items.pop()
  // @ts-expect-error the state that is to be brought back is changed
  delete to.bySku['a']
  return { type: 'Emptied', data: { skus: [] } }
})

kuma.defineProjection({ name: 'stocks', columns: { count: 'integer' } }).rows(Stock, (state) => {
  // @ts-expect-error the state is changed that a row is made of
  state.items.shift()
  return { count: state.items.length }
})
