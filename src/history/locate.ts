/** Where an entity's history begins to be read: its row and its newest event, as of now, whoever writes meanwhile. */
import type { Located } from '../actor/activate.ts'
import { notFound } from '../actor/actor.ts'
import { checkId } from '../entity/id.ts'
import type { Readers } from '../store/readers.ts'

/** Null if there is no such entity. @throws KUMA_INVALID_ID */
export function find(readers: Readers, id: string): Located | null {
  checkId(id)
  const { shard, idHash } = readers.place(id)
  const reader = readers.at(shard)
  const entity = reader.find(id, idHash)
  const head = entity && reader.head(entity.key)
  return entity && head && { reader, entity, head }
}

/** @throws KUMA_NOT_FOUND, KUMA_INVALID_ID */
export function locate(readers: Readers, id: string): Located {
  const located = find(readers, id)
  if (located === null) throw notFound(id)
  return located
}
