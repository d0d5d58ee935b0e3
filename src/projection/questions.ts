/**
 * The questions that people ask read models. So many are answered at a time, since each may take a process, and the others
 * wait; each has its time; and an erasure ends them, since what one reads stays in the files until it has ended.
 *
 * The clock of a question runs while the sink works on it. While whoever asked deals with what came it stands still, unless
 * others wait for the place: a reader may take his time, but not everybody's.
 */
import { KumaError } from '../errors.ts'
import { queryTimeout } from './sink.ts'
import { Turns } from './turns.ts'

/** Those that wait. */
const WAITING_MAX = 1_000
const RETRY_AFTER_MS = 1_000
/** How long it may take to find out what a question reads, at least. */
const PREPARE_MS = 30_000
/** How long nobody may read on: what has been read stays in the files meanwhile. */
const REST_MS_MAX = 600_000

export interface Asked {
  /** They take turns. */
  readonly asker?: unknown
  /** counted from its turn on; no bound where it is not given */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

interface Waiting {
  readonly asked: Asked
  begin(question: Question): void
  refuse(error: Error): void
}

export class Questions {
  private readonly waiting = new Turns<Waiting>(WAITING_MAX)
  private readonly running = new Set<Question>()
  /** how many want that nothing runs */
  private holds = 0
  private closed: KumaError | null = null

  /** @param max of those that run */
  constructor(private readonly max: number) {}

  get counts(): { readonly running: number; readonly waiting: number } {
    return { running: this.running.size, waiting: this.waiting.size }
  }

  /**
   * @param answer ends when its signal is aborted, with the reason; it says when it begins with what was asked
   * @throws KUMA_OVERLOADED, KUMA_TIMEOUT, KUMA_INTERRUPTED, KUMA_CLOSED, the reason of the asker's signal
   */
  async *ask<T>(
    asked: Asked,
    answer: (signal: AbortSignal, begins: () => void) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const question = await this.turn(asked)
    try {
      for await (const page of answer(question.signal, () => question.begins())) {
        question.rests(true)
        yield page
        question.rests(false)
      }
    } finally {
      question.end()
    }
  }

  private async turn(asked: Asked): Promise<Question> {
    const { asker, signal } = asked
    signal?.throwIfAborted()
    if (this.closed !== null) throw this.closed
    let leave = () => {}
    try {
      return await new Promise<Question>((begin, refuse) => {
        const waiting = { asked, begin, refuse }
        leave = () => {
          this.waiting.remove(asker, waiting)
          refuse(signal!.reason)
          this.next()
        }
        signal?.addEventListener('abort', leave)
        this.waiting.push(asker, waiting)?.refuse(tooMany())
        this.next()
      })
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  private next(): void {
    while (this.holds === 0 && this.running.size < this.max) {
      const waiting = this.waiting.shift()
      if (waiting === undefined) break
      waiting.begin(this.begin(waiting.asked))
    }
    for (const question of this.running) question.look()
  }

  private begin(asked: Asked): Question {
    const ended = () => {
      this.running.delete(question)
      this.next()
    }
    const question = new Question(asked, () => this.waiting.size > 0, ended)
    this.running.add(question)
    return question
  }

  /** Runs it while no question is answered: those that are under way end, and others wait. */
  async without<T>(act: () => Promise<T>): Promise<T> {
    this.holds++
    try {
      this.endAll(interrupted())
      return await act()
    } finally {
      this.holds--
      this.next()
    }
  }

  close(error: KumaError): void {
    this.closed = error
    for (let one = this.waiting.shift(); one !== undefined; one = this.waiting.shift()) one.refuse(error)
    this.endAll(error)
  }

  private endAll(error: KumaError): void {
    for (const question of this.running) question.end(error)
  }
}

/** One that is being answered. */
class Question {
  private readonly stop = new AbortController()
  private leftMs: number
  /** since when the clock runs */
  private since: number | null = null
  private timer: NodeJS.Timeout | undefined
  private isResting = false
  private isOver = false

  constructor(
    private readonly asked: Asked,
    private readonly isWaitedFor: () => boolean,
    private readonly ended: () => void,
  ) {
    this.leftMs = Math.max(PREPARE_MS, asked.timeoutMs ?? Number.POSITIVE_INFINITY)
    asked.signal?.addEventListener('abort', this.left)
    this.look()
  }

  get signal(): AbortSignal {
    return this.stop.signal
  }

  private readonly left = () => this.end(this.asked.signal!.reason)

  /** Only now: what came before was to find out what it reads, and to start a process. */
  begins(): void {
    this.leftMs = this.asked.timeoutMs ?? Number.POSITIVE_INFINITY
    this.since = null
    this.look()
  }

  /** Does whoever asked deal with what came? */
  rests(isResting: boolean): void {
    this.isResting = isResting
    this.look()
  }

  /** Sets the clock. */
  look(): void {
    if (this.isOver) return
    clearTimeout(this.timer)
    const now = performance.now()
    if (this.since !== null) this.leftMs -= now - this.since
    const runs = !this.isResting || this.isWaitedFor()
    this.since = runs ? now : null
    if (!runs) this.timer = setTimeout(() => this.end(notRead()), REST_MS_MAX)
    else if (this.leftMs < Number.POSITIVE_INFINITY)
      this.timer = setTimeout(() => this.end(queryTimeout(this.asked.timeoutMs!)), Math.max(0, this.leftMs))
  }

  /** @param reason why, if it is not answered to the end */
  end(reason?: unknown): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.timer)
    this.asked.signal?.removeEventListener('abort', this.left)
    if (reason !== undefined) this.stop.abort(reason)
    this.ended()
  }
}

function tooMany(): KumaError<'KUMA_OVERLOADED'> {
  const hint = 'ask again later, and fewer at once'
  return new KumaError(
    'KUMA_OVERLOADED',
    `${WAITING_MAX} queries wait already`,
    { retryAfterMs: RETRY_AFTER_MS },
    { hint },
  )
}

function interrupted(): KumaError<'KUMA_INTERRUPTED'> {
  const hint = 'ask again'
  return new KumaError('KUMA_INTERRUPTED', 'an erasure ended the query: what it read had to go', {}, { hint })
}

function notRead(): KumaError<'KUMA_TIMEOUT'> {
  const message = `nobody read on in the answer of the query for ${REST_MS_MAX / 60_000} minutes`
  const hint = 'ask again, and read it without a stop'
  return new KumaError('KUMA_TIMEOUT', message, { command: 'query', timeoutMs: REST_MS_MAX }, { hint })
}
