/**
 * The seal chains each commit to the one before it, so that nothing recorded can be changed or dropped unseen:
 *
 *     leaf    = SHA-256(the entity's salt, its rows in this commit [, id, 0x00, type in the commit that creates it])
 *     content = SHA-256(the leaves, in the order of their first seq)
 *     head    = SHA-256(previous head, content, u64 id, u64 first_seq, u64 last_seq, u64 at, extra)
 *
 * A leaf covers one entity, with a salt of its own, so that an entity can be erased for good while everyone else's
 * proof stays: its leaves are kept, and without the salt they tell nothing. The first commit follows on a head made
 * from the store's id and the shard's number, so that a shard cannot be put in another's place. What `extra` is: extra.ts.
 */
import { hash } from 'node:crypto'
import { writeU64 } from './row.ts'

export const SALT_BYTES = 16

export function genesis(store: string, shard: number): Buffer {
  return sha256(Buffer.from(`kuma ${store} ${shard}`))
}

/** 32 characters that stand for 32 bytes (latin1): a buffer for each would cost more than the hash. */
export function leafOf(
  salt: Uint8Array,
  rows: readonly Uint8Array[],
  created: { id: string; type: string } | null,
): string {
  const parts = [salt, ...rows]
  if (created !== null) parts.push(Buffer.from(`${created.id}\0${created.type}`))
  return leafOfBytes(Buffer.concat(parts))
}

/** @param bytes salt and rows in one piece */
export function leafOfBytes(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'latin1')
}

export interface SealedCommit {
  readonly id: number
  readonly firstSeq: number
  readonly lastSeq: number
  readonly at: number
  /** a list of tagged values: see extra.ts */
  readonly extra: Uint8Array
}

/** @param leaves as `leafOf` gives them */
export function contentOf(leaves: readonly string[]): Buffer {
  return sha256(Buffer.from(leaves.join(''), 'latin1'))
}

export function headOf(previous: Uint8Array, content: Uint8Array, commit: SealedCommit): Buffer {
  return sha256(linkOf(previous, content, commit))
}

/** All that a head is made of. */
export function linkOf(previous: Uint8Array, content: Uint8Array, commit: SealedCommit): Buffer {
  const numbers = Buffer.allocUnsafe(32)
  const view = new DataView(numbers.buffer, numbers.byteOffset, 32)
  writeU64(view, 0, commit.id)
  writeU64(view, 8, commit.firstSeq)
  writeU64(view, 16, commit.lastSeq)
  writeU64(view, 24, commit.at)
  return Buffer.concat([previous, content, numbers, commit.extra])
}

// one-shot: createHash costs four times as much for inputs this small
function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer')
}
