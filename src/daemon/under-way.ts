/** The calls of all clients that are under way, so that the daemon can say what is slow: by their names, and nothing that was asked. */

/** Calls that have taken longer are told of. */
const SLOW_MS = 1_000
const TOLD_MAX = 100

/** Calls of one client, and of one name, that have taken more than a second. */
export interface SlowCall {
  /** of the protocol: `blame`; of HTTP: `GET /v1/entities/:id/log` */
  readonly call: string
  readonly client: number
  readonly count: number
  /** of these, those that wait for the client's other slow calls, or for those of others */
  readonly waiting: number
  /** ISO 8601, of the first of them */
  readonly since: string
}

export interface Begun {
  readonly client: number
  readonly call: string
  readonly at: number
  isWaiting: boolean
}

export class CallsUnderWay {
  /** in the order in which they came */
  private readonly calls = new Set<Begun>()

  begin(client: number, call: string): Begun {
    const begun = { client, call, at: performance.now(), isWaiting: false }
    this.calls.add(begun)
    return begun
  }

  end(begun: Begun): void {
    this.calls.delete(begun)
  }

  /** The oldest first. */
  slow(): SlowCall[] {
    const now = performance.now()
    const found = new Map<string, { -readonly [field in keyof SlowCall]: SlowCall[field] }>()
    for (const { client, call, at, isWaiting } of this.calls) {
      if (now - at < SLOW_MS) break
      const key = `${client} ${call}`
      const since = new Date(Date.now() - (now - at)).toISOString()
      const slow = found.get(key) ?? { call, client, count: 0, waiting: 0, since }
      if (slow.count === 0 && found.size === TOLD_MAX) continue
      found.set(key, slow)
      slow.count++
      if (isWaiting) slow.waiting++
    }
    return [...found.values()]
  }
}
