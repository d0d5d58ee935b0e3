/** The shards of a store as they are read, each opened at its first use. */
import { KumaError } from '../errors.ts'
import { hashId } from './hash.ts'
import type { Manifest } from './manifest.ts'
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
  ) {}

  place(id: string): Place {
    const idHash = hashId(id, this.manifest.seed)
    return { shard: idHash % this.manifest.shards, idHash }
  }

  /** @throws KUMA_CLOSED and what opening a shard throws */
  at(shard: number): ShardReader {
    if (this.closed) throw storeClosed(this.path)
    let reader = this.open.get(shard)
    if (reader === undefined) {
      reader = new ShardReader(this.path, shard, this.manifest)
      this.open.set(shard, reader)
    }
    return reader
  }

  /** All shards, in order of their numbers. */
  *all(): Generator<ShardReader, void> {
    for (let shard = 0; shard < this.manifest.shards; shard++) yield this.at(shard)
  }

  close(): void {
    this.closed = true
    for (const reader of this.open.values()) reader.close()
    this.open.clear()
  }
}

export function storeClosed(path: string): KumaError<'KUMA_CLOSED'> {
  return new KumaError('KUMA_CLOSED', `the store ${path} is closed`, { path })
}
