/** Two entities whose ids look the same: whoever meets one is told of the other. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createStore } from '../../../src/store/create.ts'
import { kuma } from '../../cli.ts'
import { folder } from '../../folder.ts'

test('it is told when the second one is made, and when one of them is exported or erased', async () => {
  const cwd = folder()
  await createStore(join(cwd, 'kuma-data'), { shards: 1 })
  const run = (...args: string[]) => kuma(args, { cwd })
  const [composed, decomposed] = ['andr\u00e9', 'andre\u0301']
  const other = (id: string, version: number) =>
    `there is another entity whose id looks the same: "${id}" v${version}; `
  expect((await run('append', composed, 'A')).stderr).toBe('')
  const second = await run('append', decomposed, 'A')
  expect(second).toMatchObject({ code: 0, stderr: `${other('andr\\u00e9', 1)}made now: "andre\\u0301"\n` })
  // only when it is made
  expect((await run('append', decomposed, 'A')).stderr).toBe('')
  expect((await run('append', `${decomposed} `, 'A')).stderr).toBe(
    `${other('andr\\u00e9', 1)}made now: "andre\\u0301 "\n${other('andre\\u0301', 2)}made now: "andre\\u0301 "\n`,
  )
  expect((await run('export', composed)).stderr).toBe(`${other('andre\\u0301', 2)}exported: "andr\\u00e9"\n`)
  expect((await run('delete', composed, decomposed, '--yes')).stderr).toBe('')
  expect((await run('delete', `${decomposed} `, '--yes')).stderr).toBe('')
})

test('an erasure of one says that the other stays', async () => {
  const cwd = folder()
  await createStore(join(cwd, 'kuma-data'), { shards: 1 })
  const run = (...args: string[]) => kuma(args, { cwd })
  await run('append', 'user_1', 'A')
  await run('append', '\u202euser_1', 'A')
  expect(await run('delete', '\u202euser_1', '--yes')).toMatchObject({
    code: 0,
    stderr: 'there is another entity whose id looks the same: "user_1" v1; to be erased: "\\u202euser_1"\n',
  })
})
