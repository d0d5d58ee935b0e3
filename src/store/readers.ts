/** The shards of a store as they are read, each opened at its first use. */
import { KumaError } from '../errors.ts'
import { hashId } from './hash.ts'
import type { Keys } from './keys.ts'
import type { Lock } from './lock.ts'
import type { Manifest } from './manifest.ts'
import { noMasterKey } from './master-key.ts'
import { ShardReader } from './shard-reader.ts'
import { assertSame, type Seen, seeShard } from './watch.ts'

/** Where an entity lives, whether it exists or not. */
export interface Place {
  readonly shard: number
  readonly idHash: number
}

export class Readers {
  private readonly open = new Map<number, ShardReader>()
  private closed = false
  /** Of the engine that writes. */
  private lock: Lock | null = null
  /** Of the shards that are open in this process, by whomever. */
  private readonly files: (readonly Seen[] | undefined)[] = []

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

  /** From now on, what is opened must be of the store that this lock is of. */
  hold(lock: Lock): void {
    this.lock = lock
    this.assertHeld()
  }

  /**
   * Is the store at the path still the one that was opened? To be asked, by an engine that writes, before anything in it is
   * opened by its path. @throws KUMA_POISONED
   */
  assertHeld(): void {
    this.lock?.assertHeld()
  }

  /** @throws KUMA_CLOSED, KUMA_POISONED and what opening a shard throws */
  at(shard: number): ShardReader {
    if (this.closed) throw storeClosed(this.path)
    let reader = this.open.get(shard)
    if (reader === undefined) {
      this.assertHeld()
      reader = new ShardReader(this.path, shard, this.manifest, this.keys)
      this.open.set(shard, reader)
      if (this.lock !== null) this.isOf(shard, seeShard(reader.path))
    }
    return reader
  }

  /** Who has a shard open in this process shares SQLite's memory of its WAL: the WAL must be the same one. @throws KUMA_POISONED */
  isOf(shard: number, files: readonly Seen[]): void {
    this.files[shard] ??= files
    assertSame(shard, this.files[shard], files)
  }

  /** Nothing more is read. They stay open as long as the writers: see `closeAll` in kuma.ts. @param error why */
  lose(error: KumaError<'KUMA_POISONED'>): void {
    for (const reader of this.open.values()) reader.lose(error)
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
