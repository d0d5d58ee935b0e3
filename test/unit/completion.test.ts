import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { complete } from '../../src/cli/completion.ts'
import { oclifConfig } from '../../src/cli/oclif-config.ts'

const config = await oclifConfig(fileURLToPath(new URL('../..', import.meta.url)))
const IDS = ['user_1', 'user_2', 'a b', 'a:b:1', '-x', 'w_\u202etxt']
const findIds = async (prefix: string) => IDS.filter((id) => id.startsWith(prefix))

test.each([
  ['re', ['read', 'repair', 'replay', 'restore', 'revert']],
  ['backup ', ['ls', 'verify']],
  ['read --js', ['--json']],
  ['ls --sort ', ['id', 'updated', 'version']],
  ['ls --sort=up', ['--sort=updated']],
  ['completion f', ['fish']],
  ['read us', ['user_1', 'user_2']],
  ['read "us', ['user_1', 'user_2']],
  ['read a\\ ', ['a b']],
  ['read user_1 ', []],
  ['read nobody', []],
  ['delete user_1 a', ['a b', 'a:b:1']],
  ['log -n 5 us', ['user_1', 'user_2']],
  // what would make a line look other than it is
  ['read w', []],
  // an id that begins with - comes after --, which is offered where there is such an id
  ['read ', ['--', 'a b', 'a:b:1', 'user_1', 'user_2']],
  [
    'read --',
    ['--', '--at', '--config', '--dir', '--json', '--lock-timeout', '--master-key-file', '--token-file', '--url'],
  ],
  ['read -x', []],
  ['read -- ', ['-x', 'a b', 'a:b:1', 'user_1', 'user_2']],
  ['read -- -', ['-x']],
  ['read -- --js', []],
  // nobody knows what it becomes
  ['read "a$(touch x)', []],
])('%s', async (line, candidates) => {
  const found = await complete(line, 'zsh', config, findIds)
  expect({ ...found, candidates: [...found.candidates].sort() }).toMatchObject({ candidates, isLeft: false })
})

test.each([
  'import ',
  'import se',
  '--dir ',
  'read --config ',
  'read --config=',
  'read user_1 >',
  'read user_1 2> us',
  'read $us',
])('the shell completes %s', async (line) => {
  expect(await complete(line, 'bash', config, findIds)).toMatchObject({ candidates: [], isLeft: true })
})
