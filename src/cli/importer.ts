/** Lines or documents? An import sees by its first bytes which of them it is given. */
import type { AppendRequest } from '../engine.ts'
import { KumaError } from '../errors.ts'
import { importDocuments } from './import-documents.ts'
import type { Input } from './import-input.ts'
import { checkLines, isDocument } from './import-kind.ts'
import { parseLine } from './import-line.ts'
import { Placed, type PlacedRequest } from './import-placed.ts'
import type { Recorder } from './import-recorder.ts'
import { type ImportOptions, ImportRun, type Outcome, type Untold } from './import-run.ts'
import { type Line, lines } from './lines.ts'

/** @throws what stopped it; `onProgress` has the last counts then */
export async function importFrom(recorder: Recorder, input: Input, options: ImportOptions): Promise<Untold> {
  const { first, chunks } = await peek(input.read())
  const run = new ImportRun(recorder, options)
  try {
    if (isDocument(first)) await importDocuments(run, input, chunks)
    else {
      checkLines(first, input.name)
      await importLines(run, chunks)
    }
  } finally {
    await run.settled()
    run.report()
  }
  if (run.failure !== undefined) throw run.failure
  return run.untold
}

/** A whole line that is an object. */
const HAS_LINE = /\}\s*\n/
/** More than stands before the first key that tells. */
const PEEK_BYTES = 16 * 1024

/** Reads as little as tells what it is, so that lines are recorded as they come. */
async function peek(source: AsyncGenerator<Uint8Array>) {
  const parts: Uint8Array[] = []
  let [first, bytes] = ['', 0]
  while (bytes < PEEK_BYTES && !isDocument(first) && !HAS_LINE.test(first)) {
    const { done, value } = await source.next()
    if (done) break
    parts.push(value)
    bytes += value.length
    first = Buffer.concat(parts)
      .subarray(0, PEEK_BYTES)
      .toString()
      .replace(/^\ufeff/, '')
  }
  return { first, chunks: joined(parts, source) }
}

async function* joined(parts: readonly Uint8Array[], rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* parts
  yield* rest
}

async function importLines(run: ImportRun, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const placed = new Placed(run)
  const warn = once(run.options.onUnkeyed)
  for await (const batch of lines(chunks)) {
    for (const line of batch) {
      if (run.isFull) await run.room()
      if (run.stopped) break
      const chars = 'text' in line ? line.text.length : 0
      const settle = run.begin({ what: { line: line.number }, events: 1, chars })
      const request = requestOf(run, line, settle)
      if (request === null) continue
      if (isPlaced(request)) placed.send(request, settle)
      else {
        if (request.requestKey === undefined) warn()
        void run.append(request).then(({ repeated }) => settle(repeated ? DUPLICATE : IMPORTED), refused(settle))
      }
    }
    run.report()
    if (run.stopped) break
  }
}

const IMPORTED: Outcome = { imported: 1 }
const DUPLICATE: Outcome = { duplicates: 1 }

function refused(settle: (outcome: Outcome) => void): (error: unknown) => void {
  return (error) => settle({ error })
}

function isPlaced(request: AppendRequest): request is PlacedRequest {
  return request.expectedVersion !== undefined
}

/** Null if there is none in it: the line is rejected. */
function requestOf({ options }: ImportRun, line: Line, settle: (outcome: Outcome) => void): AppendRequest | null {
  try {
    if ('problem' in line) throw new KumaError('KUMA_INVALID_DATA', line.problem, { path: '' })
    const request = parseLine(line.text, options)
    if (request.requestKey !== undefined || isPlaced(request)) return request
    return { ...request, requestKey: options.keyOf?.(line.text, line.number) }
  } catch (error) {
    settle({ error })
    return null
  }
}

function once(run: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) run()
    isDone = true
  }
}
