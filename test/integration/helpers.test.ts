/** Helper processes and threads, with modules of NODE_OPTIONS in them that print, write where they should not, or end them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { kuma as run, shell } from '../cli.ts'
import { folder } from '../folder.ts'
import { hold } from '../program.ts'
import { warnings } from '../warnings.ts'

const { NODE_OPTIONS } = process.env

afterEach(() => {
  if (NODE_OPTIONS === undefined) delete process.env['NODE_OPTIONS']
  else process.env['NODE_OPTIONS'] = NODE_OPTIONS
})

/** @param code where `is(name)` tells whether this is `dist/NAME.js` */
function preload(code: string): { readonly NODE_OPTIONS: string; readonly file: string } {
  const file = join(folder(), 'preload.cjs')
  const is = `const fs = require('fs'); const is = (name) => require('path').basename(process.argv[1] ?? '') === name + '.js'`
  writeFileSync(file, `${is}\n${code}\n`)
  return { NODE_OPTIONS: `--require ${file}`, file }
}

/** From here on, for what this process starts. */
function preloaded(code: string): void {
  process.env['NODE_OPTIONS'] = preload(code).NODE_OPTIONS
}

/** Tells where it is loaded, and keeps the process alive. */
const NOISY = `
  const { isMainThread } = require('worker_threads')
  console.log('loaded in', isMainThread ? require('path').basename(process.argv[1]) : 'a thread')
  if (isMainThread && !is('run')) { process.stdin.resume(); setInterval(() => {}, 1000) }`

describe('a module that prints on stdout', () => {
  const env = preload.bind(null, NOISY)

  /** What stdout has besides the line of the command itself, which nobody can keep from it. */
  async function output(cwd: string, words: readonly string[], input = '') {
    const { NODE_OPTIONS } = env()
    const { code, stdout, stderr } = await run(words, { cwd, input, env: { NODE_OPTIONS } })
    const [first, ...rest] = stdout.split('\n')
    expect([code, first], stderr).toEqual([0, 'loaded in run.js'])
    return { stdout: rest.join('\n'), stderr }
  }

  test('breaks no backup, query and erasure, and is heard on stderr', async () => {
    const { cwd, run: plain } = await shell()
    await plain(['append', 'x', 'Made'])
    await plain(['append', 'y', 'Made'])
    const backup = await output(cwd, ['backup', '--json'])
    expect(JSON.parse(backup.stdout)).toMatchObject({ path: expect.stringContaining('backups') })
    expect(backup.stderr).toContain('loaded in copy.js')
    const query = await output(cwd, ['query', 'select id from entities order by id', '--timeout', '60s', '--json'])
    expect(query.stdout).toBe('{"id":"x"}\n{"id":"y"}\n')
    expect(query.stderr).toContain('loaded in query.js')
    const erased = await output(cwd, ['delete', 'x', '--yes', '--json'])
    expect(JSON.parse(erased.stdout)).toMatchObject({ erased: 1, notReached: [] })
    expect(erased.stderr).toContain('loaded in remnants.js')
  })

  test('in a thread is heard on stderr as well', async () => {
    const { cwd } = await shell()
    const { stdout, stderr } = await output(cwd, ['import', '-', '--json'], '{"entity":"x","type":"Made"}\n')
    expect(JSON.parse(stdout)).toMatchObject({ imported: 1 })
    expect(stderr).toContain('loaded in a thread')
  })

  test('and in a daemon that ends at once does not hide why', async () => {
    const { cwd } = await shell()
    await hold(join(cwd, 'kuma-data'))
    const { NODE_OPTIONS } = preload(`process.on('exit', () => console.log('good bye'))`)
    const words = ['start', '--detach', '--lock-timeout', '10ms', '--json']
    const { code, stderr } = await run(words, { cwd, env: { NODE_OPTIONS } })
    const [why = '', ...more] = stderr.split('\n')
    expect([code, JSON.parse(why).error.code, more]).toEqual([5, 'KUMA_LOCKED', ['good bye', '']])
  })
})

const Note = kuma
  .defineEntity({ type: 'note', initial: {}, events: { Made: kuma.type<{ id: string }>() } })
  .evolve({ Made: () => ({}) })

/** A program's store with two entities. */
async function embedded() {
  const path = folder()
  const open = async () => {
    const ctx = await kuma.start({ path, shards: 1, entities: [Note] })
    onTestFinished(() => ctx.close())
    return ctx
  }
  const ctx = await open()
  for (const id of ['x', 'y']) await (await ctx.spawn(Note, id)).append({ type: 'Made', data: { id } })
  return { path, ctx, open }
}

const erase = async (ctx: kuma.Kuma, id: string) => (await ctx.entity(id)).delete()
const ids = (ctx: kuma.Kuma) => ctx.query('select id from entities order by id').toArray()
const pendingIn = (path: string) => readdirSync(join(path, 'erasures')).filter((name) => name.includes('pending'))

/** What becomes of a helper, and how that is told. */
const FAULTS = [
  [
    'says what is no answer',
    `for (const fd of [1, 3]) try { fs.writeSync(fd, '[agent] started\\n') } catch {}`,
    '[agent] started',
  ],
  ['says what is JSON and no answer', `fs.writeSync(3, 'null\\n')`, 'null'],
  ['is killed', `process.kill(process.pid, 'SIGKILL')`, 'SIGKILL'],
  ['ends', 'process.exit(7)', 'exit code 7'],
  ['throws', `throw new Error('no')`, 'exit code 1'],
] as const

describe.each(FAULTS)('a helper that %s', (_, fault, told) => {
  test('leaves the erasure unfinished; the program goes on, and the next erasure finishes both', async () => {
    const { path, ctx } = await embedded()
    preloaded(`if (is('remnants')) { ${fault} }`)
    const error = await erase(ctx, 'x').catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'KUMA_IO', message: expect.stringContaining(told) })
    expect(error.hint).toContain('the erasure has begun, and goes on')
    await expect(ctx.entity('x')).rejects.toMatchObject({ code: 'KUMA_NOT_FOUND' })
    await (await ctx.entity('y')).append({ type: 'Made', data: { id: 'y' } })
    expect(pendingIn(path)).toHaveLength(1)
    preloaded('')
    await erase(ctx, 'y')
    expect(pendingIn(path)).toEqual([])
  })

  test('keeps no store from opening, which tells it and tries again', async () => {
    const { path, ctx, open } = await embedded()
    preloaded(`if (is('remnants')) { ${fault} }`)
    await expect(erase(ctx, 'x')).rejects.toMatchObject({ code: 'KUMA_IO' })
    await ctx.close()
    const heard = warnings()
    const again = await open()
    await (await again.entity('y')).append({ type: 'Made', data: { id: 'y' } })
    expect(heard).toEqual([expect.stringMatching(/^the erasure .* could not be finished: /)])
    await again.close()
    preloaded('')
    await open()
    expect([pendingIn(path), heard.length]).toEqual([[], 1])
  })

  test('makes a backup fail, of which nothing is left, and the next one is taken', async () => {
    const { path, ctx } = await embedded()
    preloaded(`if (is('copy')) { ${fault} }`)
    await expect(ctx.backup()).rejects.toMatchObject({ code: 'KUMA_IO', message: expect.stringContaining(told) })
    expect(readdirSync(join(path, 'backups'))).toEqual(['lock.db'])
    preloaded('')
    await ctx.backup()
  })

  test('makes a query fail, and the next one is answered', async () => {
    const { ctx } = await embedded()
    preloaded(`if (is('query')) { ${fault} }`)
    const code = 'KUMA_SINK_UNAVAILABLE'
    await expect(ids(ctx)).rejects.toMatchObject({ code, message: expect.stringContaining(told) })
    preloaded('')
    expect(await ids(ctx)).toEqual([{ id: 'x' }, { id: 'y' }])
  })
})

test('where no process can be started, that is the error', async () => {
  const { ctx, path } = await embedded()
  const { execPath } = process
  onTestFinished(() => {
    process.execPath = execPath
  })
  process.execPath = join(path, 'no-node')
  await expect(ids(ctx)).rejects.toMatchObject({
    code: 'KUMA_SINK_UNAVAILABLE',
    message: expect.stringContaining('ENOENT'),
  })
  await expect(ctx.backup()).rejects.toMatchObject({ code: 'KUMA_IO', message: expect.stringContaining('ENOENT') })
  await expect(erase(ctx, 'x')).rejects.toMatchObject({ code: 'KUMA_IO', message: expect.stringContaining('ENOENT') })
})

test('a helper that was killed while it waited is not asked again', async () => {
  const { ctx, path } = await embedded()
  const file = join(path, 'pid')
  preloaded(`if (is('query')) fs.writeFileSync(${JSON.stringify(file)}, String(process.pid))`)
  expect(await ids(ctx)).toHaveLength(2)
  const pid = Number(readFileSync(file, 'utf8'))
  process.kill(pid, 'SIGKILL')
  await expect.poll(() => isThere(pid)).toBe(false)
  expect(await ids(ctx)).toHaveLength(2)
})

test('a list of erasures that cannot be read keeps no store from opening', async () => {
  const { ctx, path, open } = await embedded()
  await ctx.close()
  writeFileSync(join(path, 'erasures'), 'no folder')
  const heard = warnings()
  expect(await (await open()).entity('x')).toBeTruthy()
  expect(heard).toEqual([expect.stringContaining('erasures could not be looked for')])
})

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
