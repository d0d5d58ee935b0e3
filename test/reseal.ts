/** What somebody does who can write the files of a store, and knows how they are made, but has no master key. */

import type { EntityRow, SnapshotRow } from '../src/store/commit.ts'
import { type Database, openDatabase } from '../src/store/driver.ts'
import { entityCrc } from '../src/store/entity-row.ts'
import { ENGINE, isTombstone } from '../src/store/erasure.ts'
import { readManifest, shardPath } from '../src/store/manifest.ts'
import { encodeRow, type Row, rowCrc } from '../src/store/row.ts'
import { contentOf, genesis, headOf, leafOf, type SealedCommit } from '../src/store/seal.ts'
import { definitionVersionOf, snapshotRow } from '../src/store/snapshot.ts'

/** A commit as it is made anew: what its link is made of, but for `extra` itself. */
export interface Resealed extends SealedCommit {
  readonly previous: Uint8Array
  readonly content: Uint8Array
}

/** Alters a shard as if it had always been so: every crc, leaf and link is made anew, and every head is written. */
export function reseal(
  path: string,
  shard: number,
  alter: (db: Database) => void,
  extraOf: (commit: Resealed) => Uint8Array = ({ extra }) => extra,
): void {
  const db = openDatabase(shardPath(path, shard), 'write')
  try {
    db.transaction(() => {
      alter(db)
      sumRows(db)
      linkCommits(db, genesis(readManifest(path).store, shard), extraOf)
    })()
  } finally {
    db.close()
  }
}

const ENTITIES = 'SELECT key, id_hash AS idHash, id, type, salt, created_at AS createdAt, crc FROM entities'

function sumRows(db: Database): void {
  for (const row of db.prepare('SELECT * FROM events').all() as Row[])
    if (!isTombstone(row)) db.prepare('UPDATE events SET crc = ? WHERE seq = ?').run(rowCrc(row), row.seq)
  for (const row of db.prepare(`${ENTITIES} WHERE id_hash >= 0`).all() as EntityRow[])
    db.prepare('UPDATE entities SET crc = ? WHERE key = ?').run(entityCrc(row), row.key)
  const snapshots = db.prepare('SELECT rowid, * FROM snapshots WHERE version > 0').all() as (SnapshotRow & {
    rowid: number
  })[]
  for (const row of snapshots)
    db.prepare('UPDATE snapshots SET definition = ? WHERE rowid = ?').run(
      snapshotRow(row, definitionVersionOf(row), row.state).definition,
      row.rowid,
    )
  db.exec(`UPDATE heads SET updated_at = (SELECT at FROM events WHERE seq = head) WHERE version > 0`)
}

function linkCommits(db: Database, first: Uint8Array, extraOf: (commit: Resealed) => Uint8Array): void {
  let previous = first
  const commits = db
    .prepare('SELECT id, first_seq AS firstSeq, last_seq AS lastSeq, at, extra FROM commits ORDER BY id')
    .all() as SealedCommit[]
  for (const commit of commits) {
    const content = contentOf(leavesOf(db, commit))
    const extra = extraOf({ ...commit, previous, content })
    const head = headOf(previous, content, { ...commit, extra })
    db.prepare('UPDATE commits SET content = ?, extra = ?, head = ? WHERE id = ?').run(content, extra, head, commit.id)
    previous = head
  }
}

function leavesOf(db: Database, { id, firstSeq, lastSeq }: SealedCommit): string[] {
  const rows = db.prepare('SELECT * FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq').all(firstSeq, lastSeq) as Row[]
  return [...new Set(rows.map(({ entity }) => entity))].map((key) => {
    const own = rows.filter(({ entity }) => entity === key)
    if (key === ENGINE) return leafOf(Buffer.alloc(0), own.map(encodeRow), null)
    const entity = db.prepare(`${ENTITIES} WHERE key = ?`).get(key) as EntityRow
    const kept = db.prepare('SELECT leaf FROM erased_leaves WHERE commit_id = ? AND entity = ?').pluck().get(id, key)
    if (own.every(isTombstone)) return (kept as Buffer).toString('latin1')
    return leafOf(entity.salt, own.map(encodeRow), own[0]!.version === 1 ? entity : null)
  })
}
