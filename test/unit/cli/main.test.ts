import { expect, test } from 'vitest'
import { arrange } from '../../../src/cli/main.ts'

test.each([
  ['read user_1 --json', 'read user_1 --json'],
  ['--json read user_1', 'read --json user_1'],
  ['--dir data read user_1', 'read --dir data user_1'],
  ['--dir=data read user_1', 'read --dir=data user_1'],
  ['--lock-timeout 5s --json append a B', 'append --lock-timeout 5s --json a B'],
  ['help', '--help'],
  ['help read', 'read --help'],
  ['--help', '--help'],
  ['--help read', 'read --help'],
  ['--version', '--version'],
  ['-v', '--version'],
  ['-h', '--help'],
  ['read -h', 'read --help'],
  ['read constructor', 'read constructor'],
  ['append e T -- -h', 'append e T -- -h'],
  ['', ''],
])('%j becomes %j', (given, arranged) => {
  const words = (text: string) => text.split(' ').filter((word) => word !== '')
  expect(arrange(words(given))).toEqual(words(arranged))
})
