/** The proof that nothing is left: in files, by a process of its own (store/remnants.ts), and of keys. */
import { execFile } from 'node:child_process'
import type { ErasedEntity } from '../api.ts'
import { KumaError } from '../errors.ts'
import { bundled } from '../store/bundled.ts'
import { KeyFile, keyFilePath } from '../store/key-file.ts'
import type { Readers } from '../store/readers.ts'
import type { Remnants } from '../store/remnants.ts'

/** @throws KUMA_IO if a file cannot be read */
export function findRemnantsIn(files: readonly string[]): Promise<Remnants[]> {
  return new Promise((resolve, reject) => {
    const args = [bundled('remnants'), ...files]
    execFile(process.execPath, args, { maxBuffer: Number.MAX_SAFE_INTEGER }, (cause, stdout, stderr) => {
      if (cause === null) return resolve(JSON.parse(stdout) as Remnants[])
      const path = files.join(', ')
      reject(new KumaError('KUMA_IO', `${path} could not be checked: ${stderr.trim() || cause.message}`, { path }))
    })
  })
}

type Key = Pick<ErasedEntity, 'shard' | 'entity'>

/** Those of which an encrypted store still has the key. None for a store that is not. @throws KUMA_NO_KEYS, KUMA_IO */
export function keysLeft<K extends Key>({ path, manifest }: Readers, entities: readonly K[]): K[] {
  if (manifest.encryption === undefined) return []
  const file = KeyFile.open(keyFilePath(path), manifest, 'read')
  try {
    return entities.filter(({ shard, entity }) => file.read(shard, entity) !== 'destroyed')
  } finally {
    file.close()
  }
}
