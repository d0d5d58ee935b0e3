/**
 * The sink that is an rqlite cluster, spoken to by HTTP (rqlite 8 and later; see https://rqlite.io/docs/api/).
 *
 * - `POST /db/execute?transaction` runs all statements or none. An SQL failure is answered with status 200, so every
 *   result is looked at; a lost leader is an `error` beside them. Writes are never queued (they would be acknowledged
 *   before they are safe) nor redirected (a POST would become a GET): a follower forwards them.
 * - Nodes are tried in turn where it is certain that nothing was done. Where it is not, whoever writes finds out: a guard
 *   makes a batch that arrives twice count once (catalog.ts).
 * - Reads of the engine are `level=strong`, so they see every write that was done; people's questions are `weak`.
 * - A text like `x'4142'` would become bytes: it goes as `.x'4142'`, and SQL takes the dot away.
 */
import type { QueryPage } from '../engine.ts'
import { KumaError } from '../errors.ts'
import type { Param } from './columns.ts'
import { type RqliteAddress, rqliteAt } from './rqlite-url.ts'
import {
  checkRow,
  invalidQuery,
  type Query,
  queryTimeout,
  rowTooLarge,
  type Scrubbed,
  type Sink,
  type SinkRow,
  type Statement,
  shownValue,
  statementFailed,
} from './sink.ts'
import { withoutEnd, withPlaceholders } from './sql-text.ts'
import { ROOTS, tablesRead } from './tables-read.ts'

const TIMEOUT_MS = 10_000
const PAGE_ROWS = 500
const PAGE_BYTES = 64 * 1024
/** It writes <, > and & as six characters: a row may be longer than as we write it, and not much. */
const ROW_STRETCH = 2
const HEX = /^\s*[xX]'/

interface Result {
  readonly error?: string
  readonly columns?: readonly string[]
  readonly values?: readonly (readonly (string | number | null)[])[]
}

interface Results {
  readonly error?: string
  readonly results?: readonly Result[]
}

interface Ask {
  readonly method?: 'GET' | 'POST'
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
}

export class RqliteSink implements Sink {
  readonly name: string
  /** the node that answered last */
  private node = 0

  constructor(
    private readonly address: RqliteAddress,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {
    this.name = rqliteAt(address.nodes)
  }

  get nodes(): readonly string[] {
    return this.address.nodes
  }

  async open(): Promise<void> {
    await this.ask('/readyz')
  }

  async write(statements: readonly Statement[]): Promise<void> {
    const results = await this.results('/db/execute?transaction', statements.map(encoded))
    const failed = results.findIndex(({ error }) => error !== undefined)
    if (failed !== -1) throw statementFailed(failed, results[failed]!.error!)
    if (results.length !== statements.length) throw this.unavailable('it did not answer for every statement')
  }

  async read(sql: string, ...params: Param[]): Promise<SinkRow[]> {
    const [result] = await this.results('/db/query?level=strong', [encoded([sql, ...params])])
    if (result?.error !== undefined) throw statementFailed(0, result.error)
    return rowsIn(result)
  }

  private async results(path: string, body: readonly Statement[], signal?: AbortSignal): Promise<readonly Result[]> {
    const response = await this.ask(path, { method: 'POST', body, signal })
    let answer: Results
    try {
      answer = (await response.json()) as Results
    } catch (cause) {
      signal?.throwIfAborted()
      throw this.unavailable('its answer broke off', cause)
    }
    if (answer.error !== undefined) throw this.unavailable(answer.error)
    return answer.results ?? []
  }

  async *query({ sql, params = [], rowBytesMax, timeoutMs, signal = NEVER }: Query): AsyncGenerator<QueryPage> {
    const path = `/db/query?level=weak${timeoutMs === undefined ? '' : `&db_timeout=${timeoutMs}ms`}`
    const body = [encoded([sql, ...params])]
    const response = await this.ask(path, { method: 'POST', body, signal })
    try {
      yield* pages(response, rowBytesMax)
    } catch (error) {
      signal.throwIfAborted()
      if (/query timeout/i.test((error as Error).message)) throw queryTimeout(timeoutMs ?? 0)
      if (error instanceof KumaError) throw error
      throw this.unavailable('its answer broke off', error)
    }
  }

  async tables({ sql, params = [], signal }: Query): Promise<readonly string[]> {
    // it would run the others, and explain the first one only
    const explained = encoded([`EXPLAIN ${withoutEnd(sql)}`, ...params])
    const [steps, roots] = await this.results('/db/query?transaction&level=weak', [explained, [ROOTS]], signal)
    if (steps?.error !== undefined) throw invalidQuery(steps.error)
    if (!steps?.columns?.includes('opcode')) throw invalidQuery('a query is one statement')
    return tablesRead(rowsIn(steps), rowsIn(roots))
  }

  async scrub(): Promise<Scrubbed> {
    const [result] = await this.results('/db/execute', [['VACUUM']])
    if (result?.error !== undefined) throw this.unavailable(result.error)
    const scrubbed = { reached: [] as string[], notReached: [] as { what: string; remedy: string }[] }
    for (const { id, url } of await this.members()) {
      try {
        await this.ask('/snapshot?trailing_logs=0', { method: 'POST' }, [url])
        scrubbed.reached.push(`rqlite node ${id}: its database and snapshots`)
      } catch (error) {
        const remedy = `POST /snapshot?trailing_logs=0 to it: ${(error as Error).message}`
        scrubbed.notReached.push({ what: `snapshots of rqlite node ${id}`, remedy })
      }
      const remedy = 'its pages that were freed keep what was written: replace the node by a fresh one'
      scrubbed.notReached.push({ what: `raft.db of rqlite node ${id}`, remedy })
    }
    return scrubbed
  }

  /** All that are in the cluster, by the addresses that were given where these are known to be theirs. */
  private async members(): Promise<{ readonly id: string; readonly url: string }[]> {
    const known = new Map<string, string>()
    for (const url of this.nodes) {
      try {
        const status = (await (await this.ask('/status', {}, [url])).json()) as { store?: { node_id?: string } }
        if (status.store?.node_id !== undefined) known.set(status.store.node_id, url)
      } catch {} // it is asked for by the others
    }
    const nodes = (await (await this.ask('/nodes?nonvoters')).json()) as { [id: string]: { api_addr?: string } }
    return Object.entries(nodes).map(([id, { api_addr: url = '' }]) => ({ id, url: known.get(id) ?? url }))
  }

  /** Asks one node after the other, until one answers. @throws KUMA_SINK_UNAVAILABLE */
  private async ask(path: string, ask: Ask = {}, nodes = this.nodes): Promise<Response> {
    let problem: KumaError | undefined
    for (let tries = 0; tries < nodes.length; tries++) {
      const node = nodes[(this.node + tries) % nodes.length]!
      try {
        const response = await this.askNode(node, path, ask)
        if (nodes === this.nodes) this.node = (this.node + tries) % nodes.length
        return response
      } catch (error) {
        ask.signal?.throwIfAborted()
        if (!(error instanceof NotDone)) {
          this.node++ // perhaps another one answers next time
          throw error
        }
        problem ??= error.problem
      }
    }
    throw problem
  }

  /** @throws NotDone if it is certain that nothing was done, KUMA_SINK_UNAVAILABLE if it is not */
  private async askNode(node: string, path: string, { method = 'GET', body, signal }: Ask): Promise<Response> {
    const { authorization } = this.address
    const timeout = AbortSignal.timeout(this.timeoutMs)
    let response: Response
    try {
      response = await fetch(`${node}${path}`, {
        method,
        redirect: 'error',
        headers: {
          ...(authorization && { authorization }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        // an answer of many rows may take its time; that it begins may not
        signal: signal ?? timeout,
      })
    } catch (cause) {
      const code = ((cause as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? (cause as Error).message
      const problem = this.unavailable(timeout.aborted ? `no answer within ${this.timeoutMs} ms` : code, cause, node)
      throw ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code)
        ? new NotDone(problem)
        : problem
    }
    if (response.ok) return response
    const text = (await response.text().catch(() => '')).trim().slice(0, 200)
    if (response.status === 401) throw this.unavailable('it does not take the user or the password', undefined, node)
    const problem = this.unavailable(`status ${response.status}${text && `, ${text}`}`, undefined, node)
    throw response.status === 503 ? new NotDone(problem) : problem
  }

  private unavailable(problem: string, cause?: unknown, node?: string): KumaError<'KUMA_SINK_UNAVAILABLE'> {
    const message = `${node === undefined ? this.name : `rqlite at ${node}`}: ${problem}`
    const hint = 'what is recorded waits in the log, and is projected when it answers'
    return new KumaError('KUMA_SINK_UNAVAILABLE', message, { sink: this.name }, { cause, hint })
  }

  async close(): Promise<void> {}
}

const NEVER = new AbortController().signal

function rowsIn({ columns = [], values = [] }: Result = {}): SinkRow[] {
  return values.map((row) => Object.fromEntries(row.map((value, i) => [columns[i]!, value])))
}

/** A node that did not do it. */
class NotDone extends Error {
  constructor(readonly problem: KumaError) {
    super(problem.message)
  }
}

function encoded(statement: Statement): Statement {
  const [sql, ...params] = statement
  if (!params.some(looksLikeBytes)) return statement
  const text = withPlaceholders(sql, (index) => (looksLikeBytes(params[index]) ? 'substr(?, 2)' : '?'))
  return [text, ...params.map((param) => (looksLikeBytes(param) ? `.${param as string}` : param))]
}

function looksLikeBytes(param: Param | undefined): boolean {
  return typeof param === 'string' && HEX.test(param)
}

/** Rows as they come: an answer is one JSON document, however many they are. */
async function* pages(response: Response, rowBytesMax: number | undefined): AsyncGenerator<QueryPage> {
  // for who needs it
  const [{ default: Tokenizer }, { default: TokenParser }] = await Promise.all([
    import('@streamparser/json/tokenizer.js'),
    import('@streamparser/json/tokenparser.js'),
  ])
  const tokenizer = new (class extends Tokenizer {
    // one that would lose digits comes as a text
    protected override parseNumber(text: string): number {
      return exactNumber(text) as number
    }
  })()
  const parser = new TokenParser({
    paths: ['$.error', '$.results.*.error', '$.results.*.columns', '$.results.*.types', '$.results.*.values.*'],
    keepStack: false,
  })
  tokenizer.onToken = (token) => parser.write(token)
  let columns: readonly string[] = []
  let types: readonly string[] = []
  let rows: QueryPage['rows'][number][] = []
  let count = 0
  /** of the page, and of what is not yet a whole row */
  let [pageBytes, rowBytes] = [0, 0]
  parser.onValue = ({ key, value }) => {
    if (key === 'error') throw invalidQuery(String(value))
    if (key === 'columns') columns = value as never
    else if (key === 'types') types = (value as readonly string[]).map((type) => type.toUpperCase())
    else {
      const row = (value as readonly unknown[]).map((one, i) => shownValue(one, types[i] ?? ''))
      checkRow(row, rowBytes, rowBytesMax)
      rows.push(row)
    }
    rowBytes = 0
  }
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    pageBytes += chunk.length
    rowBytes += chunk.length
    tokenizer.write(chunk)
    if (rowBytesMax !== undefined && rowBytes > rowBytesMax * ROW_STRETCH) throw rowTooLarge(rowBytesMax)
    if (rows.length < PAGE_ROWS && (rows.length === 0 || pageBytes < PAGE_BYTES)) continue
    yield { columns, rows }
    count++
    rows = []
    pageBytes = 0
  }
  if (count === 0 || rows.length > 0) yield { columns, rows }
}

function exactNumber(text: string): number | string {
  const number = Number(text)
  return !Number.isSafeInteger(number) && /^-?\d+$/.test(text) && String(number) !== text ? text : number
}
