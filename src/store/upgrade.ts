/**
 * A store of an earlier format becomes one of today's when somebody comes to write to it: first `kuma.json`, so that
 * earlier versions refuse the store from then on, and then each shard, in a transaction of its own, when it is first
 * opened to write. Cut off in between, shards of format 1 are in a store of format 2, which is all right.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeError } from './directory.ts'
import { keyFilePath } from './key-file.ts'
import { corrupt, FORMAT, type Manifest, readManifest, requiredIn, writeManifest } from './manifest.ts'

/**
 * The manifest of a store that is about to be written to, brought up to date on disk. The caller holds the store's lock.
 * A store of an earlier format is told in one line, as a warning of the process.
 * @throws KUMA_CORRUPT if it has the keys of an encrypted store and says that it is none; KUMA_DISK_FULL, KUMA_IO, and what
 * `readManifest` throws
 */
export function upgradedManifest(directory: string): Manifest {
  const found = readManifest(directory)
  const manifest = upToDate(found)
  if (found.format === FORMAT && found.requires.length === manifest.requires.length) return found
  // format 1 had no sum: there, a missing word would have an encrypted store written as plain
  if (found.encryption === undefined && existsSync(keyFilePath(directory)))
    throw corrupt(join(directory, 'kuma.json'), 'it says nothing of encryption, and the keys of entities are beside it')
  try {
    writeManifest(directory, manifest)
  } catch (cause) {
    throw writeError(cause, directory)
  }
  const line = `${directory} is a store of format ${FORMAT} from now on: earlier versions of Kuma do not open it any more`
  if (found.format < FORMAT) process.emitWarning(line, 'KumaWarning')
  return manifest
}

/** The manifest of the same store as today's code writes it. */
export function upToDate(manifest: Manifest): Manifest {
  const requires = new Set([...manifest.requires, ...requiredIn(manifest)])
  return { ...manifest, format: FORMAT, requires: [...requires] }
}
