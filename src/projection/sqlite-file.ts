/**
 * The embedded sink's file, `projections.db` in the store: plain SQLite. It can be built anew from the log, so a commit
 * does not wait for the disk (`synchronous=NORMAL`): after a power loss the newest ones may be gone, each with its
 * checkpoint, and are made again.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { QueryPage } from '../engine.ts'
import {
  BUSY_TIMEOUT_MS,
  type Database,
  openDatabase,
  openMemory,
  type Statement as Prepared,
  sqliteCode,
  sqliteError,
} from '../store/driver.ts'
import type { Param } from './columns.ts'
import {
  checkRow,
  invalidQuery,
  type Query,
  type Scrubbed,
  type SinkRow,
  type Statement,
  shownValue,
  statementFailed,
} from './sink.ts'
import { ROOTS, tablesRead } from './tables-read.ts'

const NAME = 'projections.db'
const CACHE_KIB = 32 * 1024
const STATEMENTS_MAX = 500
const PAGE_ROWS = 500
const PAGE_CHARS = 64 * 1024
const WAL_TRIES = 50
const WAL_WAIT_MS = 100

export function projectionsPath(store: string): string {
  return join(store, NAME)
}

/** Statements as they cross a thread: each text once, and all parameters in one row. */
export interface Packed {
  readonly sqls: readonly string[]
  /** of each statement, the index of its text */
  readonly order: readonly number[]
  readonly params: readonly Param[]
  /** of each text, how many parameters it takes */
  readonly counts: readonly number[]
}

export class SqliteFile {
  private readonly db: Database
  private readonly prepared = new Map<string, Prepared>()

  /** @throws KUMA_IO, KUMA_DRIVER, KUMA_DISK_FULL, KUMA_CORRUPT */
  constructor(readonly path: string) {
    this.db = openDatabase(path, 'create')
    this.run(() => {
      this.db.pragma('journal_mode = WAL')
      this.db.pragma('synchronous = NORMAL')
      this.db.pragma(`cache_size = -${CACHE_KIB}`)
    })
  }

  private run<T>(act: () => T): T {
    try {
      return act()
    } catch (error) {
      throw sqliteError(error, this.path)
    }
  }

  /** All or none. @throws KUMA_STATEMENT_FAILED, KUMA_DISK_FULL, KUMA_LOCKED, KUMA_IO, KUMA_CORRUPT */
  write({ sqls, order, params, counts }: Packed): void {
    const { db } = this
    let [index, at] = [0, 0]
    try {
      db.exec('BEGIN IMMEDIATE')
      for (; index < order.length; index++) {
        const text = order[index]!
        const end = at + counts[text]!
        this.statement(sqls[text]!).run(bound(params, at, end))
        at = end
      }
      db.exec('COMMIT')
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK')
      throw isOfStatement(error) ? statementFailed(index, (error as Error).message) : sqliteError(error, this.path)
    }
  }

  private statement(sql: string): Prepared {
    let statement = this.prepared.get(sql)
    if (statement === undefined) {
      if (this.prepared.size >= STATEMENTS_MAX) this.prepared.clear()
      statement = this.db.prepare(sql)
      this.prepared.set(sql, statement)
    }
    return statement
  }

  read(sql: string, params: readonly Param[]): SinkRow[] {
    return this.run(() => this.db.prepare(sql).all(bound(params, 0, params.length))) as SinkRow[]
  }

  /** What was deleted leaves copies where SQLite moved rows: so the whole file is written anew. What was there is in the WAL. */
  vacuum(): void {
    this.prepared.clear()
    this.run(() => this.db.exec('VACUUM'))
  }

  /** Nobody may read what was there before. */
  async emptyWal(): Promise<Scrubbed> {
    for (let tries = 1; ; tries++) {
      if (this.checkpoint()) return { reached: [NAME], notReached: [] }
      if (tries === WAL_TRIES) break
      await setTimeout(WAL_WAIT_MS)
    }
    const remedy = 'another program reads it, and has kept pages as they were: end it, then open the store to write'
    return { reached: [], notReached: [{ what: `${NAME}-wal`, remedy }] }
  }

  /** Without SQLite's own waiting, which would come on top of ours, each time. False if others read. */
  private checkpoint(): boolean {
    return this.run(() => {
      this.db.pragma('busy_timeout = 0')
      try {
        const [{ busy }] = this.db.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
        return busy === 0
      } finally {
        this.db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
      }
    })
  }

  close(): void {
    this.db.close()
  }
}

/** A table in memory. */
export class Scratch {
  private readonly db = openMemory()

  constructor(create: readonly Statement[]) {
    this.run(create)
  }

  /** False if one of them fails. */
  run(statements: readonly Statement[]): boolean {
    try {
      for (const [sql, ...params] of statements) this.db.prepare(sql).run(bound(params, 0, params.length))
      return true
    } catch (error) {
      if (isOfStatement(error)) return false
      throw error
    }
  }

  read(sql: string, ...params: Param[]): SinkRow[] {
    return this.db.prepare(sql).all(bound(params, 0, params.length)) as SinkRow[]
  }

  close(): void {
    this.db.close()
  }
}

/** SQLite takes a number of JavaScript for a REAL. A whole one is an INTEGER while there is one, with the digits that JSON has. */
export function bound(params: readonly Param[], from: number, to: number): (Param | bigint)[] {
  const values: (Param | bigint)[] = []
  for (let i = from; i < to; i++) {
    const param = params[i]!
    values.push(typeof param === 'number' ? boundNumber(param) : param)
  }
  return values
}

function boundNumber(value: number): number | bigint {
  if (Number.isSafeInteger(value)) return BigInt(value)
  return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? BigInt(String(value)) : value
}

/** Is it the statement that is wrong, and not the file? */
function isOfStatement(error: unknown): boolean {
  const code = sqliteCode(error)
  if (code === '') return error instanceof RangeError || error instanceof TypeError
  return /^SQLITE_(?:ERROR|CONSTRAINT|MISMATCH|RANGE|TOOBIG|AUTH)/.test(code)
}

/**
 * Someone's own question, on a connection of its own that can write nothing.
 * @throws KUMA_INVALID_QUERY, KUMA_IO, KUMA_CORRUPT, KUMA_LOCKED
 */
export function* queryFile(path: string, { sql, params = [], rowBytesMax }: Query): Generator<QueryPage, void> {
  const db = openDatabase(path, 'read')
  try {
    const statement = prepareQuery(db, sql)
    const columns = statement.columns()
    const declared = columns.map(({ type }) => type?.toUpperCase() ?? '')
    const names = columns.map(({ name }) => name)
    let rows: QueryPage['rows'][number][] = []
    let [chars, pages] = [0, 0]
    for (const values of statement
      .raw()
      .safeIntegers()
      .iterate(bound(params, 0, params.length))) {
      const row = (values as unknown[]).map((value, i) => shownValue(value, declared[i]!))
      const rowChars = charsOf(values as unknown[])
      checkRow(row, rowChars, rowBytesMax)
      rows.push(row)
      chars += rowChars
      if (rows.length < PAGE_ROWS && chars < PAGE_CHARS) continue
      yield { columns: names, rows }
      pages++
      rows = []
      chars = 0
    }
    if (pages === 0 || rows.length > 0) yield { columns: names, rows }
  } catch (error) {
    throw isOfStatement(error) ? invalidQuery((error as Error).message) : sqliteError(error, path)
  } finally {
    db.close()
  }
}

/** The tables that a question reads, in the one column of a page. @throws as `queryFile` */
export function* tablesOfQuery(path: string, { sql, params = [] }: Query): Generator<QueryPage, void> {
  const db = openDatabase(path, 'read')
  try {
    db.exec('BEGIN')
    const roots = db.prepare(ROOTS).all() as SinkRow[]
    const steps = prepareQuery(db, `EXPLAIN ${sql}`).all(bound(params, 0, params.length)) as SinkRow[]
    yield { columns: ['table'], rows: tablesRead(steps, roots).map((table) => [table]) }
  } catch (error) {
    throw isOfStatement(error) ? invalidQuery((error as Error).message) : sqliteError(error, path)
  } finally {
    db.close()
  }
}

/** Before they are shown: JSON is a text. */
function charsOf(values: readonly unknown[]): number {
  let chars = 0
  for (const value of values)
    chars += typeof value === 'string' ? value.length : ArrayBuffer.isView(value) ? value.byteLength * 2 : 8
  return chars
}

function prepareQuery(db: Database, sql: string): Prepared {
  const statement = db.prepare(sql)
  if (statement.reader && statement.readonly) return statement
  throw invalidQuery('a query reads, and this would write', 'what is in read models comes from the log: append to it')
}
