/**
 * A fork is a store of its own, with the history of another up to a moment, to try things out on. It has another id, and
 * what happens to one of them from then on does not touch the other: an erasure neither.
 *
 * Its events are recorded anew, shard by shard and in the order of the original, under new commits and seals; ids, types,
 * versions, times, data, meta and snapshots are the same, and the request keys: a message that comes again here is known,
 * and not recorded twice. Positions are not. The original is only read, so its writers go on.
 */
import { resolve, sep } from 'node:path'
import { notFound } from '../actor/actor.ts'
import type { Fork, ForkOptions } from '../api.ts'
import type { Committer } from '../commit/committer.ts'
import { WorkerCommitter } from '../commit/worker-committer.ts'
import { resolvePoint, timeOf } from '../entity/time.ts'
import { KumaError } from '../errors.ts'
import { buildBeside } from '../store/build-beside.ts'
import { Pages } from '../store/chain.ts'
import { createParts, newManifest } from '../store/create.ts'
import { keyFilePath } from '../store/key-file.ts'
import { Keys } from '../store/keys.ts'
import { type Manifest, partedFrom, writeManifest } from '../store/manifest.ts'
import { Readers } from '../store/readers.ts'
import type { EntityName, ShardReader } from '../store/shard-reader.ts'
import { breathe } from '../store/slices.ts'
import { verifyStore } from '../store/verify.ts'
import { ShardCopy } from './shard-copy.ts'

/** The part of the work that is not verifying. */
const COPYING = 0.6

/**
 * @param announce told of the fork just before it has its name
 * @param masterKey of an encrypted store; the fork is encrypted under the same, with keys of its own
 * @throws KUMA_STORE_EXISTS, KUMA_NOT_A_STORE if something is where the fork should be; KUMA_USAGE if that is in the
 * store; KUMA_NOT_FOUND if there is nothing to fork; KUMA_ERASED if something of it is erased meanwhile; KUMA_CORRUPT,
 * KUMA_IO, KUMA_DISK_FULL
 */
export async function fork(
  source: Readers,
  masterKey: Uint8Array | null,
  to: string,
  options: ForkOptions,
  announce: (fork: Fork) => void,
): Promise<Fork> {
  const path = resolve(to)
  if (`${path}${sep}`.startsWith(`${resolve(source.path)}${sep}`))
    throw new KumaError('KUMA_USAGE', `${path} is in the store that is to be forked`, {})
  const make = async (building: string): Promise<Fork> => {
    const { shards, seed, encryption } = source.manifest
    // its events are recorded anew: no place in the original is one in it
    const timelines = partedFrom(source.manifest, {})
    const manifest = newManifest({ shards, seed, ...(encryption && { encryption }), timelines })
    createParts(building, manifest, masterKey)
    const forking = new Forking(source, building, manifest, masterKey, options)
    await forking.run()
    writeManifest(building, manifest) // it is a store now, but not yet under its name
    await verify(building, masterKey, options)
    forking.checkNoneErased()
    const made = { path, store: manifest.store, entities: forking.entities, events: forking.events }
    announce(made)
    return made
  }
  return buildBeside(path, make, options.signal)
}

class Forking {
  entities = 0
  events = 0
  private readonly at: number
  private readonly ids: Readers
  private readonly committer: Committer
  private readonly taken = new Map<number, Iterable<number>>()

  constructor(
    private readonly source: Readers,
    building: string,
    manifest: Manifest,
    masterKey: Uint8Array | null,
    private readonly options: ForkOptions,
  ) {
    const { at } = options
    this.at = at === undefined ? Number.POSITIVE_INFINITY : timeOf(resolvePoint({ at }), 'a fork')
    const keys = masterKey && Keys.open(keyFilePath(building), manifest, masterKey, 'read')
    this.ids = new Readers(building, manifest, keys)
    this.committer = new WorkerCommitter(building, manifest, masterKey)
  }

  async run(): Promise<void> {
    const { entity } = this.options
    const readers = entity === undefined ? [...this.source.all()] : [this.source.at(this.source.place(entity).shard)]
    const ends = readers.map((reader) => reader.lastCommit()?.lastSeq ?? 0)
    const total = ends.reduce((sum, end) => sum + end, 0)
    let before = 0
    try {
      for (const [i, reader] of readers.entries()) {
        const told = (seq: number) =>
          this.options.onProgress?.({ events: this.events, part: (COPYING * (before + seq)) / total })
        await this.shard(reader, ends[i]!, told)
        before += ends[i]!
      }
    } finally {
      this.ids.close()
      await this.committer.close()
    }
    if (this.events === 0) throw this.nothing()
  }

  private async shard(reader: ShardReader, end: number, told: (seq: number) => void): Promise<void> {
    if (end === 0) return
    await this.committer.open(reader.shard)
    const copy = new ShardCopy(reader, (name) => this.isWanted(name), this.at, this.ids)
    const pages = new Pages()
    let committed: Promise<unknown> = Promise.resolve()
    for (let after = 0; after < end; ) {
      const page = reader.feed(after, end, pages.size, null)
      for (const { row, name } of page) {
        copy.add(row, name)
        if (!copy.isFull) continue
        await committed // one is being written while the next is read
        committed = this.committer.commit(copy.take())
        committed.catch(() => {}) // it is awaited, but perhaps something else fails first
      }
      after = page.at(-1)?.row.seq ?? end
      pages.saw(page.map(({ row }) => row))
      this.options.signal?.throwIfAborted()
      told(after)
      await breathe()
    }
    await committed
    if (copy.hasWork) await this.committer.commit(copy.take())
    this.entities += copy.entities
    this.events += copy.events
    this.taken.set(reader.shard, copy.taken)
  }

  private isWanted({ id, type }: EntityName): boolean {
    const { entity, prefix, type: wanted } = this.options
    return (
      (entity === undefined || id === entity) &&
      (prefix === undefined || id.startsWith(prefix)) &&
      (wanted === undefined || type === wanted)
    )
  }

  /** What is erased while it is copied must not come to life here. @throws KUMA_ERASED */
  checkNoneErased(): void {
    for (const [shard, taken] of this.taken) {
      const living = new Set(this.source.at(shard).livingKeys())
      for (const key of taken) if (!living.has(key)) throw erasedMeanwhile()
    }
  }

  private nothing(): KumaError<'KUMA_NOT_FOUND'> {
    const { entity, at } = this.options
    if (entity !== undefined && at === undefined) return notFound(entity)
    const message = `there was nothing to fork${at === undefined ? '' : ' yet'}: no event of what was asked for`
    const hint = 'see `kuma ls --at`'
    return new KumaError('KUMA_NOT_FOUND', message, { entity: entity ?? '' }, { hint })
  }
}

/** @throws KUMA_CORRUPT */
async function verify(
  building: string,
  masterKey: Uint8Array | null,
  { signal, onProgress: told }: ForkOptions,
): Promise<void> {
  const onProgress = ({ events, eventsTotal }: { events: number; eventsTotal: number }) =>
    told?.({ events: eventsTotal, part: COPYING + ((1 - COPYING) * events) / Math.max(1, eventsTotal) })
  for await (const { problems } of verifyStore(building, { signal, onProgress, masterKey: () => masterKey })) {
    if (problems.length > 0)
      throw new KumaError('KUMA_CORRUPT', `the fork is not sound: ${problems[0]}`, { path: building })
  }
}

function erasedMeanwhile(): KumaError<'KUMA_ERASED'> {
  const message = 'something was erased while it was forked: there is no fork'
  return new KumaError('KUMA_ERASED', message, { entity: null }, { hint: 'fork again: it will not be in it' })
}
