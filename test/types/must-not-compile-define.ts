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

// @ts-expect-error the first half of a definition is not a definition
kuma.defineConfig({ entities: [shape] })

// @ts-expect-error nor is it one in `ids`
kuma.defineConfig({ ids: { 'lamp-*': shape } })

// @ts-expect-error an option that does not exist
kuma.defineConfig({ shard: 4 })
