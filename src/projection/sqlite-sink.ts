/** The embedded sink: `projections.db` in the store, written to by a thread, asked by a process. */
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import type { QueryPage } from '../engine.ts'
import { fromWire, KumaError } from '../errors.ts'
import { Helper } from '../store/helper.ts'
import { residentBytes } from '../store/resident.ts'
import { startThread } from '../store/thread.ts'
import type { Param } from './columns.ts'
import type { FileQuery } from './query-process.ts'
import {
  type Alone,
  type Query,
  type Scrubbed,
  type Sink,
  type SinkRow,
  type Statement,
  tooMuchMemory,
} from './sink.ts'
import type { SinkAnswer, SinkRequest } from './sink-worker.ts'
import { type Packed, queryFile, SqliteFile, tablesOfQuery } from './sqlite-file.ts'

/** How often it is looked how much memory a process has that is asked. */
const LOOK_MS = 200
/** One that has more does not wait for the next question: what SQLite gave back, a process may keep. */
const IDLE_BYTES_MAX = 128 * 1024 * 1024

/** @param kind `inline` for a process that lives for a moment: starting a thread would cost more than it saves */
export function sqliteSink(path: string, kind: 'worker' | 'inline'): Sink {
  return kind === 'worker' ? new WorkerSink(path) : new InlineSink(path)
}

class InlineSink implements Sink {
  readonly nodes = []
  private file: SqliteFile | null = null
  private readonly asking: Asking

  constructor(readonly name: string) {
    this.asking = new Asking(name)
  }

  private get opened(): SqliteFile {
    this.file ??= new SqliteFile(this.name)
    return this.file
  }

  async open(): Promise<void> {
    this.opened
  }

  async write(statements: readonly Statement[]): Promise<void> {
    this.opened.write(packed(statements))
  }

  async read(sql: string, ...params: Param[]): Promise<SinkRow[]> {
    return this.opened.read(sql, params)
  }

  async *query(query: Query): AsyncGenerator<QueryPage> {
    // nothing can stop it here: what may have to be stopped is asked in a process of its own
    if (query.signal === undefined) yield* queryFile(this.name, query)
    else yield* this.asking.ask(query)
  }

  tables(query: Query): Promise<readonly string[]> {
    return tablesIn(
      query.signal === undefined ? tablesOfQuery(this.name, query) : this.asking.ask(query, { isOfTables: true }),
    )
  }

  async scrub(alone: Alone): Promise<Scrubbed> {
    this.opened.vacuum()
    return alone(async () => {
      await this.asking.ended()
      return this.opened.emptyWal()
    })
  }

  async close(): Promise<void> {
    this.asking.close()
    this.file?.close()
  }
}

class WorkerSink implements Sink {
  readonly nodes = []
  private worker: Worker | null = null
  private readonly asking: Asking
  private waiting: { resolve(value: never): void; reject(error: KumaError): void }[] = []
  private ended: string | null = null

  constructor(readonly name: string) {
    this.asking = new Asking(name)
  }

  private start(): Worker {
    const worker = startThread('sink', this.name)
    worker.unref()
    worker.on('message', (answer: SinkAnswer) => this.settle(answer))
    worker.on('error', (error: Error) => this.end(error.message))
    worker.on('exit', () => this.end('it has ended'))
    return worker
  }

  open(): Promise<void> {
    return this.request({ open: this.name })
  }

  write(statements: readonly Statement[]): Promise<void> {
    return this.request({ write: packed(statements) })
  }

  read(sql: string, ...params: Param[]): Promise<SinkRow[]> {
    return this.request({ read: sql, params })
  }

  query(query: Query): AsyncIterable<QueryPage> {
    return this.asking.ask(query)
  }

  tables(query: Query): Promise<readonly string[]> {
    return tablesIn(this.asking.ask(query, { isOfTables: true }))
  }

  async scrub(alone: Alone): Promise<Scrubbed> {
    await this.request({ vacuum: true })
    return alone(async () => {
      await this.asking.ended()
      return this.request<Scrubbed>({ emptyWal: true })
    })
  }

  async close(): Promise<void> {
    this.asking.close()
    const { worker } = this
    if (worker === null || this.ended !== null) return
    const exited = once(worker, 'exit')
    await this.request({ close: true })
    worker.ref()
    await exited
  }

  private request<T>(request: SinkRequest): Promise<T> {
    if (this.ended !== null) return Promise.reject(this.lost(this.ended))
    this.worker ??= this.start()
    const { worker } = this
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      worker.ref()
      worker.postMessage(request)
    })
  }

  private settle(answer: SinkAnswer): void {
    const waiting = this.waiting.shift()
    if (this.waiting.length === 0) this.worker?.unref()
    if ('error' in answer) waiting?.reject(fromWire(answer.error))
    else waiting?.resolve(answer.value as never)
  }

  private end(why: string): void {
    this.ended ??= why
    for (const { reject } of this.waiting.splice(0)) reject(this.lost(this.ended))
  }

  private lost(why: string): KumaError<'KUMA_SINK_UNAVAILABLE'> {
    const message = `the thread that writes ${this.name} is gone: ${why}`
    return new KumaError('KUMA_SINK_UNAVAILABLE', message, { sink: this.name })
  }
}

function packed(statements: readonly Statement[]): Packed {
  const indexes = new Map<string, number>()
  const [sqls, counts, order, params]: [string[], number[], number[], Param[]] = [[], [], [], []]
  for (const statement of statements) {
    const sql = statement[0]
    let index = indexes.get(sql)
    // one with another number of parameters is wrong, and SQLite will say so
    if (index === undefined || counts[index] !== statement.length - 1) {
      index = sqls.push(sql) - 1
      counts.push(statement.length - 1)
      indexes.set(sql, index)
    }
    order.push(index)
    for (let i = 1; i < statement.length; i++) params.push(statement[i]!)
  }
  return { sqls, counts, order, params }
}

async function tablesIn(pages: Iterable<QueryPage> | AsyncIterable<QueryPage>): Promise<string[]> {
  const tables: string[] = []
  for await (const { rows } of pages) tables.push(...rows.map(([table]) => table as string))
  return tables
}

/** Processes that ask the file. One that is done waits for the next question. */
class Asking {
  private idle: Helper | null = null
  private readonly busy = new Set<Helper>()
  /** Killed, and perhaps not gone yet: until then it reads. */
  private readonly dying = new Set<Promise<void>>()

  constructor(private readonly path: string) {}

  async *ask(
    { signal, memoryBytesMax, ...query }: Query,
    { isOfTables = false }: { readonly isOfTables?: boolean } = {},
  ): AsyncGenerator<QueryPage> {
    await this.ended()
    signal?.throwIfAborted()
    const helper = this.take()
    let reason: unknown
    let isOver = false
    const stop = (why: unknown) => {
      if (isOver) return
      reason ??= why
      this.kill(helper)
    }
    const abort = () => stop(signal!.reason)
    signal?.addEventListener('abort', abort)
    const watch = memoryBytesMax === undefined ? undefined : watchMemory(helper, memoryBytesMax, stop)
    const question: FileQuery = { ...query, path: this.path, isOfTables }
    try {
      for await (const page of helper.ask<QueryPage>(question)) {
        if (reason !== undefined) throw reason
        yield page
      }
    } catch (error) {
      throw reason ?? error
    } finally {
      clearInterval(watch)
      await this.give(helper)
      isOver = true
      signal?.removeEventListener('abort', abort)
    }
  }

  private take(): Helper {
    const helper = this.idle?.isAlive ? this.idle : new Helper('query', (why) => this.lost(why))
    this.idle = null
    this.busy.add(helper)
    return helper
  }

  private async give(helper: Helper): Promise<void> {
    const isSmall = helper.isAlive && ((await residentBytes(helper.pid!)) ?? 0) <= IDLE_BYTES_MAX
    if (!this.busy.delete(helper)) return // killed
    if (isSmall && helper.isAlive && this.idle === null) this.idle = helper
    else this.kill(helper)
  }

  private kill(helper: Helper): void {
    this.busy.delete(helper)
    const gone = helper.close().finally(() => this.dying.delete(gone))
    this.dying.add(gone)
  }

  /** When all that were killed are gone. */
  async ended(): Promise<void> {
    await Promise.all(this.dying)
  }

  private lost(why: string): KumaError<'KUMA_SINK_UNAVAILABLE'> {
    const message = `the process that asks ${this.path} did not answer: ${why}`
    const hint = 'ask again; what it printed went to stderr'
    return new KumaError('KUMA_SINK_UNAVAILABLE', message, { sink: this.path }, { hint })
  }

  close(): void {
    for (const helper of [...this.busy, ...(this.idle === null ? [] : [this.idle])]) this.kill(helper)
    this.idle = null
  }
}

/** SQLite's own bounds of memory do nothing in the builds that there are: so it is looked at from outside. */
function watchMemory(helper: Helper, bytesMax: number, stop: (why: KumaError) => void): NodeJS.Timeout {
  return setInterval(async () => {
    const bytes = helper.isAlive ? await residentBytes(helper.pid!) : null
    if (bytes !== null && bytes > bytesMax) stop(tooMuchMemory(bytesMax))
  }, LOOK_MS)
}
