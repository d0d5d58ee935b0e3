/**
 * What is personal, as it stands in the shards of an encrypted store: `~`, and then base64 of
 *
 *     12 bytes nonce, the UTF-8 encrypted by AES-256-GCM under its entity's key, 16 bytes tag
 *
 * in `data` and `meta` of events, the state of snapshots and the id of entities. With each goes all that it belongs to, as
 * additional data: none can be put in another's place, and an event's type and time are those that it was recorded with.
 *
 *     data, meta   "data SHARD SEQ VERSION AT TYPE"
 *     id           "id SHARD KEY"
 *     state        "snapshot SHARD KEY VERSION SEQ AT"
 *
 * Types, times, versions and sizes can be read without a key. This is codec 2. Stores of format 1 have values of codec 1,
 * which stay as they are: base64 alone, and less that goes with it ("data SEQ", "id KEY", "snapshot VERSION"). The first
 * character tells which it is: base64 has no `~`, and what stands before the meta of a request key begins with `$`.
 *
 * What is looked for by a hash is found by one that only holders of the store's key can make: `id_hash`, and the hash of
 * a request key. The latter stands before the meta that holds the key, so that an index which was not yet written can be
 * found again by whoever opens the shard: `$hash:count:`, and then the value. The digest of a request would tell what
 * was asked for, so it stands only in the meta, and the index has ''.
 *
 * Crcs and seals are over what is stored: verifying, backing up, restoring and erasing need no key. Whoever has it puts an
 * HMAC into each commit (extra.ts), by which nobody without it can make them anew unseen (verify-with-keys.ts).
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import { COLUMNS, type EntityRow, type EventColumns, type KeyRow, type NewEntity, type SnapshotRow } from './commit.ts'
import { ownerOf } from './empty-answer.ts'
import { ENGINE, isTombstone } from './erasure.ts'
import { extraWith, MAC } from './extra.ts'
import type { Keys } from './keys.ts'
import { corrupt, type Manifest } from './manifest.ts'
import { noMasterKey } from './master-key.ts'
import { markStored, withoutMark } from './request-key.ts'
import type { Row } from './row.ts'
import { linkOf, type SealedCommit } from './seal.ts'
import { snapshotRow } from './snapshot.ts'

const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const TAG = { authTagLength: TAG_BYTES }
/** Nonces are drawn so many at a time. */
const NONCES = 256
/** Before what is of codec 2. */
const CODEC_2 = '~'

type EventPlace = Pick<Row, 'seq' | 'version' | 'at' | 'type'>

/** Is a stored value of codec 2? A meta without its mark. */
export function isOfCodec2(stored: string): boolean {
  return stored.startsWith(CODEC_2)
}

/** Null for a store that is not encrypted. */
export function cipherOf(path: string, shard: number, manifest: Manifest, keys: Keys | null): Cipher | null {
  return manifest.encryption === undefined ? null : new Cipher(path, shard, keys)
}

export class Cipher {
  private readonly nonces = Buffer.alloc(NONCES * NONCE_BYTES)
  private nonceAt = this.nonces.length

  /** @param known without them everything throws KUMA_MASTER_KEY, but what is not encrypted passes */
  constructor(
    private readonly path: string,
    private readonly shard: number,
    private readonly known: Keys | null,
  ) {}

  private get keys(): Keys {
    if (this.known === null) throw noMasterKey(this.path)
    return this.known
  }

  /** Before anything of them is sealed. Durable when it returns. */
  createKeys(entities: readonly NewEntity[]): void {
    if (entities.length > 0)
      this.keys.create(
        this.shard,
        entities.map(({ key }) => key),
      )
  }

  entity<E extends NewEntity>(entity: E): E {
    return { ...entity, id: this.seal(entity.key, this.idPlace(entity.key), entity.id) }
  }

  /** The id of an entity's row; null if its key was destroyed. */
  idOf({ key, id }: Pick<EntityRow, 'key' | 'id'>): string | null {
    return this.open(key, isOfCodec2(id) ? this.idPlace(key) : `id ${key}`, id)
  }

  key(row: KeyRow): KeyRow {
    return { ...row, hash: this.keys.requestKeyHash(row.hash), digest: '' }
  }

  requestKeyHash(hash: number): number {
    return this.keys.requestKeyHash(hash)
  }

  /** Without those of entities that were erased meanwhile. */
  snapshots(rows: readonly SnapshotRow[]): SnapshotRow[] {
    return rows.flatMap((row) => {
      if (this.keys.of(this.shard, row.entity) === null) return []
      const sealed = this.seal(row.entity, this.snapshotPlace(row), row.state)
      return [snapshotRow(row, Number.parseInt(row.definition, 10), sealed)]
    })
  }

  /** The state of a stored snapshot; null if its key was destroyed. */
  stateOf(row: SnapshotRow): string | null {
    const { entity, version, state } = row
    return this.open(entity, isOfCodec2(state) ? this.snapshotPlace(row) : `snapshot ${version}`, state)
  }

  /** @param keys as they are stored, of groups that begin in these events */
  events({ count, numbers, text }: EventColumns, firstSeq: number, keys: readonly KeyRow[]): EventColumns {
    const marks = new Map(keys.map((row) => [row.seq, row]))
    const sealed = numbers.slice()
    let [stored, start] = ['', 0]
    for (let i = 0; i < count; i++) {
      const c = i * COLUMNS
      const seq = firstSeq + i
      const entity = numbers[c]!
      const dataStart = start + numbers[c + 4]!
      const metaStart = dataStart + numbers[c + 5]!
      const metaLength = numbers[c + 6]!
      const type = text.slice(start, dataStart)
      const place = this.eventPlace({ seq, version: numbers[c + 1]!, at: numbers[c + 3]!, type })
      const data = this.seal(entity, `data ${place}`, text.slice(dataStart, metaStart))
      sealed[c + 5] = data.length
      stored += type + data
      start = metaStart
      if (metaLength < 0) continue
      start += metaLength
      const meta = markStored(this.seal(entity, `meta ${place}`, text.slice(metaStart, start)), marks.get(seq))
      sealed[c + 6] = meta.length
      stored += meta
    }
    return { count, numbers: sealed, text: stored }
  }

  /** A stored row as it was recorded; empty, as one that was erased, if its key was destroyed. */
  row(row: Row): Row {
    const { seq, entity } = row
    if (entity === ENGINE || isTombstone(row)) return row
    const data = this.valueOf(row, 'data', row.data)
    if (data === null) return { seq, entity, version: 0, prev: 0, at: 0, type: '', data: '', meta: null, crc: 0 }
    return { ...row, data, meta: row.meta === null ? null : this.valueOf(row, 'meta', withoutMark(row.meta)) }
  }

  /** A text in the meta of a stored event, or null. */
  metaOf(row: Omit<Row, 'prev' | 'data' | 'crc'>, field: string): string | null {
    const text = row.meta === null ? null : this.valueOf(row, 'meta', withoutMark(row.meta))
    const value = text === null ? null : (JSON.parse(text) as Record<string, unknown>)[field]
    return typeof value === 'string' ? value : null
  }

  /** The HMAC of a commit, of whose tags it is none; null where the store's key is not at hand. */
  macOf(previous: Uint8Array, content: Uint8Array, commit: SealedCommit): Buffer | null {
    return this.known === null ? null : this.known.commitMac(linkOf(previous, content, commit))
  }

  /** A commit with its HMAC among its tags, or as it is where the store's key is not at hand: who erases may be without. */
  withMac<C extends SealedCommit>(previous: Uint8Array, content: Uint8Array, commit: C): C {
    const mac = this.macOf(previous, content, commit)
    return mac === null ? commit : { ...commit, extra: extraWith(commit.extra, MAC, mac) }
  }

  private valueOf(row: EventPlace & Pick<Row, 'entity'>, column: 'data' | 'meta', stored: string): string | null {
    return this.open(row.entity, `${column} ${isOfCodec2(stored) ? this.eventPlace(row) : row.seq}`, stored)
  }

  private eventPlace({ seq, version, at, type }: EventPlace): string {
    return `${this.shard} ${seq} ${version} ${at} ${type}`
  }

  private idPlace(key: number): string {
    return `id ${this.shard} ${key}`
  }

  private snapshotPlace({ entity, version, seq, at }: Omit<SnapshotRow, 'definition' | 'state'>): string {
    return `snapshot ${this.shard} ${entity} ${version} ${seq} ${at}`
  }

  private seal(entity: number, place: string, text: string): string {
    const nonce = this.nextNonce()
    const cipher = createCipheriv(ALGORITHM, this.keyOf(entity), nonce, TAG).setAAD(Buffer.from(place))
    const bytes = cipher.update(text, 'utf8')
    cipher.final()
    return CODEC_2 + Buffer.concat([nonce, bytes, cipher.getAuthTag()]).toString('base64')
  }

  private keyOf(entity: number): Buffer {
    const key = this.keys.of(this.shard, ownerOf(entity))
    if (key === null) throw corrupt(this.path, `the key of entity ${entity} was destroyed, and it is still there`)
    return key
  }

  private open(entity: number, place: string, stored: string): string | null {
    const key = this.keys.of(this.shard, ownerOf(entity))
    if (key === null) return null
    try {
      const bytes = Buffer.from(isOfCodec2(stored) ? stored.slice(CODEC_2.length) : stored, 'base64')
      const end = bytes.length - TAG_BYTES
      const cipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), TAG).setAAD(Buffer.from(place))
      cipher.setAuthTag(bytes.subarray(end))
      return cipher.update(bytes.subarray(NONCE_BYTES, end), undefined, 'utf8') + cipher.final('utf8')
    } catch {
      throw corrupt(
        this.path,
        `the ${place.split(' ')[0]} of entity ${entity} (${place}) cannot be opened with its key`,
      )
    }
  }

  /** Random: with 2^32 values under one key, the chance that any two are the same is 2^-33. */
  private nextNonce(): Buffer {
    if (this.nonceAt === this.nonces.length) {
      randomFillSync(this.nonces)
      this.nonceAt = 0
    }
    this.nonceAt += NONCE_BYTES
    return this.nonces.subarray(this.nonceAt - NONCE_BYTES, this.nonceAt)
  }
}
