/** A row of `entities`. Its crc is over: u64 key, id_hash, created_at, then salt, id, 0x00, type. */
import { crc32 } from 'node:zlib'
import type { EntityRow } from './commit.ts'
import { writeU64 } from './row.ts'

/** The columns of an EntityRow, as SQL. */
export const ENTITY = 'key, id_hash AS idHash, id, type, salt, created_at AS createdAt, crc'

export function entityCrc(entity: Omit<EntityRow, 'crc'>): number {
  const head = Buffer.allocUnsafe(24)
  const view = new DataView(head.buffer, head.byteOffset, 24)
  writeU64(view, 0, entity.key)
  writeU64(view, 8, entity.idHash)
  writeU64(view, 16, entity.createdAt)
  return crc32(`${entity.id}\0${entity.type}`, crc32(entity.salt, crc32(head)))
}
