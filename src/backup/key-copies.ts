/**
 * Copies of the keys of an encrypted store. They are no part of a backup, so that whoever finds one cannot read it. Where
 * a copy was made is remembered: as long as a key is in a copy, what was encrypted with it is not gone.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { KumaError } from '../errors.ts'
import type { Erasure } from '../store/erasure.ts'
import { copyKeyFile, KeyFile, keyFilePath } from '../store/key-file.ts'
import type { Manifest } from '../store/manifest.ts'
import { isWithin, keyCopiesOf, remember } from './places.ts'

/**
 * Writes a copy, or renews one. It is remembered before it has its name: an erasure that is recorded later finds it, and
 * one that was recorded before is found by whoever takes the backup.
 * @param to as `checkCopy` found it good. @throws as `copyKeyFile`
 */
export function copyKeys(store: string, manifest: Manifest, to: string): void {
  const file = resolve(to)
  copyKeyFile(keyFilePath(store), file, manifest, () => remember(store, { keys: file }))
}

/**
 * Before anything else is done.
 * @throws KUMA_USAGE for a store without keys, or for a file in the store; KUMA_NO_KEYS over something else; KUMA_IO
 */
export function checkCopy(store: string, manifest: Manifest, to: string): void {
  const file = resolve(to)
  if (manifest.encryption === undefined) {
    const hint = 'its backups are all that there is: leave out --keys-to (keysTo)'
    throw new KumaError('KUMA_USAGE', `${store} is not encrypted: it has no keys`, {}, { hint })
  }
  if (isWithin(file, store)) {
    const hint = 'give a file on another disk, and not beside the backups either'
    throw new KumaError('KUMA_USAGE', `${file} is inside of the store`, {}, { hint })
  }
  if (existsSync(file)) KeyFile.open(file, manifest, 'read').close()
}

/** Destroys the keys of what was erased in every copy, in place. What fails in one is told, and the others are gone on with. */
export function destroyInCopies(store: string, manifest: Manifest, erasures: readonly Erasure[]) {
  const found = { reached: [] as string[], notReached: [] as { what: string; remedy: string }[] }
  for (const path of keyCopiesOf(store)) {
    try {
      const file = KeyFile.open(path, manifest, 'write')
      try {
        file.destroy(erasures)
      } finally {
        file.close()
      }
      found.reached.push(path)
    } catch (error) {
      const remedy =
        'this copy of the keys may still hold its key: renew it with `kuma backup --keys-to`, or destroy it'
      found.notReached.push({ what: path, remedy: `${remedy} (${(error as Error).message})` })
    }
  }
  return found
}
