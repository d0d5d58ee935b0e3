/**
 * Makes all snapshots anew, along the whole of every history: after an `evolve` was changed without a new `version`, or
 * when `verify` found a wrong one. They are derived, so a rebuild that is cut off loses nothing: what is missing is
 * folded when it is asked for.
 */
import { type Located, standAt } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import { snapshotOf } from '../actor/snapshot.ts'
import type { Definition } from '../entity/define-entity.ts'
import { inPlace } from '../entity/fold.ts'
import type { SnapshotRow } from '../store/commit.ts'
import type { Lock } from '../store/lock.ts'
import type { Readers } from '../store/readers.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import { ShardWriter } from '../store/shard-writer.ts'
import { inSlices, PAST } from '../store/slices.ts'

export interface RebuildReport {
  /** entities that have snapshots now */
  readonly entities: number
  readonly snapshots: number
  /** types without a definition here: their snapshots are gone, and come back when they are written to */
  readonly unknownTypes: readonly string[]
}

export interface RebuildOptions {
  /** @param part of all entities, 0 to 1 */
  readonly onProgress?: ((snapshots: number, part: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

const PAGE = 1_000
/** Snapshots that are written with one fsync, and how much text. */
const ROWS_AT_ONCE = 100
const CHARS_AT_ONCE = 4 * 1024 * 1024

/** @throws KUMA_CORRUPT, KUMA_MODEL_FAILED, KUMA_DISK_FULL, KUMA_INDETERMINATE, KUMA_POISONED */
export async function rebuildSnapshots(
  readers: Readers,
  { held }: Lock,
  definitions: Definitions,
  options: RebuildOptions = {},
): Promise<RebuildReport> {
  const { manifest } = readers
  const rebuild = new Rebuild(definitions, options)
  for (let shard = 0; shard < manifest.shards; shard++) {
    readers.assertHeld()
    const writer = new ShardWriter(readers.path, shard, manifest, readers.keys, held) // recovers the heads first
    try {
      writer.dropSnapshots()
      const told = (part: number) => options.onProgress?.(rebuild.snapshots, (shard + part) / manifest.shards)
      await rebuild.shard(readers, readers.at(shard), writer, told)
    } finally {
      writer.close()
    }
  }
  return rebuild.report
}

class Rebuild {
  snapshots = 0
  private entities = 0
  private readonly unknownTypes = new Set<string>()

  constructor(
    private readonly definitions: Definitions,
    private readonly options: RebuildOptions,
  ) {}

  get report(): RebuildReport {
    const { entities, snapshots, unknownTypes } = this
    return { entities, snapshots, unknownTypes: [...unknownTypes] }
  }

  async shard(readers: Readers, reader: ShardReader, writer: ShardWriter, told: (part: number) => void): Promise<void> {
    for (let after = 0; ; ) {
      const page = reader.entitiesAfter(after, PAGE)
      for (const { key, id, type } of page) {
        this.options.signal?.throwIfAborted()
        const head = reader.flushedHead(key)
        const definition = this.definitionOf(type)
        if (definition !== undefined && head !== null && head.version >= definition.snapshotEvery) {
          const entity = reader.find(id, readers.place(id).idHash)!
          await this.entity({ reader, entity, head }, definition, writer)
        }
        told(key / writer.lastKey)
      }
      if (page.length < PAGE) return
      after = page.at(-1)!.key
    }
  }

  private definitionOf(type: string): Definition | undefined {
    const definition = this.definitions.find(type)
    if (definition === undefined) this.unknownTypes.add(type)
    return definition
  }

  private async entity(located: Located, definition: Definition, writer: ShardWriter): Promise<void> {
    const { key } = located.entity
    const before = this.snapshots
    let rows: SnapshotRow[] = []
    let chars = 0
    const write = () => {
      if (rows.length > 0) writer.addSnapshots(rows)
      writer.checkpoint()
      this.snapshots += rows.length
      rows = []
      chars = 0
    }
    const fold = standAt(located, inPlace(definition), undefined, (passed) => {
      const row = snapshotOf(key, passed, definition, this.definitions)
      if (row === null) return
      rows.push(row)
      chars += row.state.length
      if (rows.length >= ROWS_AT_ONCE || chars >= CHARS_AT_ONCE) write()
    })
    await inSlices(fold, PAST)
    write()
    if (this.snapshots > before) this.entities++
  }
}
