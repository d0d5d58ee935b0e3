/**
 * Forks of a store. An erasure does not reach into them: each is a store of its own, with a writer of its own. Where they
 * are is remembered, so that a receipt can name those that still have what was erased.
 */
import { isKumaError } from '../errors.ts'
import { readManifest } from '../store/manifest.ts'
import { Readers } from '../store/readers.ts'
import { forkPlacesOf } from './places.ts'

/** The folders of forks that have one of these entities. Of an encrypted one that cannot be said: it may. */
export function forksWith(store: string, ids: readonly string[]): string[] {
  return forkPlacesOf(store).flatMap(({ fork, store: id }) => (has(fork, id, ids) ? [fork] : []))
}

function has(path: string, store: string, ids: readonly string[]): boolean {
  try {
    const manifest = readManifest(path)
    if (manifest.store !== store) return false // another has taken its place
    if (manifest.encryption !== undefined) return true
    const readers = new Readers(path, manifest)
    try {
      return ids.some((id) => {
        const { shard, idHash } = readers.place(id)
        return readers.at(shard).find(id, idHash) !== null
      })
    } finally {
      readers.close()
    }
  } catch (error) {
    return !isKumaError(error, 'KUMA_NOT_A_STORE') // it is gone
  }
}
