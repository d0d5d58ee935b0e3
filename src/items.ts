/**
 * Iterations as programs hold them. A generator answers `return` only when what it waits for has come: whoever leaves while
 * nothing comes (a loop elsewhere, a `Readable` that is destroyed, a client that hangs up) would wait for ever. These are
 * left at once.
 */
import type { Items, Rows } from './api.ts'
import { at, here, type Site } from './callers-line.ts'

const OVER = { done: true, value: undefined } as const

/** Begins something that ends with the signal; the first `next` tells what went wrong at once. */
type Begin<T> = (signal: AbortSignal) => AsyncIterable<T>

class Iteration<T> implements AsyncIterableIterator<T> {
  private readonly left = new AbortController()
  private readonly waiting = new Set<(result: IteratorResult<T>) => void>()
  private readonly inner: AsyncIterator<T>
  private isOver = false

  /** @param signal of the caller */
  constructor(
    begin: Begin<T>,
    private readonly signal: AbortSignal | undefined,
    /** where it was asked for */
    private readonly site: Site,
  ) {
    if (signal?.aborted) this.abort()
    else signal?.addEventListener('abort', this.abort)
    this.inner = this.begun(begin)
  }

  private begun(begin: Begin<T>): AsyncIterator<T> {
    try {
      return begin(this.left.signal)[Symbol.asyncIterator]()
    } catch (error) {
      return { next: () => Promise.reject(error) }
    }
  }

  private readonly abort = () => this.left.abort(this.signal!.reason)

  next(): Promise<IteratorResult<T>> {
    if (this.isOver) return Promise.resolve(OVER)
    return new Promise((resolve, reject) => {
      this.waiting.add(resolve)
      this.inner.next().then(
        (result) => {
          this.waiting.delete(resolve)
          if (result.done) this.end()
          resolve(result)
        },
        (error: unknown) => {
          this.waiting.delete(resolve)
          this.end()
          reject(at(error, this.site))
        },
      )
    })
  }

  async return(value?: unknown): Promise<IteratorResult<T>> {
    if (!this.isOver) {
      this.end()
      if (this.waiting.size === 0) await this.leave()
      else this.leaveWaiting()
    }
    return { done: true, value }
  }

  /** One that was not asked for anything does not run, and hears of it by its signal alone. */
  private async leave(): Promise<void> {
    try {
      await this.inner.return?.()
    } finally {
      this.left.abort()
    }
  }

  private leaveWaiting(): void {
    this.left.abort()
    this.inner.return?.().catch(() => {}) // nobody is left who would hear of it
    for (const resolve of this.waiting) resolve(OVER)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  private end(): void {
    this.isOver = true
    this.signal?.removeEventListener('abort', this.abort)
  }
}

/** One iteration, which has begun. */
export function begun<T>(begin: Begin<T>, signal: AbortSignal | undefined): AsyncIterable<T> {
  return new Iteration(begin, signal, here(begun))
}

/** A fresh iteration each time. */
export function items<T>(begin: Begin<T>, signal: AbortSignal | undefined): Items<T> {
  const site = here(items)
  return {
    [Symbol.asyncIterator]: () => new Iteration(begin, signal, site),
    toArray: async () => {
      const all: T[] = []
      for await (const item of new Iteration(begin, signal, site)) all.push(item)
      return all
    },
  }
}

/** The same, which can be awaited. */
export function rows<T>(begin: Begin<T>, signal: AbortSignal | undefined): Rows<T> {
  const all = items(begin, signal)
  return {
    ...all,
    // biome-ignore lint/suspicious/noThenProperty: that is what it is for
    then: (resolved, rejected) => all.toArray().then(resolved, rejected),
  }
}
