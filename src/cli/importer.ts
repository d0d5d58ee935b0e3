/** Lines or documents? An import sees by its first bytes which of them it is given. */
import type { Engine } from '../engine.ts'
import { importDocuments } from './import-documents.ts'
import type { Input } from './import-input.ts'
import { parseLine } from './import-line.ts'
import { type ImportCounts, type ImportOptions, ImportRun } from './import-run.ts'
import { type Line, lines } from './lines.ts'

/** @throws what stopped it; `onProgress` has the last counts then */
export async function importFrom(engine: Engine, input: Input, options: ImportOptions): Promise<ImportCounts> {
  const { first, chunks } = await peek(input.read())
  const run = new ImportRun(engine, options)
  try {
    if (BEGINS_DOCUMENT.test(first)) await importDocuments(run, input, chunks)
    else await importLines(run, chunks)
  } finally {
    await run.settled()
    run.report()
  }
  if (run.failure !== undefined) throw run.failure
  return run.counts
}

const TEXT = '"(?:[^"\\\\]|\\\\.)*"'
/**
 * A document, whatever the order of its keys: after those that a line may have as well, one that no line has. (What
 * CloudEvents calls an extension has a lower-case name, and neither an object nor a list as its value.)
 */
const BEGINS_DOCUMENT = new RegExp(
  `^\\s*\\{(?:\\s*"(?:(?:id|type|sha256)"\\s*:\\s*${TEXT}|version"\\s*:\\s*\\d+)\\s*,)*` +
    `\\s*"(?:format"\\s*:\\s*"kuma-export/|createdAt"|updatedAt"|readModels"|state"\\s*:\\s*[{[]|events"\\s*:\\s*\\[)`,
)
/** A whole line that is an object. */
const HAS_LINE = /\}\s*\n/
/** More than stands before the first key that tells. */
const PEEK_BYTES = 16 * 1024

/** Reads as little as tells what it is, so that lines are recorded as they come. */
async function peek(source: AsyncGenerator<Uint8Array>) {
  const parts: Uint8Array[] = []
  let first = ''
  while (first.length < PEEK_BYTES && !BEGINS_DOCUMENT.test(first) && !HAS_LINE.test(first)) {
    const { done, value } = await source.next()
    if (done) break
    parts.push(value)
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
  for await (const batch of lines(chunks)) {
    for (const line of batch) {
      if (run.isFull) await run.room()
      if (run.stopped) break
      importLine(run, line)
    }
    run.report()
    if (run.stopped) break
  }
}

function importLine(run: ImportRun, line: Line): void {
  const at = { line: line.number }
  const onFailed = (error: unknown) => run.failed(at, 1, error)
  if ('problem' in line) run.reject(at, 1, line.problem, null)
  else {
    try {
      void run.send(parseLine(line.text, run.options.typeFor), line.text.length, onFailed)
    } catch (error) {
      onFailed(error)
    }
  }
}
