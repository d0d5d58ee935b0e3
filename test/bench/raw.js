/**
 * The baseline: what SQLite itself does on this disk, without Kuma. A prepared INSERT into the same `events` table, an
 * fsync at every commit (WAL, synchronous=FULL), and a checkpoint so often that the WAL stays small and is overwritten,
 * which is what serves it best.
 */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
export const Database = require(Number(process.versions.napi) >= 10 ? 'better-sqlite3' : 'better-sqlite3-node20')

/** Events a second, in commits of `size`, into a new file. */
export function rawAppends(path, { events, size, data }) {
  const db = new Database(path)
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('wal_autocheckpoint = 0')
    db.exec(`CREATE TABLE events (
      seq INTEGER PRIMARY KEY, entity INTEGER NOT NULL, version INTEGER NOT NULL, prev INTEGER NOT NULL, at INTEGER NOT NULL,
      type TEXT NOT NULL, data TEXT NOT NULL, meta TEXT, crc INTEGER NOT NULL) STRICT`)
    const insert = db.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
    const begin = performance.now()
    let walBytes = 0
    for (let n = 1; n <= events; ) {
      db.exec('BEGIN IMMEDIATE')
      for (const end = Math.min(n + size, events + 1); n < end; n++) {
        insert.run(n, 1, n, n - 1, Date.now(), 'Deposited', JSON.stringify(data(n)), null, 12345)
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
