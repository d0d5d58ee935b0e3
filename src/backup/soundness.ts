/**
 * What is known of a backup without reading its files. A shard that was verified is known by its inode, so that a copy of
 * the folder counts as not checked; a file that was found damaged spoils every backup that is a link to it.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { BackedUpShard } from './backup-manifest.ts'
import type { PlacedBackup } from './places.ts'

export interface Known {
  readonly soundness: 'sound' | 'not sound' | 'not checked'
  /** why it cannot be restored */
  readonly problem: string | null
}

/** @param backups all that are in one place */
export function knownOf(backups: readonly PlacedBackup[]): (backup: PlacedBackup) => Known {
  const damaged = damagedFiles(backups)
  return (backup) => {
    const problem = problemOf(backup, damaged)
    if (problem !== null) return { soundness: 'not sound', problem }
    const isChecked = backup.manifest!.checked === true
    const isSound = isChecked && backup.manifest!.shards.every((shard) => isVerified(backup.path, shard))
    return { soundness: isSound ? 'sound' : 'not checked', problem }
  }
}

/** Was the file verified, as the one that it is? */
export function isVerified(path: string, { file, verified }: BackedUpShard): boolean {
  return verified !== undefined && statSync(join(path, file), { throwIfNoEntry: false })?.ino === verified
}

/** The files that were found damaged: in which backup, by device and inode. */
export function damagedFiles(backups: readonly PlacedBackup[]): Map<string, string> {
  const damaged = new Map<string, string>()
  for (const { name, path, manifest } of backups)
    for (const { file, problems } of manifest?.shards ?? []) {
      const inode = problems === undefined ? null : inodeOf(join(path, file))
      if (inode !== null) damaged.set(inode, name)
    }
  return damaged
}

/** Null if it is not there. */
export function inodeOf(path: string): string | null {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? null : `${stats.dev}:${stats.ino}`
}

function problemOf({ name, path, manifest, problem }: PlacedBackup, damaged: ReadonlyMap<string, string>) {
  if (manifest === null) return problem
  const { shards } = manifest
  const wrong = shards.filter(
    ({ file, bytes }) => statSync(join(path, file), { throwIfNoEntry: false })?.size !== bytes,
  )
  if (wrong.length > 0) return `${wrong.length} files are missing or have another size`
  const found = shards.flatMap(({ shard, problems }) => (problems ?? []).map((text) => `shard ${shard}: ${text}`))
  if (found.length > 0) return found.length === 1 ? found[0]! : `${found[0]} (and ${found.length - 1} problems more)`
  for (const { shard, file } of shards) {
    const of = damaged.get(inodeOf(join(path, file))!)
    if (of !== undefined && of !== name) return `shard ${shard} is the file that was found damaged in ${of}`
  }
  return null
}
