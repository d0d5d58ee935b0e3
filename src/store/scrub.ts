/**
 * Empties the rows of an entity whose erasure is recorded, in slices that are each one transaction: newest commit
 * first, since the head then always leads to what is left, also after a crash; and then its empty answers. A slice takes whole commits: the leaf of
 * a commit is made from all its rows of the entity, and must be kept before the first of them is emptied.
 */
import type { EntityRow } from './commit.ts'
import type { Database } from './driver.ts'
import { answersOf } from './empty-answer.ts'
import { ENTITY } from './entity-row.ts'
import { HIDDEN } from './erasure.ts'
import { corrupt } from './manifest.ts'
import { encodeRow, type Row } from './row.ts'
import { leafOf } from './seal.ts'

/** Events that a slice empties, or those of one commit if they are more. */
const SLICE_EVENTS = 500

interface CommitSpan {
  readonly id: number
  readonly firstSeq: number
  readonly lastSeq: number
}

/** What a slice has done: for what is kept in memory about the entity. */
export interface ScrubSlice {
  readonly done: boolean
  readonly seqs: readonly number[]
}

export class Scrub {
  private readonly statements: ReturnType<typeof prepareStatements>

  constructor(
    db: Database,
    private readonly path: string,
  ) {
    this.statements = prepareStatements(db)
  }

  /** Inside a transaction. An entity that is not hidden, or that is empty already, is left as it is. */
  slice(key: number): ScrubSlice {
    const entity = this.statements.entity.get(key) as EntityRow | undefined
    if (entity === undefined || entity.idHash !== HIDDEN || entity.salt.length === 0) return { done: true, seqs: [] }
    const seqs: number[] = []
    const eventsLeft = this.chain(key, entity, seqs)
    const answersLeft = this.chain(answersOf(key), entity, seqs)
    const done = !eventsLeft && !answersLeft
    if (done) this.finish(key)
    return { done, seqs }
  }

  /**
   * Goes on with one of its chains, and leaves its head at what is left: so the backlog may forget the one it had.
   * @param seqs gets those that were emptied. True if there is more
   */
  private chain(key: number, entity: EntityRow, seqs: number[]): boolean {
    let seq = this.newest(key)
    if (seq === 0) return false
    let span: CommitSpan | null = null
    while (seq > 0 && seqs.length < SLICE_EVENTS) {
      span = this.spanOf(seq, span)
      const rows = this.rowsIn(span, seq, key)
      this.empty(span, key, entity, rows)
      for (const row of rows) seqs.push(row.seq)
      seq = rows[0]!.prev
    }
    if (seq > 0) this.pointTo(key, seq)
    else this.statements.setHead.run(key, 0, 0, 0)
    return seq > 0
  }

  /** Its newest event that is not empty yet, or 0. */
  private newest(key: number): number {
    const { unflushed, head } = this.statements
    return (unflushed.get(key) ?? head.get(key) ?? 0) as number
  }

  /** The commit that an event is in. Commits are in order of their events, and the one sought is near the last one. */
  private spanOf(seq: number, last: CommitSpan | null): CommitSpan {
    const { span, lastCommit } = this.statements
    let high = last?.id ?? (lastCommit.get() as number)
    let step = 1
    let low = high
    while (low > 1 && (span.get(low) as CommitSpan).firstSeq > seq) {
      high = low
      low = Math.max(1, low - step)
      step *= 2
    }
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((span.get(middle) as CommitSpan).firstSeq > seq) high = middle - 1
      else low = middle
    }
    return span.get(low) as CommitSpan
  }

  /** The entity's rows in a commit, oldest first. */
  private rowsIn({ firstSeq }: CommitSpan, newest: number, key: number): Row[] {
    const rows: Row[] = []
    for (let seq = newest; seq >= firstSeq; seq = rows.at(-1)!.prev) {
      const row = this.statements.row.get(seq) as Row | undefined
      if (row?.entity !== key)
        throw corrupt(this.path, `event ${seq}, to which a pointer of entity ${key} leads, is not its`)
      rows.push(row)
    }
    return rows.reverse()
  }

  private empty({ id }: CommitSpan, key: number, entity: EntityRow, rows: readonly Row[]): void {
    const { keepLeaf, emptyEvent, emptyKey } = this.statements
    const created = rows[0]!.version === 1 && key === entity.key ? entity : null
    const leaf = leafOf(entity.salt, rows.map(encodeRow), created)
    keepLeaf.run(id, key, Buffer.from(leaf, 'latin1'))
    for (const { seq } of rows) {
      emptyEvent.run(seq)
      emptyKey.run(seq)
    }
  }

  private pointTo(key: number, seq: number): void {
    const { version, at } = this.statements.row.get(seq) as Row
    this.statements.setHead.run(key, version, seq, at)
  }

  private finish(key: number): void {
    const { emptySnapshots, emptyEntity } = this.statements
    emptySnapshots.run(key)
    emptyEntity.run(key)
  }
}

function prepareStatements(db: Database) {
  return {
    entity: db.prepare(`SELECT ${ENTITY} FROM entities WHERE key = ?`),
    head: db.prepare('SELECT head FROM heads WHERE key = ?').pluck(),
    unflushed: db
      .prepare(
        `SELECT seq FROM events WHERE seq > (SELECT value FROM settings WHERE name = 'flushed') AND entity = ? AND version > 0
         ORDER BY seq DESC LIMIT 1`,
      )
      .pluck(),
    row: db.prepare('SELECT seq, entity, version, prev, at, type, data, meta, crc FROM events WHERE seq = ?'),
    lastCommit: db.prepare('SELECT max(id) FROM commits').pluck(),
    span: db.prepare('SELECT id, first_seq AS firstSeq, last_seq AS lastSeq FROM commits WHERE id = ?'),
    keepLeaf: db.prepare('INSERT OR IGNORE INTO erased_leaves (commit_id, entity, leaf) VALUES (?, ?, ?)'),
    emptyEvent: db.prepare(
      "UPDATE events SET version = 0, prev = 0, at = 0, type = '', data = '', meta = NULL, crc = 0 WHERE seq = ?",
    ),
    emptyKey: db.prepare("UPDATE request_keys SET hash = 0, count = 0, digest = '' WHERE seq = ?"),
    setHead: db.prepare('REPLACE INTO heads (key, version, head, updated_at) VALUES (?, ?, ?, ?)'),
    emptySnapshots: db.prepare(
      "UPDATE snapshots SET version = 0, at = 0, seq = 0, definition = '', state = '' WHERE entity = ?",
    ),
    emptyEntity: db.prepare(
      `UPDATE entities SET id_hash = ${HIDDEN}, id = '', type = '', salt = x'', created_at = 0, crc = 0 WHERE key = ?`,
    ),
  }
}
