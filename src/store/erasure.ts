/**
 * Erasing an entity takes its bytes and leaves everyone else's proof whole:
 *
 *     record      an event of entity 0, the engine's own: type `Erased`, data { entity, type, events, witness }. It names the
 *                 entity by its key in the shard, never by its id. It is sealed like any event, and its chain (`prev`, the
 *                 head of key 0) leads through all erasures of the shard.
 *     witness     SHA-256 of the entity's salt. The salt is random and goes, so the witness tells nothing; but a copy of
 *                 the shard that still has the entity can be told from one in which the key stands for another.
 *     hidden      from the record's commit on: id_hash is -1, so that no id leads there any more. What is left to do is
 *                 seen by that and the salt, which is the last to go.
 *     tombstones  rows are emptied and never deleted: SQLite moves rows when a page gets empty, and leaves copies in the
 *                 gaps. An event keeps its seq and entity, an entity its key. Seals need the leaves that can no longer
 *                 be made: they go to `erased_leaves`, where they count only beside a record.
 */
import { hash } from 'node:crypto'
import type { EntityRow } from './commit.ts'
import type { Row } from './row.ts'

/** The entity whose events are the erasure records. */
export const ENGINE = 0
export const ERASED = 'Erased'
/** `id_hash` of an entity that is being or has been erased: no hash of an id is negative. */
export const HIDDEN = -1

/** The data of an erasure record. */
export interface ErasureRecord {
  /** its key in the shard */
  readonly entity: number
  /** its entity type, so that those who follow the feed of one type hear of it; absent in records of earlier versions */
  readonly type?: string | undefined
  readonly events: number
  /** in hexadecimal */
  readonly witness: string
}

/** A record with its place. */
export interface Erasure extends ErasureRecord {
  readonly shard: number
  readonly seq: number
  readonly at: number
}

export function witnessOf(salt: Uint8Array): string {
  return hash('sha256', salt, 'hex')
}

/** Is it the empty row that an erasure leaves? */
export function isTombstone({ version, prev, at, type, data, meta, crc }: Row): boolean {
  return version === 0 && prev === 0 && at === 0 && type === '' && data === '' && meta === null && crc === 0
}

/** The same for a row of `entities`. */
export function isEntityTombstone({ idHash, id, type, salt, createdAt, crc }: EntityRow): boolean {
  return idHash === HIDDEN && id === '' && type === '' && salt.length === 0 && createdAt === 0 && crc === 0
}

export function recordOf(row: Pick<Row, 'data'>): ErasureRecord {
  return JSON.parse(row.data) as ErasureRecord
}
