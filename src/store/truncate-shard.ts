/**
 * Sets a shard back to a moment: what was recorded after it goes. Only for a copy that nobody else has open: rows are
 * deleted, and their bytes stay in the file until it is written anew (`copyShard`).
 */
import { type Database, sqliteError } from './driver.ts'
import { ENGINE, type ErasureRecord, recordOf } from './erasure.ts'
import { type Manifest, shardPath } from './manifest.ts'
import { openShard } from './shard-file.ts'

/**
 * By the time of recording, which never goes back within a shard.
 * @param at in milliseconds since 1970, inclusive
 * @returns the erasures that were recorded after it, of entities that existed then: their rows are empty or hidden, and
 * they have to be recorded again
 */
export function truncateShard(directory: string, shard: number, manifest: Manifest, at: number): ErasureRecord[] {
  const db = openShard(directory, shard, manifest, 'write')
  try {
    return db.transaction(() => truncate(db, at))()
  } catch (error) {
    throw sqliteError(error, shardPath(directory, shard))
  } finally {
    db.close()
  }
}

function truncate(db: Database, at: number): ErasureRecord[] {
  const last = db.prepare('SELECT id, last_seq AS seq FROM commits WHERE at <= ? ORDER BY id DESC LIMIT 1').get(at)
  const { id, seq } = (last as { id: number; seq: number } | undefined) ?? { id: 0, seq: 0 }
  const dropped = db.prepare('SELECT data FROM events WHERE entity = ? AND seq > ?').all(ENGINE, seq) as {
    data: string
  }[]
  for (const table of ['events', 'snapshots', 'request_keys']) db.prepare(`DELETE FROM ${table} WHERE seq > ?`).run(seq)
  db.prepare('DELETE FROM commits WHERE id > ?').run(id)
  db.prepare('DELETE FROM erased_leaves WHERE commit_id > ?').run(id)
  // keys are given in the order in which entities come to be; the rows of erased ones still name their keys
  const newest = db.prepare('SELECT coalesce(max(entity), 0) FROM events').pluck().get() as number
  db.prepare('DELETE FROM entities WHERE key > ?').run(newest)
  resetHeads(db, seq)
  return dropped.map(recordOf).filter(({ entity }) => entity <= newest)
}

/** Heads may also be beyond `flushed`, in the middle of a sweep (backlog.ts); request keys have just gone. */
function resetHeads(db: Database, seq: number): void {
  db.prepare('DELETE FROM heads WHERE head > ?').run(seq)
  // of the columns beside max(), SQLite takes those of the row that has the maximum
  db.exec(`REPLACE INTO heads (key, version, head, updated_at)
           SELECT entity, version, max(seq), at FROM events WHERE version > 0 GROUP BY entity`)
  db.prepare("UPDATE settings SET value = min(value, CAST(? AS INTEGER)) WHERE name = 'flushed'").run(seq)
}
