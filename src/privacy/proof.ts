/** The proof that nothing is left: in files, by a process of its own (store/remnants.ts), and of keys. */
import type { ErasedEntity } from '../api.ts'
import { KumaError } from '../errors.ts'
import { Helper } from '../store/helper.ts'
import { KeyFile, keyFilePath } from '../store/key-file.ts'
import type { Readers } from '../store/readers.ts'
import type { Remnants } from '../store/remnants.ts'

/** @throws KUMA_IO if a file cannot be read, or the process does not answer */
export async function findRemnantsIn(files: readonly string[]): Promise<Remnants[]> {
  const helper = new Helper('remnants', (why) => {
    const path = files.join(', ')
    const message = `${path} could not be checked: the process that looks through it did not do it: ${why}`
    return new KumaError('KUMA_IO', message, { path }, { hint: 'what it printed went to stderr' })
  })
  const found: Remnants[] = []
  try {
    for await (const remnants of helper.ask<Remnants>(files)) found.push(remnants)
    return found
  } finally {
    await helper.close()
  }
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
