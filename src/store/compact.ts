/**
 * Writes the files of a store anew, without free pages and gaps, and without indexes that somebody added: VACUUM. It takes
 * as much memory as the largest shard, and nobody can write meanwhile, so it is asked for and never done by itself.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkDirectory, tighten } from './directory.ts'
import { sqliteError } from './driver.ts'
import { takeLock } from './lock.ts'
import { readManifest, shardPath } from './manifest.ts'
import { dropAdded, openShard } from './shard-file.ts'
import { breathe } from './slices.ts'

export interface Compacted {
  readonly shard: number
  readonly bytesBefore: number
  readonly bytesAfter: number
}

/** Shard by shard. @throws KUMA_LOCKED, KUMA_DISK_FULL, KUMA_IO, KUMA_CORRUPT, KUMA_POISONED; the signal's reason between shards */
export async function* compact(
  path: string,
  { lockTimeoutMs, signal }: { lockTimeoutMs?: number | undefined; signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Compacted> {
  const directory = resolve(path)
  checkDirectory(directory)
  const manifest = readManifest(directory)
  const lock = await takeLock(directory, lockTimeoutMs, signal)
  try {
    tighten(directory)
    for (let shard = 0; shard < manifest.shards; shard++) {
      signal?.throwIfAborted()
      lock.assertHeld()
      const file = shardPath(directory, shard)
      const bytesBefore = statSync(file).size
      const db = openShard(directory, shard, manifest, 'write')
      try {
        dropAdded(db, file)
        db.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)')
      } catch (error) {
        throw sqliteError(error, file)
      } finally {
        db.close()
      }
      yield { shard, bytesBefore, bytesAfter: statSync(file).size }
      await breathe()
    }
  } finally {
    lock.release()
  }
}
