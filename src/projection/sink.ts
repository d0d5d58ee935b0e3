/**
 * A sink is where the rows of read models go: a database that runs SQLite's SQL. It runs statements, all or none, and
 * answers questions; what they mean it does not know.
 */
import type { QueryPage } from '../engine.ts'
import type { Json } from '../entity/json.ts'
import { KumaError } from '../errors.ts'
import type { Param } from './columns.ts'

/** What a character may take as JSON: \u0000. */
const CHAR_BYTES_MAX = 6

export type Statement = readonly [sql: string, ...params: Param[]]

/** A row by its columns, as SQLite gives it. */
export type SinkRow = { readonly [column: string]: string | number | null }

export interface Query {
  readonly sql: string
  readonly params?: readonly Param[] | undefined
  /** of one row, as JSON */
  readonly rowBytesMax?: number | undefined
  /** of the process that is asked, if it is one of this machine */
  readonly memoryBytesMax?: number | undefined
  /** For a sink that can end it by itself. */
  readonly timeoutMs?: number | undefined
  /** Ends it, with the reason. */
  readonly signal?: AbortSignal | undefined
}

/** What an erasure reached in it, and what not. */
export interface Scrubbed {
  readonly reached: readonly string[]
  readonly notReached: readonly { readonly what: string; readonly remedy: string }[]
}

export type Alone = <T>(act: () => Promise<T>) => Promise<T>

export interface Sink {
  /** in messages: without what is secret */
  readonly name: string
  /** Where it is, if that is outside of the store: addresses without what is secret. */
  readonly nodes: readonly string[]
  /** Makes it ready. @throws KUMA_SINK_UNAVAILABLE, KUMA_IO */
  open(): Promise<void>
  /**
   * In one transaction. After anything but KUMA_STATEMENT_FAILED nobody knows whether it was done.
   * @throws KUMA_STATEMENT_FAILED, KUMA_SINK_UNAVAILABLE, KUMA_DISK_FULL, KUMA_LOCKED, KUMA_IO, KUMA_CORRUPT
   */
  write(statements: readonly Statement[]): Promise<void>
  /** What stands there, after every write that was done. @throws as `write` */
  read(sql: string, ...params: Param[]): Promise<SinkRow[]>
  /** Someone's own question, which can write nothing. @throws KUMA_INVALID_QUERY, KUMA_TIMEOUT, and as `write` */
  query(query: Query): AsyncIterable<QueryPage>
  /** The names of the tables that such a question reads, also through views. @throws as `query` */
  tables(query: Query): Promise<readonly string[]>
  /** Takes the bytes of deleted rows out of its files. @param alone runs what must not meet any question */
  scrub(alone: Alone): Promise<Scrubbed>
  close(): Promise<void>
}

/** A sink that is asked only while something holds, which throws where it does not. It is closed in any case. */
export function onlyWhile(assert: () => void, sink: Sink): Sink {
  return {
    name: sink.name,
    nodes: sink.nodes,
    open: async () => {
      assert()
      await sink.open()
    },
    write: async (statements) => {
      assert()
      await sink.write(statements)
    },
    read: async (sql, ...params) => {
      assert()
      return sink.read(sql, ...params)
    },
    query: async function* (query) {
      assert()
      yield* sink.query(query)
    },
    tables: async (query) => {
      assert()
      return sink.tables(query)
    },
    scrub: async (alone) => {
      assert()
      return sink.scrub(alone)
    },
    close: () => sink.close(),
  }
}

/** @param index of the statement, from 0 on */
export function statementFailed(index: number, message: string): KumaError<'KUMA_STATEMENT_FAILED'> {
  return new KumaError('KUMA_STATEMENT_FAILED', message, { index })
}

export function invalidQuery(message: string, hint?: string): KumaError<'KUMA_INVALID_QUERY'> {
  return new KumaError('KUMA_INVALID_QUERY', message, {}, { hint })
}

/** Some memory is the process's own before it asks anything: Node and the driver take about 65 MB. */
export function tooMuchMemory(bytesMax: number): KumaError<'KUMA_INVALID_QUERY'> {
  const hint = 'sort, group or join less at once, or allow more with readModels.queryMemoryBytesMax in the config'
  return invalidQuery(`the query took more memory than ${bytesMax.toLocaleString('en')} bytes`, hint)
}

/** @param chars that it has at most @param bytesMax as JSON. @throws KUMA_INVALID_QUERY */
export function checkRow(row: readonly Json[], chars: number, bytesMax: number | undefined): void {
  if (bytesMax === undefined || chars * CHAR_BYTES_MAX <= bytesMax) return
  if (Buffer.byteLength(JSON.stringify(row)) > bytesMax) throw rowTooLarge(bytesMax)
}

export function rowTooLarge(bytesMax: number): KumaError<'KUMA_INVALID_QUERY'> {
  const hint = 'select fewer columns, or parts of them: substr(...), state->>...'
  return invalidQuery(`a row of the answer is larger than ${bytesMax / 1024 / 1024} MiB`, hint)
}

export function queryTimeout(timeoutMs: number): KumaError<'KUMA_TIMEOUT'> {
  const message = `the query took longer than ${timeoutMs} ms`
  const hint = 'ask for less, declare an index for it, or allow more with --timeout'
  return new KumaError('KUMA_TIMEOUT', message, { command: 'query', timeoutMs }, { hint })
}

/**
 * A value as a query gives it.
 * @param declared type of its column, '' where it is no column of a table
 */
export function shownValue(value: unknown, declared: string): Json {
  if (value === null || value === undefined) return null
  if (typeof value === 'bigint') {
    const number = Number(value)
    if (String(number) !== String(value)) return String(value) // it has digits that no number has
    return declared === 'BOOLEAN' ? number !== 0 : number
  }
  if (ArrayBuffer.isView(value)) return Buffer.from(value as Uint8Array).toString('base64')
  if (declared === 'BOOLEAN' && typeof value === 'number') return value !== 0
  if (declared === 'JSON TEXT' && typeof value === 'string') return JSON.parse(value) as Json
  return value as Json
}
