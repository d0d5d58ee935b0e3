/** Making a store of a backup. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { kuma, ndjson, shell } from '../../cli.ts'
import { filesWith } from '../../files-with.ts'
import { folder } from '../../folder.ts'

async function shellWith(...ids: string[]) {
  const { cwd, run } = await shell()
  for (const id of ids) await run(['append', id, 'Made', `text=${id}-mark`])
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(args)
    expect({ args, code, stderr }).toMatchObject({ code: 0 })
    return { stdout, stderr }
  }
  const backup = async () => JSON.parse((await ok('backup')).stdout).path as string
  return { cwd, run, ok, backup, store: join(cwd, 'kuma-data') }
}

test('a restored store is what the backup was, verifies, and goes on', async () => {
  const { cwd, ok, backup } = await shellWith('a', 'b', 'c')
  const then = (await ok('log')).stdout
  const path = await backup()
  await ok('append', 'a', 'Made')
  expect(JSON.parse((await ok('restore', path, 'new')).stdout)).toEqual({
    path: join(cwd, 'new'),
    entities: 3,
    events: 3,
    erasedAgain: 0,
  })
  expect((await ok('log', '--dir', 'new')).stdout).toBe(then)
  await ok('verify', '--dir', 'new')
  await ok('append', 'b', 'Made', '--dir', 'new')
  await ok('verify', '--dir', 'new')
  expect(statSync(join(cwd, 'new/shards/000.db')).mode & 0o777).toBe(0o600)
  expect(readdirSync(join(cwd, 'new')).sort()).toEqual(['kuma.json', 'lock.db', 'shards'])
  expect(readdirSync(cwd).filter((name) => name.startsWith('.'))).toEqual([])
})

test('what was erased since is erased again, also where the store itself is gone', async () => {
  const { cwd, ok, run, backup, store } = await shellWith('canary', 'b', 'c')
  const path = await backup()
  cpSync(path, join(cwd, 'copy'), { recursive: true }) // out of reach: nobody knows of it
  await ok('delete', 'canary', '--yes')
  writeFileSync(join(cwd, 'erasures.ndjson'), (await ok('erasures', '--json')).stdout)
  expect(filesWith(store, ['canary'])).toEqual([])
  expect(filesWith(join(cwd, 'copy'), ['canary'])).toHaveLength(1)

  const first = await ok('restore', 'copy', 'first')
  expect(JSON.parse(first.stdout)).toMatchObject({ entities: 2, events: 2, erasedAgain: 1 })
  expect(first.stderr).toContain('erased again: 1')
  rmSync(store, { recursive: true })
  const second = await ok('restore', 'copy', 'second', '--erasures', 'erasures.ndjson')
  expect(JSON.parse(second.stdout)).toMatchObject({ erasedAgain: 1 })
  for (const name of ['first', 'second']) {
    expect(filesWith(join(cwd, name), ['canary'])).toEqual([])
    expect((await run(['read', 'canary', '--dir', name])).code).toBe(3)
    await ok('verify', '--dir', name)
    expect(ndjson((await ok('ls', '--dir', name)).stdout)).toHaveLength(2)
    expect(ndjson((await ok('erasures', '--dir', name)).stdout)).toHaveLength(1)
  }
  const third = await ok('restore', 'copy', 'third')
  expect(third.stderr).toContain('--erasures')
})

test('--at sets it back, and what came after is nowhere in its files', async () => {
  const { cwd, ok, run, backup } = await shellWith('a', 'b')
  for (let n = 0; n < 30; n++) await ok('append', 'a', 'Counted', `n:=${n}`, '--request-key', `k${n}`)
  await ok('delete', 'b', '--yes')
  const at = new Date().toISOString()
  while (new Date().toISOString() === at);
  const then = { log: (await ok('log')).stdout, erasures: (await ok('erasures')).stdout }
  for (const id of ['a', 'late-one']) await ok('append', id, 'Made', 'text=late-mark')
  await ok('delete', 'a', '--yes')
  await ok('append', 'b', 'Made', 'text=late-mark')
  const path = await backup()
  await ok('restore', path, 'then', '--at', at)
  await ok('verify', '--dir', 'then')
  expect(filesWith(join(cwd, 'then'), ['late-'])).toEqual([])
  // `a` existed then, and was erased later: that stays so
  expect((await ok('log', '--dir', 'then')).stdout).toBe('')
  expect(then.log).not.toBe('')
  const erasures = ndjson((await ok('erasures', '--dir', 'then')).stdout)
  expect(erasures).toHaveLength(2)
  expect(erasures.map(({ witness }) => witness)).toEqual(
    expect.arrayContaining(ndjson((await ok('erasures')).stdout).map(({ witness }) => witness)),
  )
  for (const id of ['a', 'b']) await ok('append', id, 'Made', '--dir', 'then')
  await ok('verify', '--dir', 'then')

  const { code, stderr } = await run(['restore', path, 'later', '--at', new Date(Date.now() + 60_000).toISOString()])
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('newest moment') })
  expect(existsSync(join(cwd, 'later'))).toBe(false)
})

test('--at before the beginning restores nothing, says so, and ends with 1', async () => {
  const { cwd, run, backup } = await shellWith('a')
  const path = await backup()
  const told = await run(['restore', path, 'early', '--at', '2001-01-01'])
  expect(told.code).toBe(1)
  expect(told.stderr).toMatch(/^nothing was restored: the first of the backup was recorded at 20.*early is not made\n$/)
  expect(JSON.parse(told.stdout)).toEqual({ path: null, entities: 0, events: 0, erasedAgain: 0 })
  expect(existsSync(join(cwd, 'early'))).toBe(false)
})

test('--at is what the log was then, for entities that go on', async () => {
  const { ok, run, backup } = await shellWith('a', 'b', 'c')
  for (let n = 0; n < 5; n++) await ok('append', 'a', 'Counted', `n:=${n}`, '--request-key', `k${n}`)
  const at = new Date().toISOString()
  while (new Date().toISOString() === at);
  const then = (await ok('log')).stdout
  await ok('append', 'a', 'Counted', 'n:=5', '--request-key', 'k5')
  await ok('append', 'd', 'Made')
  const path = await backup()
  await ok('restore', path, 'then', '--at', at)
  expect((await ok('log', '--dir', 'then')).stdout).toBe(then)
  expect(
    JSON.parse((await ok('append', 'a', 'Counted', 'n:=4', '--request-key', 'k4', '--dir', 'then', '--json')).stdout),
  ).toMatchObject({ version: 6 })
  expect((await run(['append', 'a', 'Counted', 'n:=5', '--request-key', 'k5', '--dir', 'then'])).stdout).toContain('v7')
  await ok('verify', '--dir', 'then')
})

test('a living store, and any other folder that is not empty, is left alone', async () => {
  const { cwd, ok, run, backup, store } = await shellWith('a')
  const path = await backup()
  await ok('append', 'a', 'Made')
  mkdirSync(join(cwd, 'full'))
  writeFileSync(join(cwd, 'full', 'letter'), 'x')
  mkdirSync(join(cwd, 'hollow'))
  expect((await run(['restore', path, store])).code).toBe(4)
  expect((await run(['restore', path, 'full'])).code).toBe(3)
  expect((await run(['restore', path, 'full/letter'])).code).toBe(3)
  expect((await ok('restore', path, 'kuma-data', '--if-not-exists')).stderr).toContain('stays as it is')
  expect((await ok('read', 'a', '--json')).stdout).toContain('"version":2')
  await ok('restore', path, 'hollow', '--if-not-exists')
  await ok('restore', path, 'deep/er/still')
  await ok('verify', '--dir', 'deep/er/still')
  expect(readdirSync(join(cwd, 'full'))).toEqual(['letter'])
})

test('a backup that is not as it was written is refused, and nothing is made', async () => {
  const { cwd, run, backup } = await shellWith('a', 'b', 'c', 'd')
  const path = await backup()
  const file = join(path, 'shards/001.db')
  const bytes = readFileSync(file)
  bytes[bytes.length - 20]! ^= 1
  chmodSync(file, 0o600)
  writeFileSync(file, bytes)
  expect((await run(['restore', path, 'new'])).code).toBe(6)
  expect((await run(['restore', 'nowhere', 'new'])).code).toBe(3)
  writeFileSync(join(cwd, 'x.ndjson'), '{"shard":0}\n')
  const { code, stderr } = await run(['restore', path, 'new', '--erasures', 'x.ndjson'])
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('line 1') })
  expect(readdirSync(cwd).sort()).toEqual(['kuma-data', 'x.ndjson'])
})

test('a backup is enough: no store has to be there', async () => {
  const { backup, ok } = await shellWith('a')
  const path = await backup()
  const then = (await ok('log')).stdout
  const cwd = folder()
  cpSync(path, join(cwd, 'b'), { recursive: true })
  expect((await kuma(['restore', 'b', 'kuma-data'], { cwd })).code).toBe(0)
  expect((await kuma(['log'], { cwd })).stdout).toBe(then)
})

describe('one entity', () => {
  test('comes back under another id, or its own where it is gone, with its versions, times and meta', async () => {
    const { cwd, ok, run, backup } = await shellWith('a', 'b')
    await ok('append', 'a', 'Noted', 'note=second', '--as', 'ann')
    await ok('append', 'a', 'Noted', 'note=third', '--at', new Date().toISOString())
    const path = await backup()
    cpSync(path, join(cwd, 'copy'), { recursive: true })
    const comparable = (text: string) => ndjson(text).map(({ entity: _, position: __, ...event }) => event)
    const then = comparable((await ok('log', 'a')).stdout)
    const restored = await ok('restore', path, '--entity', 'a', '--into', 'a-then', '--json')
    expect(JSON.parse(restored.stdout)).toEqual({ entity: 'a-then', version: 3, events: 3 })
    expect(comparable((await ok('log', 'a-then')).stdout)).toEqual(then)
    const nothing = (told: string) => ({ code: 1, stderr: expect.stringContaining(`nothing was restored: ${told}`) })
    const asBefore = () => run(['restore', path, '--entity', 'a', '--into', 'a-then'])
    expect(await asBefore()).toMatchObject(nothing('v3 of the backup is there, and a-then is the same here\n'))
    await ok('append', 'a-then', 'Noted', 'note=fourth')
    expect(await asBefore()).toMatchObject(nothing('v3 of the backup is there, and a-then is further on here, at v4\n'))
    await ok('restore', path, '--entity', 'a', '--at', 'v2', '--into', 'a-v2')
    expect(comparable((await ok('log', 'a-v2')).stdout)).toEqual(then.slice(0, 2))
    await ok('restore', path, '--entity', 'a', '--into', 'a-v2')
    expect(comparable((await ok('log', 'a-v2')).stdout)).toEqual(then)

    await ok('delete', 'a', '--yes')
    const refused = await run(['restore', 'copy', '--entity', 'a'])
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('erased') })
    const again = await ok('restore', 'copy', '--entity', 'a', '--into', 'a-again')
    expect(again.stderr).toContain('on request')
    expect(comparable((await ok('log', 'a-again')).stdout)).toEqual(then)
    expect((await run(['restore', path, '--entity', 'a', '--into', 'x'])).code).toBe(3) // that backup was reached
    await ok('verify')
  })

  test('brings its request keys: an import that is run again doubles nothing, in a fork and a restored store neither', async () => {
    const { cwd, ok, backup } = await shellWith()
    const lines = [1, 2].map((n) => ({ entity: 'a', type: 'Set', data: { n }, requestKey: `r${n}` }))
    writeFileSync(join(cwd, 'in.ndjson'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    await ok('import', 'in.ndjson')
    const path = await backup()
    await ok('init', 'other')
    await ok('restore', path, '--entity', 'a', '--dir', 'other')
    await ok('restore', path, 'whole')
    await ok('fork', 'forked')
    for (const store of ['other', 'whole', 'forked']) {
      expect((await ok('import', 'in.ndjson', '--dir', store)).stdout).toBe('imported 0, duplicates 2, rejected 0\n')
      expect((await ok('read', 'a', '--dir', store, '--json')).stdout).toContain('"version":2')
    }
  })

  test('a document that went another way is set to what it was, by an event that says why', async () => {
    const { ok, run, backup } = await shellWith('a')
    await ok('append', 'a', 'Set', '{"plan":"free","address":{"city":"Paris","zip":"1"},"list":[1,null]}')
    const path = await backup()
    await ok('append', 'a', 'Set', '{"plan":"pro","seats":5,"address":{"zip":null,"street":"x"},"list":[2]}')
    await ok('restore', path, '--entity', 'a', '--at', 'v2')
    expect(JSON.parse((await ok('read', 'a')).stdout)).toEqual({
      text: 'a-mark',
      plan: 'free',
      address: { city: 'Paris', zip: '1' },
      list: [1, null],
    })
    const [event] = ndjson((await ok('log', 'a', '--reverse', '--limit', '1')).stdout)
    expect(event).toMatchObject({ version: 4, type: 'Restored', meta: { reason: expect.stringContaining('at v2') } })
    const again = await run(['restore', path, '--entity', 'a'])
    expect(again).toMatchObject({ code: 1, stdout: expect.stringContaining('v4, events 0') })
    expect(again.stderr).toContain('nothing was restored: v2 of the backup')
    await ok('append', 'other', 'Made')
    expect((await run(['restore', path, '--entity', 'a', '--into', 'other'])).code).toBe(4)
    expect((await run(['restore', path, '--entity', 'nobody'])).code).toBe(3)
    expect((await run(['restore', path, '--entity', 'a', 'new'])).code).toBe(2)
    expect((await run(['restore', path])).code).toBe(2)
  })
})
