/**
 * Long work in short slices: a generator that yields now and then, run for at most 5 ms in each turn of the event loop,
 * all such work of the process together. So neither one long history nor a thousand short ones at once hold up timers,
 * sockets and acknowledgements.
 *
 * There are three lines. What others wait for now, as an entity that is woken for an append, goes first. Then the others
 * have what is left of the slice, and a step each where nothing is left: pages of lists, and questions about the past,
 * which may take minutes. Of what is woken 64 take turns, of questions 256, so that a short one is not kept waiting by long
 * ones, and what comes beyond that waits; but all lists do, since each has begun already.
 */
const SLICE_MS = 5
const AT_ONCE = 64
const QUESTIONS_AT_ONCE = 256
/** A step that has taken so long gives way. */
const STEP_MS = 1

interface Work {
  readonly steps: Generator<unknown, unknown>
  readonly signal: AbortSignal | undefined
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

class Line {
  private readonly running: Work[] = []
  /** Those that take no turns yet, each with what its signal calls. */
  private readonly waiting = new Map<Work, () => void>()
  private turnOf = 0

  constructor(private readonly atOnce: number) {}

  get isEmpty(): boolean {
    return this.running.length === 0
  }

  add<T>(steps: Generator<unknown, T>, signal: AbortSignal | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const work = { steps, signal, resolve, reject }
      if (this.running.length < this.atOnce) this.running.push(work)
      else this.wait(work)
      schedule()
    })
  }

  /** One that nobody wants any more never begins. */
  private wait(work: Work): void {
    const { signal } = work
    const leave = () => {
      if (this.waiting.delete(work)) work.reject(signal!.reason)
    }
    this.waiting.set(work, leave)
    signal?.addEventListener('abort', leave)
  }

  /** One step of whose turn it is. */
  advance(): void {
    const { running, waiting } = this
    if (running.length === 0) return
    this.turnOf %= running.length
    if (!finish(running[this.turnOf]!)) return void this.turnOf++
    running.splice(this.turnOf, 1)
    for (const [next, leave] of waiting) {
      next.signal?.removeEventListener('abort', leave)
      waiting.delete(next)
      running.push(next)
      return
    }
  }
}

/** What is waited for now: it is answered before any question about the past. */
export const PRESENT = new Line(AT_ONCE)
/** The next page of something that has begun. */
export const LISTS = new Line(Number.POSITIVE_INFINITY)
export const PAST = new Line(QUESTIONS_AT_ONCE)

let begunAt = 0
/** of this turn of the event loop */
let spentMs = 0
let scheduled = false

/**
 * What fits into the rest of this turn's slice is done when this returns, if nobody else is in line.
 * @param signal ends it, between two steps
 */
export function inSlices<T>(steps: Generator<unknown, T>, line: Line, signal?: AbortSignal): T | Promise<T> {
  while (PRESENT.isEmpty && line.isEmpty && spentMs < SLICE_MS) {
    signal?.throwIfAborted()
    const { done, value } = step(steps)
    if (done) return value as T
  }
  return line.add(steps, signal)
}

/** The same for work of one step. */
export function inSlice<T>(work: () => T, line: Line, signal?: AbortSignal): T | Promise<T> {
  return inSlices(once(work), line, signal)
}

// biome-ignore lint/correctness/useYield: one step, which waits for its turn as others do
function* once<T>(work: () => T): Generator<void, T> {
  return work()
}

/** Pages as they come, each made in a slice. */
export async function* pagesInSlices<T>(pages: Generator<T, void>, signal?: AbortSignal): AsyncGenerator<T> {
  for (;;) {
    const page = await inSlice(() => pages.next(), LISTS, signal)
    if (page.done) return
    yield page.value
  }
}

/** Has the present step taken its time? Then it should yield, where it can. */
export function isSpent(): boolean {
  return performance.now() - begunAt >= STEP_MS
}

function step(steps: Generator<unknown, unknown>): IteratorResult<unknown, unknown> {
  schedule()
  begunAt = performance.now()
  try {
    return steps.next()
  } finally {
    spentMs += performance.now() - begunAt
  }
}

/** The next turn begins with a new slice. */
function schedule(): void {
  if (scheduled) return
  scheduled = true
  setImmediate(turn)
}

function turn(): void {
  scheduled = false
  spentMs = 0
  while (spentMs < SLICE_MS && !PRESENT.isEmpty) PRESENT.advance()
  do {
    LISTS.advance()
    PAST.advance()
  } while (spentMs < SLICE_MS && !(LISTS.isEmpty && PAST.isEmpty))
  if (!(PRESENT.isEmpty && LISTS.isEmpty && PAST.isEmpty)) schedule()
}

/** One step. True if that was the last one. */
function finish({ steps, signal, resolve, reject }: Work): boolean {
  try {
    signal?.throwIfAborted()
    const { done = false, value } = step(steps)
    if (done) resolve(value as never)
    return done
  } catch (error) {
    reject(error)
    return true
  }
}

/** Lets the event loop turn once. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
