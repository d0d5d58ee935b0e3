/** What Kuma makes and whom it speaks to: all of it is of the user who runs it, whatever the umask and whoever else is there. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BINARY, ended, environment, kuma as run, shell } from '../cli.ts'
import { folder } from '../folder.ts'
import { launchProgram } from '../program.ts'

const NOBODY = 65_534
const isRoot = process.geteuid?.() === 0

/** Files and folders below a folder for which others than their owner have any bit. */
function open(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => (lstatSync(join(path, name)).mode & 0o077) !== 0)
    .sort()
}

describe('nobody else may read what is made, also where the umask would let everybody', () => {
  /** Runs it as it would be run where nothing is kept from anybody. */
  const wide = async (cwd: string, args: readonly string[], input = '', env: Record<string, string> = {}) => {
    const child = spawn('/bin/sh', ['-c', 'umask 000 && exec "$@"', 'sh', process.execPath, BINARY, ...args], {
      cwd,
      env: environment({ XDG_CACHE_HOME: join(cwd, 'cache'), ...env }),
    })
    child.stdin.end(input)
    const { code, stdout, stderr } = await ended(child)
    expect({ args, code, stderr }).toMatchObject({ code: 0 })
    return stdout
  }

  test('by commands', async () => {
    const cwd = folder()
    await wide(cwd, ['init', '--sample', '--shards', '2'])
    const commands = [
      'append acc_1 Opened owner=ann',
      'append b Made text=b',
      'query "select id from entities"',
      'backup',
      'backup --to elsewhere/backups',
      'tail --cursor tail.cursor --exec true',
      'fork forks/fork',
      'delete b --yes --reason asked',
      'query "select id from entities" --timeout 60s',
    ]
    await wide(cwd, ['shell'], commands.join('\n'))
    const [name] = readdirSync(join(cwd, 'elsewhere/backups')) as [string]
    await wide(cwd, ['restore', join('elsewhere/backups', name), 'restored/store'])
    await wide(cwd, ['start', '--detach'])
    onTestFinished(async () => void (await run(['stop'], { cwd })))
    await wide(cwd, ['append', 'c', 'Made'])
    for (const made of ['kuma-data/kuma.sock', 'kuma-data/kuma.log', 'kuma-data/projections.db-wal', 'tail.cursor'])
      expect(existsSync(join(cwd, made)), made).toBe(true)
    expect(open(cwd).filter((path) => !path.startsWith('cache/kuma/'))).toEqual([])
    expect(existsSync(join(cwd, 'cache/kuma'))).toBe(true) // nobody gets into it
  })

  test('with its keys', async () => {
    const cwd = folder()
    const env = { KUMA_MASTER_KEY_FILE: 'kuma.key' }
    mkdirSync(join(cwd, 'copies'), { mode: 0o700 })
    await wide(cwd, ['init', '--encrypt', '--shards', '1'], '', env)
    await wide(cwd, ['shell'], 'append a Made text=a\nbackup --keys-to copies/keys', env)
    const [name] = readdirSync(join(cwd, 'kuma-data/backups')).filter((one) => one !== 'lock.db') as [string]
    await wide(cwd, ['restore', name, 'restored', '--keys', 'copies/keys'], '', env)
    expect(existsSync(join(cwd, 'restored/entity-keys'))).toBe(true)
    expect(open(cwd)).toEqual([])
  })

  test('by a program', async () => {
    const cwd = folder()
    const umask = process.umask(0)
    try {
      const ctx = await kuma.start({ path: join(cwd, 'made/store'), shards: 2, readModels: {} })
      const entity = await ctx.spawn(kuma.document, 'ann', { text: 'a' })
      await entity.append({ type: 'Set', data: { text: 'b' } } as never)
      for await (const _ of ctx.query('select id from entities'));
      await ctx.backup({ to: join(cwd, 'backups') })
      await ctx.fork(join(cwd, 'fork'))
      await entity.delete({ reason: 'asked' })
      expect(open(cwd)).toEqual([])
      await ctx.close()
    } finally {
      process.umask(umask)
    }
    expect(open(cwd)).toEqual([])
  })
})

test('what an earlier version, or a copy, left open to others is closed by who opens the store to write', async () => {
  const { cwd, run } = await shell()
  await run(['append', 'a', 'Made'])
  await run(['query', 'select id from entities'])
  await run(['backup'])
  const store = join(cwd, 'kuma-data')
  const widen = () => {
    for (const name of readdirSync(store)) chmodSync(join(store, name), lstatSync(join(store, name)).mode | 0o055)
    for (const name of readdirSync(join(store, 'shards'))) chmodSync(join(store, 'shards', name), 0o644)
    chmodSync(join(store, 'backups/lock.db'), 0o644)
    expect(open(store).length).toBeGreaterThan(6)
  }
  widen()
  expect((await run(['read', 'a'])).code).toBe(0)
  expect(open(store)).not.toEqual([]) // who only reads changes nothing
  expect((await run(['append', 'a', 'Made'])).code).toBe(0)
  expect(open(store)).toEqual([])
  widen()
  expect((await run(['compact'])).code).toBe(0)
  expect(open(store)).toEqual([])
})

test.runIf(isRoot)('what was compiled is kept in a folder of one’s own, and in no other', async () => {
  const cwd = folder()
  writeFileSync(join(cwd, 'kuma.config.ts'), "export default { path: 'data' }\n")
  const ls = (cache: string) => run(['ls'], { cwd, env: { XDG_CACHE_HOME: join(cwd, cache) } })
  const [own, other] = [join(cwd, 'own/kuma'), join(cwd, 'other/kuma')]
  for (const path of [own, other]) mkdirSync(path, { recursive: true })
  chmodSync(own, 0o755)
  chownSync(other, NOBODY, NOBODY)
  expect(await ls('own')).toMatchObject({ code: 3 })
  expect(await ls('other')).toMatchObject({ code: 3 })
  expect(lstatSync(own).mode & 0o777).toBe(0o700)
  expect(readdirSync(join(own, 'config'))).toHaveLength(1)
  expect(readdirSync(other)).toEqual([])
})

describe('a temporary file is made anew, and never where somebody else has put something', () => {
  test('of a copy of the keys', async () => {
    const cwd = folder()
    const env = { KUMA_MASTER_KEY: '5a'.repeat(32) }
    await run(['init', '--encrypt', '--shards', '1'], { cwd, env })
    await run(['append', 'a', 'Made'], { cwd, env })
    const left = 'keys.0123456789ab.tmp' // by one that was cut off
    writeFileSync(join(cwd, 'precious'), 'precious', { mode: 0o644 })
    writeFileSync(join(cwd, left), 'KUMAKEYS')
    symlinkSync('precious', join(cwd, 'keys.tmp'))
    expect(await run(['backup', '--keys-to', 'keys'], { cwd, env })).toMatchObject({ code: 0 })
    expect(readFileSync(join(cwd, 'precious'), 'utf8')).toBe('precious')
    expect(lstatSync(join(cwd, 'precious')).mode & 0o777).toBe(0o644)
    expect(lstatSync(join(cwd, 'keys')).isFile()).toBe(true)
    expect(readdirSync(cwd).sort()).toEqual(['keys', 'keys.tmp', 'kuma-data', 'precious'])
  })

  test('of a cursor', async () => {
    const { cwd, run } = await shell()
    await run(['append', 'a', 'Made'])
    writeFileSync(join(cwd, 'precious'), 'precious')
    symlinkSync('precious', join(cwd, 'cursor.tmp'))
    expect(await run(['tail', '--cursor', 'cursor', '--exec', 'true'])).toMatchObject({ code: 0 })
    expect(readFileSync(join(cwd, 'precious'), 'utf8')).toBe('precious')
    expect(lstatSync(join(cwd, 'cursor')).isFile()).toBe(true)
    expect(readdirSync(cwd).sort()).toEqual(['cursor', 'cursor.tmp', 'kuma-data', 'precious'])
  })

  test.runIf(isRoot)('of a store that is restored: the folder of somebody else beside it is left alone', async () => {
    const { cwd, run } = await shell()
    const { stdout } = await run(['backup'])
    chmodSync(cwd, 0o1777)
    const [own, other] = ['.restored.building-00000001', '.restored.building-00000002'].map((name) => join(cwd, name))
    for (const path of [own!, other!]) mkdirSync(path)
    writeFileSync(join(other!, 'precious'), '')
    chownSync(other!, NOBODY, NOBODY)
    expect(await run(['restore', JSON.parse(stdout).path, 'restored'])).toMatchObject({ code: 0 })
    expect([own!, join(other!, 'precious')].map((path) => existsSync(path))).toEqual([false, true])
  })
})

describe('a new store is made where it can be opened later, or not at all', () => {
  const made = (mode: number) => {
    const path = join(folder(), 'data')
    mkdirSync(path)
    chmodSync(path, mode)
    return path
  }

  test.each(['777', '775'])('not in a folder of mode %s', async (mode) => {
    const path = made(Number.parseInt(mode, 8))
    const { code, stdout, stderr } = await run(['init', path, '--encrypt', '--master-key-file', `${path}.key`])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/can be written by (?:anyone|its group).*\n.*chmod 700/)
    expect([readdirSync(path), existsSync(`${path}.key`)]).toEqual([[], false])
  })

  test('not under a symbolic link', async () => {
    const path = made(0o700)
    symlinkSync(path, `${path}.link`)
    expect(await run(['init', `${path}.link`])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('symbolic link'),
    })
    expect(readdirSync(path)).toEqual([])
  })

  test.runIf(isRoot)('not in a folder of somebody else', async () => {
    const path = made(0o755)
    chownSync(path, NOBODY, NOBODY)
    expect(await run(['init', path])).toMatchObject({ code: 1, stderr: expect.stringContaining('uid 65534') })
    expect(readdirSync(path)).toEqual([])
  })

  test('whatever the folder above is', async () => {
    const path = made(0o755)
    chmodSync(join(path, '..'), 0o1777)
    expect((await run(['init', path])).code).toBe(0)
    expect((await run(['append', 'a', 'Made', '--dir', path])).code).toBe(0)
  })
})

test('a folder that its group may write to is no store that is opened', async () => {
  const { cwd, run } = await shell()
  chmodSync(join(cwd, 'kuma-data'), 0o775)
  for (const command of [['append', 'a', 'Made'], ['ls'], ['status'], ['verify'], ['backup'], ['compact']])
    expect([command, await run(command)]).toMatchObject([
      command,
      { code: 1, stderr: expect.stringMatching(/kuma-data can be written by its group .*\n.*chmod 700/) },
    ])
})

describe('a daemon of somebody else hears nothing', () => {
  /** @returns what was said to it */
  async function listening(path: string): Promise<{ readonly said: () => string }> {
    let said = ''
    const child = launchProgram('listen-as-nobody.ts', path)
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (said += text))
    await once(child.stdout!, 'data')
    return { said: () => said.replace('listening\n', '') }
  }

  /** A folder that looks like a store of somebody else, below one that is everybody's, with his daemon in it. */
  async function foreign() {
    const cwd = folder()
    chmodSync(cwd, 0o1777)
    const store = join(cwd, 'kuma-data')
    mkdirSync(store)
    writeFileSync(join(store, 'kuma.json'), '{}')
    chownSync(store, NOBODY, NOBODY)
    const below = join(cwd, 'mine')
    mkdirSync(below)
    return { store, below, ...(await listening(join(store, 'kuma.sock'))) }
  }

  const COMMANDS = [['append', 'a', 'Made', 'text=secret'], ['read', 'a'], ['status'], ['stop'], ['top', '--once']]

  test.runIf(isRoot)('in a folder above: it is not found there', async () => {
    const { below, said } = await foreign()
    const outcomes = await Promise.all(COMMANDS.map((command) => run(command, { cwd: below })))
    for (const { code, stderr } of outcomes) {
      expect({ code, stderr }).toMatchObject({ code: 3 })
      expect(stderr).toContain(join(below, 'kuma-data'))
    }
    // one that is in between is
    expect((await run(['init'], { cwd: below })).code).toBe(0)
    mkdirSync(join(below, 'deeper'))
    expect((await run(COMMANDS[0]!, { cwd: join(below, 'deeper') })).code).toBe(0)
    expect(said()).toBe('')
  })

  test.runIf(isRoot)('that is named: it is refused', async () => {
    const { store, below, said } = await foreign()
    const words = COMMANDS.map((command) => [...command, '--dir', store])
    const outcomes = await Promise.all(words.map((command) => run(command, { cwd: below })))
    for (const { code, stderr } of outcomes)
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('another user (uid 65534)') })
    await expect(kuma.connect(store)).rejects.toMatchObject({ code: 'KUMA_UNSAFE_DIRECTORY' })
    expect(said()).toBe('')
  })

  test.runIf(isRoot)('whose socket is in a folder of one’s own', async () => {
    const { below, store: theirs, said } = await foreign()
    await run(['init'], { cwd: below })
    const store = join(below, 'kuma-data')
    renameSync(join(theirs, 'kuma.sock'), join(store, 'kuma.sock'))
    const refused = { code: 'KUMA_UNSAFE_DIRECTORY', message: expect.stringContaining('kuma.sock belongs to another') }
    await expect(kuma.connect(store)).rejects.toMatchObject(refused)
    expect(await run(COMMANDS[0]!, { cwd: below })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('remove it'),
    })
    expect(said()).toBe('')
  })

  test('where others could have put it', async () => {
    const { cwd, run } = await shell()
    const store = join(cwd, 'kuma-data')
    let said = ''
    const server = createServer((socket) => socket.on('data', (chunk) => (said += chunk)))
    server.listen(join(store, 'kuma.sock'))
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    chmodSync(store, 0o777)
    for (const command of COMMANDS)
      expect(await run(command)).toMatchObject({ code: 1, stderr: expect.stringContaining('can be written by anyone') })
    await expect(kuma.connect(store)).rejects.toMatchObject({ code: 'KUMA_UNSAFE_DIRECTORY' })
    expect(said).toBe('')
  })
})

describe('the master key stands in the environment of no other process', () => {
  const KEY = '5a'.repeat(32)

  /** Each process and thread of Node that is started tells of itself when it begins: its name, and whether it has the key. */
  function told() {
    const log = join(folder(), 'told')
    const preload = join(folder(), 'preload.cjs')
    writeFileSync(log, '')
    writeFileSync(
      preload,
      `const { isMainThread } = require('worker_threads')
      const { existsSync, readFileSync, appendFileSync } = require('fs')
      const own = '/proc/self/environ'
      const begun = isMainThread && existsSync(own) ? readFileSync(own, 'utf8') : ''
      const has = JSON.stringify(process.env).includes('${KEY}') || begun.includes('${KEY}')
      const name = isMainThread ? require('path').basename(process.argv[1] ?? '-') : 'thread'
      appendFileSync('${log}', name + ' ' + (has ? 'has it' : 'has it not') + '\\n')`,
    )
    const env = { KUMA_MASTER_KEY: KEY, NODE_OPTIONS: `--require ${preload}` }
    return { env, lines: () => [...new Set(readFileSync(log, 'utf8').trimEnd().split('\n'))].sort() }
  }

  test('that copies, asks, proves, commits, fills read models, or is handed lines', async () => {
    const { env, lines } = told()
    const cwd = folder()
    const config = "import * as kuma from 'kuma'\nexport default kuma.defineConfig({ readModels: {} })\n"
    writeFileSync(join(cwd, 'kuma.config.mjs'), config)
    const input = ['append a Made', 'append b Made', 'backup', 'query "select 1" --timeout 60s', 'delete b --yes']
    await run(['init', '--encrypt', '--shards', '1'], { cwd, env })
    writeFileSync(join(cwd, 'handed.cjs'), '')
    const tail = `tail --exec '"${process.execPath}" handed.cjs'`
    const { code, stderr } = await run(['shell'], { cwd, env, input: [...input, tail].join('\n') })
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(lines()).toEqual([
      'copy.js has it not',
      'handed.cjs has it not',
      'query.js has it not',
      'remnants.js has it not',
      'run.js has it',
      'thread has it not',
    ])
  })

  test('that `kuma run` runs', async () => {
    const { env, lines } = told()
    const cwd = folder()
    writeFileSync(join(cwd, 'program.cjs'), '')
    await run(['init', '--encrypt', '--shards', '1'], { cwd, env })
    expect(await run(['run', '--', process.execPath, 'program.cjs'], { cwd, env })).toMatchObject({ code: 0 })
    expect(lines()).toEqual(['program.cjs has it not', 'run.js has it'])
  })

  test.runIf(process.platform === 'linux')(
    'a daemon that goes on by itself has it, and shows it to nobody',
    async () => {
      const cwd = folder()
      const env = { KUMA_MASTER_KEY: KEY }
      await run(['init', '--encrypt', '--shards', '1'], { cwd, env })
      const { code, stderr } = await run(['start', '--detach'], { cwd, env })
      onTestFinished(async () => void (await run(['stop'], { cwd })))
      expect({ code, stderr }).toMatchObject({ code: 0 })
      const [, pid] = /process (\d+)/.exec(stderr)!
      const shown = readFileSync(`/proc/${pid}/environ`, 'utf8')
      expect(shown).toContain('PATH=')
      expect(shown).not.toContain(KEY)
      expect(await run(['append', 'a', 'Made', 'text=x'], { cwd })).toMatchObject({ code: 0 })
      expect(await run(['read', 'a'], { cwd })).toMatchObject({ code: 0, stdout: '{"text":"x"}\n' })
    },
  )
})
