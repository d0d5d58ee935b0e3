/**
 * The verification of one shard. It walks through the commits in their order and keeps, for each entity, the version,
 * place and time of its last event: 24 bytes an entity, whatever the number of events. At the end, in one transaction
 * with the last commits, heads and request keys are held against that.
 */
import { crc32 } from 'node:zlib'
import { Cipher } from './cipher.ts'
import type { EntityRow, KeyRow, SnapshotRow } from './commit.ts'
import { type Database, sqliteCode } from './driver.ts'
import { answersOf, ownerOf } from './empty-answer.ts'
import { entityCrc } from './entity-row.ts'
import { ENGINE, type ErasureRecord, HIDDEN, isEntityTombstone, isTombstone, recordOf, witnessOf } from './erasure.ts'
import { tagsOf } from './extra.ts'
import { hashId } from './hash.ts'
import type { KeyFile } from './key-file.ts'
import type { Keys } from './keys.ts'
import type { Manifest } from './manifest.ts'
import { indexedKeyOf } from './request-key.ts'
import { encodeRow, type Row } from './row.ts'
import { contentOf, genesis, headOf, leafOf } from './seal.ts'
import { readSettings } from './shard-file.ts'
import { checkSchema } from './shard-schema.ts'
import { breathe } from './slices.ts'
import { isWhole } from './snapshot.ts'
import { VerifyWithKeys } from './verify-with-keys.ts'

export interface ShardReport {
  readonly shard: number
  readonly entities: number
  readonly events: number
  readonly commits: number
  /** the seal of the last commit that was verified, in hexadecimal */
  readonly head: string
  /** erasures that were cut off: whoever writes to the store next goes on with them */
  readonly unfinished: number
  /** statements that drop what somebody added: until then nothing is written to it */
  readonly added: readonly string[]
  /** what is wrong, in words; none if all is well */
  readonly problems: readonly string[]
}

/** What is at hand of the keys of an encrypted store; nothing of them is beside a backup. */
export interface KnownKeys {
  readonly file: KeyFile | null
  readonly keys: Keys | null
}

const COMMITS = 20
const PROBLEMS_MAX = 100

interface CommitRow {
  readonly id: number
  readonly firstSeq: number
  readonly lastSeq: number
  readonly at: number
  readonly content: Buffer
  readonly head: Buffer
  readonly extra: Buffer
}

export class ShardVerification {
  private readonly problems: string[] = []
  private unlisted = 0
  /** rows that were looked at: also those of the engine, and those that an erasure emptied */
  private rows = 0
  private events = 0
  private keyed: number[] = []
  /** Entities with empty rows or kept leaves that no record has accounted for yet. */
  private readonly unaccounted = new Set<number>()
  private readonly erased = new Map<number, ErasureRecord>()
  /** Living entities whose keys are destroyed. */
  private keyless: number[] = []
  private unfinished = 0
  private added: readonly string[] = []
  private last: Omit<CommitRow, 'content' | 'extra'>
  private readonly ends = new Ends()
  /** of empty answers, by the keys of their entities */
  private readonly answers = new Ends()
  private readonly statements: ReturnType<typeof prepareStatements>
  private readonly withKeys: VerifyWithKeys | null

  constructor(
    private readonly db: Database,
    private readonly shard: number,
    private readonly manifest: Manifest,
    private readonly known: KnownKeys,
  ) {
    this.last = { id: 0, firstSeq: 0, lastSeq: 0, at: 0, head: genesis(manifest.store, shard) }
    this.statements = prepareStatements(db)
    const { keys } = known
    this.withKeys = keys && new VerifyWithKeys(new Cipher(db.name, shard, keys), (text) => this.problem(text))
  }

  async run(progress: (events: number) => void): Promise<ShardReport> {
    let entities = 0
    try {
      for (const line of this.db.pragma('integrity_check(20)', { simple: false }) as { integrity_check: string }[]) {
        if (line.integrity_check !== 'ok') this.problem(`SQLite: ${line.integrity_check}`)
      }
      this.added = checkSchema(this.db, this.db.name)
      // to open what is encrypted takes several times as long
      while (this.walk(this.withKeys === null ? COMMITS : 1)) {
        progress(this.rows)
        await breathe()
      }
      entities = this.db.transaction(() => this.finish())()
      this.verifyKeyless()
    } catch (error) {
      if (sqliteCode(error) === '') throw error
      this.problem(`SQLite: ${(error as Error).message}`)
    } finally {
      this.db.close()
    }
    if (this.unlisted > 0) this.problems.push(`... and ${this.unlisted} more`)
    const { shard, events, last, unfinished, added, problems } = this
    return { shard, entities, events, commits: last.id, head: last.head.toString('hex'), unfinished, added, problems }
  }

  private problem(text: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(text)
    else this.unlisted++
  }

  /** Verifies the next commits. False when there are none. */
  private walk(limit: number): boolean {
    const commits = this.statements.commits.all(this.last.id, limit) as CommitRow[]
    for (const commit of commits) this.verifyCommit(commit)
    return commits.length > 0
  }

  private verifyCommit(commit: CommitRow): void {
    const { id, firstSeq, lastSeq, at, extra } = commit
    const { last } = this
    if (id !== last.id + 1) this.problem(`commit ${last.id + 1} is missing`)
    if (firstSeq !== last.lastSeq + 1 || lastSeq < firstSeq)
      this.problem(`commit ${id} does not begin where the one before ended`)
    if (at < last.at) this.problem(`commit ${id} is recorded as earlier than the one before`)
    const rows = this.statements.rows.all(firstSeq, lastSeq) as Row[]
    if (rows.length !== lastSeq - firstSeq + 1)
      this.problem(`commit ${id} has ${rows.length} events instead of ${lastSeq - firstSeq + 1}`)
    const content = contentOf(this.leavesOf(id, rows))
    if (!content.equals(commit.content)) this.problem(`commit ${id}: the events are not those that were sealed`)
    if (!headOf(last.head, commit.content, { id, firstSeq, lastSeq, at, extra }).equals(commit.head)) {
      this.problem(`commit ${id}: the seal does not follow on the one before`)
    }
    if (tagsOf(extra) === null) this.problem(`commit ${id}: what it says beside its events is no list of tags`)
    this.withKeys?.commit(last.head, commit, rows)
    this.rows += rows.length
    for (const row of rows) if (row.entity > ENGINE && !isTombstone(row)) this.events++
    this.last = commit
  }

  private leavesOf(commit: number, rows: readonly Row[]): string[] {
    const encoded = new Map<number, Buffer[]>()
    const created = new Set<number>()
    for (const row of rows) {
      if (isTombstone(row)) {
        if (!encoded.has(row.entity)) encoded.set(row.entity, [])
        continue
      }
      if (row.entity === ENGINE) this.account(row)
      const bytes = encodeRow(row)
      if (crc32(bytes) !== row.crc) this.problem(`event ${row.seq}: the crc is wrong`)
      this.verifyPlace(row)
      if (row.version === 1) created.add(row.entity)
      const known = encoded.get(row.entity)
      if (known === undefined) encoded.set(row.entity, [bytes])
      else known.push(bytes)
    }
    return Array.from(encoded, ([key, parts]) => {
      if (parts.length === 0) return this.keptLeaf(commit, key)
      if (key === ENGINE) return leafOf(Buffer.alloc(0), parts, null)
      const entity = this.statements.entity.get(ownerOf(key)) as EntityRow | undefined
      if (entity === undefined) this.problem(`entity ${ownerOf(key)} is missing`)
      const named = key > 0 && created.has(key) ? (entity ?? { id: '', type: '' }) : null
      return leafOf(entity?.salt ?? Buffer.alloc(0), parts, named)
    })
  }

  /** The leaf of rows that are empty. It counts only if a later record says that the entity was erased. */
  private keptLeaf(commit: number, entity: number): string {
    this.unaccounted.add(ownerOf(entity))
    const leaf = this.statements.leaf.get(commit, entity) as Buffer | undefined
    if (leaf === undefined) this.problem(`commit ${commit}: the leaf of erased entity ${ownerOf(entity)} is missing`)
    return leaf?.toString('latin1') ?? ''
  }

  private account(row: Row): void {
    const record = recordOf(row)
    this.erased.set(record.entity, record)
    this.unaccounted.delete(record.entity)
  }

  private verifyPlace({ seq, entity, version, prev, at, meta }: Row): void {
    const ends = entity < 0 ? this.answers : this.ends
    const last = ends.of(ownerOf(entity))
    if (version !== last.version + 1)
      this.problem(`event ${seq}: version ${version} of entity ${entity} comes after version ${last.version}`)
    if (prev !== last.seq) this.problem(`event ${seq}: points back to ${prev}, but the event before is ${last.seq}`)
    if (last.version > 0 && at < last.at) this.problem(`event ${seq}: is earlier than the event before`)
    ends.set(ownerOf(entity), version, seq, at)
    if (indexedKeyOf(meta, () => '') !== undefined) this.keyed.push(seq)
  }

  /** In one transaction, so that heads and events are of one moment. Returns the number of entities. */
  private finish(): number {
    while (this.walk(COMMITS)); // what was committed meanwhile
    const { maxSeq } = this.statements
    const beyond = maxSeq.get() as number
    if (beyond > this.last.lastSeq) this.problem(`events up to ${beyond} stand outside of any commit`)
    const { flushed, keyCommits } = readSettings(this.db)
    if (flushed > this.last.lastSeq) this.problem(`heads claim to be written up to ${flushed}, beyond the last event`)
    for (const entity of this.unaccounted)
      this.problem(`the rows of entity ${entity} are empty, and no record says that it was erased`)
    this.withKeys?.conclude()
    const entities = this.verifyEntities(flushed)
    this.verifyKeys(flushed, keyCommits)
    this.verifySnapshots()
    return entities
  }

  private verifyEntities(flushed: number): number {
    let count = 0
    for (const entity of this.statements.entities.iterate() as Iterable<
      EntityRow & { version: number | null; head: number; headAt: number }
    >) {
      const { key, version, head, headAt } = entity
      if (entity.idHash === HIDDEN) {
        this.verifyErased(entity)
        continue
      }
      count++
      const last = this.ends.of(key)
      if (this.erased.has(key)) this.problem(`entity ${key} was erased, and is still there`)
      if (entityCrc(entity) !== entity.crc) this.problem(`entity ${key}: the crc is wrong`)
      const slot = this.known.file?.read(this.shard, key)
      if (slot === 'destroyed') this.keyless.push(key)
      if (slot === null) this.problem(`entity ${key} has no key: it cannot be read`)
      else if (!this.isPlaced(entity)) this.problem(`entity ${key} does not belong in this shard`)
      if (last.version === 0) this.problem(`entity ${key} has no events`)
      this.verifyHead(key, last, { version, seq: head, at: headAt }, flushed)
      const answered = this.answers.of(key)
      if (answered.version === 0) continue
      const answersHead = this.statements.head.get(answersOf(key)) as StoredHead | undefined
      this.verifyHead(answersOf(key), answered, answersHead ?? { version: null, seq: 0, at: 0 }, flushed)
    }
    return count
  }

  /** A key is destroyed after the erasure is recorded: one that was under way meanwhile is recorded by now. */
  private verifyKeyless(): void {
    for (const key of this.keyless) {
      const { idHash } = this.statements.entity.get(key) as EntityRow
      if (idHash === HIDDEN) continue
      this.problem(
        `entity ${key} is there, and its key was destroyed: the shard is older than the erasure, or the keys are not its`,
      )
    }
  }

  /** The head of a chain is its last row, or was it up to `flushed`. */
  private verifyHead(entity: number, last: End, { version, seq, at }: StoredHead, flushed: number): void {
    if (version === last.version && seq === last.seq && at === last.at) return
    if (version === null && last.seq > flushed) return
    const isOlder =
      last.seq > flushed && seq < last.seq && this.statements.isEvent.get(seq, entity, version, at) !== undefined
    if (isOlder) return
    const what = entity < 0 ? 'the head of its empty answers is not the last' : 'its head is not its last event'
    this.problem(`entity ${ownerOf(entity)}: ${what} (${last.seq}, version ${last.version})`)
  }

  /** Is it where its id belongs, and found by it? Of an encrypted id only whoever holds the keys can say. */
  private isPlaced(entity: EntityRow): boolean {
    const { manifest, shard } = this
    const { keys } = this.known
    let id: string | null = entity.id
    if (manifest.encryption !== undefined) {
      if (keys === null) return true
      try {
        id = new Cipher(this.db.name, shard, keys).idOf(entity)
      } catch (error) {
        this.problem((error as Error).message)
        return true
      }
      if (id === null) return true // somebody is erasing it right now
    }
    const hash = hashId(id, manifest.seed)
    return hash % manifest.shards === shard && entity.idHash === (keys?.idHash(id) ?? hash)
  }

  private verifyErased(entity: EntityRow): void {
    const { key, salt } = entity
    const record = this.erased.get(key)
    if (record === undefined) this.problem(`entity ${key} is hidden, and no record says that it was erased`)
    else if (salt.length > 0) {
      if (witnessOf(salt) !== record.witness) this.problem(`entity ${key} is not the one that was erased`)
      this.unfinished++
    } else if (this.known.file !== null && this.known.file.read(this.shard, key) !== 'destroyed')
      this.problem(`entity ${key} was erased, and its key is still there`)
    else if (!isEntityTombstone(entity)) this.problem(`entity ${key} was erased, and its row is not empty`)
    else if (this.ends.of(key).version > 0) this.problem(`entity ${key} was erased, and has events`)
    else if (this.answers.of(key).version > 0) this.problem(`entity ${key} was erased, and has empty answers`)
  }

  private verifyKeys(flushed: number, keyCommits: number): void {
    const horizon = (this.statements.lastSeqOf.get(this.last.id - keyCommits) as number | undefined) ?? 0
    let indexed = 0
    for (const row of this.statements.keys.iterate(horizon) as Iterable<
      KeyRow & { meta: string | null; id: string | null }
    >) {
      if (row.hash === 0 && row.count === 0 && row.digest === '') continue // of an erased entity
      if (row.seq <= flushed) indexed++
      const key = indexedKeyOf(row.meta, () => row.id ?? '')
      const right = key?.count === row.count && key.digest === row.digest && key.hash === row.hash
      if (!right) this.problem(`the index of request keys is wrong about event ${row.seq}`)
    }
    const due = this.keyed.filter((seq) => seq > horizon && seq <= flushed).length
    if (indexed < due) this.problem(`the index of request keys lacks ${due - indexed} of ${due} keys`)
  }

  /** They are derived, so a wrong one is not used: but it would not be wrong if all were well. */
  private verifySnapshots(): void {
    for (const row of this.statements.snapshots.iterate() as Iterable<SnapshotRow>) {
      const { entity, version, at, seq } = row
      if (version === 0 && row.state === '' && row.definition === '') continue // of an erased entity
      const of = `the snapshot of entity ${entity} at version ${version}`
      if (!isWhole(row)) this.problem(`${of}: the crc is wrong`)
      else this.withKeys?.snapshot(row)
      if (this.statements.isEvent.get(seq, entity, version, at) === undefined) this.problem(`${of} is of no event`)
    }
  }
}

interface End {
  readonly version: number
  readonly seq: number
  readonly at: number
}

/** What the table of heads says, if it says something. */
type StoredHead = Omit<End, 'version'> & { readonly version: number | null }

/** The last row of each chain, by key. */
class Ends {
  private numbers = new Float64Array(3 * 1024)

  of(key: number): End {
    const i = key * 3
    return { version: this.numbers[i] ?? 0, seq: this.numbers[i + 1] ?? 0, at: this.numbers[i + 2] ?? 0 }
  }

  set(key: number, version: number, seq: number, at: number): void {
    const i = key * 3
    if (i + 2 >= this.numbers.length) {
      const grown = new Float64Array(Math.max(i + 3, this.numbers.length * 2))
      grown.set(this.numbers)
      this.numbers = grown
    }
    this.numbers[i] = version
    this.numbers[i + 1] = seq
    this.numbers[i + 2] = at
  }
}

function prepareStatements(db: Database) {
  const entity = 'n.key, n.id_hash AS idHash, n.id, n.type, n.salt, n.created_at AS createdAt, n.crc'
  return {
    commits: db.prepare(
      'SELECT id, first_seq AS firstSeq, last_seq AS lastSeq, at, content, head, extra FROM commits WHERE id > ? ORDER BY id LIMIT ?',
    ),
    rows: db.prepare(
      'SELECT seq, entity, version, prev, at, type, data, meta, crc FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq',
    ),
    entity: db.prepare(`SELECT ${entity} FROM entities n WHERE n.key = ?`),
    entities: db.prepare(
      `SELECT ${entity}, h.version, h.head, h.updated_at AS headAt FROM entities n LEFT JOIN heads h ON h.key = n.key ORDER BY n.key`,
    ),
    leaf: db.prepare('SELECT leaf FROM erased_leaves WHERE commit_id = ? AND entity = ?').pluck(),
    head: db.prepare('SELECT version, head AS seq, updated_at AS at FROM heads WHERE key = ?'),
    isEvent: db.prepare('SELECT 1 FROM events WHERE seq = ? AND entity = ? AND version = ? AND at = ?'),
    maxSeq: db.prepare('SELECT coalesce(max(seq), 0) FROM events').pluck(),
    lastSeqOf: db.prepare('SELECT last_seq FROM commits WHERE id = ?').pluck(),
    snapshots: db.prepare('SELECT entity, version, at, seq, definition, state FROM snapshots'),
    keys: db.prepare(
      `SELECT k.seq, k.hash, k.count, k.digest, e.meta, n.id FROM request_keys k
       LEFT JOIN events e ON e.seq = k.seq LEFT JOIN entities n ON n.key = abs(e.entity) WHERE k.seq > ? ORDER BY k.seq`,
    ),
  }
}
