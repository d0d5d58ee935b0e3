/**
 * Long work in short slices: a generator that yields now and then, run for at most 5 ms in each turn of the event loop,
 * all such work of the process together. So neither one long history nor a thousand short ones at once hold up timers,
 * sockets and acknowledgements. 64 pieces of work take turns; what comes beyond that waits in line.
 */
const SLICE_MS = 5
const AT_ONCE = 64

interface Work {
  readonly steps: Generator<unknown, unknown>
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
  next: Work | null
}

/** Those that take turns, and the line of those that wait. */
const running: Work[] = []
let first: Work | null = null
let last: Work | null = null
let turnOf = 0
/** of this turn of the event loop */
let spentMs = 0
let scheduled = false

/** What fits into the rest of this turn's slice is done when this returns. */
export function inSlices<T>(steps: Generator<unknown, T>): T | Promise<T> {
  while (running.length === 0 && spentMs < SLICE_MS) {
    const { done, value } = step(steps)
    if (done) return value as T
  }
  return new Promise<T>((resolve, reject) => {
    enqueue({ steps, resolve, reject, next: null })
    schedule()
  })
}

function step(steps: Generator<unknown, unknown>): IteratorResult<unknown, unknown> {
  schedule()
  const begun = performance.now()
  try {
    return steps.next()
  } finally {
    spentMs += performance.now() - begun
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
  while (spentMs < SLICE_MS && running.length > 0) {
    turnOf %= running.length
    const work = running[turnOf]!
    if (advance(work)) {
      running.splice(turnOf, 1)
      admit()
    } else turnOf++
  }
  if (running.length > 0) schedule()
}

/** One step. True if that was the last one. */
function advance({ steps, resolve, reject }: Work): boolean {
  try {
    const { done = false, value } = step(steps)
    if (done) resolve(value as never)
    return done
  } catch (error) {
    reject(error)
    return true
  }
}

function enqueue(work: Work): void {
  if (last === null) first = work
  else last.next = work
  last = work
  admit()
}

function admit(): void {
  while (first !== null && running.length < AT_ONCE) {
    running.push(first)
    first = first.next
    if (first === null) last = null
  }
}

/** Lets the event loop turn once. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
