/**
 * Takes a backup of a store that may be written to meanwhile, by this process or another: no lock on the store is
 * needed, only that no other backup of it is under way. Every file and folder is on disk before the rename that gives
 * the backup its name, and the rename is the only thing that does: so there is no partial backup under a final name,
 * wherever this is cut off.
 */
import { existsSync, linkSync, renameSync, rmSync, statSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { join, resolve } from 'node:path'
import type { Backup, BackupOptions } from '../api.ts'
import { KumaError } from '../errors.ts'
import { tipOf } from '../store/copy-shard.ts'
import { checkDirectory, makeDirectory, syncDirectory, writeError } from '../store/directory.ts'
import { erasuresIn } from '../store/erasures.ts'
import { Helper } from '../store/helper.ts'
import { type Manifest, readManifest, shardPath, writeManifest } from '../store/manifest.ts'
import { breathe } from '../store/slices.ts'
import {
  BACKUP_FORMAT,
  type BackedUpShard,
  readBackupManifest,
  sealedManifest,
  writeBackupManifest,
} from './backup-manifest.ts'
import type { CopyTask } from './copy-process.ts'
import { eraseInPlace, lockBackups, tidy } from './erase-in-backups.ts'
import { prune } from './keep.ts'
import { checkCopy, copyKeys, destroyInCopies } from './key-copies.ts'
import { backupsIn, openPlace, type PlacedBackup } from './places.ts'

export interface CreateOptions extends BackupOptions {
  readonly lockTimeoutMs?: number | undefined
  readonly onProgress?: ((progress: { readonly shards: number; readonly shardsTotal: number }) => void) | undefined
}

/** @throws KUMA_USAGE for a place that cannot be one, KUMA_LOCKED, KUMA_DISK_FULL, KUMA_IO, KUMA_CORRUPT; the signal's reason */
export async function createBackup(path: string, options: CreateOptions = {}): Promise<Backup> {
  const store = resolve(path)
  checkDirectory(store)
  const manifest = readManifest(store)
  if (options.keysTo !== undefined) checkCopy(store, manifest, options.keysTo)
  const place = openPlace(store, manifest, options.to)
  const lock = await lockBackups(store, options.lockTimeoutMs, options.signal)
  try {
    tidy(place)
    return await create(store, manifest, place, options)
  } catch (error) {
    throw error instanceof KumaError || options.signal?.aborted ? error : writeError(error, place)
  } finally {
    lock.release()
  }
}

async function create(
  store: string,
  manifest: Manifest,
  place: string,
  { link = true, signal, onProgress, keep, keepWithinMs, keysTo }: CreateOptions,
): Promise<Backup> {
  const previous = backupsIn(place).findLast(({ manifest }) => manifest !== null)
  const created = new Date()
  const name = nameFor(place, created)
  const partial = join(place, `.${name}.partial`)
  const shards: BackedUpShard[] = []
  const done = (shard: BackedUpShard) => {
    shards.push(shard)
    onProgress?.({ shards: shards.length, shardsTotal: manifest.shards })
  }
  try {
    makeDirectory(join(partial, 'shards'))
    const due: number[] = []
    for (let shard = 0; shard < manifest.shards; shard++) {
      const same = link ? unchanged(store, shard, manifest, previous) : null
      if (same !== null && linked(previous!.path, partial, shard)) done(same)
      else due.push(shard)
      await breathe()
    }
    const links = shards.length
    await copyShards({ from: store, to: partial, shards: due, manifest }, done, signal)
    shards.sort((a, b) => a.shard - b.shard)
    writeManifest(partial, manifest)
    const { store: id } = manifest
    const head = { format: BACKUP_FORMAT, store: id, backup: name, created_at: created.toISOString(), shards }
    writeBackupManifest(partial, sealedManifest(head))
    syncDirectory(join(partial, 'shards'))
    syncDirectory(partial)
    signal?.throwIfAborted()
    const path = join(place, name)
    renameSync(partial, path)
    syncDirectory(place)
    // after the shards, so that it has the keys of all that is in them
    if (keysTo !== undefined) copyKeys(store, manifest, keysTo)
    // who erases looks for backups after recording, and here it is the other way round: one of the two sees the other
    const erasures = await erasuresIn(store, manifest)
    const notReached: Backup['notReached'][number][] = []
    if (erasures.length > 0) {
      if (keysTo !== undefined) notReached.push(...destroyInCopies(store, manifest, erasures).notReached)
      notReached.push(...(await eraseInPlace(place, erasures)).notReached)
    }
    const removed = await prune(place, { keep, keepWithinMs }, created.getTime())
    const bytes = readBackupManifest(path).shards.reduce((sum, shard) => sum + shard.bytes, 0)
    return { path, bytes, linked: links, removed, notReached }
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

function nameFor(place: string, at: Date): string {
  const base = `${at.toISOString().slice(0, 19).replaceAll(':', '-')}Z`
  for (let n = 1; ; n++) {
    const name = n === 1 ? base : `${base}-${n}`
    if (!existsSync(join(place, name))) return name
  }
}

/** What the last backup says of a shard to which nothing was added since, and whose file has the size it says. */
function unchanged(
  store: string,
  shard: number,
  manifest: Manifest,
  previous: PlacedBackup | undefined,
): BackedUpShard | null {
  const then = previous?.manifest?.shards.find((one) => one.shard === shard)
  if (then === undefined) return null
  const { commit, head } = tipOf(store, shard, manifest)
  if (commit !== then.commit || head !== then.head) return null
  return statSync(shardPath(previous!.path, shard), { throwIfNoEntry: false })?.size === then.bytes ? then : null
}

/** Where links do not work, or no more of them, it is copied anew. */
function linked(previous: string, partial: string, shard: number): boolean {
  try {
    linkSync(shardPath(previous, shard), shardPath(partial, shard))
    return true
  } catch {
    return false
  }
}

async function copyShards(
  task: CopyTask,
  done: (shard: BackedUpShard) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (task.shards.length === 0) return
  signal?.throwIfAborted()
  const helper = new Helper('copy', (why) => {
    const message = `the process that copies the shards of ${task.from} did not do it: ${why}`
    return new KumaError('KUMA_IO', message, { path: task.from }, { hint: 'what it printed went to stderr' })
  })
  // appends come first: a backup may take its time
  if (helper.pid !== undefined) setPriority(helper.pid, constants.priority.PRIORITY_LOW)
  const kill = () => helper.kill()
  signal?.addEventListener('abort', kill)
  try {
    for await (const shard of helper.ask<BackedUpShard>(task)) done(shard)
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', kill)
    await helper.close()
  }
  signal?.throwIfAborted()
}
