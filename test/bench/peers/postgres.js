/**
 * PostgreSQL, if PGHOST (and the other variables that libpq knows) tell where one is. An INSERT for each event, each
 * its own transaction, on 64 connections. The table is in a schema of its own that is dropped before and after.
 */
import { data, ENTITIES, rate } from '../load.js'
import { MANY, ONE } from '../scenarios/appends.js'

const CONNECTIONS = 64
const SCHEMA = 'kuma_bench'
const TABLE = `CREATE TABLE ${SCHEMA}.events (
  seq BIGSERIAL PRIMARY KEY, entity INTEGER NOT NULL, version INTEGER NOT NULL, prev BIGINT NOT NULL, at BIGINT NOT NULL,
  type TEXT NOT NULL, data TEXT NOT NULL, meta TEXT, crc BIGINT NOT NULL)`
const INSERT = {
  name: 'insert',
  text: `INSERT INTO ${SCHEMA}.events (entity, version, prev, at, type, data, meta, crc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
}

export async function postgres() {
  if (!process.env.PGHOST) return []
  const { default: pg } = await import('pg')

  async function withPool(use) {
    const pool = new pg.Pool({ max: CONNECTIONS })
    try {
      return await use(pool)
    } finally {
      await pool.end()
    }
  }

  const drop = (pool) => pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`)

  function appends(entities) {
    return ({ scaled }) =>
      withPool(async (pool) => {
        await drop(pool)
        await pool.query(`CREATE SCHEMA ${SCHEMA}`)
        await pool.query(TABLE)
        const append = (n) => {
          const entity = Math.floor(Math.random() * entities)
          const values = [entity, n + 1, n, Date.now(), 'Deposited', JSON.stringify(data(n)), null, 12345]
          return pool.query({ ...INSERT, values })
        }
        await rate(CONNECTIONS, CONNECTIONS, append) // connects them all
        const perSecond = await rate(scaled(50_000), CONNECTIONS, append)
        await drop(pool)
        return perSecond
      })
  }

  const { fsync, commit } = await withPool(async (pool) => {
    const text = "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit"
    return (await pool.query(text)).rows[0]
  })
  const common = { unit: 'events/s', inFlight: CONNECTIONS, sync: `fsync ${fsync}, synchronous_commit ${commit}` }
  const row = (workload, entities) => ({
    ...common,
    name: `PostgreSQL, ${workload}, 64 in flight`,
    chart: { panels: [workload], label: 'PostgreSQL' },
    run: appends(entities),
  })
  return [row(ONE, 1), row(MANY, ENTITIES)]
}
