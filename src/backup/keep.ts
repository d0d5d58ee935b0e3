/** Which backups stay. Those that are links of one another are one copy: together they stay or go. */
import { renameSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BackupOptions } from '../api.ts'
import { syncDirectory } from '../store/directory.ts'
import { backupsIn, type PlacedBackup } from './places.ts'

/**
 * Removes the backups of a place that neither rule keeps; without any rule none. One that is not whole is never counted
 * and never removed: it may be all that somebody has left.
 * @returns the names of those that went
 */
export async function prune(
  place: string,
  { keep, keepWithinMs }: Pick<BackupOptions, 'keep' | 'keepWithinMs'>,
  now: number,
): Promise<string[]> {
  if (keep === undefined && keepWithinMs === undefined) return []
  const whole = backupsIn(place).filter(isWhole).reverse()
  const kept = new Set<string>()
  const going: PlacedBackup[] = []
  for (const backup of whole) {
    const copy = copyOf(backup)
    const isYoung = keepWithinMs !== undefined && now - Date.parse(backup.manifest!.created_at) <= keepWithinMs
    if (isYoung || kept.has(copy) || kept.size < Math.max(1, keep ?? 0)) kept.add(copy)
    else going.push(backup)
  }
  for (const { name, path } of going) {
    const removing = join(place, `.${name}.removing`)
    renameSync(path, removing) // so that half a backup never stands under its name
    syncDirectory(place)
    await rm(removing, { recursive: true, force: true }) // large files take a while to go
  }
  return going.map(({ name }) => name)
}

/** Its manifest is whole, and each file has the size that it says. */
export function isWhole({ path, manifest }: PlacedBackup): boolean {
  if (manifest === null) return false
  return manifest.shards.every(
    ({ file, bytes }) => statSync(join(path, file), { throwIfNoEntry: false })?.size === bytes,
  )
}

/** The same for backups whose files are links of one another: nothing was recorded between them. */
function copyOf({ path, manifest }: PlacedBackup): string {
  return manifest!.shards.map(({ file }) => inodeOf(join(path, file))).join()
}

export function inodeOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true })
  return `${dev}:${ino}`
}
