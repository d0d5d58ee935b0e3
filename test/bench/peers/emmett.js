/**
 * Emmett's store on SQLite, as it comes. It opens and closes its connection with every append, and appends that overlap
 * share one that the first to end closes: they fail with SQLITE_MISUSE. So it takes one in flight.
 */
import { join } from 'node:path'
import { data, rate } from '../load.js'
import { ONE } from '../scenarios/appends.js'

const MODES = ['OFF', 'NORMAL', 'FULL', 'EXTRA']

export async function emmett(folder) {
  const { getSQLiteEventStore } = await import('@event-driven-io/emmett-sqlite')

  async function append(store, n) {
    for (;;) {
      try {
        return await store.appendToStream('account-1', [{ type: 'Deposited', data: data(n) }])
      } catch (error) {
        // now and then it commits while a statement of its own still runs, and nothing is recorded
        if (error.code !== 'SQLITE_BUSY') throw error
      }
    }
  }

  /** The mode of the very connection that it writes on. */
  async function syncMode() {
    let mode
    const onBeforeCommit = async (_, { connection }) => {
      const { journal_mode: journal } = await connection.querySingle('PRAGMA journal_mode')
      const { synchronous } = await connection.querySingle('PRAGMA synchronous')
      mode = `${journal.toUpperCase()}, ${MODES[synchronous]}`
    }
    await append(getSQLiteEventStore({ fileName: join(folder, 'emmett.db'), hooks: { onBeforeCommit } }), 0)
    return mode
  }

  return [
    {
      name: 'Emmett on SQLite, one stream, 1 in flight',
      unit: 'events/s',
      inFlight: 1,
      sync: await syncMode(),
      chart: { panels: [ONE], label: 'Emmett on SQLite' },
      run: ({ path, scaled }) => {
        const store = getSQLiteEventStore({ fileName: path })
        return rate(scaled(2_000), 1, (n) => append(store, n))
      },
    },
  ]
}
