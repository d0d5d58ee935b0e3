/**
 * The one writer of a shard's file: applies commits, each in a transaction that is fsynced before `apply` returns.
 *
 * What a failure means decides everything here:
 * - SQLITE_FULL rolls back for certain: KUMA_DISK_FULL, nothing is recorded, the shard goes on.
 * - Any I/O error, and any other failure of COMMIT itself, leaves the truth open: SQLite rolls back in this process, but
 *   after a crash the transaction may be found in the WAL all the same. KUMA_INDETERMINATE, and the shard is poisoned:
 *   were another commit to follow, both could turn up with the same positions. Reading goes on; opening the store anew
 *   finds out what is there.
 * - Someone else's write to the file, or damage, poisons the shard too, but certainly recorded nothing: KUMA_POISONED.
 * - A file that was removed or replaced below us (watch.ts) poisons too. What was being committed then is in a file that has
 *   no name: KUMA_INDETERMINATE. Nothing is copied out of such a WAL either: others may have gone on without it.
 */
import { isKumaError, KumaError } from '../errors.ts'
import { Backlog } from './backlog.ts'
import { type Cipher, cipherOf } from './cipher.ts'
import { COLUMNS, type Commit, type EntityRow, type EventColumns, type SnapshotRow } from './commit.ts'
import { assertDurable, BUSY_TIMEOUT_MS, type Database, type Statement, sqliteCode, sqliteError } from './driver.ts'
import { answersOf } from './empty-answer.ts'
import { ENTITY } from './entity-row.ts'
import { HIDDEN } from './erasure.ts'
import type { Keys } from './keys.ts'
import { type Manifest, shardPath } from './manifest.ts'
import { Salts } from './salts.ts'
import { Scrub } from './scrub.ts'
import { genesis } from './seal.ts'
import { openShard, readSettings, upgrade } from './shard-file.ts'
import { type Change, gone, type Held, poisoned, type Seen, ShardWatch, seeShard, type Vanished } from './watch.ts'

/** The end of a shard's log: what the next commit follows on. */
export interface Tip {
  readonly epoch: number
  /** 0 before the first commit */
  readonly commitId: number
  readonly head: Uint8Array
  readonly lastSeq: number
  readonly at: number
}

/**
 * About how much may stand in the WAL before it is copied into the file. Not more: a WAL that starts over overwrites
 * what it has, and an fsync of that is a third faster than one of a file that grows.
 */
const CHECKPOINT_BYTES = 2 * 1024 * 1024
/** Events that are inserted with one statement, if there are so many. */
const ROWS = [32, 8, 1]
/** Of WAL for each event that is emptied: mostly a page of its own. */
const SCRUBBED_BYTES = 4096
/** Pages that a commit writes however small it is: events, commits, settings, heads, indexes. */
const COMMIT_BYTES = 5 * 4096

export class ShardWriter {
  readonly path: string
  readonly keyCommits: number
  readonly cipher: Cipher | null
  tip: Tip
  lastKey: number
  private readonly db: Database
  private readonly backlog: Backlog
  private readonly statements: ReturnType<typeof prepareStatements>
  readonly salts = new Salts((entity) => this.statements.salt.get(entity) as Uint8Array)
  private readonly scrubbing: Scrub
  private readonly dataVersion: number
  private readonly watch: ShardWatch
  private poison: string | null = null
  /** Of the whole store: it is not the one any more that was opened. */
  private isGone = false
  private durable = false
  private walBytes = 0

  /** @throws what `openShard` throws, KUMA_DISK_FULL if heads must be recovered and there is no room */
  constructor(
    directory: string,
    readonly shard: number,
    manifest: Manifest,
    /** Of an encrypted store. Without them, nothing that must be encrypted can be written: KUMA_MASTER_KEY. */
    keys: Keys | null = null,
    /** Of a store that others could open too. */
    private readonly held: Held | null = null,
    /** Told when a file turns out to have been removed or replaced. */
    private readonly onVanished: (vanished: Vanished) => void = () => {},
  ) {
    this.path = shardPath(directory, shard)
    this.cipher = cipherOf(directory, shard, manifest, keys)
    this.db = openShard(directory, shard, manifest, 'write')
    try {
      upgrade(this.db, this.path, manifest)
      const { epoch, flushed, keyCommits } = readSettings(this.db)
      this.keyCommits = keyCommits
      this.tip = readTip(this.db, epoch, manifest.store, shard)
      this.lastKey = this.db.prepare('SELECT coalesce(max(key), 0) FROM entities').pluck().get() as number
      this.statements = prepareStatements(this.db)
      this.backlog = new Backlog(this.db, flushed, keyCommits)
      this.scrubbing = new Scrub(this.db, this.path)
      this.dataVersion = this.statements.dataVersion.get() as number
      this.watch = new ShardWatch(shard, seeShard(this.path), held, this.tip.lastSeq)
      // so that every head on disk is the newest one from here on: whoever opens the store reads them without a search
      this.flush()
    } catch (error) {
      this.db.close()
      throw sqliteError(error, this.path)
    }
  }

  get files(): readonly Seen[] {
    return this.watch.files
  }

  /** Up to this seq, heads and request keys are on disk. */
  get flushed(): number {
    return this.backlog.flushed
  }

  /**
   * Makes a commit durable. It must follow on the shard's tip.
   * @throws KUMA_DISK_FULL, KUMA_INDETERMINATE, KUMA_POISONED (see above); KUMA_INTERNAL if it does not follow
   */
  apply(commit: Commit): void {
    this.assertFollows(commit)
    const settle = this.transact(() => {
      this.insert(commit)
      return this.backlog.write(commit)
    }, commit.lastSeq)
    settle()
    this.tip = { epoch: commit.epoch, commitId: commit.id, head: commit.head, lastSeq: commit.lastSeq, at: commit.at }
    for (const { key, salt } of commit.entities) {
      this.lastKey = key
      this.salts.keep(key, salt)
    }
    this.walBytes += COMMIT_BYTES + 2 * commit.events.text.length + textBytes(commit.snapshots)
  }

  /** Snapshots of events that are on disk. @throws as `apply` */
  addSnapshots(snapshots: readonly SnapshotRow[]): void {
    const rows = this.cipher?.snapshots(snapshots) ?? snapshots
    this.transact(() => this.insertSnapshots(rows))
    this.walBytes += COMMIT_BYTES + textBytes(snapshots)
  }

  /** Empties all snapshots. Their places stay: they are ways into the chains. @throws as `apply` */
  dropSnapshots(): void {
    this.transact(() => this.statements.dropSnapshots.run())
  }

  /** The row of an entity, or undefined. */
  entity(key: number): EntityRow | undefined {
    return this.statements.entity.get(key) as EntityRow | undefined
  }

  /** The newest event of an entity, as the commit that comes next will find it. */
  headOf(key: number): { readonly version: number; readonly seq: number } {
    const { headAfter, head } = this.statements
    const found = headAfter.get(this.flushed, key) ?? head.get(key)
    return (found as { version: number; seq: number } | undefined) ?? { version: 0, seq: 0 }
  }

  /**
   * The next slice of emptying an entity whose erasure is recorded. True when nothing of it is left in its rows.
   * @throws as `apply`; KUMA_CORRUPT if its chain is broken
   */
  scrub(key: number): boolean {
    const { done, seqs } = this.transact(() => this.scrubbing.slice(key))
    if (seqs.length > 0) this.backlog.forget(new Set([key, answersOf(key)]), new Set(seqs))
    this.walBytes += COMMIT_BYTES + seqs.length * SCRUBBED_BYTES
    return done
  }

  /**
   * After the last slice: indexes are built anew, since the gaps of their pages may keep hashes of ids, and the WAL is
   * emptied, which keeps every page as it was. False if a reader elsewhere still needs the WAL: to be tried again.
   * @throws as `apply`
   */
  wipe(): boolean {
    this.transact(() => this.db.exec('REINDEX entities_id_hash; REINDEX request_keys_hash'))
    return this.emptyWal()
  }

  /** @throws KUMA_POISONED if the disk fails */
  emptyWal(): boolean {
    this.look()
    this.assertSound()
    try {
      this.db.pragma('busy_timeout = 0') // whoever waits, waits elsewhere: appends go on
      const [{ busy }] = this.db.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
      if (busy === 0) {
        this.walBytes = 0
        this.watch.walEmptied(this.tip.lastSeq)
      }
      return busy === 0
    } catch (error) {
      if (sqliteCode(error).startsWith('SQLITE_BUSY') || sqliteCode(error) === 'SQLITE_FULL') return false
      throw this.poisoned(`checkpoint: ${(error as Error).message}`)
    } finally {
      this.db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
    }
  }

  /**
   * All that this connection writes goes through here: alone on the file, durable under the file's name when it returns,
   * and judged by what a failure means.
   */
  private transact<T>(work: () => T, lastSeq = this.tip.lastSeq): T {
    this.assertSound()
    let committing = false
    try {
      this.statements.begin.run()
      this.assertAlone()
      const result = work()
      if (!this.durable) assertDurable(this.db, this.path)
      committing = true
      this.statements.commit.run()
      this.durable = true
      const change = this.watch.look(lastSeq)
      if (change !== null) throw this.vanished(change)
      return result
    } catch (error) {
      this.rollback()
      throw this.judge(error, committing)
    }
  }

  /** Begins to write the heads that wait: the next commits carry them. */
  sweep(): void {
    this.backlog.begin(this.tip.lastSeq)
  }

  /** Is a commit that starts at this seq the next one? */
  follows(firstSeq: number): boolean {
    return firstSeq === this.tip.lastSeq + 1
  }

  private assertFollows(commit: Commit): void {
    const { tip } = this
    const next = commit.shard === this.shard && commit.epoch === tip.epoch && commit.id === tip.commitId + 1
    if (next && this.follows(commit.firstSeq) && Buffer.compare(commit.previous, tip.head) === 0) return
    const message = `commit ${commit.id} (${commit.firstSeq} to ${commit.lastSeq}, epoch ${commit.epoch}) does not follow on commit ${tip.commitId} of shard ${this.shard}`
    throw new KumaError('KUMA_INTERNAL', message, {})
  }

  assertSound(): void {
    if (this.poison !== null) throw this.poisoned(this.poison)
  }

  private assertAlone(): void {
    if (this.statements.dataVersion.get() === this.dataVersion) return
    throw this.poisoned(
      'another program wrote to it, or emptied its WAL (a checkpoint or VACUUM by someone else, or a copy of the files by this program)',
    )
  }

  /**
   * Are the files still there? Poisons if not, and tells. To be called when nothing has been committed for a moment: what
   * was acknowledged just before a file vanished is found by nobody else.
   */
  look(): void {
    const change = this.poison === null ? this.watch.lookAtAll(this.tip.lastSeq) : null
    if (change !== null) this.vanished(change)
  }

  private vanished(change: Change): KumaError<'KUMA_INDETERMINATE'> {
    this.poison ??= change.what
    this.isGone ||= change.of === 'store'
    const { shard, held } = this
    const lost = this.watch.lostWith(change, this.tip.lastSeq)
    this.onVanished({ shard, change, lost })
    const subject = change.of === 'store' ? held!.store : this.path
    const message = `${change.what} while it was open: what was being recorded may be gone with it`
    const hint = `end whatever removes, replaces or copies files of ${subject}; open the store again and retry with the same request key`
    return new KumaError('KUMA_INDETERMINATE', message, { requestKey: null }, { hint })
  }

  /** What is acknowledged is there: SQLite's count of the rows that it wrote is held against those that were to be written. */
  private insert({ events, firstSeq, crcs, entities, snapshots, hidden, ...commit }: Commit): void {
    const { insertEntity, insertCommit, hideEntity } = this.statements
    let rows = 0
    for (const { key, idHash, crc } of hidden) rows += hideEntity.run(idHash, crc, key).changes
    for (const { key, idHash, id, type, salt, createdAt, crc } of entities) {
      rows += insertEntity.run(key, idHash, id, type, salt, createdAt, crc).changes
    }
    rows += this.insertEvents(events, firstSeq, crcs)
    this.insertSnapshots(snapshots)
    const { id, lastSeq, at, content, head, extra } = commit
    rows += insertCommit.run(id, firstSeq, lastSeq, at, content, head, extra).changes
    const due = hidden.length + entities.length + events.count + 1
    if (rows !== due) throw this.poisoned(`commit ${id} wrote ${rows} rows instead of ${due}`)
  }

  /** As many rows as possible with each statement: a call of the driver costs as much as a row. */
  private insertEvents({ count, numbers, text }: EventColumns, firstSeq: number, crcs: Uint32Array): number {
    const values: unknown[] = []
    let [start, written] = [0, 0]
    let [statement, rows] = this.insertOf(count)
    for (let i = 0; i < count; i++) {
      const c = i * COLUMNS
      const dataStart = start + numbers[c + 4]!
      const metaStart = dataStart + numbers[c + 5]!
      const metaLength = numbers[c + 6]!
      const end = metaLength < 0 ? metaStart : metaStart + metaLength
      values.push(firstSeq + i, numbers[c], numbers[c + 1], numbers[c + 2], numbers[c + 3])
      values.push(text.slice(start, dataStart), text.slice(dataStart, metaStart))
      values.push(metaLength < 0 ? null : text.slice(metaStart, end), crcs[i])
      start = end
      if (--rows > 0) continue
      written += statement.run(...values).changes // as arguments: the driver reads an array's elements one by one
      values.length = 0
      ;[statement, rows] = this.insertOf(count - i - 1)
    }
    return written
  }

  /** The statement for the next of `left` events, and how many it takes. */
  private insertOf(left: number): [Statement, number] {
    const { insertEvents } = this.statements
    return insertEvents.find(([, rows]) => rows <= left) ?? insertEvents.at(-1)!
  }

  private insertSnapshots(snapshots: readonly SnapshotRow[]): void {
    for (const { entity, version, at, seq, definition, state } of snapshots) {
      this.statements.insertSnapshot.run(version, at, seq, definition, state, entity)
    }
  }

  private rollback(): void {
    try {
      if (this.db.inTransaction) this.statements.rollback.run()
    } catch {
      this.poison ??= 'a transaction could not be rolled back'
    }
  }

  private judge(error: unknown, committing: boolean): unknown {
    if (isKumaError(error)) return error
    const code = sqliteCode(error)
    const cause = { cause: error }
    const message = `${this.path}: ${(error as Error).message}${code === '' ? '' : ` (${code})`}`
    if (code === 'SQLITE_FULL') {
      const hint = 'make room on the disk and try again: nothing of this was recorded'
      return new KumaError('KUMA_DISK_FULL', message, { path: this.path }, { ...cause, hint })
    }
    if (code.startsWith('SQLITE_BUSY')) {
      const hint = 'another program holds this shard open for writing: close it'
      return new KumaError('KUMA_LOCKED', message, { path: this.path, pid: null }, { ...cause, hint })
    }
    this.poison = message
    if (!committing && !code.startsWith('SQLITE_IOERR')) return this.poisoned(message)
    const hint = 'open the store again and retry with the same request key: it then tells whether this was recorded'
    return new KumaError('KUMA_INDETERMINATE', message, { requestKey: null }, { ...cause, hint })
  }

  private poisoned(why: string): KumaError<'KUMA_POISONED'> {
    this.poison ??= why
    return this.isGone ? gone(this.held!.store, why) : poisoned(this.shard, why)
  }

  /**
   * Copies the WAL into the file when there is enough of it. To be called between commits, after the acknowledgement.
   * On the writer's own connection and never automatic: an automatic checkpoint swallows the errors of fsync.
   */
  checkpoint(): void {
    if (this.walBytes < CHECKPOINT_BYTES || this.poison !== null) return
    this.look()
    if (this.poison !== null) return
    this.walBytes = 0
    try {
      const { log, checkpointed } = this.statements.checkpoint.get() as { log: number; checkpointed: number }
      if (log === checkpointed) this.watch.walCopied(this.tip.lastSeq)
    } catch (error) {
      // a checkpoint that finds no room loses nothing: the WAL keeps it all
      if (sqliteCode(error) !== 'SQLITE_FULL') this.poison = `${this.path}: checkpoint: ${(error as Error).message}`
    }
  }

  /** Writes all heads and request keys that wait. @throws as `apply` */
  flush(): void {
    if (this.flushed === this.tip.lastSeq) return
    const settle = this.transact(() => this.backlog.writeAll(this.tip.lastSeq, this.tip.commitId))
    settle()
  }

  /**
   * Writes all heads and empties the WAL. What fails here costs no event: the next to open recovers it.
   * @throws KUMA_POISONED if its files have vanished since the last commit
   */
  close(): void {
    const wasSound = this.poison === null
    try {
      this.look()
      if (this.poison === null) this.flush()
      if (this.poison === null) {
        this.db.pragma('busy_timeout = 0') // whoever still reads is not waited for: what is committed is durable in the WAL
        this.db.pragma('wal_checkpoint(TRUNCATE)')
      }
    } catch (error) {
      const full = sqliteCode(error) === 'SQLITE_FULL' || isKumaError(error, 'KUMA_DISK_FULL')
      if (!full) throw sqliteError(error, this.path)
    } finally {
      this.db.close()
    }
    if (wasSound) this.assertSound()
  }
}

function readTip(db: Database, epoch: number, store: string, shard: number): Tip {
  const last = db.prepare('SELECT id, last_seq, at, head FROM commits ORDER BY id DESC LIMIT 1').get() as
    | { id: number; last_seq: number; at: number; head: Uint8Array }
    | undefined
  if (last === undefined) return { epoch, commitId: 0, head: genesis(store, shard), lastSeq: 0, at: 0 }
  return { epoch, commitId: last.id, head: last.head, lastSeq: last.last_seq, at: last.at }
}

function prepareStatements(db: Database) {
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    rollback: db.prepare('ROLLBACK'),
    dataVersion: db.prepare('PRAGMA data_version').pluck(),
    checkpoint: db.prepare('PRAGMA wal_checkpoint(PASSIVE)'),
    salt: db.prepare('SELECT salt FROM entities WHERE key = ?').pluck(),
    entity: db.prepare(`SELECT ${ENTITY} FROM entities WHERE key = ?`),
    headAfter: db.prepare(
      'SELECT version, seq FROM events WHERE seq > ? AND entity = ? AND version > 0 ORDER BY seq DESC LIMIT 1',
    ),
    head: db.prepare('SELECT version, head AS seq FROM heads WHERE key = ?'),
    hideEntity: db.prepare('UPDATE entities SET id_hash = ?, crc = ? WHERE key = ?'),
    insertEntity: db.prepare(
      'INSERT INTO entities (key, id_hash, id, type, salt, created_at, crc) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    insertEvents: ROWS.map((rows): [Statement, number] => {
      const places = Array(rows).fill('(?, ?, ?, ?, ?, ?, ?, ?, ?)').join(', ')
      const columns = 'seq, entity, version, prev, at, type, data, meta, crc'
      return [db.prepare(`INSERT INTO events (${columns}) VALUES ${places}`), rows]
    }),
    // one that was made just before its entity was erased must not stay
    insertSnapshot: db.prepare(
      `INSERT INTO snapshots (entity, version, at, seq, definition, state)
       SELECT key, ?, ?, ?, ?, ? FROM entities WHERE key = ? AND id_hash <> ${HIDDEN}`,
    ),
    dropSnapshots: db.prepare("UPDATE snapshots SET definition = '', state = '' WHERE definition <> ''"),
    insertCommit: db.prepare(
      'INSERT INTO commits (id, first_seq, last_seq, at, content, head, extra) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
  }
}

function textBytes(snapshots: readonly SnapshotRow[]): number {
  let bytes = 0
  for (const { state } of snapshots) bytes += state.length
  return bytes
}
