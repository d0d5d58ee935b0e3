/** The shards of a store as they are read, each opened at its first use. */
import { KumaError } from '../errors.ts'
import { hashId } from './hash.ts'
import type { Keys } from './keys.ts'
import type { Manifest } from './manifest.ts'
import { noMasterKey } from './master-key.ts'
import { ShardReader } from './shard-reader.ts'

/** Where an entity lives, whether it exists or not. */
export interface Place {
  readonly shard: number
  readonly idHash: number
}

export class Readers {
  private readonly open = new Map<number, ShardReader>()
  private closed = false

  constructor(
    readonly path: string,
    readonly manifest: Manifest,
    /** Of an encrypted store. Without them, what is not encrypted can be read. Closed with the readers. */
    readonly keys: Keys | null = null,
  ) {}

  place(id: string): Place {
    const hash = hashId(id, this.manifest.seed)
    const shard = hash % this.manifest.shards
    if (this.manifest.encryption === undefined) return { shard, idHash: hash }
    if (this.keys === null) throw noMasterKey(this.path)
    return { shard, idHash: this.keys.idHash(id) }
  }

  /** @throws KUMA_CLOSED and what opening a shard throws */
  at(shard: number): ShardReader {
    if (this.closed) throw storeClosed(this.path)
    let reader = this.open.get(shard)
    if (reader === undefined) {
      reader = new ShardReader(this.path, shard, this.manifest, this.keys)
      this.open.set(shard, reader)
    }
    return reader
  }

  /** All shards, in order of their numbers. */
  *all(): Generator<ShardReader, void> {
    for (let shard = 0; shard < this.manifest.shards; shard++) yield this.at(shard)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    for (const reader of this.open.values()) reader.close()
    this.open.clear()
    this.keys?.close()
  }
}

export function storeClosed(path: string): KumaError<'KUMA_CLOSED'> {
  return new KumaError('KUMA_CLOSED', `the store ${path} is closed`, { path })
}
