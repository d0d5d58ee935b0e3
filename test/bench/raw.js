/**
 * The baseline: what SQLite itself does on this disk, without Kuma. A prepared INSERT into the same `events` table, an
 * fsync at every commit (WAL, synchronous=FULL), and a checkpoint when 8 MB stand in the WAL, as Kuma does.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const Database = require(Number(process.versions.napi) >= 10 ? 'better-sqlite3' : 'better-sqlite3-node20')

/** Events a second, in commits of `size`. */
export function rawAppends(folder, { events, size, data }) {
  const db = new Database(join(folder, `raw-${size}.db`))
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('wal_autocheckpoint = 0')
    db.exec(`CREATE TABLE IF NOT EXISTS events (
      seq INTEGER PRIMARY KEY, entity INTEGER NOT NULL, version INTEGER NOT NULL, prev INTEGER NOT NULL, at INTEGER NOT NULL,
      type TEXT NOT NULL, data TEXT NOT NULL, meta TEXT, crc INTEGER NOT NULL) STRICT`)
    const insert = db.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
    const last = db.prepare('SELECT coalesce(max(seq), 0) FROM events').pluck().get()
    const begin = performance.now()
    let walBytes = 0
    for (let n = 1; n <= events; ) {
      db.exec('BEGIN IMMEDIATE')
      for (const end = Math.min(n + size, events + 1); n < end; n++) {
        insert.run(last + n, 1, n, n - 1, Date.now(), 'Deposited', JSON.stringify(data(n)), null, 12345)
      }
      db.exec('COMMIT')
      walBytes += size * 200 + 20_000
      if (walBytes > 8 * 1024 * 1024) {
        db.pragma('wal_checkpoint(PASSIVE)')
        walBytes = 0
      }
    }
    return events / ((performance.now() - begin) / 1_000)
  } finally {
    db.close()
  }
}
