/**
 * Heads and request keys that are not yet written. Writing them with every commit would cost more than the events
 * themselves, so they wait here and go to disk in sweeps.
 *
 * A sweep takes everything that waits at position M, writes it in key order beside the next commits, and only when it
 * has ended, in the same transaction, sets `flushed = M`. In between, the table holds a mixture that nobody relies on:
 * whoever reads it lays the events after `flushed` over it. (Advancing `flushed` with a part written would lose the
 * rest after a crash.) While a sweep runs it writes two heads for each new event, so it ends before the next one is
 * due, and the events after `flushed` stay below 65,536. Request keys go the same way.
 */
import { COLUMNS, type Commit, type KeyRow } from './commit.ts'
import type { Database, Statement } from './driver.ts'
import { ownerOf } from './empty-answer.ts'
import { indexedKeyOf, KEY_PREFIX, MARK } from './request-key.ts'

/**
 * So few waiting heads are written together with a commit of so few events, by the first one after opening and then by
 * every 16th: a small store is nearly up to date, and a commit of one event mostly spares the two pages.
 */
const FEW = 16
const FEW_COMMITS = 16
const SWEEP_EVENTS = 32_768
/** Request keys that wait are held in memory, here and by the actors. */
const SWEEP_KEYS = 2_048
/** Heads, and request keys, that a sweep writes for each new event. */
const ROWS_PER_EVENT = 2

interface Head {
  readonly version: number
  readonly seq: number
  readonly at: number
}

type HeadRow = readonly [key: number, head: Head]

interface Sweep {
  readonly until: number
  readonly heads: readonly HeadRow[]
  readonly keys: readonly KeyRow[]
  /** so many of `heads`, and of `keys`, are on disk */
  written: number
}

export class Backlog {
  flushed: number
  private heads = new Map<number, Head>()
  private keys: KeyRow[] = []
  private sweep: Sweep | null = null
  private commits = 0
  private readonly putHead: Statement
  private readonly putKey: Statement
  private readonly dropKeys: Statement
  private readonly putFlushed: Statement

  constructor(
    private readonly db: Database,
    flushed: number,
    private readonly keyCommits: number,
  ) {
    this.flushed = flushed
    this.putHead = db.prepare('REPLACE INTO heads (key, version, head, updated_at) VALUES (?, ?, ?, ?)')
    this.putKey = db.prepare('REPLACE INTO request_keys (seq, hash, count, digest) VALUES (?, ?, ?, ?)')
    this.dropKeys = db.prepare('DELETE FROM request_keys WHERE seq <= (SELECT last_seq FROM commits WHERE id = ?)')
    this.putFlushed = db.prepare("UPDATE settings SET value = CAST(? AS INTEGER) WHERE name = 'flushed'")
    this.recover()
  }

  /** After a crash: what waited is in the events after `flushed`. */
  private recover(): void {
    const rows = this.db
      .prepare(
        `SELECT seq, entity, version, at,
                CASE WHEN substr(meta, 1, ${KEY_PREFIX.length}) = '${KEY_PREFIX}' OR substr(meta, 1, 1) = '${MARK}' THEN meta END
         FROM events WHERE seq > ? AND version > 0 ORDER BY seq`,
      )
      .raw()
      .all(this.flushed) as [number, number, number, number, string | null][]
    const idOf = this.db.prepare('SELECT id FROM entities WHERE key = ?').pluck()
    for (const [seq, entity, version, at, meta] of rows) {
      this.heads.set(entity, { version, seq, at })
      const key = indexedKeyOf(meta, () => idOf.get(ownerOf(entity)) as string)
      if (key !== undefined) this.keys.push({ seq, ...key })
    }
  }

  /**
   * Inside a commit's transaction: writes what is due with it. Nothing in memory changes until the transaction is
   * durable and the function returned is called.
   */
  write(commit: Commit): () => void {
    const heads = headsOf(commit)
    const due = this.commits % FEW_COMMITS === 0 && commit.events.count <= FEW
    if (due && this.sweep === null && this.heads.size + heads.size <= FEW) {
      this.writeHeads([...this.heads, ...heads])
      this.writeKeys([...this.keys, ...commit.keys])
      this.finish(commit.lastSeq, commit.id)
      return () => {
        this.commits++
        this.reset(commit.lastSeq)
      }
    }
    const step = this.step(commit)
    return () => {
      this.commits++
      step()
      for (const [key, head] of heads) this.heads.set(key, head)
      this.keys.push(...commit.keys)
      if (commit.lastSeq - this.flushed >= SWEEP_EVENTS || this.keys.length >= SWEEP_KEYS) this.begin(commit.lastSeq)
    }
  }

  /** Inside a transaction: writes all that waits. */
  writeAll(lastSeq: number, lastCommit: number): () => void {
    this.writeHeads([...(this.sweep?.heads ?? []), ...this.heads])
    this.writeKeys([...(this.sweep?.keys ?? []), ...this.keys])
    this.finish(lastSeq, lastCommit)
    return () => this.reset(lastSeq)
  }

  /** Begins a sweep of all that waits up to `until`, unless one is under way. */
  begin(until: number): void {
    if (this.sweep !== null || this.heads.size === 0) return
    const heads = [...this.heads].sort((a, b) => a[0] - b[0])
    this.sweep = { until, heads, keys: this.keys, written: 0 }
    this.heads = new Map()
    this.keys = []
  }

  /** What an erasure has written itself: heads, and the places of request keys. */
  forget(entities: ReadonlySet<number>, seqs: ReadonlySet<number>): void {
    for (const key of entities) this.heads.delete(key)
    this.keys = this.keys.filter(({ seq }) => !seqs.has(seq))
    const { sweep } = this
    if (sweep === null) return
    // those that are written already stay: `written` counts them
    const heads = sweep.heads.filter(([key], i) => i < sweep.written || !entities.has(key))
    const keys = sweep.keys.filter(({ seq }, i) => i < sweep.written || !seqs.has(seq))
    this.sweep = { ...sweep, heads, keys }
  }

  private step(commit: Commit): () => void {
    const { sweep } = this
    if (sweep === null) return () => {}
    const end = sweep.written + commit.events.count * ROWS_PER_EVENT
    this.writeHeads(sweep.heads.slice(sweep.written, end))
    this.writeKeys(sweep.keys.slice(sweep.written, end))
    const ended = end >= sweep.heads.length && end >= sweep.keys.length
    if (ended) this.finish(sweep.until, commit.id)
    return () => {
      sweep.written = end
      if (!ended) return
      this.flushed = sweep.until
      this.sweep = null
    }
  }

  private writeHeads(rows: readonly HeadRow[]): void {
    for (const [key, { version, seq, at }] of rows) this.putHead.run(key, version, seq, at)
  }

  private writeKeys(rows: readonly KeyRow[]): void {
    for (const { seq, hash, count, digest } of rows) this.putKey.run(seq, hash, count, digest)
  }

  private finish(flushed: number, commitId: number): void {
    this.putFlushed.run(flushed)
    if (commitId > this.keyCommits) this.dropKeys.run(commitId - this.keyCommits)
  }

  private reset(flushed: number): void {
    this.flushed = flushed
    this.heads = new Map()
    this.keys = []
    this.sweep = null
  }
}

function headsOf(commit: Commit): Map<number, Head> {
  const { count, numbers } = commit.events
  const heads = new Map<number, Head>()
  for (let i = 0; i < count; i++) {
    const at = i * COLUMNS
    heads.set(numbers[at]!, { version: numbers[at + 1]!, seq: commit.firstSeq + i, at: numbers[at + 3]! })
  }
  return heads
}
