/** Brings an entity's state back: its events, oldest first, folded. */
import type { Definition } from '../entity/define-entity.ts'
import { evolve, initialState } from '../entity/fold.ts'
import { rowsAt, seqsUntil } from '../store/chain.ts'
import type { EntityRow } from '../store/commit.ts'
import { type Head, type Link, recorded, type ShardReader } from '../store/shard-reader.ts'
import type { Stand } from './actor.ts'

const ALL = () => true

/**
 * The entity as it stood after the last event that `keep` accepts; null if it accepts none. Yields now and then: run it
 * with `inSlices`.
 * @throws KUMA_CORRUPT, KUMA_MODEL_FAILED
 */
export function* standAt(
  reader: ShardReader,
  entity: EntityRow,
  head: Head,
  definition: Definition,
  keep: (link: Link) => boolean = ALL,
): Generator<void, Stand | null> {
  const seqs = yield* seqsUntil(reader, head.seq, keep)
  let last: Stand | null = null
  let state = initialState(definition, entity.id)
  for (const rows of rowsAt(reader, entity.key, seqs, 1)) {
    for (const row of rows) state = evolve(definition, state, recorded(row, entity, reader.shard))
    const { version, seq, at } = rows.at(-1)!
    last = { version, seq, at, state }
    yield
  }
  return last
}
