/** A shard as one file, whole and consistent as of one moment, whoever writes to it meanwhile. */

import { createHash } from 'node:crypto'
import { chmodSync, closeSync, openSync, readSync } from 'node:fs'
import { createFile, syncFile, writeError } from './directory.ts'
import { type Database, sqliteCode, sqliteError } from './driver.ts'
import { ENGINE } from './erasure.ts'
import { type Manifest, shardPath } from './manifest.ts'
import { openShard } from './shard-file.ts'

const CHUNK_BYTES = 1024 * 1024

/** The last commit of a shard; 0, 0 and '' if it has none. */
export interface Tip {
  readonly commit: number
  readonly position: number
  /** its seal, in hexadecimal */
  readonly head: string
  /** when the newest event of any entity was recorded, in milliseconds since 1970, or null */
  readonly at: number | null
}

/**
 * Copies a shard to the same place in another directory. VACUUM INTO writes no WAL header and no free pages, so that the
 * copy can be opened where nobody may write, and nothing that was emptied is in it. It reads in one transaction, which
 * holds up nobody; only the WAL cannot be emptied until it ends.
 * @throws KUMA_CORRUPT, KUMA_DISK_FULL, KUMA_IO
 */
export function copyShard(from: string, to: string, shard: number, manifest: Manifest): void {
  const path = shardPath(to, shard)
  const db = openShard(from, shard, manifest, 'read')
  try {
    closeSync(create(path)) // an empty file is written to as it is, with its mode
    db.pragma('synchronous = OFF') // of the copy, that is: `settle` fsyncs it
    db.prepare('VACUUM INTO ?').run(path)
  } catch (error) {
    const isOfSource = /^SQLITE_(?:CORRUPT|NOTADB)/.test(sqliteCode(error))
    throw sqliteError(error, isOfSource ? shardPath(from, shard) : path)
  } finally {
    db.close()
  }
}

function create(path: string): number {
  try {
    return createFile(path)
  } catch (cause) {
    throw writeError(cause, path)
  }
}

/** @throws as `openShard` */
export function tipOf(directory: string, shard: number, manifest: Manifest): Tip {
  return ask(directory, shard, manifest, tip)
}

/** The same, and how many entities there are. @throws as `openShard` */
export function contentsOf(directory: string, shard: number, manifest: Manifest): Tip & { readonly entities: number } {
  return ask(directory, shard, manifest, (db) => {
    const entities = db.prepare('SELECT count(*) FROM entities WHERE id_hash >= 0').pluck().get() as number
    return { ...tip(db), entities }
  })
}

/** What a shard holds that is not erased. @throws as `openShard` */
export function countsOf(directory: string, shard: number, manifest: Manifest): { entities: number; events: number } {
  const living = 'SELECT key FROM entities WHERE id_hash >= 0'
  const counts = `SELECT (SELECT count(*) FROM (${living})) AS entities,
                         (SELECT count(*) FROM events WHERE version > 0 AND entity IN (${living})) AS events`
  return ask(directory, shard, manifest, (db) => db.prepare(counts).get() as { entities: number; events: number })
}

/** When its first commit was recorded, in milliseconds since 1970; null if it has none. @throws as `openShard` */
export function begunAt(directory: string, shard: number, manifest: Manifest): number | null {
  const first = 'SELECT at FROM commits ORDER BY id LIMIT 1'
  return ask(directory, shard, manifest, (db) => (db.prepare(first).pluck().get() as number | undefined) ?? null)
}

function ask<T>(directory: string, shard: number, manifest: Manifest, question: (db: Database) => T): T {
  const db = openShard(directory, shard, manifest, 'read')
  try {
    return question(db)
  } catch (error) {
    throw sqliteError(error, shardPath(directory, shard))
  } finally {
    db.close()
  }
}

function tip(db: Database): Tip {
  const last = db.prepare(
    'SELECT id AS "commit", last_seq AS position, lower(hex(head)) AS head FROM commits ORDER BY id DESC LIMIT 1',
  )
  // an erasure is recorded in old backups too: that makes what they hold no newer
  const at = db
    .prepare(
      `SELECT at FROM commits
       WHERE first_seq <= (SELECT seq FROM events WHERE entity <> ${ENGINE} ORDER BY seq DESC LIMIT 1) ORDER BY id DESC LIMIT 1`,
    )
    .pluck()
  const end = (last.get() as Omit<Tip, 'at'> | undefined) ?? { commit: 0, position: 0, head: '' }
  return { ...end, at: (at.get() as number | undefined) ?? null }
}

/**
 * The seq up to which a backup's shard is as its store had it: erasures were recorded in the backup since.
 * @param taken the last commit that the store had; of a backup whose manifest does not say so, when it was taken, in
 * milliseconds since 1970
 */
export function sharedEnd(
  directory: string,
  shard: number,
  manifest: Manifest,
  taken: { readonly commit: number } | { readonly at: number },
): number {
  return ask(directory, shard, manifest, (db) => {
    if ('commit' in taken) {
      const end = db.prepare('SELECT last_seq FROM commits WHERE id <= ? ORDER BY id DESC LIMIT 1').pluck()
      return (end.get(taken.commit) as number | undefined) ?? 0
    }
    const last = db
      .prepare(
        `SELECT last_seq FROM commits
         WHERE at <= ? OR first_seq <= (SELECT seq FROM events WHERE entity <> ${ENGINE} ORDER BY seq DESC LIMIT 1)
         ORDER BY id DESC LIMIT 1`,
      )
      .pluck()
    return (last.get(taken.at) as number | undefined) ?? 0
  })
}

/** For a file that nobody has open in SQLite. Makes it read-only and durable. @returns its SHA-256 in hexadecimal */
export function settle(path: string): string {
  chmodSync(path, 0o400)
  syncFile(path, 'r')
  return fileHash(path)
}

/** Only of a file that this process does not have open in SQLite: closing it drops the locks. */
export function fileHash(path: string): string {
  const sha256 = createHash('sha256')
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  const fd = openSync(path, 'r')
  try {
    for (let bytes = readSync(fd, chunk); bytes > 0; bytes = readSync(fd, chunk))
      sha256.update(chunk.subarray(0, bytes))
    return sha256.digest('hex')
  } finally {
    closeSync(fd)
  }
}
