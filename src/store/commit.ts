/**
 * A commit as a value: everything that one durable transaction of a shard puts on disk, including all that is random or
 * read from a clock. It is made first (`commit/prepare.ts`) and then applied; applying the same commits to two shards
 * makes them equal.
 */
import type { SealedCommit } from './seal.ts'

/**
 * Events as columns, cheap to hand to another thread: `COLUMNS` numbers for each, and one text that holds their type,
 * data and meta back to back.
 */
export interface EventColumns {
  readonly count: number
  readonly numbers: Float64Array
  readonly text: string
}

/** entity key, version, prev, at, then UTF-16 lengths of type, data and meta (-1: absent). */
export const COLUMNS = 7

/** An entity that a commit creates. */
export interface NewEntity {
  readonly key: number
  readonly idHash: number
  readonly id: string
  readonly type: string
  readonly createdAt: number
}

export interface EntityRow extends NewEntity {
  readonly salt: Uint8Array
  readonly crc: number
}

/** A request key as it is indexed: by the hash of entity and key, at the first event of its group. */
export interface KeyRow {
  readonly seq: number
  readonly hash: number
  readonly count: number
  readonly digest: string
}

/**
 * An entity's state at one of its versions, so that nobody must fold what came before. Derived: it may be lost, and one
 * that a definition of another version made is not used. Its place in the chain stays useful all the same.
 */
export interface SnapshotRow {
  readonly entity: number
  readonly version: number
  readonly at: number
  readonly seq: number
  /** version of the definition, and a crc: see snapshot.ts */
  readonly definition: string
  /** JSON */
  readonly state: string
}

export interface Commit extends SealedCommit {
  readonly shard: number
  readonly epoch: number
  readonly previous: Uint8Array
  readonly events: EventColumns
  /** one for each event */
  readonly crcs: Uint32Array
  readonly entities: readonly EntityRow[]
  readonly keys: readonly KeyRow[]
  readonly snapshots: readonly SnapshotRow[]
  /** Rows of entities whose erasure this commit records, as they are from now on: hidden. */
  readonly hidden: readonly EntityRow[]
  readonly content: Uint8Array
  readonly head: Uint8Array
}
