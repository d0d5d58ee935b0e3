/**
 * One process writes to a store. Whoever does holds `lock.db`, an SQLite file in WAL mode, under BEGIN EXCLUSIVE: the
 * kernel frees it however that process dies, and in WAL mode others can still read who it is.
 *
 * The holder's name is committed before the lock is taken for good, since an open transaction's rows are seen by
 * nobody else. Between the two, another process may slip in: so the name is read again under the final lock.
 *
 * A lock is of files, and a store is known by its path: when another one comes to stand there, the lock is not that one's.
 * So whoever holds it looks now and then, and asks before he opens anything else by the path (watch.ts).
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KumaError } from '../errors.ts'
import { type Database, openDatabase, sqliteCode, sqliteError } from './driver.ts'
import { SOCKET } from './manifest.ts'
import { assertHeld, gone, type Held, isSame, see, seeLock } from './watch.ts'

export const LOCK_TIMEOUT_MS = 5_000
const RETRY_MS = 20
const LOOK_MS = 500

export class Lock {
  /** For other threads. */
  readonly held: Held
  /** Told once, when the store at the path is not the one any more that the lock is of. */
  onLost: ((error: KumaError<'KUMA_POISONED'>) => void) | null = null
  private lost: KumaError<'KUMA_POISONED'> | null = null
  private readonly timer: NodeJS.Timeout

  constructor(
    directory: string,
    private readonly free: () => void,
  ) {
    this.held = seeLock(directory)
    this.timer = setInterval(() => this.look(), LOOK_MS).unref()
  }

  /** To be asked before anything is opened by the store's path. @throws KUMA_POISONED */
  assertHeld(): void {
    if (this.lost !== null) throw this.lost
    try {
      assertHeld(this.held)
    } catch (error) {
      this.lose(error as KumaError<'KUMA_POISONED'>)
      throw error
    }
  }

  /** Is it held still? */
  look(): boolean {
    try {
      this.assertHeld()
      return true
    } catch {
      return false
    }
  }

  /** Somebody else has seen it. */
  lose(error: KumaError<'KUMA_POISONED'>): void {
    if (this.lost !== null) return
    this.lost = error
    clearInterval(this.timer)
    this.onLost?.(error)
  }

  release(): void {
    clearInterval(this.timer)
    this.free()
  }
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

/** @throws KUMA_LOCKED when the time is over, KUMA_POISONED if the store is replaced meanwhile, or the signal's reason */
export async function takeLock(directory: string, timeoutMs = LOCK_TIMEOUT_MS, signal?: AbortSignal): Promise<Lock> {
  const path = lockPath(directory)
  const db = openDatabase(path, 'write')
  const opened = see(path)
  try {
    db.pragma('busy_timeout = 0') // waiting is done here, so that the event loop goes on
    db.pragma('synchronous = NORMAL') // the lock tells of living processes: a power cut ends them all
    const deadline = performance.now() + timeoutMs
    while (!tryLock(db)) {
      signal?.throwIfAborted()
      if (performance.now() >= deadline) throw locked(db, directory, timeoutMs)
      await delay(Math.min(RETRY_MS, Math.max(1, timeoutMs)), undefined, signal === undefined ? {} : { signal })
    }
    if (!isSame(opened, see(path))) throw gone(directory, `${path} was removed or replaced while it was waited for`)
  } catch (error) {
    db.close()
    throw sqliteError(error, path)
  }
  return new Lock(directory, () => db.close()) // rolls the open transaction back, which frees the lock
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

const DAEMON_HINT = 'that is its daemon, or a program that serves it: stop it first (`kuma stop`)'
const PROGRAM_HINT =
  'wait for it to end, or wait longer with --lock-timeout (lockTimeoutMs); a program that embeds Kuma lets commands in with start({ serve: true })'

function locked(db: Database, directory: string, timeoutMs: number): KumaError<'KUMA_LOCKED'> {
  const holder = readHolder(db)
  const who = holder ? `process ${holder.pid} (${holder.program}) since ${holder.since}` : 'another process'
  return new KumaError(
    'KUMA_LOCKED',
    `${directory} is being written by ${who}; waited ${timeoutMs} ms`,
    { path: directory, pid: holder?.pid ?? null },
    { hint: existsSync(join(directory, SOCKET)) ? DAEMON_HINT : PROGRAM_HINT },
  )
}
