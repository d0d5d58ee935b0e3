/** Lines or documents? An import sees by its first bytes which of them it is given. */
import type { AppendRequest, Engine } from '../engine.ts'
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
  let [first, bytes] = ['', 0]
  while (bytes < PEEK_BYTES && !BEGINS_DOCUMENT.test(first) && !HAS_LINE.test(first)) {
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
  const exported = new ExportedLines(run)
  for await (const batch of lines(chunks)) {
    for (const line of batch) {
      if (run.isFull) await run.room()
      if (run.stopped) break
      const request = requestOf(run, line)
      if (request?.expectedVersion !== undefined) await exported.send(request, line)
      else if (request !== null) void run.send(request, charsOf(line), failedAt(run, line))
    }
    run.report()
    if (run.stopped) break
  }
}

/** Null if there is none in it: the line is rejected. */
function requestOf(run: ImportRun, line: Line): AppendRequest | null {
  if ('problem' in line) run.reject({ line: line.number }, 1, line.problem, null)
  else {
    try {
      return parseLine(line.text, run.options.typeFor)
    } catch (error) {
      failedAt(run, line)(error)
    }
  }
  return null
}

function failedAt(run: ImportRun, { number }: Line): (error: unknown) => void {
  return (error) => run.failed({ line: number }, 1, error)
}

function charsOf(line: Line): number {
  return 'text' in line ? line.text.length : 0
}

/**
 * Exported CloudEvents say which version they were. They are refused where the entity has another history, all of them:
 * also one that by its version would fit behind that history. So an entity's first event is settled before the next is sent.
 */
class ExportedLines {
  private readonly refused = new Set<string>()
  private readonly first = new Map<string, Promise<boolean>>()

  constructor(private readonly run: ImportRun) {}

  async send(request: AppendRequest, line: Line): Promise<void> {
    const { id, expectedVersion } = request
    await this.first.get(id)
    if (this.refused.has(id)) {
      this.run.reject({ line: line.number }, 1, `an earlier event of ${id} was refused`, null)
      return
    }
    const sent = this.run.send(request, charsOf(line), (error) => {
      this.refused.add(id)
      failedAt(this.run, line)(error)
    })
    if (expectedVersion !== 0) return
    this.first.set(id, sent)
    void sent.then(() => this.first.delete(id))
  }
}
