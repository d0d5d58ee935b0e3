/** A store that a program has open, and that commands use beside it; and a package that is replaced under what runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from 'kuma'
import { expect, onTestFinished, test } from 'vitest'
import { ended, environment, kuma } from '../cli.ts'
import { folder } from '../folder.ts'
import { http } from '../http.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href

/** A program that has a store open until it is told to end, and says when. */
async function program(settings: object) {
  const path = join(folder(), 'store')
  const code = `
    import { document, start } from ${JSON.stringify(LIBRARY)}
    const ctx = await start(${JSON.stringify({ path, shards: 2, ...settings })})
    const own = await ctx.spawn(document, 'own')
    console.log('open')
    process.stdin.once('data', async (said) => {
      if (String(said) === 'close') await ctx.close()
      console.log(own.id)
    })
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env: environment(), stdio: 'pipe' })
  onTestFinished(() => void child.kill('SIGKILL'))
  const output = ended(child)
  await Promise.race([once(child.stdout, 'data'), output.then(({ stderr }) => Promise.reject(new Error(stderr)))])
  return { path, child, output, run: (...words: string[]) => kuma([...words, '--dir', path]) }
}

/** What it says on its stdin ends the program. */
const end = (child: ChildProcess, how: 'close' | 'leave') => child.stdin!.end(how)

test('commands and other programs use a store beside the program that serves it', async () => {
  const { path, child, output, run } = await program({ serve: true })
  expect(await run('append', 'u_1', 'Set', 'name=Ann')).toMatchObject({ code: 0, stderr: '' })
  expect((await run('read', 'u_1')).stdout).toContain('Ann')
  const { stdout } = await run('query', 'select id from entities order by id', '--json')
  expect(stdout.match(/own|u_1/g)).toEqual(['own', 'u_1'])
  const other = await connect(path)
  onTestFinished(() => other.close())
  expect(await (await other.entity('own')).read()).toEqual({})
  expect(await run('status')).toMatchObject({ code: 0, stdout: expect.stringContaining(`process ${child.pid}`) })
  expect(await run('stop')).toMatchObject({ code: 2, stderr: expect.stringContaining('end that program') })
  expect(await run('compact', '--lock-timeout', '1')).toMatchObject({
    code: 5,
    stderr: expect.stringContaining('stop it first'),
  })
  end(child, 'close')
  expect(await output).toMatchObject({ code: 0, stdout: 'open\nown\n', stderr: '' })
  expect(existsSync(join(path, 'kuma.sock'))).toBe(false)
  expect(readFileSync(join(path, 'kuma.log'), 'utf8')).toContain('"msg":"stopped"')
})

test('who is connected to a program that serves does not keep it from ending', async () => {
  const { path, child, output } = await program({ serve: true })
  const socket = dial(join(path, 'kuma.sock'))
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write('{"kuma":1}\n')
  await once(socket, 'data')
  end(child, 'leave')
  expect(await output).toMatchObject({ code: 0, stdout: 'open\nown\n', stderr: '' })
})

test('a program that has nothing left to do ends, though its store is open', async () => {
  const { child, output, run } = await program({})
  end(child, 'leave')
  expect(await output).toMatchObject({ code: 0, stdout: 'open\nown\n', stderr: '' })
  expect((await run('ls')).stdout).toContain('own')
})

test('of a program that does not, commands are told which it is and how it would let them in', async () => {
  const { child, run } = await program({})
  const { code, stderr } = await run('append', 'u_1', 'Set', 'name=Ann', '--lock-timeout', '1')
  expect({ code, stderr }).toEqual({ code: 5, stderr: expect.stringContaining('start({ serve: true })') })
  expect(stderr).toContain(`process ${child.pid}`)
})

test('a package that is replaced under a daemon is told, and none of the new one is run by the old one', async () => {
  const top = folder()
  const [own, store] = [join(top, 'own'), join(top, 'store')]
  mkdirSync(own)
  for (const part of ['bin', 'dist', 'package.json', 'oclif.manifest.json'])
    cpSync(join(ROOT, part), join(own, part), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(own, 'node_modules'))
  const run = (...words: string[]) => kuma([...words, '--dir', store])
  expect((await run('init')).code).toBe(0)
  const binary = join(own, 'bin', 'run.js')
  const daemon = spawn(process.execPath, [binary, 'start', '--dir', store], { env: environment(), stdio: 'pipe' })
  onTestFinished(() => void daemon.kill('SIGKILL'))
  await once(daemon.stderr, 'data')
  expect((await run('append', 'u_1', 'Set', 'name=Ann')).code).toBe(0)
  expect((await run('status')).code).toBe(0)
  renameSync(own, join(top, 'older'))
  cpSync(join(top, 'older'), own, { recursive: true, verbatimSymlinks: true })
  expect(await run('status')).toMatchObject({ code: 1, stdout: expect.stringContaining('its package was replaced') })
  expect(await http(store, { path: '/healthz' })).toMatchObject({ status: 503 })
  expect(await run('query', 'select 1')).toMatchObject({ code: 1, stderr: expect.stringContaining('was replaced') })
  expect((await run('append', 'u_1', 'Set', 'name=Bob')).code).toBe(0)
  expect((await run('diff', 'u_1', '--from', 'v1')).code).toBe(0)
  expect((await run('stop')).code).toBe(0)
})
