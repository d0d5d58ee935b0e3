/**
 * One process writes to a store. Whoever does holds `lock.db`, an SQLite file in WAL mode, under BEGIN EXCLUSIVE: the
 * kernel frees it however that process dies, and in WAL mode others can still read who it is.
 *
 * The holder's name is committed before the lock is taken for good, since an open transaction's rows are seen by
 * nobody else. Between the two, another process may slip in: so the name is read again under the final lock.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KumaError } from '../errors.ts'
import { type Database, openDatabase, sqliteCode, sqliteError } from './driver.ts'

export const LOCK_TIMEOUT_MS = 5_000
const RETRY_MS = 20

export interface Lock {
  release(): void
}

/** @throws KUMA_DISK_FULL, KUMA_IO */
export function createLock(directory: string): void {
  const path = lockPath(directory)
  const db = openDatabase(path, 'create')
  try {
    db.exec(`PRAGMA journal_mode = WAL;
      CREATE TABLE IF NOT EXISTS holder (only INTEGER PRIMARY KEY CHECK (only = 1), pid INTEGER NOT NULL, program TEXT NOT NULL, since TEXT NOT NULL) STRICT;
      PRAGMA wal_checkpoint(TRUNCATE)`)
  } catch (error) {
    throw sqliteError(error, path)
  } finally {
    db.close()
  }
}

/** @throws KUMA_LOCKED when the time is over, or the signal's reason */
export async function takeLock(directory: string, timeoutMs = LOCK_TIMEOUT_MS, signal?: AbortSignal): Promise<Lock> {
  const path = lockPath(directory)
  const db = openDatabase(path, 'write')
  try {
    db.pragma('busy_timeout = 0') // waiting is done here, so that the event loop goes on
    db.pragma('synchronous = NORMAL') // the lock tells of living processes: a power cut ends them all
    const deadline = performance.now() + timeoutMs
    while (!tryLock(db)) {
      signal?.throwIfAborted()
      if (performance.now() >= deadline) throw locked(db, directory, timeoutMs)
      await delay(Math.min(RETRY_MS, Math.max(1, timeoutMs)), undefined, signal === undefined ? {} : { signal })
    }
  } catch (error) {
    db.close()
    throw sqliteError(error, path)
  }
  return { release: () => db.close() } // rolls the open transaction back, which frees the lock
}

function lockPath(directory: string): string {
  return join(directory, 'lock.db')
}

const PROGRAM = process.argv[1] ?? process.argv0

function tryLock(db: Database): boolean {
  try {
    db.exec('BEGIN EXCLUSIVE')
    const since = new Date().toISOString()
    db.prepare('REPLACE INTO holder VALUES (1, ?, ?, ?)').run(process.pid, PROGRAM, since)
    db.exec('COMMIT; BEGIN EXCLUSIVE')
    const holder = readHolder(db)
    if (holder?.pid === process.pid && holder.since === since) return true
    db.exec('ROLLBACK')
    return false
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK')
    if (sqliteCode(error).startsWith('SQLITE_BUSY')) return false
    throw error
  }
}

interface Holder {
  readonly pid: number
  readonly program: string
  readonly since: string
}

function readHolder(db: Database): Holder | undefined {
  return db.prepare('SELECT pid, program, since FROM holder').get() as Holder | undefined
}

function locked(db: Database, directory: string, timeoutMs: number): KumaError<'KUMA_LOCKED'> {
  const holder = readHolder(db)
  const who = holder ? `process ${holder.pid} (${holder.program}) since ${holder.since}` : 'another process'
  return new KumaError(
    'KUMA_LOCKED',
    `${directory} is being written by ${who}; waited ${timeoutMs} ms`,
    { path: directory, pid: holder?.pid ?? null },
    { hint: 'wait for it to end, or wait longer with --lock-timeout (lockTimeoutMs)' },
  )
}
