/** Which backups stay. Those that are links of one another are one copy: together they stay or go. */
import { renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackupOptions } from '../api.ts'
import { syncDirectory } from '../store/directory.ts'
import { inOrder } from './order.ts'
import { backupsIn, type PlacedBackup } from './places.ts'
import { inodeOf, knownOf } from './soundness.ts'

type Rules = Pick<BackupOptions, 'keep' | 'keepWithinMs'>

/**
 * Removes the backups of a place that neither rule keeps; without any rule none. One that is not sound, or of another
 * history, is never counted and never removed: it may be all that somebody has left. Nothing is removed if the one that
 * was just made is not known to be sound.
 * @param made its name @param now when it was begun, in milliseconds since 1970
 * @returns the names of those that went
 */
export async function prune(store: string, place: string, rules: Rules, made: string, now: number): Promise<string[]> {
  if (rules.keep === undefined && rules.keepWithinMs === undefined) return []
  const backups = await inOrder(store, backupsIn(place))
  const known = knownOf(backups)
  const isGood = backups.some((backup) => backup.name === made && known(backup).soundness === 'sound')
  if (!isGood) return []
  const counted = backups.filter((backup) => backup.history === 'own' && known(backup).problem === null)
  const going = goingOf(counted, rules, made, now)
  for (const { name, path } of going) {
    const removing = join(place, `.${name}.removing`)
    renameSync(path, removing) // so that half a backup never stands under its name
    syncDirectory(place)
    await rm(removing, { recursive: true, force: true }) // large files take a while to go
  }
  return going.map(({ name }) => name)
}

/** @param counted the oldest first */
function goingOf(
  counted: readonly PlacedBackup[],
  { keep = 0, keepWithinMs }: Rules,
  made: string,
  now: number,
): PlacedBackup[] {
  // a clock that ran ahead when this one was made, or before, makes none older than it was
  const before = counted[counted.findIndex(({ name }) => name === made) - 1]
  const until = before === undefined ? now : Math.min(now, createdAt(before))
  const kept = new Set<string>()
  return counted.toReversed().filter((backup) => {
    const copy = copyOf(backup)
    const isYoung = keepWithinMs !== undefined && until - createdAt(backup) <= keepWithinMs
    const stays = backup.name === made || isYoung || kept.has(copy) || kept.size < Math.max(1, keep)
    if (stays) kept.add(copy)
    return !stays
  })
}

function createdAt({ manifest }: PlacedBackup): number {
  return Date.parse(manifest!.created_at)
}

/** The same for backups whose files are links of one another: nothing was recorded between them. */
function copyOf({ path, manifest }: PlacedBackup): string {
  return manifest!.shards.map(({ file }) => inodeOf(join(path, file))).join()
}
