/** Small things that somebody meets: a number that is right, a second spelling, a store that is found, a limit that is named. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createStore } from '../../../src/store/create.ts'
import { environment, kuma, ndjson, type Options } from '../../cli.ts'
import { folder } from '../../folder.ts'

async function store() {
  const cwd = folder()
  await createStore(join(cwd, 'kuma-data'), { shards: 1 })
  return { cwd, run: (args: readonly string[], options: Options = {}) => kuma(args, { cwd, ...options }) }
}

test('verify counts what is there: neither what was erased, nor the record of that', async () => {
  const { run } = await store()
  await run(['append', 'a', 'A'])
  await run(['append', 'b', 'A'])
  await run(['delete', 'a', '--yes'])
  expect((await run(['verify'])).stdout).toMatch(/^verified: 1 shards, entities 1, events 1, /)
})

test('--expected-version is --expect-version', async () => {
  const { run } = await store()
  expect((await run(['append', 'a', 'A', '--expected-version', '1'])).code).toBe(4)
  expect((await run(['append', 'a', 'A', '--expected-version', '0'])).code).toBe(0)
})

test('restore asks the store that the backup is of, also where only the environment or the working directory has it', async () => {
  const { cwd, run } = await store()
  await run(['append', 'a', 'A'])
  await run(['append', 'b', 'A'])
  await run(['backup', '--to', 'elsewhere'])
  const path = String(ndjson((await run(['backup', 'ls', '--to', 'elsewhere', '--json'])).stdout)[0]!['path'])
  mkdirSync(join(cwd, 'moved'))
  const moved = join(cwd, 'moved', 'backup')
  renameSync(path, moved)
  await run(['delete', 'a', '--yes'])
  const other = ['--dir', join(folder(), 'no-store'), '--json']
  const erasedAgain = async (to: string, options: Options) => {
    const { stdout } = await run(['restore', moved, join(cwd, to), ...other], options)
    return JSON.parse(stdout).erasedAgain
  }
  expect(await erasedAgain('one', {})).toBe(1)
  expect(await erasedAgain('two', { cwd: join(cwd, 'kuma-data') })).toBe(1)
  expect(await erasedAgain('three', { cwd: folder(), env: { KUMA_DIR: join(cwd, 'kuma-data') } })).toBe(1)
  expect(await erasedAgain('four', { cwd: folder() })).toBe(0)
})

test('too many open files are told with their number and what to do', async () => {
  const { cwd } = await store()
  const program = `
    import { openSync } from 'node:fs'
    import { start } from ${JSON.stringify(new URL('../../../dist/index.js', import.meta.url).href)}
    const open = () => start({ path: 'kuma-data' }).then((ctx) => ctx.close())
    await open()
    try { for (;;) openSync('/dev/null', 'r') } catch {}
    await open().catch(({ code, message, hint }) => console.log(JSON.stringify({ code, message, hint })))
    process.exit()`
  const words = ['-c', 'ulimit -n 90; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', program]
  const { stdout } = spawnSync('sh', words, { cwd, env: environment(), encoding: 'utf8' })
  expect(JSON.parse(stdout)).toEqual({
    code: 'KUMA_IO',
    message: expect.stringMatching(/: too many open files: this process may have 90$/),
    hint: expect.stringContaining('ulimit -n'),
  })
})
