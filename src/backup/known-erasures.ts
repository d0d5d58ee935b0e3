/** What a store knows to have been erased, as far as it can still be read: it may be restored because it cannot. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { KumaError } from '../errors.ts'
import { witnessOf } from '../store/erasure.ts'
import { erasuresOf } from '../store/erasures.ts'
import type { Keys } from '../store/keys.ts'
import type { Manifest } from '../store/manifest.ts'
import { readManifest } from '../store/manifest.ts'
import { Readers } from '../store/readers.ts'
import { ShardReader } from '../store/shard-reader.ts'
import type { Erased } from './erase-from.ts'

export interface KnownErasures {
  readonly erased: readonly Erased[]
  /** shards that could not be read */
  readonly unread: readonly number[]
}

/** Null if it is not the store that is asked for, or none at all. */
export function knownErasures(store: string, id: string): KnownErasures | null {
  if (!existsSync(join(store, 'kuma.json'))) return null
  let manifest: Manifest
  try {
    manifest = readManifest(store)
  } catch {
    return null
  }
  if (manifest.store !== id) return null
  const erased: Erased[] = []
  const unread: number[] = []
  for (let shard = 0; shard < manifest.shards; shard++) {
    try {
      const reader = new ShardReader(store, shard, manifest)
      try {
        erased.push(...erasuresOf(reader))
      } finally {
        reader.close()
      }
    } catch {
      unread.push(shard)
    }
  }
  return { erased, unread }
}

/**
 * Was the entity that a backup still has under this id erased from the store?
 * @param keys of an encrypted store. Closed when this returns.
 */
export function isErasedIn(store: string, backup: string, id: string, keys: Keys | null): boolean {
  const readers = new Readers(backup, readManifest(backup), keys)
  try {
    const { shard, idHash } = readers.place(id)
    const row = readers.at(shard).find(id, idHash)
    if (row === null) return keys !== null && readers.at(shard).isKeyless(idHash)
    const witness = witnessOf(row.salt)
    const known = knownErasures(store, readers.manifest.store)?.erased ?? []
    return known.some((one) => one.shard === shard && one.witness === witness)
  } finally {
    readers.close()
  }
}

/** The lines of `kuma erasures --json`. @throws KUMA_INVALID_DATA naming the line */
export function parseErasures(text: string, path: string): Erased[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    try {
      const { shard, entity, witness } = JSON.parse(line) as Erased
      if (Number.isSafeInteger(shard) && Number.isSafeInteger(entity) && /^[0-9a-f]{64}$/.test(witness))
        return [{ shard, entity, witness }]
    } catch {}
    const message = `${path}, line ${i + 1} names no erasure`
    throw new KumaError('KUMA_INVALID_DATA', message, { path }, { hint: 'give what `kuma erasures --json` wrote' })
  })
}
