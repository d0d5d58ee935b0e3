/**
 * Who makes batches durable. There are two, behind one interface: on this thread, for a short-lived process, where
 * starting a thread would cost more than it saves; and in a worker thread, which keeps fsync off the event loop.
 */
import { KumaError } from '../errors.ts'
import { keyFilePath } from '../store/key-file.ts'
import { destroyKeys, Keys } from '../store/keys.ts'
import type { Manifest } from '../store/manifest.ts'
import { ShardWriter } from '../store/shard-writer.ts'
import { assertHeld, type Held, type Seen, type Vanished } from '../store/watch.ts'
import { AfterLast } from './after-last.ts'
import type { Batch } from './batch.ts'
import { prepare } from './prepare.ts'

/** How long appends are held up by a slice of an erasure, about. */
const SCRUB_MS = 10
/** When nothing has been committed for so long, it is looked whether the files are still there. */
const LOOK_MS = 100

/** Where a shard's log ends. */
export interface ShardEnd {
  readonly lastSeq: number
  readonly lastKey: number
  /** Heads and request keys are on disk up to this seq. */
  readonly flushed: number
  /** For how many commits request keys are kept. */
  readonly keyCommits: number
  /** Its files, as they were opened. */
  readonly files: readonly Seen[]
}

/** What became of a batch. */
export interface Committed {
  /** Heads and request keys are on disk up to this seq. */
  readonly flushed: number
  /** How long it took to prepare and write it, fsync included. */
  readonly ms: number
}

/** How far an erasure is: rows are left; only the WAL is left, since somebody reads it; nothing is left. */
export type Scrubbed = 'rows' | 'wal' | 'done'

export interface Committer {
  /** Told when files that are written to turn out to have been removed or replaced. */
  onVanished: ((vanished: Vanished) => void) | null
  /** Opens a shard for writing and recovers it. */
  open(shard: number): Promise<ShardEnd>
  /**
   * Resolves when the batch is on disk. In the order of the calls, and a batch that does not follow on the shard's last
   * is refused. One without events only writes what is derived: its snapshots, and with `sweep` all heads that wait.
   * @throws KUMA_DISK_FULL, KUMA_INDETERMINATE, KUMA_POISONED, KUMA_LOCKED
   */
  commit(batch: Batch): Promise<Committed>
  /**
   * A slice of emptying entities whose erasure is recorded. To be called until it says that it is done; commits come in
   * between. @throws as `commit`; KUMA_CORRUPT
   */
  scrub(shard: number, entities: readonly number[]): Promise<Scrubbed>
  /** Writes what was put off and lets go of all files. */
  close(): Promise<void>
}

/** The work itself, on whatever thread it is. */
export class ShardWriters {
  private readonly writers = new Map<number, ShardWriter>()
  private readonly keys: Keys | null
  private readonly later = new AfterLast(LOOK_MS, () => this.look())

  /**
   * @param masterKey of an encrypted store, unless all that is to be done is to erase
   * @param held the store's lock, unless nobody else can open it
   * @throws KUMA_POISONED if the store at its path is not that of the lock; what `Keys.open` throws
   */
  constructor(
    private readonly directory: string,
    private readonly manifest: Manifest,
    masterKey: Uint8Array | null,
    private readonly held: Held | null,
    private readonly onVanished: (vanished: Vanished) => void,
  ) {
    this.assertHeld()
    this.keys = masterKey && Keys.open(keyFilePath(directory), manifest, masterKey, 'write')
  }

  private assertHeld(): void {
    if (this.held !== null) assertHeld(this.held)
  }

  open(shard: number): ShardEnd {
    let writer = this.writers.get(shard)
    if (writer === undefined) {
      this.assertHeld()
      writer = new ShardWriter(this.directory, shard, this.manifest, this.keys, this.held, this.onVanished)
      this.writers.set(shard, writer)
    }
    const { tip, lastKey, flushed, keyCommits, files } = writer
    return { lastSeq: tip.lastSeq, lastKey, flushed, keyCommits, files }
  }

  commit(batch: Batch): Committed {
    const begun = performance.now()
    const writer = this.opened(batch.shard)
    writer.assertSound()
    if (!writer.follows(batch.firstSeq)) {
      // a batch before it failed, so this one must not be recorded either
      throw new KumaError('KUMA_INTERNAL', `event ${batch.firstSeq} does not follow on shard ${batch.shard}`, {})
    }
    if (batch.events.count > 0) {
      writer.apply(prepare(batch, writer))
      if (batch.sweep) writer.sweep()
    } else {
      if (batch.snapshots.length > 0) writer.addSnapshots(batch.snapshots)
      if (batch.sweep) writer.flush()
    }
    this.later.begin()
    return { flushed: writer.flushed, ms: performance.now() - begun }
  }

  private look(): void {
    for (const writer of this.writers.values()) writer.look()
  }

  scrub(shard: number, entities: readonly number[]): Scrubbed {
    const writer = this.opened(shard)
    const begun = performance.now()
    this.assertHeld()
    // first, so that what is encrypted with them is gone from every copy at once
    destroyKeys(this.directory, this.manifest, shard, entities)
    this.keys?.forget(shard, entities)
    for (const entity of entities) {
      while (!writer.scrub(entity)) if (performance.now() - begun > SCRUB_MS) return 'rows'
      if (performance.now() - begun > SCRUB_MS) return 'rows'
    }
    return writer.wipe() ? 'done' : 'wal'
  }

  private opened(shard: number): ShardWriter {
    const writer = this.writers.get(shard)
    if (writer === undefined) throw new KumaError('KUMA_INTERNAL', `shard ${shard} is not open`, {})
    return writer
  }

  /** What may take a moment, and is best done after the commit was acknowledged. */
  checkpoint(shard: number): void {
    this.writers.get(shard)?.checkpoint()
  }

  /** Closes all of them, also if one fails; then throws the first failure. */
  close(): void {
    this.later.stop()
    const failures: unknown[] = []
    for (const writer of this.writers.values()) {
      try {
        writer.close()
      } catch (error) {
        failures.push(error)
      }
    }
    this.writers.clear()
    this.keys?.close()
    if (failures.length > 0) throw failures[0]
  }
}

export class InlineCommitter implements Committer {
  onVanished: Committer['onVanished'] = null
  private readonly writers: ShardWriters

  /** Parameters as of `ShardWriters`. */
  constructor(directory: string, manifest: Manifest, masterKey: Uint8Array | null = null, held: Held | null = null) {
    this.writers = new ShardWriters(directory, manifest, masterKey, held, (vanished) => this.onVanished?.(vanished))
  }

  async open(shard: number): Promise<ShardEnd> {
    return this.writers.open(shard)
  }

  async commit(batch: Batch): Promise<Committed> {
    this.writers.checkpoint(batch.shard) // of the commits before
    return this.writers.commit(batch)
  }

  async scrub(shard: number, entities: readonly number[]): Promise<Scrubbed> {
    return this.writers.scrub(shard, entities)
  }

  async close(): Promise<void> {
    this.writers.close()
  }
}
