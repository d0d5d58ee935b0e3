/**
 * Could somebody else have written it? Asked of code that was found and not named, before it is run. One's own and root's
 * count as one's own; root's own group, and the primary group of who runs this, count as their owner.
 */
import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { isMine } from './directory.ts'

const ROOT = 0

/** Of a file or a folder: why it cannot be trusted, or null. */
export function foreignness({ uid, gid, mode }: Stats): string | null {
  if (!isOwn(uid)) return `belongs to another user (uid ${uid})`
  if (process.platform === 'win32') return null
  if ((mode & 0o002) !== 0) return 'can be written by anyone'
  if ((mode & 0o020) !== 0 && gid !== groupOf(uid)) return `can be written by another group (gid ${gid})`
  return null
}

/** The same of a file, of the folder that it is in, and of where it leads to if it is a link. */
export function foreignnessOfFile(file: string): string | null {
  try {
    const link = lstatSync(file)
    if (!link.isSymbolicLink()) return foreignnessWithFolder(file, link)
    const folder = foreignnessOfFolder(dirname(file))
    if (folder !== null || !isOwn(link.uid)) return folder ?? `the link belongs to another user (uid ${link.uid})`
    const target = realpathSync(file)
    return foreignnessWithFolder(target, lstatSync(target))
  } catch (error) {
    return (error as Error).message
  }
}

function foreignnessWithFolder(file: string, stats: Stats): string | null {
  const problem = foreignness(stats)
  return foreignnessOfFolder(dirname(file)) ?? (problem === null ? null : `${file} ${problem}`)
}

function foreignnessOfFolder(folder: string): string | null {
  const problem = foreignness(statSync(folder))
  return problem === null ? null : `the folder ${folder} ${problem}`
}

/** Does it belong to who runs this, or to root? */
function isOwn(uid: number): boolean {
  return isMine({ uid }) || uid === ROOT
}

/** Not the one that was taken on for a while (newgrp), where the system knows the user. */
function groupOf(uid: number): number | undefined {
  if (uid === ROOT) return ROOT
  try {
    return userInfo().gid
  } catch {
    return process.getegid?.()
  }
}
