/**
 * Records what an import reads, many requests at a time and in their order. What is wrong with one request rejects that
 * one; what is wrong with the store (a full disk, damage) stops the import, once everything under way is settled.
 *
 * Requests are settled in whatever order. So that errors are told in the order of the input, each part of that takes a
 * ticket, and is told of when all before it are settled. A few of them are told, and all are counted by their codes.
 */
import type { AppendRequest, AppendResult } from '../engine.ts'
import { isKumaError, type KumaError, type KumaErrorCode } from '../errors.ts'
import type { LineOptions } from './import-line.ts'
import type { Recorder } from './import-recorder.ts'

/** Under way at once: the memory of an import does not grow with its length. */
const REQUESTS_MAX = 2_048
const CHARS_MAX = 8 * 1024 * 1024
/** That are settled, and wait for one before them, or are under way. */
const TICKETS_MAX = 32_768
/** More would hide the first ones. */
const TOLD_MAX = 20

export interface ImportCounts {
  readonly imported: number
  readonly duplicates: number
  readonly rejected: number
}

/** Of what was rejected: how many were not told, and how many events in all, by code. */
export interface Untold {
  readonly untold: number
  readonly codes: { readonly [code: string]: number }
}

/** What was rejected: a line, or a document from one of its events on. */
export type Rejected =
  | { readonly line: number }
  | { readonly document: number; readonly entity: string; readonly version: number }

export interface ImportOptions extends LineOptions {
  /** Makes a request key of a line that has none. */
  readonly keyOf?: ((text: string, number: number) => string) | undefined
  /** A line has neither key nor version, and is about to be recorded: run again, it would be once more. Told once. */
  readonly onUnkeyed: () => void
  /** In the order of the input, and of the first ones. */
  readonly onRejected: (what: Rejected, reason: string, hint: string | null) => void
  readonly onProgress?: (counts: ImportCounts) => void
  /** Documents in a file are read to their end before anything is recorded: how many events that was so far. */
  readonly onChecked?: (events: number) => void
  /** Stops reading; what is under way is settled. */
  readonly signal?: AbortSignal
}

/** What came of a part of the input. */
export interface Outcome {
  readonly imported?: number
  readonly duplicates?: number
  /** why the rest of its events was rejected */
  readonly error?: unknown
  /** Another part of the same document was told of. */
  readonly isSilent?: boolean
}

export interface Ticket {
  readonly what: Rejected
  readonly events: number
  /** what it holds in memory */
  readonly chars: number
}

interface Waiting {
  readonly ticket: Ticket
  rejection: { readonly error: KumaError; readonly events: number; readonly isSilent: boolean } | null
  isSettled: boolean
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
  private readonly codes = new Map<string, number>()
  private told = 0
  private rejections = 0
  private tickets: Waiting[] = []
  /** of the first that is not told of */
  private first = 0
  private underWay = 0
  private chars = 0
  private wake: (() => void) | null = null

  constructor(
    readonly recorder: Recorder,
    readonly options: ImportOptions,
  ) {}

  get stopped(): boolean {
    return this.failure !== undefined || this.options.signal?.aborted === true
  }

  get isFull(): boolean {
    return this.isOver(1)
  }

  get untold(): Untold {
    return { untold: this.rejections - this.told, codes: Object.fromEntries(this.codes) }
  }

  report(): void {
    this.options.onProgress?.({ ...this.counts })
  }

  /** The next part of the input. @returns to be called when it is settled */
  begin(ticket: Ticket): (outcome: Outcome) => void {
    const waiting: Waiting = { ticket, rejection: null, isSettled: false }
    this.tickets.push(waiting)
    this.underWay++
    this.chars += ticket.chars
    return (outcome) => this.settle(waiting, outcome)
  }

  /** The same as that of the engine, which may also throw. */
  async append(request: AppendRequest): Promise<AppendResult> {
    return this.recorder.append(request)
  }

  private settle(waiting: Waiting, { imported = 0, duplicates = 0, error, isSilent = false }: Outcome): void {
    const { events, chars } = waiting.ticket
    const left = events - imported - duplicates
    this.counts.imported += imported
    this.counts.duplicates += duplicates
    waiting.isSettled = true
    if (isKumaError(error) && OF_A_REQUEST.has(error.code)) {
      this.counts.rejected += left
      waiting.rejection = { error, events: left, isSilent }
    } else if (error !== undefined) this.failure ??= error
    this.tell()
    this.underWay--
    this.chars -= chars
    // half empty, so that not every acknowledgement wakes the reader
    if (this.underWay === 0 || !this.isOver(0.5)) this.rouse()
  }

  private isOver(part: number): boolean {
    const { underWay, chars, tickets, first } = this
    return underWay >= part * REQUESTS_MAX || chars >= part * CHARS_MAX || tickets.length - first >= part * TICKETS_MAX
  }

  /** Of those that have nothing before them any more. */
  private tell(): void {
    for (; this.tickets[this.first]?.isSettled; this.first++) {
      const { ticket, rejection } = this.tickets[this.first]!
      if (rejection === null) continue
      const { error, events, isSilent } = rejection
      this.codes.set(error.code, (this.codes.get(error.code) ?? 0) + events)
      if (isSilent || ++this.rejections > TOLD_MAX) continue
      this.told++
      this.options.onRejected(ticket.what, error.message, error.hint)
    }
    if (this.first < REQUESTS_MAX) return
    this.tickets = this.tickets.slice(this.first)
    this.first = 0
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
