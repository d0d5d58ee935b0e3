/** Which file system a folder is on, by the type that statfs gives. A figure of appends means little without it. */
import { statfsSync } from 'node:fs'

const NAMES = new Map([
  [0xef53, 'ext4'],
  [0x9123683e, 'Btrfs'],
  [0x58465342, 'XFS'],
  [0x2fc12fc1, 'ZFS'],
  [0x01021994, 'tmpfs: nothing of it is on a disk'],
  [0x794c7630, 'overlayfs'],
])

export function fileSystemOf(folder) {
  const { type } = statfsSync(folder)
  return NAMES.get(type >>> 0) ?? `file system 0x${type.toString(16)}`
}
