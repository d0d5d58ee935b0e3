/** An encrypted store, through the real binary: without its keys it tells nothing, and says so. */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDatabase } from '../../../src/store/driver.ts'
import { type Row, rowCrc } from '../../../src/store/row.ts'
import { kuma, ndjson } from '../../cli.ts'
import { filesWith } from '../../files-with.ts'
import { folder } from '../../folder.ts'

const KEY = '5a'.repeat(32)

async function encrypted(...ids: string[]) {
  const cwd = folder()
  const run = (args: readonly string[], env: Record<string, string> = { KUMA_MASTER_KEY: KEY }) =>
    kuma(args, { cwd, env })
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(args)
    expect({ args, code, stderr }).toMatchObject({ code: 0 })
    return { stdout, stderr }
  }
  await ok('init', '--encrypt', '--shards', '2')
  for (const id of ids)
    await ok('append', id, 'Made', `text=${id}-mark`, '--as', `${id}-by`, '--request-key', `${id}-key`)
  const store = join(cwd, 'kuma-data')
  const backup = async (...more: string[]) => JSON.parse((await ok('backup', ...more)).stdout).path as string
  return { cwd, run, ok, backup, store }
}

/** Every file below a folder, by name, to the byte. SQLite's shared memory may come and go. */
function bytesOf(path: string) {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort()
  return names
    .filter((name) => statSync(join(path, name)).isFile() && !name.endsWith('-shm') && !name.endsWith('-wal'))
    .map((name) => [name, readFileSync(join(path, name)).toString('base64')])
}

test('who holds the master key reads it all; the files tell types and times, and nothing else', async () => {
  const { ok, run, store } = await encrypted('annabella', 'bartholomew')
  expect(filesWith(store, ['annabella', 'bartholomew'])).toEqual([])
  expect((await ok('read', 'annabella')).stdout).toBe('{"text":"annabella-mark"}\n')
  expect(ndjson((await ok('log', '--by', 'bartholomew-by')).stdout)).toMatchObject([
    { entity: 'bartholomew', meta: { by: 'bartholomew-by' } },
  ])
  expect(ndjson((await ok('ls', 'a')).stdout)).toMatchObject([{ id: 'annabella', version: 1 }])
  expect((await ok('replay', 'annabella', '--at', 'v1')).stdout).toBe('{"text":"annabella-mark"}\n')
  expect(JSON.parse((await ok('export', 'annabella')).stdout)).toMatchObject({
    id: 'annabella',
    state: { text: 'annabella-mark' },
  })
  expect(
    (await ok('append', 'annabella', 'Made', 'text=annabella-mark', '--request-key', 'annabella-key')).stderr,
  ).toContain('used before')
  const { code, stderr } = await run(['append', 'annabella', 'Made', 'text=other', '--request-key', 'annabella-key'])
  expect({ code, stderr }).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('was used before, with other events'),
  })
  await ok('verify')
  const [file] = filesWith(store, ['Made']) as [string]
  const db = openDatabase(join(store, file), 'read')
  const { event, at } = db.prepare('SELECT event, at FROM history LIMIT 1').get() as { event: string; at: string }
  db.close()
  expect(event).toBe('Made')
  expect(Date.parse(at)).toBeLessThanOrEqual(Date.now())
})

describe('a master key that does not fit says so, and touches nothing', () => {
  const cases: [string, Record<string, string>, string][] = [
    ['missing', {}, 'encrypted'],
    ['wrong', { KUMA_MASTER_KEY: '5b'.repeat(32) }, 'not the master key'],
    ['malformed', { KUMA_MASTER_KEY: `${'5a'.repeat(31)}zz` }, 'KUMA_MASTER_KEY is not a master key'],
  ]
  test.each(cases)('%s', async (reason, env, message) => {
    const { run, store } = await encrypted('ann')
    const before = bytesOf(store)
    for (const command of [
      ['read', 'ann'],
      ['append', 'ann', 'Made'],
      ['delete', 'ann', '--yes'],
      ['ls'],
      ['log'],
      ['repair', '--snapshots'],
    ]) {
      const { code, stdout, stderr } = await run([...command, '--json'], env)
      expect({ command, code, stdout }).toEqual({ command, code: 2, stdout: '' })
      const { error } = JSON.parse(stderr)
      expect(error).toMatchObject({ code: 'KUMA_MASTER_KEY', message: expect.stringContaining(message) })
      expect(stderr).not.toContain('5a5a')
      expect(error.hint).not.toBe('')
    }
    expect(bytesOf(store), reason).toEqual(before)
  })

  test('a file that is not there', async () => {
    const { run } = await encrypted('ann')
    const { code, stderr } = await run(['read', 'ann', '--master-key-file', 'none.key'])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('none.key') })
  })
})

test('verify, backup, compact and erasures need no master key', async () => {
  const { run, ok, store } = await encrypted('ann', 'bob')
  await ok('delete', 'bob', '--yes')
  const receipt = readdirSync(join(store, 'erasures'))[0]!.replace('.json', '')
  for (const command of [
    ['verify'],
    ['backup'],
    ['backup', 'verify'],
    ['compact'],
    ['erasures'],
    ['erasures', 'verify', receipt],
  ]) {
    const { code, stderr } = await run(command, {})
    expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' })
  }
  expect((await ok('read', 'ann')).stdout).toBe('{"text":"ann-mark"}\n')
})

test.each(['640', '604'])('a file with a master key of mode %s is refused, also to make a store', async (mode) => {
  const cwd = folder()
  const file = join(cwd, 'kuma.key')
  writeFileSync(file, KEY)
  const env = { KUMA_MASTER_KEY_FILE: file }
  chmodSync(file, Number.parseInt(mode, 8))
  const refused = { code: 2, stderr: expect.stringMatching(/others may read the master key in .*\n.*chmod 600/) }
  expect(await kuma(['init', '--encrypt', '--shards', '1'], { cwd, env })).toMatchObject(refused)
  expect(existsSync(join(cwd, 'kuma-data'))).toBe(false)
  chmodSync(file, 0o400)
  expect(await kuma(['init', '--encrypt', '--shards', '1'], { cwd, env })).toMatchObject({ code: 0 })
  chmodSync(file, Number.parseInt(mode, 8))
  expect(await kuma(['append', 'a', 'Made'], { cwd, env })).toMatchObject(refused)
})

describe('init', () => {
  test('--encrypt makes a new master key where the file is not there, and never writes over one', async () => {
    const cwd = folder()
    const env = { KUMA_MASTER_KEY_FILE: join(cwd, 'kuma.key') }
    const { stderr } = await kuma(['init', 'one', '--encrypt'], { cwd, env })
    expect(stderr).toContain('keep a copy elsewhere')
    const key = readFileSync(join(cwd, 'kuma.key'), 'utf8')
    expect(key).toMatch(/^[0-9a-f]{64}\n$/)
    expect(statSync(join(cwd, 'kuma.key')).mode & 0o777).toBe(0o600)
    expect((await kuma(['init', 'two', '--encrypt'], { cwd, env })).stderr).toBe('')
    expect(readFileSync(join(cwd, 'kuma.key'), 'utf8')).toBe(key)
    expect((await kuma(['append', 'a', 'Made', '--dir', 'two'], { cwd, env })).code).toBe(0)
    // where there is a store already, no key is made for another
    const again = await kuma(['init', 'two', '--encrypt', '--master-key-file', 'other.key'], { cwd, env })
    expect(again.code).toBe(4)
    expect(existsSync(join(cwd, 'other.key'))).toBe(false)
  })

  test('--encrypt without a master key makes nothing', async () => {
    const cwd = folder()
    const { code, stderr } = await kuma(['init', '--encrypt'], { cwd })
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--master-key-file') })
    expect(readdirSync(cwd)).toEqual([])
  })

  test('a config that asks for encryption does not take a store without it', async () => {
    const cwd = folder()
    await kuma(['init'], { cwd })
    // where nothing is encrypted, nobody looks at it
    expect((await kuma(['verify'], { cwd, env: { KUMA_MASTER_KEY: 'not one' } })).code).toBe(0)
    writeFileSync(join(cwd, 'kuma.config.ts'), "export default { path: 'kuma-data', encryption: 'entity-keys' }\n")
    const { code, stderr } = await kuma(['append', 'a', 'Made'], { cwd, env: { KUMA_MASTER_KEY: KEY } })
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('are not encrypted') })
    writeFileSync(join(cwd, 'kuma.config.ts'), "export default { path: 'kuma-data', encryption: 'rot13' }\n")
    expect((await kuma(['ls'], { cwd })).stderr).toContain("encryption can be 'entity-keys'")
  })

  test("a config's masterKeyFile is looked for beside it", async () => {
    const cwd = folder()
    const config = "export default { path: 'data', encryption: 'entity-keys', masterKeyFile: 'kuma.key' }\n"
    writeFileSync(join(cwd, 'kuma.config.ts'), config)
    expect((await kuma(['init', '--shards', '1'], { cwd })).stderr).toContain('wrote a new master key')
    expect(existsSync(join(cwd, 'kuma.key'))).toBe(true)
    expect((await kuma(['append', 'a', 'Made', '--config', join(cwd, 'kuma.config.ts')], {})).code).toBe(0)
    expect(filesWith(join(cwd, 'data'), ['Made'])).toHaveLength(1)
  })
})

describe('erasing', () => {
  test('destroys the key: a copy that nobody could reach tells nothing any more', async () => {
    const { cwd, ok, run, store, backup } = await encrypted('ann', 'bob')
    await backup('--to', 'far')
    cpSync(join(cwd, 'far'), join(cwd, 'beyond'), { recursive: true })
    const [name] = readdirSync(join(cwd, 'beyond')) as [string]
    const { stdout } = await ok('delete', 'ann', '--yes')
    expect(JSON.parse(stdout)).toMatchObject({ keysDestroyed: 1, notReached: [] })
    copyFileSync(join(store, 'entity-keys'), join(cwd, 'beyond', name, 'entity-keys'))
    const copy = ['--dir', join('beyond', name)]
    expect(ndjson((await ok('ls', ...copy)).stdout)).toMatchObject([{ id: 'bob' }])
    expect((await run(['read', 'ann', ...copy])).code).toBe(3)
    expect(ndjson((await ok('log', ...copy)).stdout)).toMatchObject([{ entity: 'bob' }])
    expect((await ok('read', 'bob', ...copy)).stdout).toBe('{"text":"bob-mark"}\n')
  })

  test('reaches copies of the keys; one that is not there is told', async () => {
    const { cwd, ok, run, store, backup } = await encrypted('ann', 'bob', 'cy')
    await backup('--keys-to', join(cwd, 'keys'))
    expect(readFileSync(join(cwd, 'keys'))).toEqual(readFileSync(join(store, 'entity-keys')))
    const reached = JSON.parse((await ok('delete', 'ann', '--yes')).stdout)
    expect(reached.reached).toContain(join(cwd, 'keys'))
    expect(readFileSync(join(cwd, 'keys'))).toEqual(readFileSync(join(store, 'entity-keys')))
    rmSync(join(cwd, 'keys'))
    const { code, stdout } = await run(['delete', 'bob', '--yes'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout).notReached).toMatchObject([{ what: join(cwd, 'keys') }])
    await backup('--keys-to', join(cwd, 'keys'))
    expect(JSON.parse((await ok('delete', 'cy', '--yes')).stdout).notReached).toEqual([])
  })

  test('a receipt does not hold where the key has come back', async () => {
    const { ok, run, store } = await encrypted('ann')
    const keys = readFileSync(join(store, 'entity-keys'))
    const { receipt } = JSON.parse((await ok('delete', 'ann', '--yes')).stdout)
    await ok('erasures', 'verify', receipt)
    writeFileSync(join(store, 'entity-keys'), keys)
    for (const command of [['erasures', 'verify', receipt], ['verify']]) {
      const { code, stderr } = await run(command)
      expect({ command, code, stderr }).toMatchObject({ code: 6, stderr: expect.stringContaining('key') })
    }
  })
})

describe('backup --keys-to', () => {
  test('over anything else, or into the store, is refused before anything is done', async () => {
    const { cwd, run, store } = await encrypted('ann')
    writeFileSync(join(cwd, 'letter'), 'Dear Ann, '.repeat(50))
    const other = await encrypted('bob')
    await other.backup('--keys-to', join(cwd, 'others'))
    for (const to of ['letter', 'others', 'kuma-data/keys', 'kuma-data/backups/keys', 'kuma-data/entity-keys']) {
      const { code, stderr } = await run(['backup', '--keys-to', to])
      expect({ to, code: code === 0, stderr: stderr === '' }).toEqual({ to, code: false, stderr: false })
    }
    expect(readFileSync(join(cwd, 'letter'), 'utf8')).toContain('Dear Ann')
    expect(readdirSync(store)).not.toContain('backups')
  })

  test('that fails is not remembered as a copy that an erasure would have to reach', async () => {
    const { ok, run } = await encrypted('ann')
    expect((await run(['backup', '--keys-to', 'none/keys'])).code).toBe(1)
    expect(JSON.parse((await ok('delete', 'ann', '--yes')).stdout).notReached).toEqual([])
  })

  test('of a store that is not encrypted is refused', async () => {
    const cwd = folder()
    await kuma(['init'], { cwd })
    const { code, stderr } = await kuma(['backup', '--keys-to', 'keys'], { cwd })
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('it has no keys') })
    expect(existsSync(join(cwd, 'keys'))).toBe(false)
  })
})

describe('restore', () => {
  test('takes the keys of the store that the backup is of, or a file', async () => {
    const { cwd, ok, run, store, backup } = await encrypted('ann', 'bob')
    const path = await backup('--to', 'far', '--keys-to', 'keys')
    await ok('restore', path, 'first')
    expect((await ok('read', 'ann', '--dir', 'first')).stdout).toBe('{"text":"ann-mark"}\n')
    await ok('append', 'cy', 'Made', '--dir', 'first')
    await ok('verify', '--dir', 'first')
    rmSync(store, { recursive: true })
    const without = await run(['restore', path, 'second'])
    expect(without).toMatchObject({ code: 3, stderr: expect.stringContaining('--keys') })
    expect(existsSync(join(cwd, 'second'))).toBe(false)
    await ok('restore', path, 'second', '--keys', 'keys')
    expect((await ok('read', 'bob', '--dir', 'second')).stdout).toBe('{"text":"bob-mark"}\n')
  })

  test('erases again whose key was destroyed, also where nothing else knows of it', async () => {
    const { cwd, ok, store, backup } = await encrypted('ann', 'bob')
    const path = await backup('--keys-to', 'keys')
    cpSync(path, join(cwd, 'copy'), { recursive: true })
    await ok('delete', 'ann', '--yes')
    rmSync(store, { recursive: true })
    expect(JSON.parse((await ok('restore', 'copy', 'new', '--keys', 'keys')).stdout)).toMatchObject({ erasedAgain: 1 })
    expect(ndjson((await ok('ls', '--dir', 'new')).stdout)).toMatchObject([{ id: 'bob' }])
    expect(ndjson((await ok('erasures', '--dir', 'new')).stdout)).toHaveLength(1)
    await ok('verify', '--dir', 'new')
  })

  test('refuses keys that are older than the backup, of another store, or none at all', async () => {
    const { cwd, ok, run, backup } = await encrypted('ann')
    await backup('--keys-to', 'old')
    await ok('append', 'bob', 'Made')
    await ok('append', 'cy', 'Made')
    const path = await backup()
    const other = await encrypted('dan')
    await other.backup('--keys-to', join(cwd, 'others'))
    for (const [keys, message] of [
      ['old', 'older than the backup'],
      ['others', 'another store'],
      [join(path, 'kuma.json'), 'holds no keys'],
      ['none', 'is not there'],
    ] as const) {
      const { code, stderr } = await run(['restore', path, 'new', '--keys', keys])
      expect({ keys, code: code === 0, stderr }).toEqual({
        keys,
        code: false,
        stderr: expect.stringContaining(message),
      })
      expect(readdirSync(cwd).filter((name) => name.includes('new'))).toEqual([])
    }
  })

  test('--at sets an encrypted store back, and it goes on', async () => {
    const { ok, backup } = await encrypted('ann')
    const recordedAt = new Date().toISOString()
    await ok('append', 'bob', 'Made', 'text=bob-mark')
    await ok('append', 'ann', 'Made', 'text=later')
    const path = await backup()
    await ok('restore', path, 'then', '--at', recordedAt)
    expect((await ok('read', 'ann', '--dir', 'then')).stdout).toBe('{"text":"ann-mark"}\n')
    for (const id of ['cy', 'bob', 'dan']) await ok('append', id, 'Made', `text=${id}`, '--dir', 'then')
    expect((await ok('read', 'bob', '--dir', 'then')).stdout).toBe('{"text":"bob"}\n')
    await ok('verify', '--dir', 'then')
  })

  test('one entity comes back from an encrypted backup; one that was erased only with keys from before', async () => {
    const { cwd, ok, run, store, backup } = await encrypted('ann', 'bob')
    const path = await backup('--to', 'far')
    copyFileSync(join(store, 'entity-keys'), join(cwd, 'before'))
    cpSync(path, join(cwd, 'copy'), { recursive: true })
    await ok('restore', 'copy', '--entity', 'ann', '--into', 'ann_then')
    expect((await ok('read', 'ann_then')).stdout).toBe('{"text":"ann-mark"}\n')
    await ok('delete', 'ann', '--yes')
    for (const more of [[], ['--into', 'ann_2']]) {
      const { code, stderr } = await run(['restore', 'copy', '--entity', 'ann', ...more])
      expect({ more, code, stderr }).toMatchObject({ code: 3, stderr: expect.stringContaining('erased') })
    }
    await ok('restore', 'copy', '--entity', 'ann', '--into', 'ann_2', '--keys', 'before')
    expect((await ok('read', 'ann_2')).stdout).toBe('{"text":"ann-mark"}\n')
    expect((await run(['restore', 'copy', '--entity', 'nobody', '--into', 'x'])).code).toBe(3)
  })
})

describe('damage', () => {
  test('a value that was put in another place is not taken for one', async () => {
    const { ok, run, store } = await encrypted('ann')
    await ok('append', 'ann', 'Made', 'text=second')
    const [file] = filesWith(store, ['Made']) as [string]
    const db = openDatabase(join(store, file), 'write')
    const rows = db.prepare('SELECT * FROM events WHERE entity > 0 ORDER BY seq').all() as Row[]
    for (const [i, row] of rows.entries()) {
      const moved = { ...row, data: rows[1 - i]!.data }
      db.prepare('UPDATE events SET data = ?, crc = ? WHERE seq = ?').run(moved.data, rowCrc(moved), row.seq)
    }
    db.close()
    const { code, stderr } = await run(['read', 'ann'])
    expect({ code, stderr }).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('cannot be opened with its key'),
    })
  })

  test('a key that is not whole, or gone, is named', async () => {
    const { run, store } = await encrypted('ann')
    const path = join(store, 'entity-keys')
    const keys = readFileSync(path)
    const slot = keys.findIndex((byte, i) => i >= 128 && byte !== 0)
    const flipped = Buffer.from(keys)
    flipped[slot + 5]! ^= 1
    writeFileSync(path, flipped)
    expect(await run(['read', 'ann'])).toMatchObject({ code: 6, stderr: expect.stringContaining('is not whole') })
    writeFileSync(path, Buffer.from(keys).fill(0, 128))
    expect(await run(['read', 'ann'])).toMatchObject({ code: 6, stderr: expect.stringContaining('it has no key') })
    expect(await run(['verify'])).toMatchObject({ code: 6, stderr: expect.stringContaining('has no key') })
    rmSync(path)
    expect(await run(['read', 'ann'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('entity-keys is not there'),
    })
  })
})
