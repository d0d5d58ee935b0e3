/**
 * Records what an import reads, many requests at a time and in their order. What is wrong with one request rejects that
 * one; what is wrong with the store (a full disk, damage) stops the import, once everything under way is settled.
 */
import type { AppendRequest, Engine } from '../engine.ts'
import { isKumaError, type KumaErrorCode } from '../errors.ts'

/** Under way at once: the memory of an import does not grow with its length. */
const REQUESTS_MAX = 2_048
const CHARS_MAX = 8 * 1024 * 1024

export interface ImportCounts {
  readonly imported: number
  readonly duplicates: number
  readonly rejected: number
}

/** What was rejected: a line, or a document from one of its events on. */
export type Rejected =
  | { readonly line: number }
  | { readonly document: number; readonly entity: string; readonly version: number }

export interface ImportOptions {
  /** the type of an entity that does not exist yet */
  readonly typeFor: (id: string) => string
  readonly onRejected: (what: Rejected, reason: string, hint: string | null) => void
  readonly onProgress?: (counts: ImportCounts) => void
  /** Documents in a file are read to their end before anything is recorded: how many events that was so far. */
  readonly onChecked?: (events: number) => void
  /** Stops reading; what is under way is settled. */
  readonly signal?: AbortSignal
}

/** Errors that are about one request and not about the store. */
const OF_A_REQUEST: ReadonlySet<KumaErrorCode> = new Set<KumaErrorCode>([
  'KUMA_CONFLICT',
  'KUMA_INVALID_DATA',
  'KUMA_INVALID_EVENT',
  'KUMA_INVALID_ID',
  'KUMA_INVALID_POINT',
  'KUMA_INVALID_TIME',
  'KUMA_MODEL_FAILED',
  'KUMA_REQUEST_KEY_REUSED',
  'KUMA_STATE_TOO_LARGE',
  'KUMA_TYPE_MISMATCH',
  'KUMA_UNKNOWN_TYPE',
])

export class ImportRun {
  readonly counts = { imported: 0, duplicates: 0, rejected: 0 }
  failure: unknown
  private underWay = 0
  private chars = 0
  private wake: (() => void) | null = null

  constructor(
    private readonly engine: Engine,
    readonly options: ImportOptions,
  ) {}

  get stopped(): boolean {
    return this.failure !== undefined || this.options.signal?.aborted === true
  }

  get isFull(): boolean {
    return this.underWay >= REQUESTS_MAX || this.chars >= CHARS_MAX
  }

  report(): void {
    this.options.onProgress?.({ ...this.counts })
  }

  /** Resolves when it is settled, to whether it is recorded. @param chars what it holds in memory */
  send(request: AppendRequest, chars: number, onFailed: (error: unknown) => void): Promise<boolean> {
    const { length } = request.events
    this.underWay++
    this.chars += chars
    let appended: ReturnType<Engine['append']>
    try {
      appended = this.engine.append(request)
    } catch (error) {
      appended = Promise.reject(error)
    }
    return appended.then(
      ({ repeated }) => {
        this.counts[repeated ? 'duplicates' : 'imported'] += length
        this.done(chars)
        return true
      },
      (error: unknown) => {
        onFailed(error)
        this.done(chars)
        return false
      },
    )
  }

  failed(what: Rejected, events: number, error: unknown): void {
    if (isKumaError(error) && OF_A_REQUEST.has(error.code)) this.reject(what, events, error.message, error.hint)
    else this.failure ??= error
  }

  reject(what: Rejected, events: number, reason: string, hint: string | null): void {
    this.counts.rejected += events
    this.options.onRejected(what, reason, hint)
  }

  private done(chars: number): void {
    this.underWay--
    this.chars -= chars
    // half empty, so that not every acknowledgement wakes the reader
    if (this.underWay <= REQUESTS_MAX / 2 && this.chars <= CHARS_MAX / 2) this.rouse()
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
