/** The hash that places an entity: never change it, since an entity's shard is where it was first put. */
import xxhash from 'xxhashjs'

const encoder = new TextEncoder()

/**
 * xxh32 of the id's UTF-8. On bytes, since xxhashjs encodes text differently from everyone else; and as an ArrayBuffer,
 * since for a Buffer it calls a constructor that Node warns of.
 */
export function hashId(id: string, seed: number): number {
  return xxhash.h32(encoder.encode(id).buffer, seed).toNumber()
}
