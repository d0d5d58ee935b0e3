/** What was erased from a store: the records in its shards, and what its receipts add to them. */
import { readFileSync } from 'node:fs'
import type { ErasedEntity, Receipt } from '../api.ts'
import { checkDirectory } from '../store/directory.ts'
import { erasuresOf } from '../store/erasures.ts'
import { readManifest } from '../store/manifest.ts'
import { Readers } from '../store/readers.ts'
import { jobsOf, readJob, receiptsOf } from './receipt.ts'

export interface ListedErasure extends ErasedEntity {
  /** when it was recorded, in milliseconds since 1970 */
  readonly at: number
  /** null if the store has no receipt of it: it goes on with the erasure when it is opened to write */
  readonly receipt: string | null
  /** False while something of it waits to be done. */
  readonly isFinished: boolean
  readonly by: string | null
  readonly reason: string | null
}

/** Shard by shard, the newest first. @throws what opening a store for reading throws */
export async function* listErasures(path: string): AsyncGenerator<ListedErasure> {
  checkDirectory(path)
  const readers = new Readers(path, readManifest(path))
  const receipts = byEntity(path)
  const open = new Set(jobsOf(path).flatMap((job) => readJob(job).entities.map(keyOf)))
  try {
    for (const reader of readers.all()) {
      for (const { shard, entity, seq, events, witness, at } of erasuresOf(reader)) {
        const key = keyOf({ shard, entity })
        const { receipt = null, by = null, reason = null } = receipts.get(key) ?? {}
        const isFinished = receipt !== null && !open.has(key)
        yield {
          shard,
          entity,
          position: reader.positionOf(seq),
          at,
          events,
          witness,
          receipt,
          isFinished,
          by,
          reason,
        }
      }
    }
  } finally {
    readers.close()
  }
}

/** One that cannot be read tells nothing here: `kuma erasures verify` says what is wrong with it. */
function byEntity(path: string): Map<string, Receipt> {
  const found = new Map<string, Receipt>()
  for (const file of receiptsOf(path)) {
    try {
      const receipt = JSON.parse(readFileSync(file, 'utf8')) as Receipt
      for (const { shard, entity } of receipt.entities) found.set(keyOf({ shard, entity }), receipt)
    } catch {}
  }
  return found
}

function keyOf({ shard, entity }: Pick<ErasedEntity, 'shard' | 'entity'>): string {
  return `${shard}/${entity}`
}
