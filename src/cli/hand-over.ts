/**
 * `kuma tail --exec`: a command that the shell runs gets the lines of a feed on stdin, a batch at a time. Its exit code says
 * whether it has handled them: after 0, and only then, the cursor moves past them; after any other nothing more is read.
 * A signal lets the batch under way come to its end, and a second one is passed on to its command.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { FeedItem } from '../api.ts'
import type { Engine, FeedPage, FeedRequest } from '../engine.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { withoutMasterKey } from '../store/master-key.ts'
import { CURSOR_MS, type Cursor, type Reached, reachedIn } from './cursor.ts'
import { ENDING } from './interrupted.ts'
import { note } from './output.ts'

/** A batch that is not full waits so long for more. */
const GATHER_MS = 10
const BATCH_CHARS = 4 * 1024 * 1024

interface Batch {
  /** none where nothing passed the filter */
  readonly lines: readonly string[]
  /** the place after them */
  readonly reached: Reached
}

export interface HandOver {
  readonly command: string
  readonly linesMax: number
  readonly lineOf: (item: FeedItem) => string
  readonly cursor: Cursor | null
}

/** @throws KUMA_EXEC_FAILED, what a feed throws, and the reason of the signal */
export async function handOver(
  engine: Engine,
  request: FeedRequest & { readonly signal: AbortSignal },
  { command, linesMax, lineOf, cursor }: HandOver,
): Promise<true> {
  const stop = new AbortController()
  const signal = AbortSignal.any([request.signal, stop.signal])
  const pages = engine.feed({ ...request, signal })[Symbol.asyncIterator]()
  let handled: Reached | null = null
  let kept: Reached | null = null
  let keptAt = 0
  const keep = () => {
    if (handled !== null && handled !== kept) cursor?.write(handled)
    kept = handled
    keptAt = performance.now()
  }
  try {
    for await (const { lines, reached } of batchesOf(pages, linesMax, lineOf)) {
      request.signal.throwIfAborted()
      if (lines.length > 0) await give(command, lines, request.signal, cursor === null ? handled : undefined)
      handled = reached
      if (lines.length > 0 || performance.now() - keptAt > CURSOR_MS) keep()
    }
    return true
  } catch (error) {
    if (request.signal.aborted && isKumaError(error, 'KUMA_EXEC_FAILED')) note(`interrupted: ${error.message}`)
    throw error
  } finally {
    stop.abort()
    keep()
    await pages.return?.()
  }
}

/** As many as there are, without waiting for more than a moment. */
async function* batchesOf(
  pages: AsyncIterator<FeedPage>,
  linesMax: number,
  lineOf: (item: FeedItem) => string,
): AsyncGenerator<Batch> {
  let lines: string[] = []
  let chars = 0
  let reached!: Reached // a batch is taken after something of a page only
  const take = () => {
    const batch = { lines, reached }
    lines = []
    chars = 0
    return batch
  }
  for (let page = ahead(pages); ; ) {
    const next = lines.length === 0 ? await page : await Promise.race([page, setTimeout(GATHER_MS, null)])
    if (next === null || next.done) {
      if (lines.length > 0) yield take()
      if (next?.done) return
      continue
    }
    for (const [i, item] of next.value.items.entries()) {
      chars += lines[lines.push(lineOf(item)) - 1]!.length
      reached = reachedIn(next.value, i)
      if (lines.length >= linesMax || chars >= BATCH_CHARS) yield take()
    }
    reached = next.value
    if (lines.length === 0) yield take()
    page = ahead(pages)
  }
}

/** The next page, for which nobody may be waiting yet when it fails. */
function ahead(pages: AsyncIterator<FeedPage>): Promise<IteratorResult<FeedPage>> {
  const next = pages.next()
  next.catch(() => {})
  return next
}

/** @param before the place before the lines, if no cursor keeps it; null: where it began */
async function give(
  command: string,
  lines: readonly string[],
  signal: AbortSignal,
  before: Reached | null | undefined,
): Promise<void> {
  const how = await run(command, `${lines.join('\n')}\n`, signal)
  if (how.exitCode === 0) return
  const ended =
    how.problem ?? (how.signal === null ? `ended with exit code ${how.exitCode}` : `was ended by ${how.signal}`)
  const count = lines.length === 1 ? 'the line that it got is' : `the ${lines.length} lines that it got are`
  const kept =
    before === undefined
      ? 'the cursor stays before them'
      : before === null
        ? 'there is no cursor'
        : `--from ${before.position} goes on there`
  throw new KumaError(
    'KUMA_EXEC_FAILED',
    `the command of --exec ${ended}: ${count} not handled`,
    { command, exitCode: how.exitCode, signal: how.signal },
    { hint: `${kept}: mend it, and run this again` },
  )
}

interface How {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** why it could not be run */
  readonly problem?: string
}

async function run(command: string, input: string, stopping: AbortSignal): Promise<How> {
  let child: ChildProcess | undefined
  const pass = (signal: NodeJS.Signals) => void child?.kill(signal)
  const listen = () => {
    note('interrupted: the batch under way comes to its end first; a second signal is passed on to its command')
    for (const signal of ENDING) process.on(signal, pass)
  }
  stopping.addEventListener('abort', listen)
  try {
    child = spawn(command, { shell: true, stdio: ['pipe', 'inherit', 'inherit'], env: withoutMasterKey() })
    child.stdin?.on('error', () => {}) // it need not read them: its exit code tells
    child.stdin?.end(input)
    const [exitCode, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return { exitCode, signal }
  } catch (cause) {
    return { exitCode: null, signal: null, problem: `could not be run (${(cause as Error).message})` }
  } finally {
    stopping.removeEventListener('abort', listen)
    for (const signal of ENDING) process.off(signal, pass)
  }
}
