/** The baseline of read models: the rows of the table `entities`, one upsert an event, without Kuma. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Database } from './raw.js'

/** The same table and statement that the projector uses, for events that fall on one of so many entities at random. */
export function upsertsOf(entities) {
  const columns = ['_entity', '_version', 'id', 'type', 'version', 'created_at', 'updated_at', 'state']
  const updated = ['_version', 'version', 'updated_at', 'state']
  const versions = new Uint32Array(entities)
  return {
    create: [
      `CREATE TABLE entities (
        _entity TEXT NOT NULL, _version INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL,
        created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, state JSON TEXT NOT NULL, PRIMARY KEY (_entity))`,
      'CREATE INDEX entities_1 ON entities (id)',
      'CREATE INDEX entities_2 ON entities (type)',
    ],
    upsert: `INSERT INTO entities (${columns}) VALUES (${columns.map(() => '?')}) ON CONFLICT (_entity) DO UPDATE SET ${updated.map((name) => `${name} = excluded.${name}`)}`,
    /** of the event `n`: first one of each entity, in order */
    paramsOf: (n) => {
      const entity = n < entities ? n : Math.floor(Math.random() * entities)
      const version = ++versions[entity]
      const key = `${String(entity % 16).padStart(3, '0')}:${entity >> 4}`
      const state = JSON.stringify({ balance: n % 1_000, events: version - 1 })
      const at = Date.now()
      return [key, version, `acc_${entity}`, 'account', version, at, at, state]
    },
  }
}

/** Events a second. */
export function rawUpserts(path, events, entities, size) {
  mkdirSync(path)
  const db = new Database(join(path, 'raw.db'))
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = NORMAL')
    db.pragma('cache_size = -32768') // as the embedded sink's
    const { create, upsert, paramsOf } = upsertsOf(entities)
    for (const sql of create) db.exec(sql)
    const statement = db.prepare(upsert)
    const begin = performance.now()
    for (let n = 0; n < events; ) {
      db.exec('BEGIN IMMEDIATE')
      for (const end = Math.min(n + size, events); n < end; n++) statement.run(paramsOf(n))
      db.exec('COMMIT')
    }
    return events / ((performance.now() - begin) / 1_000)
  } finally {
    db.close()
  }
}
