/**
 * Takes a backup of a store that may be written to meanwhile, by this process or another: no lock on the store is
 * needed, only that no other backup of it is under way. Every file and folder is on disk before the rename that gives
 * the backup its name, and the rename is the only thing that does: so there is no partial backup under a final name,
 * wherever this is cut off.
 */
import { linkSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { join, resolve } from 'node:path'
import type { Backup, BackupOptions } from '../api.ts'
import { KumaError } from '../errors.ts'
import { tipOf } from '../store/copy-shard.ts'
import { checkDirectory, makeDirectory, makeNewDirectory, syncDirectory, writeError } from '../store/directory.ts'
import { erasuresIn } from '../store/erasures.ts'
import { Helper } from '../store/helper.ts'
import { type Manifest, readManifest, shardPath, writeManifest } from '../store/manifest.ts'
import { breathe } from '../store/slices.ts'
import {
  asLinked,
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
import { byName, inOrder } from './order.ts'
import { backupsIn, openPlace, type PlacedBackup } from './places.ts'
import { damagedFiles, inodeOf } from './soundness.ts'

export interface CreateOptions extends BackupOptions {
  readonly lockTimeoutMs?: number | undefined
  readonly onProgress?: ((progress: { readonly shards: number; readonly shardsTotal: number }) => void) | undefined
}

export interface TakenBackup extends Backup {
  /** what is wrong with it, in words, if it was verified. Then nothing was removed. */
  readonly problems: readonly string[]
}

/** @throws KUMA_USAGE for a place that cannot be one, KUMA_LOCKED, KUMA_DISK_FULL, KUMA_IO, KUMA_CORRUPT; the signal's reason */
export async function createBackup(path: string, options: CreateOptions = {}): Promise<TakenBackup> {
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

async function create(store: string, manifest: Manifest, place: string, options: CreateOptions): Promise<TakenBackup> {
  const { signal, keep, keepWithinMs, keysTo } = options
  const verify = options.verify === true || keep !== undefined || keepWithinMs !== undefined
  const created = new Date()
  const name = nameFor(place, created)
  const partial = join(place, `.${name}.partial`)
  makeNewDirectory(partial)
  try {
    const { shards, linked } = await fill(partial, store, manifest, place, { ...options, verify })
    // read after the last shard: a store writes there first, and then in a shard, what it takes to read the shard
    writeManifest(partial, readManifest(store))
    const { store: id } = manifest
    const head = { format: BACKUP_FORMAT, store: id, backup: name, created_at: created.toISOString(), shards }
    writeBackupManifest(partial, sealedManifest(verify ? { ...head, checked: true } : head))
    syncDirectory(join(partial, 'shards'))
    syncDirectory(partial)
    signal?.throwIfAborted()
    const path = join(place, name)
    renameSync(partial, path)
    syncDirectory(place)
    // after the shards, so that it has the keys of all that is in them
    if (keysTo !== undefined) copyKeys(store, manifest, keysTo)
    const notReached = await eraseAgain(store, manifest, place, keysTo)
    const removed = await prune(store, place, { keep, keepWithinMs }, name, created.getTime())
    const bytes = readBackupManifest(path).shards.reduce((sum, shard) => sum + shard.bytes, 0)
    return { path, bytes, linked, removed, notReached, verified: verify, problems: problemsIn(shards) }
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

/** Every shard comes to its place: as a link where it did not change, else as a copy. */
async function fill(
  partial: string,
  store: string,
  manifest: Manifest,
  place: string,
  { link = true, verify, signal, onProgress }: CreateOptions & { readonly verify: boolean },
): Promise<{ shards: BackedUpShard[]; linked: number }> {
  const before = link ? await inOrder(store, backupsIn(place)) : []
  const previous = before.findLast(({ manifest }) => manifest !== null)
  const damaged = damagedFiles(before)
  makeDirectory(join(partial, 'shards'))
  const links: BackedUpShard[] = []
  const due: number[] = []
  for (let shard = 0; shard < manifest.shards; shard++) {
    const same = unchanged(store, shard, manifest, previous, damaged)
    if (same !== null && linked(previous!.path, partial, shard)) links.push(same)
    else due.push(shard)
    await breathe()
  }
  const shards: BackedUpShard[] = []
  const done = (shard: BackedUpShard) => {
    shards.push(shard)
    onProgress?.({ shards: shards.length, shardsTotal: manifest.shards })
  }
  if (!verify) links.forEach(done)
  const toVerify = verify && links.length > 0 ? { of: previous!.path, shards: links.map(({ shard }) => shard) } : null
  const task = { from: store, to: partial, shards: due, verify, links: toVerify, manifest }
  await copyShards(task, done, signal)
  return { shards: shards.sort((a, b) => a.shard - b.shard), linked: links.length }
}

/** Who erases looks for backups after recording, and here it is the other way round: one of the two sees the other. */
async function eraseAgain(
  store: string,
  manifest: Manifest,
  place: string,
  keysTo: string | undefined,
): Promise<Backup['notReached']> {
  const erasures = await erasuresIn(store, manifest)
  if (erasures.length === 0) return []
  const inCopies = keysTo === undefined ? [] : destroyInCopies(store, manifest, erasures).notReached
  return [...inCopies, ...(await eraseInPlace(place, erasures)).notReached]
}

function problemsIn(shards: readonly BackedUpShard[]): string[] {
  return shards.flatMap(({ shard, problems }) => (problems ?? []).map((problem) => `shard ${shard}: ${problem}`))
}

/** After all of the same second: those that hold the same are ordered by name. */
function nameFor(place: string, at: Date): string {
  const base = `${at.toISOString().slice(0, 19).replaceAll(':', '-')}Z`
  const last = readdirSync(place)
    .filter((name) => name.startsWith(base) && /^(?:-\d+)?$/.test(name.slice(base.length)))
    .sort(byName)
    .at(-1)
  if (last === undefined) return base
  return `${base}-${last === base ? 2 : Number(last.slice(base.length + 1)) + 1}`
}

/** What the last backup says of a shard to which nothing was added since, and whose file has the size it says. */
function unchanged(
  store: string,
  shard: number,
  manifest: Manifest,
  previous: PlacedBackup | undefined,
  damaged: ReadonlyMap<string, string>,
): BackedUpShard | null {
  const then = previous?.manifest?.shards.find((one) => one.shard === shard)
  if (then === undefined) return null
  const { commit, head } = tipOf(store, shard, manifest)
  if (commit !== then.commit || head !== then.head) return null
  const path = shardPath(previous!.path, shard)
  if (statSync(path, { throwIfNoEntry: false })?.size !== then.bytes || damaged.has(inodeOf(path)!)) return null
  return asLinked(then)
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
  if (task.shards.length === 0 && task.links === null) return
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
