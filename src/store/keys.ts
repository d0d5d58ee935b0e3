/** The keys of a store's entities, for whoever holds the master key. The file that they are in: key-file.ts. */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createKeyFile, KeyFile, keyFilePath } from './key-file.ts'
import { corrupt, type Manifest } from './manifest.ts'
import { wrongMasterKey } from './master-key.ts'

const KEY_BYTES = 32
/** Unwrapped keys that are kept. */
const KEPT_MAX = 65_536
/** The initial value of RFC 3394, by which a wrong key shows. */
const WRAP_IV = Buffer.alloc(8, 0xa6)

export class Keys {
  private readonly wrapping: Buffer
  private readonly blinding: Buffer
  private readonly sealing: Buffer
  private kept = new Map<string, Buffer>()

  private constructor(
    private readonly file: KeyFile,
    storeKey: Uint8Array,
  ) {
    this.wrapping = derive(storeKey, 'kuma: keys of entities')
    this.blinding = derive(storeKey, 'kuma: hashes of ids')
    this.sealing = derive(storeKey, 'kuma: seals of commits')
  }

  /** @param path the file. @throws KUMA_MASTER_KEY if it is another, and what `KeyFile.open` throws */
  static open(path: string, manifest: Manifest, masterKey: Uint8Array, access: 'read' | 'write'): Keys {
    const file = KeyFile.open(path, manifest, access)
    try {
      return new Keys(file, unwrap(masterKey, file.storeKey))
    } catch {
      file.close()
      throw wrongMasterKey(path)
    }
  }

  /** The key of an entity; null if it was destroyed. @throws KUMA_CORRUPT if there is none, or it cannot be unwrapped */
  of(shard: number, entity: number): Buffer | null {
    const name = `${shard}/${entity}`
    const known = this.kept.get(name)
    if (known !== undefined) return known
    const slot = this.file.read(shard, entity)
    if (slot === 'destroyed') return null
    if (slot === null) throw corrupt(this.file.path, `it has no key of entity ${entity} of shard ${shard}`)
    let key: Buffer
    try {
      key = unwrap(this.wrapping, slot)
    } catch {
      throw corrupt(this.file.path, `the key of entity ${entity} of shard ${shard} is not whole`)
    }
    this.keep(name, key)
    return key
  }

  /** New keys, on disk when this returns. @throws as `KeyFile.write` */
  create(shard: number, entities: readonly number[]): void {
    const made = entities.map((entity) => ({ entity, key: randomBytes(KEY_BYTES) }))
    this.file.write(made.map(({ entity, key }) => ({ shard, entity, wrapped: wrap(this.wrapping, key) })))
    for (const { entity, key } of made) this.keep(`${shard}/${entity}`, key)
  }

  /** They were destroyed. */
  forget(shard: number, entities: readonly number[]): void {
    for (const entity of entities) this.kept.delete(`${shard}/${entity}`)
  }

  private keep(name: string, key: Buffer): void {
    if (this.kept.size >= KEPT_MAX) this.kept = new Map()
    this.kept.set(name, key)
  }

  /** `id_hash` of an entity: 48 bits that say which id it is only to who holds the store's key. */
  idHash(id: string): number {
    return this.blind(`id ${id}`)
  }

  /** @param hash of entity and request key, which anyone could make */
  requestKeyHash(hash: number): number {
    return this.blind(`request key ${hash}`)
  }

  /** HMAC-SHA-256 of what links a commit to the one before it. */
  commitMac(link: Uint8Array): Buffer {
    return createHmac('sha256', this.sealing).update(link).digest()
  }

  private blind(text: string): number {
    return createHmac('sha256', this.blinding).update(text).digest().readUIntBE(0, 6)
  }

  close(): void {
    this.file.close()
  }
}

/** Makes the file of keys of a new store. */
export function createKeys(directory: string, manifest: Manifest, masterKey: Uint8Array): void {
  createKeyFile(directory, manifest, wrap(masterKey, randomBytes(KEY_BYTES)))
}

/** Where the keys of a directory are: in it, or, of a backup in its store's own place, in that store. */
export function keyFileFor(directory: string): string {
  const own = keyFilePath(directory)
  const ofStore = keyFilePath(join(directory, '..', '..'))
  return !existsSync(own) && existsSync(ofStore) ? ofStore : own
}

/** Destroys keys, for which nobody needs to know them. A copy of a shard has none beside it. @throws KUMA_IO, KUMA_CORRUPT */
export function destroyKeys(directory: string, manifest: Manifest, shard: number, entities: readonly number[]): void {
  const path = keyFilePath(directory)
  if (manifest.encryption === undefined || !existsSync(path)) return
  const file = KeyFile.open(path, manifest, 'write')
  try {
    file.destroy(entities.map((entity) => ({ shard, entity })))
  } finally {
    file.close()
  }
}

function derive(storeKey: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', storeKey, new Uint8Array(0), purpose, KEY_BYTES))
}

function wrap(under: Uint8Array, key: Uint8Array): Buffer {
  const cipher = createCipheriv('id-aes256-wrap', under, WRAP_IV)
  return Buffer.concat([cipher.update(key), cipher.final()])
}

/** @throws if it was wrapped under another key */
function unwrap(under: Uint8Array, wrapped: Uint8Array): Buffer {
  const cipher = createDecipheriv('id-aes256-wrap', under, WRAP_IV)
  return Buffer.concat([cipher.update(wrapped), cipher.final()])
}
