/**
 * lmdb: one put under [entity, version] for each event. It gathers the puts of a turn into a transaction by itself.
 * Without `overlappingSync` a transaction is synced before it counts as committed (one fdatasync and one synced write),
 * so the promise of a put is also that of `flushed`. This is its fastest way to be durable: with `overlappingSync`, and
 * `flushed` awaited, it appends less to one entity and as much to many.
 */
import { anyOf, data, ENTITIES, IN_FLIGHT, inFlight, rate } from '../load.js'
import { MANY, ONE, WINDOW } from '../scenarios/appends.js'

const SYNC = 'flushed, fdatasync a commit'

export async function lmdb() {
  const { open } = await import('lmdb')
  const put = (db, entity, version, n) =>
    db.put([entity, version], { type: 'Deposited', at: Date.now(), data: data(n) })

  async function oneEntity({ path, scaled }) {
    const db = open({ path, overlappingSync: false })
    const perSecond = await rate(scaled(400_000), IN_FLIGHT, (n) => put(db, 'acc_1', n + 1, n))
    await db.close()
    return perSecond
  }

  /** As with Kuma, the entities exist before the clock starts. */
  async function manyEntities({ path, scaled }) {
    const db = open({ path, overlappingSync: false })
    const entities = Array.from({ length: scaled(ENTITIES) }, (_, i) => `acc_${i}`)
    await inFlight(entities.length, IN_FLIGHT, (i) => put(db, entities[i], 1, i))
    const versions = new Map(entities.map((entity) => [entity, 1]))
    const perSecond = await rate(scaled(WINDOW), IN_FLIGHT, (n) => {
      const entity = anyOf(entities)
      const version = versions.get(entity) + 1
      versions.set(entity, version)
      return put(db, entity, version, n)
    })
    await db.close()
    return perSecond
  }

  const common = { unit: 'events/s', inFlight: IN_FLIGHT, sync: SYNC }
  return [
    { ...common, name: `lmdb, ${ONE}, 1,024 in flight`, chart: { panels: [ONE], label: 'lmdb' }, run: oneEntity },
    { ...common, name: `lmdb, ${MANY}, 1,024 in flight`, chart: { panels: [MANY], label: 'lmdb' }, run: manyEntities },
  ]
}
