/** Projections as their authors test them: these events, which rows then? */
import { describe, expect, test } from 'vitest'
import { defineEntity } from '../../../src/entity/define-entity.ts'
import { type } from '../../../src/entity/schema.ts'
import { defineProjection } from '../../../src/projection/define-projection.ts'

const DAY = 86_400_000

const Cart = defineEntity({
  type: 'cart',
  initial: (): { open: boolean; items: { sku: string; count: number }[] } => ({ open: true, items: [] }),
  events: { Put: type<{ sku: string; count: number }>(), Closed: type<{ reason?: string }>() },
})
  .evolve({
    Put: (cart, { sku, count }) => ({
      ...cart,
      items: [...cart.items.filter((item) => item.sku !== sku), { sku, count }],
    }),
    Closed: (cart) => ({ ...cart, open: false }),
  })
  .upcast({
    Put: ({ data }) => ({ type: 'Put', data: { sku: data.sku, count: data.count ?? 1 } }),
    Ended: () => ({ type: 'Closed', data: {} }),
  })

const Till = defineEntity({
  type: 'till',
  initial: { cents: 0 },
  events: { Paid: type<{ cents: number }>(), Closed: type<object>() },
}).evolve({ Paid: (till, { cents }) => ({ cents: till.cents + cents }), Closed: (till) => till })

const carts = defineProjection({
  name: 'carts',
  columns: { items: 'integer', open: 'boolean', first: 'text null', skus: 'json', updated: 'integer', weight: 'real' },
  indexes: [['items']],
}).rows(Cart, ({ items, open }, { version, createdAt, updatedAt }) => ({
  items: items.length,
  open,
  first: items[0]?.sku ?? null,
  skus: { version, all: items.map(({ sku }) => sku) },
  updated: updatedAt - createdAt,
  weight: items.length / 2,
}))

const lines = defineProjection({ name: 'cart_lines', columns: { sku: 'text', count: 'integer' }, key: ['sku'] }).rows(
  Cart,
  ({ open, items }) => (open ? items.map((item) => ({ ...item })) : null),
)

const takings = defineProjection({
  name: 'takings',
  columns: { day: 'integer', puts: 'integer', cents: 'integer' },
  key: ['day'],
})
  .on(Cart, {
    Put: ({ at }, table) => table.increment({ day: Math.floor(at / DAY) }, { puts: 1 }),
    Closed: (_, table) => table.sql`delete from takings where _entity = ${table.entity} and day > ${1}`,
  })
  .on(Till, { Paid: ({ at, data }, table) => [table.increment({ day: Math.floor(at / DAY) }, { cents: data.cents })] })

describe('a table of states', () => {
  test('has the rows of the last one, with values as a query gives them', () => {
    const given = carts.given([
      { type: 'Put', data: { sku: 'a', count: 1 }, at: DAY },
      { type: 'Put', data: { sku: 'b', count: 2 }, at: 3 * DAY },
      { type: 'Closed' },
    ])
    const skus = { version: 3, all: ['a', 'b'] }
    const row = { items: 2, open: false, first: 'a', skus, updated: 2 * DAY, weight: 1 }
    expect(given.rows()).toStrictEqual([row])
    expect(given.rows()).toStrictEqual([row])
    expect(carts.given([]).rows()).toEqual([])
  })

  test('has several of one entity by the key, and none where there are none any more', () => {
    const puts = ['c', 'a', 'b'].map((sku, i) => ({ type: 'Put', data: { sku, count: i } }) as const)
    expect(lines.given(puts).rows()).toEqual([
      { sku: 'a', count: 1 },
      { sku: 'b', count: 2 },
      { sku: 'c', count: 0 },
    ])
    expect(lines.given([...puts, { type: 'Closed' }]).rows()).toEqual([])
  })

  test('has those of each entity', () => {
    const ids = Array.from({ length: 11 }, (_, i) => `cart_${i}`)
    const given = carts.given(ids.map((entity) => ({ type: 'Put', data: { sku: entity, count: 1 }, entity })))
    expect(given.rows().map(({ first }) => first)).toEqual(ids)
  })

  test('is given events of earlier forms as they were stored', () => {
    const events = [
      { type: 'Put', data: { sku: 'a' } },
      { type: 'Ended', data: { at: 'noon' } },
    ] as const
    expect(carts.given(events).rows()).toMatchObject([{ first: 'a', open: false }])
  })
})

describe('a table of events', () => {
  test('has what they made of it, one after the other', () => {
    const given = takings.given([
      { type: 'Put', data: { sku: 'a', count: 1 }, at: DAY },
      { type: 'Put', data: { sku: 'b', count: 1 } },
      { type: 'Put', data: { sku: 'c', count: 1 }, at: 2 * DAY },
      { type: 'Paid', data: { cents: 500 }, at: 2 * DAY },
      { type: 'Closed', entityType: 'cart' },
      { type: 'Closed', entity: 'till' },
      { type: 'Paid', data: { cents: 7 }, entity: 'till_2', at: 5 * DAY },
    ])
    expect(given.rows()).toStrictEqual([
      { day: 1, puts: 2, cents: 0 },
      { day: 2, puts: 0, cents: 500 },
      { day: 5, puts: 0, cents: 7 },
    ])
  })

  test('is made without states: what an evolve does not take is no matter', () => {
    const Strict = defineEntity({ type: 'strict', initial: {}, events: { Ended: type<object>() } }).evolve({
      Ended: (): object => {
        throw new Error('it has not begun')
      },
    })
    const ends = defineProjection({ name: 'ends', columns: { n: 'integer' } }).on(Strict, {
      Ended: (_, table) => table.upsert({ n: 1 }),
    })
    expect(ends.given([{ type: 'Ended' }]).rows()).toEqual([{ n: 1 }])
  })
})

describe('what cannot be is refused', () => {
  const code = (code: string, message: string) =>
    expect.objectContaining({ code, message: expect.stringContaining(message) })

  test.each<[string, object, object]>([
    [
      'an event of several types',
      { type: 'Closed' },
      code('KUMA_USAGE', '"Closed" was given to the projection "takings", and may be of cart, till'),
    ],
    ['one of none', { type: 'Payd' }, code('KUMA_USAGE', 'none of cart, till has such an event')],
    [
      'one of another type than its entity',
      { type: 'Put', entity: 'cart', entityType: 'till' },
      code('KUMA_USAGE', 'it is of cart here'),
    ],
    ['data that is not JSON', { type: 'Paid', data: { cents: 1n } }, code('KUMA_INVALID_DATA', 'data of Paid')],
  ])('%s', (_, event, error) => {
    const first = { type: 'Put', data: { sku: 'a', count: 1 }, entity: 'cart' } as const
    expect(() => takings.given([first, event as never])).toThrow(error)
  })

  test('an event that the one definition does not know', () => {
    expect(() => carts.given([{ type: 'Putt' } as never])).toThrow(code('KUMA_INVALID_EVENT', 'no event "Putt"'))
  })

  test('a row that does not fit, and what the functions throw, as it is', () => {
    const odd = (row: () => unknown) =>
      defineProjection({ name: 'odd', columns: { n: 'integer' } }).rows(Cart, row as () => { n: number })
    expect(() => odd(() => ({ n: 'x' })).given([{ type: 'Closed' }])).toThrow('n must be a whole number')
    const cause = new RangeError('no')
    const throwing = odd(() => {
      throw cause
    })
    expect(() => throwing.given([{ type: 'Closed' }])).toThrow(cause)
  })

  test('a state that the projection changes', () => {
    const odd = defineProjection({ name: 'odd', columns: { n: 'integer' } }).rows(Cart, (cart) => ({
      n: (cart.items as unknown[]).push(1),
    }))
    expect(() => odd.given([{ type: 'Closed' }])).toThrow(TypeError)
  })

  test('SQL that cannot be run, with the event', () => {
    const odd = defineProjection({ name: 'odd', columns: { n: 'integer' } }).on(Till, {
      Paid: (_, table) => table.sql`update odd set m = ${1}`,
    })
    const given = odd.given([{ type: 'Closed' }, { type: 'Paid', data: { cents: 1 } }])
    const error = code('KUMA_PROJECTION_FAILED', 'the projection "odd" failed on Paid (event 000:2): no such column: m')
    expect(() => given.rows()).toThrow(error)
  })
})
