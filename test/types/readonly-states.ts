// A state is deeply readonly where a model is given one, and may be so where it gives one back.
import * as kuma from 'kuma'
import type { z } from 'zod'

interface Line {
  sku: string
  tags: string[]
  sizes: [number, number]
}
interface Cart {
  lines: Line[]
  bySku: Record<string, Line>
  note?: string
  last: kuma.Json
  more: kuma.JsonObject
  any: unknown
}
type Row = z.infer<ReturnType<typeof z.json>>

const total = (lines: readonly kuma.DeepReadonly<Line>[]) => lines.length

export const Cart = kuma
  .defineEntity({
    type: 'readonly-cart',
    initial: (): Cart => ({ lines: [], bySku: {}, last: null, more: {}, any: 1 }),
    events: {
      Added: kuma.type<{ line: Line; last: kuma.Json; more: kuma.JsonObject; any: unknown }>(),
      Cleared: kuma.type<{ lines: Line[] }>(),
      Copied: kuma.type<{ cart: Cart }>(),
      Dropped: kuma.type<{ sku: string }>(),
    },
    commands: { Clear: kuma.type<Record<never, never>>(), Drop: kuma.type<{ sku: string }>() },
  })
  .evolve({
    Added: (cart, { line, last, more, any }) => ({
      ...cart,
      lines: [...cart.lines, line],
      bySku: { ...cart.bySku, [line.sku]: line },
      last,
      more,
      any,
    }),
    Cleared: ({ note: _, ...cart }, { lines }) => ({ ...cart, lines }),
    Copied: (_, { cart }) => cart,
    Dropped: (cart, { sku }) => ({ ...cart, lines: cart.lines.filter((line) => line.sku !== sku) }),
  })
  .decide({
    // what is decided on may be made of parts of the state
    Clear: (cart) => (total(cart.lines) > 0 ? { type: 'Cleared', data: { lines: cart.lines } } : undefined),
    Drop: async (cart, { sku }) =>
      cart.lines.filter((line) => line.sku === sku).map(() => ({ type: 'Dropped' as const, data: { sku } })),
  })
  .revert((_, cart) => ({ type: 'Copied', data: { cart } }))

/** JSON's own type has no end, a validator's least of all. */
export const Loose = kuma
  .defineEntity({
    type: 'readonly-loose',
    initial: (): { rows: Row[]; one: Row } => ({ rows: [], one: null }),
    events: { Put: kuma.type<{ row: Row }>() },
  })
  .evolve({ Put: (state, { row }) => ({ ...state, one: row, rows: [...state.rows, row] }) })

export const lines = kuma
  .defineProjection({ name: 'cart_lines', columns: { sku: 'text', tags: 'json' }, key: ['sku'] })
  .rows(Cart, (cart) => cart.lines.map(({ sku, tags }) => ({ sku, tags })))
