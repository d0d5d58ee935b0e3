/**
 * Erasures reach the backups too. A file of a backup may be linked from others, so it is never written to: the shard is
 * copied, the erasure recorded and its rows emptied in the copy by the same code as in the store, and VACUUM INTO makes
 * the new file, in which nothing stands but rows. What links shared before they share after.
 *
 * A backup changes as a whole: beside it grows one with the new files and links to the others, and then the two are
 * exchanged by two renames. Whoever is next at work in the place finishes an exchange that was cut off (`tidy`).
 *
 * The entity is known by the witness of its erasure: its key may stand for another one in a backup of a store that was
 * set back in between.
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { isKumaError, KumaError } from '../errors.ts'
import { contentsOf, copyShard, settle } from '../store/copy-shard.ts'
import { isMine, makeDirectory, makeNewDirectory, syncDirectory } from '../store/directory.ts'
import type { Erasure } from '../store/erasure.ts'
import { createLock, type Lock, takeLock } from '../store/lock.ts'
import { readManifest, shardPath, writeManifest } from '../store/manifest.ts'
import { breathe } from '../store/slices.ts'
import { type BackedUpShard, sealedManifest, writeBackupManifest } from './backup-manifest.ts'
import { eraseFrom, heldIn } from './erase-from.ts'
import { destroyInCopies } from './key-copies.ts'
import { backupsIn, defaultPlace, keyCopiesOf, type PlacedBackup, placesOf } from './places.ts'
import { inodeOf } from './soundness.ts'

export interface Reached {
  /** backups in which nothing of the erased is left */
  readonly reached: string[]
  readonly notReached: { readonly what: string; readonly remedy: string }[]
}

/** Named as not reached while somebody else is at work on the backups. */
export const BUSY = 'the backups'

/** What became of a file that several backups may link to: it says where the new one is, or null if it stays. */
type Rewritten = Map<string, { readonly path: string; readonly shard: RewrittenShard } | null>

/** What an erasure changes of it. */
type RewrittenShard = Omit<BackedUpShard, 'shard' | 'file' | 'taken' | 'verified' | 'problems'>

/** Removes or finishes what others left when they were cut off: nobody else is at work in the place. */
export function tidy(place: string): void {
  const names = readdirSync(place).filter((name) => isOurs(join(place, name), place))
  for (const name of names) {
    const [, of] = /^\.(.*)\.partial$/.exec(name) ?? []
    if (of === undefined) continue
    if (names.includes(`.${of}.removing`) && !names.includes(of)) renameSync(join(place, name), join(place, of))
    else rmSync(join(place, name), { recursive: true, force: true })
  }
  syncDirectory(place)
  for (const name of names)
    if (/^\..*\.removing$/.test(name)) rmSync(join(place, name), { recursive: true, force: true })
}

/** In a place that others may write to too, somebody could exchange what is in a folder of his while it is removed. */
function isOurs(path: string, place: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  // some network file systems give all files to one user
  return stats !== undefined && (isMine(stats) || stats.uid === statSync(place).uid)
}

/** Erases in every backup of every place of the store, and in every copy of its keys. @throws what opening the lock throws */
export async function eraseInBackups(store: string, erasures: readonly Erasure[]): Promise<Reached> {
  const found: Reached = { reached: [], notReached: [] }
  const places = placesOf(store).filter((place) => place !== defaultPlace(store) || existsSync(place))
  const copies = keyCopiesOf(store)
  if (places.length + copies.length === 0) return found
  const lock = await lockBackups(store).catch((error) => {
    if (isKumaError(error, 'KUMA_LOCKED')) return null
    throw error
  })
  if (lock === null) {
    const remedy = 'one is being taken: they are reached when the store is opened to write next'
    return { reached: [], notReached: [{ what: BUSY, remedy }] }
  }
  try {
    const add = ({ reached, notReached }: Reached) => {
      found.reached.push(...reached)
      found.notReached.push(...notReached)
    }
    if (copies.length > 0) add(destroyInCopies(store, readManifest(store), erasures))
    for (const place of places) add(await eraseInPlace(place, erasures))
    return found
  } finally {
    lock.release()
  }
}

/** One at a time makes, changes or removes backups of a store. The lock is in the store: a place may be on a network. */
export async function lockBackups(store: string, timeoutMs?: number, signal?: AbortSignal): Promise<Lock> {
  const folder = defaultPlace(store)
  makeDirectory(folder)
  createLock(folder)
  return takeLock(folder, timeoutMs, signal)
}

/**
 * Erases in every backup of a place. The lock of the store's backups is held.
 * What fails in one backup is told, and the others are gone on with.
 */
export async function eraseInPlace(place: string, erasures: readonly Erasure[]): Promise<Reached> {
  const found: Reached = { reached: [], notReached: [] }
  if (!existsSync(place)) {
    const remedy =
      'it is not there: when it is, run `kuma backup --to` with it; `kuma restore` erases again before anyone can read'
    return { reached: [], notReached: [{ what: place, remedy }] }
  }
  tidy(place)
  const rewritten: Rewritten = new Map()
  for (const backup of backupsIn(place)) {
    try {
      if (backup.manifest === null) throw new KumaError('KUMA_CORRUPT', backup.problem!, { path: backup.path })
      await eraseInBackup(backup, erasures, rewritten)
      found.reached.push(backup.path)
    } catch (error) {
      const remedy = `${(error as Error).message}: remove this backup, or mend it and run \`kuma backup\``
      found.notReached.push({ what: backup.path, remedy })
      rewritten.clear()
      tidy(place)
    }
  }
  return found
}

async function eraseInBackup(backup: PlacedBackup, erasures: readonly Erasure[], rewritten: Rewritten): Promise<void> {
  const { path, manifest } = backup
  const changed = new Map<number, { path: string; shard: RewrittenShard }>()
  for (const { shard } of manifest!.shards) {
    await breathe() // whoever wants the daemon to end is heard in between
    const here = erasures.filter((erasure) => erasure.shard === shard)
    if (here.length === 0) continue
    const inode = inodeOf(shardPath(path, shard))
    if (inode === null) throw new KumaError('KUMA_CORRUPT', `${shardPath(path, shard)} is missing`, { path })
    if (!rewritten.has(inode)) rewritten.set(inode, await rewrite(backup, shard, here))
    const made = rewritten.get(inode)
    if (made) changed.set(shard, made)
  }
  if (changed.size === 0) return
  exchange(backup, changed)
  // where the next backup that shared a file finds the new one
  for (const [shard, made] of changed) made.path = shardPath(path, shard)
}

/** Makes the new file of a shard beside the backup; null if the backup holds none of the erased. */
async function rewrite(backup: PlacedBackup, shard: number, erasures: readonly Erasure[]) {
  const { path } = backup
  const manifest = readManifest(path)
  const held = heldIn(path, shard, manifest, erasures)
  if (held.length === 0) return null
  const work = join(dirname(path), `.${backup.name}-${randomBytes(4).toString('hex')}.partial`)
  const [raw, made] = [join(work, 'raw'), join(work, 'made')]
  makeNewDirectory(work)
  for (const folder of [raw, made]) makeDirectory(join(folder, 'shards'))
  copyFileSync(shardPath(path, shard), shardPath(raw, shard))
  chmodSync(shardPath(raw, shard), 0o600)
  await eraseFrom(raw, shard, manifest, held)
  copyShard(raw, made, shard, manifest)
  rmSync(raw, { recursive: true })
  const { at, ...end } = contentsOf(made, shard, manifest)
  const file = shardPath(made, shard)
  const sha256 = settle(file)
  const recorded_at = at === null ? null : new Date(at).toISOString()
  return { path: file, shard: { ...end, recorded_at, bytes: statSync(file).size, sha256 } }
}

/** The backup with its new files comes to the place of the old one. */
function exchange(
  { name, path, manifest }: PlacedBackup,
  changed: ReadonlyMap<number, { path: string; shard: RewrittenShard }>,
): void {
  const place = dirname(path)
  const partial = join(place, `.${name}.partial`)
  const removing = join(place, `.${name}.removing`)
  makeNewDirectory(partial)
  makeDirectory(join(partial, 'shards'))
  for (const { shard } of manifest!.shards)
    share(changed.get(shard)?.path ?? shardPath(path, shard), shardPath(partial, shard))
  writeManifest(partial, readManifest(path))
  const { sha256: _, ...rest } = manifest!
  const shards = rest.shards.map((shard) => {
    const made = changed.get(shard.shard)
    return made === undefined ? shard : rewrittenShard(shard, made.shard)
  })
  writeBackupManifest(partial, sealedManifest({ ...rest, shards }))
  syncDirectory(join(partial, 'shards'))
  syncDirectory(partial)
  renameSync(path, removing)
  renameSync(partial, path)
  syncDirectory(place)
  rmSync(removing, { recursive: true, force: true })
  for (const made of changed.values()) {
    const work = dirname(dirname(dirname(made.path)))
    if (work.endsWith('.partial')) rmSync(work, { recursive: true, force: true })
  }
}

/** What it was taken with stays; the file is another, which nobody has verified. */
function rewrittenShard({ verified: _, ...old }: BackedUpShard, made: RewrittenShard): BackedUpShard {
  return { ...old, ...made }
}

/** Where links do not work, it is a copy. */
function share(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to)
    settle(to)
  }
}
