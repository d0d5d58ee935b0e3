/**
 * Questions to a shard's file, on a connection that never writes. Works beside a writer, in this process or another.
 * Every row that is read is checked against its crc.
 */
import type { Meta, MetaFilter, Position, RecordedEvent } from '../entity/event.ts'
import { EMPTY_META, formatPosition, META_FIELDS } from '../entity/event.ts'
import type { JsonObject } from '../entity/json.ts'
import { inTimeline } from '../entity/position.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { type Stretch, stretchesOf, timelineAt } from '../entity/timeline.ts'
import { KumaError } from '../errors.ts'
import { type Cipher, cipherOf } from './cipher.ts'
import type { EntityRow, KeyRow, SnapshotRow } from './commit.ts'
import { type Database, sqliteError } from './driver.ts'
import { afterOf, answersOf } from './empty-answer.ts'
import { entityCrc } from './entity-row.ts'
import { HIDDEN, isTombstone } from './erasure.ts'
import type { Keys } from './keys.ts'
import { corrupt, type Manifest, shardPath } from './manifest.ts'
import { keyOf } from './request-key.ts'
import { type Row, rowCrc } from './row.ts'
import { openShard } from './shard-file.ts'
import { type FeedColumns, prepareQueries, type RowColumns, type SpanColumns } from './shard-queries.ts'
import { isUsable, isWhole } from './snapshot.ts'

/** The newest event of an entity. */
export interface Head {
  readonly version: number
  readonly seq: number
  readonly at: number
}

export interface EntityName {
  readonly id: string
  readonly type: string
}

/** An entity, with what the table of heads says of it. */
export interface ListedEntity extends EntityName, Partial<Head> {
  readonly key: number
  readonly createdAt: number
}

/** An event's place, without its content. */
export interface Link {
  readonly seq: number
  readonly prev: number
  readonly version: number
  readonly at: number
}

/** A place in a chain at which reading can begin or end. */
export type Entry = Pick<Link, 'seq' | 'version'>

/** Where the log of a shard ends. */
export interface CommitEnd {
  readonly id: number
  readonly lastSeq: number
  readonly at: number
  readonly head: Uint8Array
}

/** Which events a scan of a whole shard looks for. */
export interface ScanFilter extends MetaFilter {
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly types?: readonly string[] | undefined
}

export class ShardReader {
  readonly path: string
  private readonly db: Database
  private readonly cipher: Cipher | null
  private readonly queries: ReturnType<typeof prepareQueries>
  private readonly stretches: readonly Stretch[]
  /** Why nothing is read any more. */
  private reason: KumaError | null = null

  constructor(
    directory: string,
    readonly shard: number,
    manifest: Manifest,
    /** Of an encrypted store. Without them, what is encrypted cannot be asked for: KUMA_MASTER_KEY. */
    keys: Keys | null = null,
  ) {
    this.path = shardPath(directory, shard)
    this.db = openShard(directory, shard, manifest, 'read')
    this.cipher = cipherOf(directory, shard, manifest, keys)
    this.queries = prepareQueries(this.db, this.cipher)
    this.stretches = stretchesOf(manifest.timelines, shard)
  }

  /** Reads nothing any more. @param reason what those are told who ask */
  lose(reason: KumaError): void {
    this.reason = reason
  }

  close(): void {
    this.db.close()
  }

  private run<T>(query: () => T): T {
    if (this.reason !== null) throw this.reason
    try {
      return query()
    } catch (error) {
      if (!this.db.open) throw new KumaError('KUMA_CLOSED', `${this.path} is closed`, { path: this.path })
      throw sqliteError(error, this.path)
    }
  }

  /** The entity's row, or null. */
  find(id: string, idHash: number): EntityRow | null {
    const rows = this.run(() => this.queries.byHash.all(idHash)) as EntityRow[]
    const row = rows.find((candidate) => this.idOf(candidate) === id)
    if (row === undefined) return null
    if (entityCrc(row) !== row.crc) throw corrupt(this.path, `the crc of entity ${JSON.stringify(id)} is wrong`)
    return { ...row, id }
  }

  /** Null if its key was destroyed, which an erasure does while others may still read. */
  private idOf(row: Pick<EntityRow, 'key' | 'id'>): string | null {
    return this.cipher === null ? row.id : this.cipher.idOf(row)
  }

  /** Does an entity of this hash stand here, the key of which was destroyed? */
  isKeyless(idHash: number): boolean {
    const rows = this.run(() => this.queries.byHash.all(idHash)) as EntityRow[]
    return rows.some((row) => this.idOf(row) === null)
  }

  /** Events with the names of their entities, as of one moment: without those of entities that are erased. */
  named(seqs: readonly number[]): { row: Row; name: EntityName }[] {
    return this.atOnce(() => {
      const names = new Map<number, EntityName | null>()
      const found: { row: Row; name: EntityName }[] = []
      for (const row of this.rows(seqs)) {
        let name = names.get(row.entity)
        if (name === undefined) {
          name = this.nameOf(row.entity)
          names.set(row.entity, name)
        }
        if (name !== null) found.push({ row, name })
      }
      return found
    })
  }

  /** Null if the entity is erased. */
  private nameOf(key: number): EntityName | null {
    const found = this.queries.name.get(key) as (EntityName & { key: number; idHash: number }) | undefined
    if (found === undefined) throw corrupt(this.path, `an event belongs to entity ${key}, which is not there`)
    const { idHash, type } = found
    const id = idHash === HIDDEN ? null : this.idOf(found)
    return id === null ? null : { id, type }
  }

  /** The name of an entity, or null if it is erased. @throws KUMA_CORRUPT if there never was one */
  name(key: number): EntityName | null {
    return this.run(() => this.nameOf(key))
  }

  /** Keys of all entities that are not erased. */
  livingKeys(): number[] {
    return this.run(() => this.queries.living.all()) as number[]
  }

  /** What the table of heads says: the newest event only where nothing of the entity stands after `flushed`. */
  flushedHead(key: number): Head | null {
    return (this.run(() => this.queries.head.get(key)) as Head | undefined) ?? null
  }

  /** The newest event of an entity, whoever writes to it meanwhile: heads, `flushed` and events as of one moment. */
  head(key: number): Head | null {
    return this.atOnce(() => {
      const newer = this.queries.headAfter.get(this.queries.flushed.get(), key) as Head | undefined
      return newer ?? this.flushedHead(key)
    })
  }

  /** Newest events of all entities that have any after `flushed`. */
  unflushedHeads(): Map<number, Head> {
    const rows = this.atOnce(() => this.queries.headsAfter.all(this.queries.flushed.get())) as (Head & {
      key: number
    })[]
    return new Map(rows.map((row) => [row.key, row]))
  }

  /** A page of entities by key. An id is '' where its key was destroyed meanwhile. */
  entitiesAfter(key: number, limit: number): ListedEntity[] {
    const page = this.run(() => this.queries.page.all(key, limit)) as ListedEntity[]
    return this.cipher === null ? page : page.map((row) => ({ ...row, id: this.idOf(row) ?? '' }))
  }

  /** The newest snapshot up to a bound that a definition of this version made, and that is whole. */
  snapshot(entity: number, bound: ResolvedPoint, definitionVersion: number): SnapshotRow | null {
    const { at = Number.MAX_SAFE_INTEGER } = bound
    for (let { version = Number.MAX_SAFE_INTEGER } = bound; ; ) {
      const made = [`${definitionVersion}:`, `${definitionVersion};`] // ';' comes after ':'
      const row = this.run(() => this.queries.snapshot.get(entity, version, at, ...made)) as SnapshotRow | undefined
      if (row === undefined) return null
      if (isUsable(row, definitionVersion)) {
        if (this.cipher === null) return row
        const state = this.cipher.stateOf(row)
        return state === null ? null : { ...row, state }
      }
      version = row.version - 1
    }
  }

  /** The versions at which entities have snapshots, by their keys. */
  snapshotVersions(): Map<number, Set<number>> {
    const versions = new Map<number, Set<number>>()
    for (const { entity, version } of this.run(() => this.queries.snapshotVersions.all()) as SnapshotRow[]) {
      versions.set(entity, (versions.get(entity) ?? new Set()).add(version))
    }
    return versions
  }

  /** The snapshot at a version, whoever made it; null if there is none, or it is not whole. */
  snapshotAt(entity: number, version: number): SnapshotRow | null {
    const row = this.run(() => this.queries.snapshotAt.get(entity, version)) as SnapshotRow | undefined
    if (row === undefined || !isWhole(row)) return null
    const state = this.cipher === null ? row.state : this.cipher.stateOf(row)
    return state === null ? null : { ...row, state }
  }

  /** A snapshot's event that is the bound or comes after it, and near it; null if there is none. */
  entryAfter(entity: number, bound: ResolvedPoint): Entry | null {
    const { afterVersion, afterTime } = this.queries
    const entry = this.run(() =>
      bound.version === undefined ? afterTime.get(entity, bound.at) : afterVersion.get(entity, bound.version),
    )
    return (entry as Entry | undefined) ?? null
  }

  /** A snapshot's event that comes before the bound, and near it; null if there is none. */
  entryBefore(entity: number, bound: ResolvedPoint): Entry | null {
    const { beforeVersion, beforeTime } = this.queries
    const entry = this.run(() =>
      bound.version === undefined ? beforeTime.get(entity, bound.at) : beforeVersion.get(entity, bound.version),
    )
    return (entry as Entry | undefined) ?? null
  }

  /** Up to `limit` links of an entity's chain, newest first, from the event at `seq` on. */
  links(seq: number, limit: number): Link[] {
    return this.run(() => this.queries.links.all(seq, limit)) as Link[]
  }

  /** Whole rows, in the order asked for; those of an erased entity are empty. @throws KUMA_CORRUPT if one is missing or its crc is wrong */
  rows(seqs: readonly number[]): Row[] {
    const rows = this.run(() =>
      seqs.length === 1 ? this.queries.row.all(seqs[0]) : this.queries.rows.all(JSON.stringify(seqs)),
    ) as Row[]
    if (rows.length !== seqs.length) throw corrupt(this.path, 'an event that others point to is missing')
    return this.checked(rows)
  }

  /**
   * Up to `limit` whole rows of an entity after one of its events and up to another, oldest first. Each points to the one
   * before it: that is not read, and a row which says otherwise does not have its crc.
   * @throws KUMA_CORRUPT
   */
  span(entity: number, after: number, to: number, limit: number): Row[] {
    const found = this.run(() => this.queries.span.all(after, to, entity, limit)) as SpanColumns[]
    let last = after
    return this.checked(
      found.map(([seq, version, at, type, data, meta, crc]) => {
        const prev = version === 0 ? 0 : last // 0: it has been emptied
        last = seq
        return { seq, entity, version, prev, at, type, data, meta, crc }
      }),
    )
  }

  private checked(rows: Row[]): Row[] {
    for (const row of rows) {
      if (rowCrc(row) !== row.crc && !isTombstone(row)) throw corrupt(this.path, `the crc of event ${row.seq} is wrong`)
    }
    const { cipher } = this
    return cipher === null ? rows : rows.map((row) => cipher.row(row))
  }

  /** What was recorded under a request key, unless it has expired: in `last` the event after which it was answered. */
  keyed(
    entity: number,
    hash: number,
    key: string,
    keyCommits: number,
  ): (Omit<KeyRow, 'hash'> & { readonly last: number }) | null {
    const stored = this.cipher?.requestKeyHash(hash) ?? hash
    const candidates = this.run(() => this.queries.keys.all(stored)) as KeyRow[]
    for (const row of candidates) {
      const [first] = this.rows([row.seq])
      const found = keyOf(first!.meta)
      if ((first!.entity !== entity && first!.entity !== answersOf(entity)) || found?.key !== key) continue
      const expired = this.run(() => this.queries.expired.get(keyCommits)) as number | undefined
      if (row.seq <= (expired ?? 0)) return null
      const { count, digest } = found
      return { seq: row.seq, count, digest, last: count === 0 ? afterOf(first!) : row.seq + count - 1 }
    }
    return null
  }

  /** The seq up to which request keys have expired. */
  expiredKeys(): number {
    return (this.run(() => this.queries.expiredKeys.get()) as number | undefined) ?? 0
  }

  /** A page of matching events in order of seq: seq and at. */
  scan(filter: ScanFilter, after: number, limit: number): { seq: number; at: number }[] {
    const types = filter.types === undefined ? null : JSON.stringify(filter.types)
    const { from = null, to = null } = filter
    const meta = Object.fromEntries(META_FIELDS.map((field) => [field, filter[field] ?? null]))
    return this.run(() => this.queries.scan.all({ after, from, to, types, limit, ...meta })) as {
      seq: number
      at: number
    }[]
  }

  /**
   * The rows after one seq and up to another, `limit` at most, with the names of their entities: null for one that is
   * erased and for the engine's own. Of one entity only its rows, and the engine's.
   */
  feed(after: number, to: number, limit: number, entity: number | null): { row: Row; name: EntityName | null }[] {
    const { feed, feedOf } = this.queries
    const found = this.run(() =>
      entity === null ? feed.all(after, to, limit) : feedOf.all(after, to, entity, limit),
    ) as FeedColumns[]
    const rows = this.checked(found.map((columns) => rowOf(columns as unknown as RowColumns)))
    return rows.map((row, i) => {
      const [stored, type] = [found[i]![9], found[i]![10]]
      const id = stored === null ? null : this.idOf({ key: row.entity, id: stored })
      return { row, name: id === null ? null : { id, type } }
    })
  }

  /** Of an event as it is stored: 0 if it was erased. */
  crcAt(seq: number): number {
    return this.run(() => this.queries.crcAt.get(seq)) as number
  }

  /** The seq of the last event that was recorded before a moment, 0 if there is none. */
  lastBefore(at: number): number {
    return (this.run(() => this.queries.lastBefore.get(at)) as number | undefined) ?? 0
  }

  /** When an event was recorded; null if it is not there yet. Commits are numbered without gaps, so it is halved for. */
  recordedAt(seq: number): number | null {
    let [low, high] = [1, this.lastCommit()?.id ?? 0]
    let at: number | null = null
    while (low <= high) {
      const middle = (low + high) >> 1
      const commit = this.run(() => this.queries.commit.get(middle)) as { lastSeq: number; at: number }
      if (commit.lastSeq < seq) low = middle + 1
      else {
        at = commit.at
        high = middle - 1
      }
    }
    return at
  }

  /** A page of the events that happened up to a moment, in order of seq: seq, entity, version and at of each. */
  placesUntil(at: number, after: number, limit: number): [number, number, number, number][] {
    return this.run(() => this.queries.placesUntil.all(after, at, limit)) as [number, number, number, number][]
  }

  /** The highest key of an entity, 0 if there is none. */
  lastKey(): number {
    return this.run(() => this.queries.lastKey.get()) as number
  }

  /** The entity's row as it is stored, also of one that is hidden or empty; null if there never was one. */
  entity(key: number): EntityRow | null {
    return (this.run(() => this.queries.byKey.get(key)) as EntityRow | undefined) ?? null
  }

  /** The newest commit; null if nothing was recorded yet. */
  lastCommit(): CommitEnd | null {
    return (this.run(() => this.queries.lastCommit.get()) as CommitEnd | undefined) ?? null
  }

  /** @returns the seal head of a commit, or null */
  sealOf(commit: number): Uint8Array | null {
    return (this.run(() => this.queries.sealOf.get(commit)) as Uint8Array | undefined) ?? null
  }

  /** How many events, snapshots and request keys of entities are not empty: reads the whole shard. */
  remains(entities: readonly number[]): number {
    const keys = JSON.stringify([...entities, ...entities.map(answersOf)])
    return this.run(() => this.queries.remains.get({ keys })) as number
  }

  /** Of an event, also of one that comes next. It names the timeline in which that was recorded, and never changes. */
  positionOf(seq: number): Position {
    const position = formatPosition(this.shard, seq)
    return this.stretches.length === 0 ? position : inTimeline(position, this.timelineOf(seq))
  }

  /** In which an event was recorded; null: the first. */
  timelineOf(seq: number): string | null {
    return timelineAt(this.stretches, seq)
  }

  /** A row as the event that its readers see. */
  recorded(row: Row, name: EntityName): RecordedEvent {
    return {
      type: row.type,
      data: JSON.parse(row.data) as JsonObject,
      entity: name.id,
      entityType: name.type,
      version: row.version,
      position: this.positionOf(row.seq),
      at: row.at,
      meta: row.meta === null ? EMPTY_META : visibleMeta(row.meta),
    }
  }

  private atOnce<T>(read: () => T): T {
    return this.run(() => this.db.transaction(read)())
  }
}

function visibleMeta(text: string): Meta {
  const meta = JSON.parse(text) as { $kuma?: unknown }
  if (meta.$kuma !== undefined) delete meta.$kuma
  return meta as Meta
}

function rowOf([seq, entity, version, prev, at, type, data, meta, crc]: RowColumns): Row {
  return { seq, entity, version, prev, at, type, data, meta, crc }
}
