import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeDirectory, networkFileSystem, writeDurably } from '../../../src/store/directory.ts'
import { folder } from '../../folder.ts'

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

test('nothing is made under a name with U+FFFD, which two names that are not UTF-8 would share', () => {
  const cwd = folder()
  const lost = join(cwd, 'M\ufffdller')
  const refused = expect.objectContaining({ code: 'KUMA_USAGE', message: expect.stringContaining('U+FFFD') })
  expect(() => makeDirectory(join(lost, 'a'))).toThrow(refused)
  expect(() => writeDurably(lost, 'x')).toThrow(refused)
  expect(readdirSync(cwd)).toEqual([])
  // what has that name is used
  mkdirSync(lost)
  makeDirectory(join(lost, 'a'))
  writeFileSync(join(lost, '\ufffd'), '')
  writeDurably(join(lost, '\ufffd'), 'x')
  expect(existsSync(join(lost, 'a'))).toBe(true)
})
