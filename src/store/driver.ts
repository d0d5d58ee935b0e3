/**
 * The only import of the SQLite driver. Which one depends on the runtime: better-sqlite3 13 brings a ready N-API binary
 * for Node 22.14 and later, but crashes on Node 20, where version 12 (installed under another name) is compiled.
 */
import { closeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type BetterSqlite3 from 'better-sqlite3'
import { KumaError } from '../errors.ts'
import { createFile, isOutOfFiles, tooManyFiles, writeError } from './directory.ts'

export type Database = BetterSqlite3.Database
export type Statement<Params extends unknown[] = unknown[], Row = unknown> = BetterSqlite3.Statement<Params, Row>

const PACKAGE = Number(process.versions.napi) >= 10 ? 'better-sqlite3' : 'better-sqlite3-node20'
/** 3.51.3 mends a race in which a writer that resets the WAL could corrupt the file. */
const SQLITE_MIN = [3, 51, 3]
/** How long a statement waits for a foreign process that holds the file. */
export const BUSY_TIMEOUT_MS = 5_000

/** Version 12 looks for it in a dozen places, an exception for each, which takes longer than to load it. */
const BUILT = '../build/Release/better_sqlite3.node'

let driver: typeof BetterSqlite3 | undefined
let binary: { readonly nativeBinding?: string } = {}

/** Loads the driver. To be called on the main thread before a worker loads it too. @throws KUMA_DRIVER */
export function loadDriver(): typeof BetterSqlite3 {
  if (driver !== undefined) return driver
  try {
    const require = createRequire(import.meta.url)
    const path = require.resolve(PACKAGE)
    const Loaded = require(path) as typeof BetterSqlite3
    if (PACKAGE !== 'better-sqlite3') binary = built(path)
    const memory = new Loaded(':memory:', binary)
    const version = memory.prepare('SELECT sqlite_version()').pluck().get() as string
    memory.close()
    if (isOlder(version)) throw new Error(`it brings SQLite ${version}, older than ${SQLITE_MIN.join('.')}`)
    driver = Loaded
    return Loaded
  } catch (cause) {
    throw new KumaError(
      'KUMA_DRIVER',
      `cannot load the SQLite driver ${PACKAGE}: ${firstLine(cause)}`,
      { package: PACKAGE },
      {
        cause,
        hint: `run \`npm rebuild ${PACKAGE}\`; if it is not installed, run \`npm install\` again with optional dependencies and install scripts allowed`,
      },
    )
  }
}

/** @param path of the driver's code */
function built(path: string): typeof binary {
  try {
    return { nativeBinding: createRequire(path)(join(dirname(path), BUILT)) }
  } catch {
    return {} // it says itself why not
  }
}

function isOlder(version: string): boolean {
  const parts = version.split('.').map(Number)
  for (const [i, min] of SQLITE_MIN.entries()) {
    const part = parts[i] ?? 0
    if (part !== min) return part < min
  }
  return false
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}

/**
 * Opens a file that exists already (or, with `create`, one that does not).
 * @throws KUMA_IO, KUMA_DRIVER; with `create` also KUMA_DISK_FULL
 */
export function openDatabase(path: string, access: 'read' | 'write' | 'create'): Database {
  const Driver = loadDriver()
  if (access === 'create') createEmpty(path)
  let db: Database | undefined
  try {
    db = new Driver(path, {
      ...binary,
      readonly: access === 'read',
      fileMustExist: true,
      timeout: BUSY_TIMEOUT_MS,
    })
    // mmap would turn an I/O error into a signal; a schema in someone's file must not run functions of its choice
    db.exec('PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF')
    if (access !== 'read') db.pragma('secure_delete = ON')
    // the driver's default is 16 MB for every connection, which a log that is appended to fills with pages never read again
    db.pragma(`cache_size = ${access === 'read' ? -2048 : -4096}`)
    return db
  } catch (error) {
    db?.close()
    throw sqliteError(error, path)
  }
}

/** One that is nowhere but in memory. @throws KUMA_DRIVER */
export function openMemory(): Database {
  const db = new (loadDriver())(':memory:', binary)
  db.exec('PRAGMA trusted_schema = OFF')
  return db
}

/**
 * Unless it is there. SQLite would make it as the umask has it; to its WAL and shared memory it gives the mode of the file.
 * Nobody has a file open that is only being made, so that no lock of this process is lost when it is closed.
 */
function createEmpty(path: string): void {
  try {
    closeSync(createFile(path))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw writeError(cause, path)
  }
}

/**
 * Puts a connection into WAL with an fsync at every commit. better-sqlite3 is compiled so that WAL silently becomes
 * NORMAL after the first write (acknowledged events could be lost with the power): so FULL is set explicitly, and
 * `assertDurable` reads it back after the first statement.
 */
export function makeDurable(db: Database): void {
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  // the default automatic checkpoint swallows fsync errors
  db.pragma('wal_autocheckpoint = 0')
  if (process.platform === 'darwin') db.exec('PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1')
}

/** @throws KUMA_IO if the connection would acknowledge before fsync */
export function assertDurable(db: Database, path: string): void {
  const mode = db.pragma('journal_mode', { simple: true })
  const synchronous = db.pragma('synchronous', { simple: true })
  if (mode === 'wal' && synchronous === 2) return
  throw new KumaError('KUMA_IO', `${path} cannot be made durable: ${mode}, synchronous=${synchronous}`, { path })
}

/** SQLite's own code of an error (`SQLITE_FULL`), or ''. */
export function sqliteCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : ''
}

/** An error of SQLite outside a commit, by what its user can do about it. Other errors pass through. */
export function sqliteError(error: unknown, path: string): unknown {
  const code = sqliteCode(error)
  if (code === '') return error
  const message = `${path}: ${(error as Error).message} (${code})`
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) {
    return new KumaError(
      'KUMA_CORRUPT',
      message,
      { path },
      { cause: error, hint: 'run `kuma verify`; restore a backup' },
    )
  }
  // the second: there was no room for the shared memory beside the file
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE') {
    return new KumaError('KUMA_DISK_FULL', message, { path }, { cause: error, hint: 'make room on the disk' })
  }
  if (code.startsWith('SQLITE_BUSY')) {
    const hint = 'another program holds this file open for writing'
    return new KumaError('KUMA_LOCKED', message, { path, pid: null }, { cause: error, hint })
  }
  if (code.startsWith('SQLITE_CANTOPEN') && isOutOfFiles()) return tooManyFiles(error, path)
  const hint = code.startsWith('SQLITE_READONLY')
    ? 'SQLite keeps a file of shared memory beside each shard, also to read it: copy the store to where you may write'
    : 'check that the directory and its files can be read and written by you'
  return new KumaError('KUMA_IO', message, { path }, { cause: error, hint })
}
