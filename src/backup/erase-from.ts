/** Erases from a shard that nobody else has open: of a backup's copy, or of a store that is being restored. */
import { type NewErasure, OpenBatch } from '../commit/batch.ts'
import { InlineCommitter } from '../commit/committer.ts'
import { type Erasure, HIDDEN, witnessOf } from '../store/erasure.ts'
import type { Manifest } from '../store/manifest.ts'
import { dropAdded, openShard } from '../store/shard-file.ts'
import { ShardReader } from '../store/shard-reader.ts'

/** What tells an erased entity from others that its key may stand for in another copy. */
export type Erased = Pick<Erasure, 'shard' | 'entity' | 'witness'>

/** An entity of which rows are left. */
export interface Held {
  readonly key: number
  readonly isRecorded: boolean
}

/** Of the erased: those of which a shard still holds rows. */
export function heldIn(directory: string, shard: number, manifest: Manifest, erased: readonly Erased[]): Held[] {
  const reader = new ShardReader(directory, shard, manifest)
  try {
    return erased.flatMap(({ shard: of, entity, witness }) => {
      const row = of === shard ? reader.entity(entity) : null
      if (row === null || row.salt.length === 0 || witnessOf(row.salt) !== witness) return []
      return [{ key: row.key, isRecorded: row.idHash === HIDDEN }]
    })
  } finally {
    reader.close()
  }
}

/** Keys of all entities of a shard that are not erased. */
export function livingIn(directory: string, shard: number, manifest: Manifest): number[] {
  const reader = new ShardReader(directory, shard, manifest)
  try {
    return reader.livingKeys()
  } finally {
    reader.close()
  }
}

/** @param again erasures to record again, of entities that are hidden or empty already */
export async function eraseFrom(
  directory: string,
  shard: number,
  manifest: Manifest,
  held: readonly Held[],
  again: readonly NewErasure[] = [],
): Promise<void> {
  dropAddedTo(directory, shard, manifest)
  const committer = new InlineCommitter(directory, manifest)
  try {
    const { lastSeq } = await committer.open(shard)
    const due = [
      ...again,
      ...held.filter(({ isRecorded }) => !isRecorded).map(({ key }) => ({ entity: key, record: null })),
    ]
    if (due.length > 0) {
      const batch = new OpenBatch(shard, lastSeq + 1)
      for (const { entity, record } of due) batch.erase(entity, record)
      await committer.commit(batch.close(false))
    }
    const keys = [...held.map(({ key }) => key), ...again.map(({ entity }) => entity)]
    while (keys.length > 0 && (await committer.scrub(shard, keys)) !== 'done');
  } finally {
    await committer.close()
  }
}

/** What somebody added to the store's shard stands in its copies too. */
function dropAddedTo(directory: string, shard: number, manifest: Manifest): void {
  const db = openShard(directory, shard, manifest, 'write')
  try {
    dropAdded(db, db.name)
  } finally {
    db.close()
  }
}
