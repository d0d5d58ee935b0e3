/**
 * Makes a store of a backup: beside its final name, and then renamed, so that there is never half a store under it. What
 * was erased since the backup was taken is erased again before the rename, so before anyone can read it. The new store goes
 * on in a timeline of its own, so that places in what the other one recorded since are not taken for places in this one.
 */
import { chmodSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { KumaError } from '../errors.ts'
import { buildBeside } from '../store/build-beside.ts'
import { begunAt, copyShard, countsOf, sharedEnd } from '../store/copy-shard.ts'
import { checkFree } from '../store/create.ts'
import { makeDirectory, syncDirectory, syncFile } from '../store/directory.ts'
import { erasuresIn } from '../store/erasures.ts'
import { copyKeyFile, KeyFile, keyFilePath } from '../store/key-file.ts'
import { type Manifest, partedFrom, readManifest, shardPath, writeManifest } from '../store/manifest.ts'
import { breathe } from '../store/slices.ts'
import { truncateShard } from '../store/truncate-shard.ts'
import { upToDate } from '../store/upgrade.ts'
import { readBackupManifest } from './backup-manifest.ts'
import { type Erased, eraseFrom, type Held, heldIn, livingIn } from './erase-from.ts'
import { type VerifyBackupOptions, verifyBackup } from './verify-backup.ts'

export interface RestoreOptions extends VerifyBackupOptions {
  /** Set the store back to this moment of recording, in milliseconds since 1970. */
  readonly at?: number | undefined
  /** What was erased, here or elsewhere, since the backup was taken. */
  readonly erased?: readonly Erased[] | undefined
  /** Of an encrypted store: the file with the keys of its entities. Those that are destroyed in it are erased again. */
  readonly keys?: string | undefined
}

export interface RestoredStore {
  readonly path: string
  /** that are in it */
  readonly entities: number
  readonly events: number
  /** how many entities were erased again */
  readonly erasedAgain: number
}

type Built = Omit<RestoredStore, 'path'>

/**
 * @throws KUMA_STORE_EXISTS, KUMA_NOT_A_STORE if something is where the store should be; KUMA_CORRUPT if the backup is
 * not as it was written; KUMA_NO_KEYS if there are none of what is in it; KUMA_INVALID_POINT for a time after it; KUMA_NOT_A_BACKUP, KUMA_NEWER_FORMAT, KUMA_IO, KUMA_DISK_FULL
 */
export async function restore(backup: string, to: string, options: RestoreOptions = {}): Promise<RestoredStore> {
  const target = resolve(to)
  checkFree(target)
  checkTime(backup, options.at)
  const { problems } = await verifyBackup(backup, options)
  if (problems.length > 0) {
    const hint = '`kuma backup verify` tells all of it; use another backup'
    throw new KumaError('KUMA_CORRUPT', `${backup} cannot be restored: ${problems[0]}`, { path: backup }, { hint })
  }
  if (readManifest(backup).encryption !== undefined && options.keys === undefined) throw keysNeeded(backup)
  const make = (building: string) => build(resolve(backup), building, options)
  return { path: target, ...(await buildBeside(target, make, options.signal)) }
}

/** When the first that a backup holds was recorded, in milliseconds since 1970; null if there is nothing in it. */
export function beginningOf(backup: string): number | null {
  const manifest = readManifest(backup)
  const begun = Array.from({ length: manifest.shards }, (_, shard) => begunAt(backup, shard, manifest))
  return begun.reduce((first, at) => (first === null || (at !== null && at < first) ? at : first), null)
}

function checkTime(backup: string, at: number | undefined): void {
  if (at === undefined) return
  const { created_at } = readBackupManifest(backup)
  if (at <= Date.parse(created_at)) return
  const point = new Date(at).toISOString()
  const hint = `the newest moment that it can give is ${created_at}; without --at it gives all that it has`
  throw new KumaError('KUMA_INVALID_POINT', `${point} is after the backup was taken`, { point }, { hint })
}

async function build(backup: string, building: string, options: RestoreOptions): Promise<Built> {
  const before = readManifest(backup)
  const parted: Record<string, number> = {} // told shard by shard, before the manifest is written
  const manifest = upToDate({ ...before, timelines: partedFrom(before, parted) })
  const erased = [...(options.erased ?? []), ...(await erasuresIn(backup, manifest))]
  const keys = options.keys === undefined ? null : bringKeys(options.keys, building, manifest)
  try {
    return await buildShards(backup, building, { ...options, erased }, manifest, keys, parted)
  } finally {
    keys?.close()
  }
}

async function buildShards(
  backup: string,
  building: string,
  options: RestoreOptions & { readonly erased: readonly Erased[] },
  manifest: Manifest,
  keys: KeyFile | null,
  parted: Record<string, number>,
): Promise<Built> {
  const { created_at, shards } = readBackupManifest(backup)
  const built = { entities: 0, events: 0, erasedAgain: 0 }
  for (let shard = 0; shard < manifest.shards; shard++) {
    options.signal?.throwIfAborted()
    const dropped = copy(backup, building, shard, manifest, options.at)
    const end = sharedEnd(building, shard, manifest, shards[shard]?.taken ?? { at: Date.parse(created_at) })
    if (end > 0) parted[shard] = end
    const held = [...heldIn(building, shard, manifest, options.erased)]
    if (keys !== null) held.push(...keylessIn(building, shard, manifest, keys, held))
    // opened to write in any case: that makes it a shard with a WAL, and shows that it is one
    await eraseFrom(building, shard, manifest, held, dropped)
    const { entities, events } = countsOf(building, shard, manifest)
    built.entities += entities
    built.events += events
    built.erasedAgain += held.length
    syncFile(shardPath(building, shard)) // closed by SQLite, so without a WAL
    await breathe()
  }
  options.signal?.throwIfAborted()
  if (keys !== null) {
    // an older copy of the keys may have some that were destroyed before the backup was taken
    keys.destroy(await erasuresIn(building, manifest))
  }
  writeManifest(building, manifest)
  syncDirectory(join(building, 'shards'))
  syncDirectory(building)
  return built
}

/** Also of a store that is not encrypted: what is given must be of use. */
function bringKeys(from: string, building: string, manifest: Manifest): KeyFile {
  copyKeyFile(from, keyFilePath(building), manifest)
  return KeyFile.open(keyFilePath(building), manifest, 'write')
}

/** Those whose keys were destroyed, beside those that are known to be erased. @throws KUMA_NO_KEYS if a key was never there */
function keylessIn(building: string, shard: number, manifest: Manifest, keys: KeyFile, held: readonly Held[]): Held[] {
  const known = new Set(held.map(({ key }) => key))
  const slots = livingIn(building, shard, manifest)
    .filter((key) => !known.has(key))
    .map((key) => ({ key, slot: keys.read(shard, key) }))
  const lacking = slots.filter(({ slot }) => slot === null).length
  if (lacking > 0) {
    const hint = 'give a copy of the keys that was made with this backup or later'
    const message = `the keys are older than the backup: ${lacking} entities of shard ${shard} have none`
    throw new KumaError('KUMA_NO_KEYS', message, { path: keys.path }, { hint })
  }
  return slots.filter(({ slot }) => slot === 'destroyed').map(({ key }) => ({ key, isRecorded: false }))
}

function keysNeeded(backup: string): KumaError<'KUMA_NO_KEYS'> {
  const hint = 'give the file that `kuma backup --keys-to` wrote, with --keys'
  const message = `${backup} is encrypted, and the keys of its entities are not there`
  return new KumaError('KUMA_NO_KEYS', message, { path: backup }, { hint })
}

/** @returns erasures to record again: of what the shard was set back to before */
function copy(backup: string, building: string, shard: number, manifest: Manifest, at: number | undefined) {
  const path = shardPath(building, shard)
  if (at === undefined) {
    copyShard(backup, building, shard, manifest)
    chmodSync(path, 0o600)
    return []
  }
  const raw = join(building, 'raw')
  makeDirectory(join(raw, 'shards'))
  copyShard(backup, raw, shard, manifest)
  const dropped = truncateShard(raw, shard, manifest, at)
  copyShard(raw, building, shard, manifest) // without what was dropped, to the byte
  chmodSync(path, 0o600)
  rmSync(raw, { recursive: true })
  return dropped.map((record) => ({ entity: record.entity, record }))
}
