/** Entities in an order of their own. With a limit, only about that many are held in memory, however many there are. */
import type { EntitySummary } from '../api.ts'

export type Order = 'updated' | 'version' | 'id'

const byId = (a: EntitySummary, b: EntitySummary) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

const COMPARE: Record<Order, (a: EntitySummary, b: EntitySummary) => number> = {
  id: byId,
  version: (a, b) => b.version - a.version || byId(a, b),
  updated: (a, b) => b.updatedAt - a.updatedAt || byId(a, b),
}

const SLACK = 1_000

export async function* sorted(
  entities: AsyncIterable<EntitySummary>,
  order: Order,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<EntitySummary> {
  let kept: EntitySummary[] = []
  for await (const entity of entities) {
    if (kept.push(entity) > 2 * limit + SLACK) kept = kept.sort(COMPARE[order]).slice(0, limit)
  }
  yield* kept.sort(COMPARE[order]).slice(0, limit)
}
