/**
 * Places for slow calls: those that read histories. Each client has a few, and all together have so many; what comes beyond
 * that waits in a line of its own client, and never begins if nobody wants it any more. A place that becomes free goes to
 * the client with the fewest under way, of equal ones to the one that has waited longest. The last quarter of the places is
 * kept for clients that have none: a few of them cannot take all.
 *
 * A list takes a place only while a page of it is made. So who reads slowly holds up nobody, and who reads from many lists
 * at once does not wait for himself.
 */
import type { Bounds } from './bounds.ts'
import type { Begun, CallsUnderWay } from './under-way.ts'

/** Of the places, for who has one already. */
const SHARED = 3 / 4

/** One who is connected. */
interface Client {
  readonly id: number
}

/** What a client has. */
interface Line {
  underWay: number
  readonly waiting: Set<() => void>
}

export class SlowCalls {
  private underWay = 0
  private readonly lines = new Map<Client, Line>()
  /** Those in whose line somebody waits, by how long none of them has come in. */
  private readonly waiting = new Set<Line>()

  constructor(
    private readonly bounds: Pick<Bounds, 'slowCallsMax' | 'slowCallsOfAllMax'>,
    private readonly calls: CallsUnderWay,
  ) {}

  /** @param signals each of them ends its waiting, with its reason */
  async run<T>(client: Client, begun: Begun, signals: readonly AbortSignal[], work: () => T | Promise<T>): Promise<T> {
    begun.isWaiting = true
    await this.enter(client, signals)
    begun.isWaiting = false
    try {
      return await work()
    } finally {
      this.leave(client)
    }
  }

  /**
   * The same pages, each of which is under way while it is made.
   * @param isSlow each takes a place meanwhile
   */
  async *pages<T>(
    client: Client,
    call: string,
    isSlow: boolean,
    signals: readonly AbortSignal[],
    pages: AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const iterator = pages[Symbol.asyncIterator]()
    const next = () => iterator.next()
    try {
      for (;;) {
        const begun = this.calls.begin(client.id, call)
        const page = await (isSlow ? this.run(client, begun, signals, next) : next()).finally(() =>
          this.calls.end(begun),
        )
        if (page.done) return
        yield page.value
      }
    } finally {
      await iterator.return?.()
    }
  }

  private enter(client: Client, signals: readonly AbortSignal[]): Promise<void> | undefined {
    const line = this.lines.get(client) ?? { underWay: 0, waiting: new Set() }
    this.lines.set(client, line)
    if (line.waiting.size > 0 || !this.hasRoom(line)) return this.wait(client, line, signals)
    this.take(line)
    return undefined
  }

  private hasRoom({ underWay }: Line): boolean {
    const { slowCallsMax, slowCallsOfAllMax } = this.bounds
    return underWay < slowCallsMax && this.underWay < (underWay === 0 ? slowCallsOfAllMax : slowCallsOfAllMax * SHARED)
  }

  private take(line: Line): void {
    this.underWay++
    line.underWay++
  }

  private wait(client: Client, line: Line, signals: readonly AbortSignal[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        line.waiting.delete(come)
        if (line.waiting.size === 0) this.waiting.delete(line)
        for (const signal of signals) signal.removeEventListener('abort', leave)
      }
      const come = () => {
        end()
        resolve()
      }
      const leave = () => {
        end()
        this.forget(client, line)
        reject(signals.find(({ aborted }) => aborted)!.reason)
      }
      line.waiting.add(come)
      this.waiting.add(line)
      for (const signal of signals) signal.addEventListener('abort', leave)
      if (signals.some(({ aborted }) => aborted)) leave()
    })
  }

  private leave(client: Client): void {
    const line = this.lines.get(client)!
    this.underWay--
    line.underWay--
    this.forget(client, line)
    for (let next = this.next(); next !== null; next = this.next()) this.letIn(next)
  }

  private forget(client: Client, { underWay, waiting }: Line): void {
    if (underWay === 0 && waiting.size === 0) this.lines.delete(client)
  }

  /** Whose turn it is, if there is room. No more are looked at than have places, before one that has none is found. */
  private next(): Line | null {
    let found: Line | null = null
    for (const line of this.waiting) {
      if (this.hasRoom(line) && line.underWay < (found?.underWay ?? Number.POSITIVE_INFINITY)) found = line
      if (found?.underWay === 0) break
    }
    return found
  }

  private letIn(line: Line): void {
    const [come] = line.waiting
    this.take(line)
    come!()
    if (this.waiting.delete(line)) this.waiting.add(line) // behind the others
  }
}
