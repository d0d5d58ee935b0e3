/** A disk that can be full. */
import { execFileSync } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { folder } from './folder.ts'

/** A file system of 3 MB, or null where it cannot be mounted. */
export function smallDisk(): string | null {
  const path = folder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    return null
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]))
  return path
}
