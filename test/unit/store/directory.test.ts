import { expect, test } from 'vitest'
import { networkFileSystem } from '../../../src/store/directory.ts'

test.each([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xff534d42 | 0, 'CIFS'], // statfs may give a signed number
  [0xfe534d42, 'SMB2'],
  [0xef53, null], // ext4
  [0x9123683e, null], // btrfs
  [0x01021994, null], // tmpfs
])('file system type %i is %s', (type, name) => {
  expect(networkFileSystem(type)).toBe(name)
})
