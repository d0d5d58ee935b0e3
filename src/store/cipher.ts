/**
 * What is personal, as it stands in the shards of an encrypted store: base64 of
 *
 *     12 bytes nonce, the UTF-8 encrypted by AES-256-GCM under its entity's key, 16 bytes tag
 *
 * in `data` and `meta` of events, the state of snapshots and the id of entities. With each goes what it belongs to
 * (additional data: the column, and the event's seq, the snapshot's version or the entity's key), so that none can be put
 * in another's place. Types, times, versions and sizes stay as they are.
 *
 * What is looked for by a hash is found by one that only holders of the store's key can make: `id_hash`, and the hash of
 * a request key. The latter stands before the meta that holds the key, so that an index which was not yet written can be
 * found again by whoever opens the shard: `$hash:count:`, and then the base64. The digest of a request would tell what
 * was asked for, so it stands only in the meta, and the index has ''.
 *
 * Crcs and seals are over what is stored: verifying, backing up, restoring and erasing need no key.
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import { COLUMNS, type EntityRow, type EventColumns, type KeyRow, type NewEntity, type SnapshotRow } from './commit.ts'
import { ownerOf } from './empty-answer.ts'
import { ENGINE, isTombstone } from './erasure.ts'
import type { Keys } from './keys.ts'
import { corrupt, type Manifest } from './manifest.ts'
import { noMasterKey } from './master-key.ts'
import { markStored, withoutMark } from './request-key.ts'
import type { Row } from './row.ts'
import { snapshotRow } from './snapshot.ts'

const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const TAG = { authTagLength: TAG_BYTES }
/** Nonces are drawn so many at a time. */
const NONCES = 256

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
    return { ...entity, id: this.seal(entity.key, `id ${entity.key}`, entity.id) }
  }

  /** The id of an entity's row; null if its key was destroyed. */
  idOf({ key, id }: Pick<EntityRow, 'key' | 'id'>): string | null {
    return this.open(key, `id ${key}`, id)
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
      const sealed = this.seal(row.entity, `snapshot ${row.version}`, row.state)
      return [snapshotRow(row, Number.parseInt(row.definition, 10), sealed)]
    })
  }

  /** The state of a stored snapshot; null if its key was destroyed. */
  stateOf({ entity, version, state }: SnapshotRow): string | null {
    return this.open(entity, `snapshot ${version}`, state)
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
      const data = this.seal(entity, `data ${seq}`, text.slice(dataStart, metaStart))
      sealed[c + 5] = data.length
      stored += text.slice(start, dataStart) + data
      start = metaStart
      if (metaLength < 0) continue
      start += metaLength
      const meta = markStored(this.seal(entity, `meta ${seq}`, text.slice(metaStart, start)), marks.get(seq))
      sealed[c + 6] = meta.length
      stored += meta
    }
    return { count, numbers: sealed, text: stored }
  }

  /** A stored row as it was recorded; empty, as one that was erased, if its key was destroyed. */
  row(row: Row): Row {
    const { seq, entity } = row
    if (entity === ENGINE || isTombstone(row)) return row
    const data = this.open(entity, `data ${seq}`, row.data)
    if (data === null) return { seq, entity, version: 0, prev: 0, at: 0, type: '', data: '', meta: null, crc: 0 }
    return { ...row, data, meta: row.meta === null ? null : this.open(entity, `meta ${seq}`, withoutMark(row.meta)) }
  }

  /** A text in the meta of a stored event, or null. */
  metaOf(entity: number, seq: number, meta: string | null, field: string): string | null {
    const text = meta === null ? null : this.open(entity, `meta ${seq}`, withoutMark(meta))
    const value = text === null ? null : (JSON.parse(text) as Record<string, unknown>)[field]
    return typeof value === 'string' ? value : null
  }

  private seal(entity: number, place: string, text: string): string {
    const nonce = this.nextNonce()
    const cipher = createCipheriv(ALGORITHM, this.keyOf(entity), nonce, TAG).setAAD(Buffer.from(place))
    const bytes = cipher.update(text, 'utf8')
    cipher.final()
    return Buffer.concat([nonce, bytes, cipher.getAuthTag()]).toString('base64')
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
      const bytes = Buffer.from(stored, 'base64')
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
