import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EntitySummary } from '../../../src/api.ts'
import { type Order, sorted } from '../../../src/cli/sorted.ts'

async function* given(entities: readonly EntitySummary[]) {
  yield* entities
}

async function idsOf(entities: readonly EntitySummary[], order: Order, limit?: number): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of sorted(given(entities), order, limit)) ids.push(id)
  return ids
}

const entity = (id: string, version: number, updatedAt: number): EntitySummary => ({
  id,
  type: 't',
  version,
  createdAt: 0,
  updatedAt,
})

test('by id, by the newest update, by the highest version; equals by id', async () => {
  const entities = [entity('b', 1, 30), entity('a', 2, 10), entity('d', 2, 20), entity('c', 1, 30)]
  expect(await idsOf(entities, 'id')).toEqual(['a', 'b', 'c', 'd'])
  expect(await idsOf(entities, 'updated')).toEqual(['b', 'c', 'd', 'a'])
  expect(await idsOf(entities, 'version')).toEqual(['a', 'd', 'b', 'c'])
})

test('a limit gives the beginning of the whole order, however many there are', async () => {
  const many = fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { minLength: 1_000, maxLength: 3_000 })
  await fc.assert(
    fc.asyncProperty(
      many,
      fc.nat(20),
      fc.constantFrom<Order>('id', 'version', 'updated'),
      async (pairs, limit, order) => {
        const entities = pairs.map(([version, at], i) => entity(`e${i}`, version, at))
        expect(await idsOf(entities, order, limit)).toEqual((await idsOf(entities, order)).slice(0, limit))
      },
    ),
    { numRuns: 20 },
  )
})
