/** What a fold may not do, by `given`, which looks at each. */
import { describe, expect, test } from 'vitest'
import { defineEntity } from '../../../src/entity/define-entity.ts'
import { type } from '../../../src/entity/schema.ts'

interface Item {
  sku: string
  price?: number | undefined
  tags: string[]
}
interface Cart {
  items: Item[]
  bySku: Record<string, Item>
  total: number
  extra?: unknown
}

/** What an evolve written in plain JavaScript does to a cart. */
type Fold = (cart: Cart, data: Record<string, never>) => unknown

const ITEM: Item = { sku: 'a', price: 1, tags: ['x'] }

/** A cart with two items, and what `fold` makes of it. */
function folded(fold: Fold, ...folds: Fold[]): unknown {
  const Carts = defineEntity({
    type: 'cart',
    initial: (): Cart => ({ items: [], bySku: {}, total: 0 }),
    events: { Filled: type<{ items: Item[] }>(), Changed: type<{ fold: number }>() },
  }).evolve({
    Filled: (cart, { items }) => ({ ...cart, items, bySku: Object.fromEntries(items.map((item) => [item.sku, item])) }),
    Changed: (cart, { fold: n }) => [fold, ...folds][n]!(cart as Cart, {}) as Cart,
  })
  const items = [ITEM, { sku: 'b/~', price: 2, tags: [] }]
  const changes = [fold, ...folds].map((_, n) => ({ type: 'Changed' as const, data: { fold: n } }))
  return Carts.given([{ type: 'Filled', data: { items } }, ...changes]).state
}

const failure = (message: string, path?: string) =>
  expect.objectContaining({
    code: 'KUMA_MODEL_FAILED',
    message: expect.stringContaining(message),
    details: { entity: 'given', type: 'Changed', version: 2, ...(path === undefined ? {} : { path }) },
  })

describe('a fold may not change the state that it is given', () => {
  test.each<[string, Fold]>([
    ['a field', (cart) => Object.assign(cart, { total: 1 })],
    ['a list', (cart) => Object.assign(cart.items, [ITEM])],
    ['a part of a list', (cart) => Object.assign(cart.items[0]!, { price: 5 })],
    ['a field that is taken away', (cart) => remove(cart, cart.bySku, 'a')],
    ['a list that grows', (cart) => ({ ...cart, total: cart.items.push(ITEM) })],
    ['a list within a copy', (cart) => ({ ...cart, items: cart.items.sort() })],
  ])('%s', (_, fold) => {
    expect(() => folded(fold)).toThrow(failure('(version 2 of given): it changed what it was given: Cannot '))
    expect(() => folded(fold)).toThrow(expect.objectContaining({ hint: expect.stringContaining('return a new one') }))
  })

  test('nor what it gave back before', () => {
    const add: Fold = (cart) => ({ ...cart, items: [...cart.items, { sku: 'c', tags: [] }] })
    expect(() => folded(add, (cart) => ({ ...cart, total: cart.items[2]!.tags.push('y') }))).toThrow(
      'changed what it was given',
    )
  })
})

describe('a fold may not make', () => {
  test.each<[string, Fold, string]>([
    ['NaN', (cart) => ({ ...cart, total: cart.total + (cart as never as { totl: number }).totl }), '/total NaN'],
    ['undefined', (_, data) => ({ items: [], bySku: {}, total: data['total'] }), '/total undefined'],
    [
      'NaN in an item',
      ({ items, ...cart }) => ({ ...cart, items: items.map((i) => ({ ...i, price: 0 / 0 })) }),
      '/items/0/price NaN',
    ],
    ['undefined in a list', (cart) => ({ ...cart, items: [...cart.items, cart.items[7]] }), '/items/2 undefined'],
    ['a gap in a list', (cart) => ({ ...cart, items: Object.assign([], { 1: ITEM }) }), '/items/0 undefined'],
    [
      'NaN under a key that a path must write otherwise',
      (cart) => ({ ...cart, bySku: { ...cart.bySku, 'b/~': { ...cart.bySku['b/~'], price: Number('x') } } }),
      '/bySku/b~1~0/price NaN',
    ],
    [
      'undefined in a field more',
      (cart) => ({ ...cart, extra: { deep: [{ er: undefined }] } }),
      '/extra/deep/0/er undefined',
    ],
  ])('%s', (_, fold, problem) => {
    expect(() => folded(fold)).toThrow(failure(`(version 2 of given): it made ${problem}`, problem.split(' ')[0]))
  })

  test('and is told where in a few words', () => {
    const long: Fold = (cart) => ({ ...cart, bySku: { [`\ud800${'x'.repeat(100_000)}`]: undefined } })
    expect(() => folded(long)).toThrow(/it made \/bySku\/\ufffdx{1,1000}[^x]* undefined$/)
  })

  test('and the initial state neither', () => {
    const Odd = defineEntity({ type: 'odd', initial: { a: { b: Number('x') } }, events: {} }).evolve({})
    const details = { entity: 'given', type: 'initial', version: 0, path: '/a/b' }
    expect(() => Odd.given([])).toThrow(expect.objectContaining({ code: 'KUMA_MODEL_FAILED', details }))
  })
})

test.each<[string, Fold]>([
  ['parts of the state before, in other places', (cart) => ({ ...cart, items: cart.items.slice(1) })],
  ['what stands around itself', (cart) => Object.assign({ ...cart }, { extra: circle() })],
  ['what says itself how it is written', (cart) => ({ ...cart, extra: [new Date(Number.NaN), new Uint8Array(2)] })],
  ['infinity, and a number that JSON has no word for the sign of', (cart) => ({ ...cart, extra: [1 / 0, -0] })],
  ['the state that it was given', (cart) => cart],
])('a fold may give back %s', (_, fold) => {
  expect(folded(fold)).toMatchObject({ total: 0 })
})

function remove(cart: Cart, from: Record<string, unknown>, key: string): Cart {
  delete from[key]
  return cart
}

function circle(): object {
  const circle: { self?: unknown } = {}
  circle.self = circle
  return circle
}
