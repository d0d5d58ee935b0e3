/**
 * Records the lines of an import, many at a time and in their order. What is wrong with one line rejects that line;
 * what is wrong with the store (a full disk, damage) stops the import, once everything under way is settled.
 */
import type { Engine } from '../engine.ts'
import { isKumaError, type KumaErrorCode } from '../errors.ts'
import { parseLine } from './import-line.ts'
import { type Line, lines } from './lines.ts'

/** Under way at once: the memory of an import does not grow with its length. */
const LINES_MAX = 2_048
const CHARS_MAX = 8 * 1024 * 1024

export interface ImportCounts {
  readonly imported: number
  readonly duplicates: number
  readonly rejected: number
}

export interface ImportOptions {
  /** the type of an entity that does not exist yet */
  readonly typeFor: (id: string) => string
  readonly onRejected: (line: number, reason: string, hint: string | null) => void
  readonly onProgress?: (counts: ImportCounts) => void
  /** Stops reading; what is under way is settled. */
  readonly signal?: AbortSignal
}

/** Errors that are about one line and not about the store. */
const OF_A_LINE: ReadonlySet<KumaErrorCode> = new Set<KumaErrorCode>([
  'KUMA_CONFLICT',
  'KUMA_INVALID_DATA',
  'KUMA_INVALID_EVENT',
  'KUMA_INVALID_ID',
  'KUMA_INVALID_POINT',
  'KUMA_INVALID_TIME',
  'KUMA_MODEL_FAILED',
  'KUMA_REQUEST_KEY_REUSED',
  'KUMA_TYPE_MISMATCH',
  'KUMA_UNKNOWN_TYPE',
])

/** @throws what stopped it; `onProgress` has the last counts then */
export async function importLines(
  engine: Engine,
  chunks: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportCounts> {
  const run = new ImportRun(engine, options)
  try {
    for await (const batch of lines(chunks)) {
      for (const line of batch) {
        if (run.isFull) await run.room()
        if (run.stopped) break
        run.take(line)
      }
      run.report()
      if (run.stopped) break
    }
  } finally {
    await run.settled()
    run.report()
  }
  if (run.failure !== undefined) throw run.failure
  return run.counts
}

class ImportRun {
  readonly counts = { imported: 0, duplicates: 0, rejected: 0 }
  failure: unknown
  private underWay = 0
  private chars = 0
  private wake: (() => void) | null = null

  constructor(
    private readonly engine: Engine,
    private readonly options: ImportOptions,
  ) {}

  get stopped(): boolean {
    return this.failure !== undefined || this.options.signal?.aborted === true
  }

  get isFull(): boolean {
    return this.underWay >= LINES_MAX || this.chars >= CHARS_MAX
  }

  report(): void {
    this.options.onProgress?.({ ...this.counts })
  }

  take(line: Line): void {
    if ('problem' in line) {
      this.reject(line.number, line.problem, null)
      return
    }
    const { number, text } = line
    this.underWay++
    this.chars += text.length
    let appended: ReturnType<Engine['append']>
    try {
      appended = this.engine.append(parseLine(text, this.options.typeFor))
    } catch (error) {
      this.failed(number, error)
      this.done(text)
      return
    }
    appended.then(
      ({ repeated }) => {
        this.counts[repeated ? 'duplicates' : 'imported']++
        this.done(text)
      },
      (error: unknown) => {
        this.failed(number, error)
        this.done(text)
      },
    )
  }

  private failed(number: number, error: unknown): void {
    if (isKumaError(error) && OF_A_LINE.has(error.code)) this.reject(number, error.message, error.hint)
    else this.failure ??= error
  }

  private reject(number: number, reason: string, hint: string | null): void {
    this.counts.rejected++
    this.options.onRejected(number, reason, hint)
  }

  private done(text: string): void {
    this.underWay--
    this.chars -= text.length
    // half empty, so that not every acknowledgement wakes the reader
    if (this.underWay <= LINES_MAX / 2 && this.chars <= CHARS_MAX / 2) this.rouse()
    else if (this.underWay === 0) this.rouse()
  }

  private rouse(): void {
    this.wake?.()
    this.wake = null
  }

  room(): Promise<void> {
    return new Promise((resolve) => (this.wake = resolve))
  }

  async settled(): Promise<void> {
    while (this.underWay > 0) await this.room()
  }
}
