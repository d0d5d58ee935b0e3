/** Taking, listing, verifying and keeping backups. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sealedManifest } from '../../../src/backup/backup-manifest.ts'
import { ended, launch, ndjson, shell } from '../../cli.ts'
import { filesWith } from '../../files-with.ts'
import { hold } from '../../program.ts'

async function shellWith(...ids: string[]) {
  const { cwd, run } = await shell()
  for (const id of ids) await run(['append', id, 'Made', 'n:=1'])
  const backup = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(['backup', ...args])
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('Error') })
    return JSON.parse(stdout) as { path: string; linked: number; removed: string[] }
  }
  return { cwd, run, backup, store: join(cwd, 'kuma-data') }
}

const namesIn = (place: string) => readdirSync(place).filter((name) => !name.startsWith('lock.db'))

test('a backup has all that the store has, and can be read where it stands', async () => {
  const { run, backup, store } = await shellWith('a', 'b', 'c')
  const writer = await hold(store) // nobody has to stop for it
  const { path } = await backup()
  writer.kill('SIGKILL')
  expect(readdirSync(path).sort()).toEqual(['backup.json', 'kuma.json', 'shards'])
  for (const name of readdirSync(join(path, 'shards'))) {
    expect(name).toMatch(/^00[01]\.db$/)
    expect(statSync(join(path, 'shards', name)).mode & 0o777).toBe(0o400)
  }
  chmodSync(join(path, 'shards'), 0o500)
  expect((await run(['log', '--dir', path])).stdout).toBe((await run(['log'])).stdout)
  expect((await run(['verify', '--dir', path])).code).toBe(0)
  expect(await run(['backup', 'verify'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('verified: 2 shards, entities 3, events 3'),
  })
  const { code, stderr } = await run(['append', 'a', 'Made', '--dir', path])
  expect({ code: code === 0, stderr }).toEqual({ code: false, stderr: expect.stringContaining('Error') })
  chmodSync(join(path, 'shards'), 0o700)
})

test('shards that did not change are links; --no-link copies them', async () => {
  const { run, backup } = await shellWith('a', 'b', 'c', 'd', 'e')
  expect((await backup()).linked).toBe(0)
  expect((await backup()).linked).toBe(2)
  await run(['append', 'a', 'Made'])
  expect((await backup()).linked).toBe(1)
  expect((await backup('--no-link')).linked).toBe(0)
  const listed = ndjson((await run(['backup', 'ls'])).stdout)
  expect(listed.map(({ events, problem }) => ({ events, problem }))).toEqual(
    [5, 5, 6, 6].map((events) => ({ events, problem: null })),
  )
  expect(listed.map(({ own_bytes, bytes }) => (own_bytes as number) / (bytes as number))).toEqual([
    0,
    0,
    expect.any(Number),
    1,
  ])
})

test('--keep counts copies and not links, --keep-within the age, and one that is not whole stays', async () => {
  const { run, backup, store } = await shellWith('a')
  const place = join(store, 'backups')
  const [first, again] = [await backup(), await backup()]
  await run(['append', 'a', 'Made'])
  await backup()
  await run(['append', 'a', 'Made'])
  expect((await backup('--keep', '3')).removed).toEqual([])
  await run(['append', 'a', 'Made'])
  const { removed } = await backup('--keep', '3')
  expect(removed.map((name) => join(place, name)).sort()).toEqual([first.path, again.path].sort())
  expect(namesIn(place)).toHaveLength(3)
  const [broken] = namesIn(place).sort()
  rmSync(join(place, broken!, 'shards/000.db'))
  expect((await backup('--keep', '1', '--keep-within', '1h')).removed).toEqual([])
  await run(['append', 'a', 'Made'])
  // older than the one before, which is a link of another
  expect((await backup('--keep-within', '0s')).removed).toHaveLength(1)
  expect(namesIn(place)).toHaveLength(4)
  expect(namesIn(place)).toContain(broken)
})

test('--keep verifies first: of a damaged store nothing is removed, and it is told', async () => {
  const { run, backup, store } = await shellWith('a')
  const good = await backup('--verify')
  await run(['append', 'a', 'Made', 'text=some-mark'])
  const file = ['shards/000.db', 'shards/001.db'].map((name) => join(store, name)).find(hasMark)!
  const bytes = readFileSync(file)
  bytes[bytes.indexOf('some-mark')]! ^= 1
  writeFileSync(file, bytes)
  const { code, stdout, stderr } = await run(['backup', '--keep', '1'])
  expect({ code, stderr }).toEqual({ code: 6, stderr: expect.stringMatching(/crc is wrong[\s\S]*nothing was removed/) })
  const { path } = JSON.parse(stdout)
  expect(JSON.parse(stdout)).toMatchObject({
    verified: true,
    removed: [],
    problems: [expect.anything(), expect.anything()],
  })
  await backup('--no-link')
  expect(ndjson((await run(['backup', 'ls'])).stdout)).toMatchObject([
    { path: good.path, soundness: 'sound', history: 'of this history', problem: null },
    { path, soundness: 'not sound', problem: expect.stringContaining('crc is wrong') },
    { soundness: 'not checked', problem: null },
  ])
})

const hasMark = (file: string) => readFileSync(file).includes('some-mark')

test('an erasure reaches backups in every place, and those that are not there are named', async () => {
  const { cwd, run, backup, store } = await shellWith('canary', 'other')
  const [near, gone] = [join(cwd, 'near'), join(cwd, 'gone')]
  await backup()
  await backup('--to', near)
  await backup('--to', gone)
  await run(['append', 'canary', 'Noted', 'note=canary-mark'])
  await backup()
  renameSync(gone, `${gone}-away`)
  const { code, stdout } = await run(['delete', 'canary', '--yes'])
  expect(code).toBe(1)
  const { reached, notReached } = JSON.parse(stdout)
  expect(reached).toHaveLength(3)
  expect(notReached).toEqual([{ what: gone, remedy: expect.any(String) }])
  expect(filesWith(store, ['canary'])).toEqual([])
  expect(filesWith(near, ['canary'])).toEqual([])
  for (const path of reached) expect((await run(['backup', 'verify', path])).code).toBe(0)
  // when it is there again, the next backup to it brings it to what the store knows
  renameSync(`${gone}-away`, gone)
  expect(filesWith(gone, ['canary'])).toHaveLength(1)
  await backup('--to', gone)
  expect(filesWith(gone, ['canary'])).toEqual([])
  for (const name of namesIn(gone)) expect((await run(['backup', 'verify', join(gone, name)])).code).toBe(0)
})

test('every field of a manifest that was altered is found, also if its hash was made anew', async () => {
  const { cwd, run, backup } = await shellWith('a', 'b', 'c')
  const { path } = await backup()
  const file = join(path, 'backup.json')
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  const { sha256: _, ...content } = manifest
  const verify = async () => (await run(['backup', 'verify', path])).code
  const alter = (value: unknown) => (typeof value === 'number' ? value + 1 : 'x')
  for (const field of Object.keys(manifest)) {
    writeFileSync(file, JSON.stringify({ ...manifest, [field]: alter(manifest[field]) }))
    expect(await verify(), field).not.toBe(0)
  }
  for (const field of Object.keys(manifest.shards[0])) {
    const shards = [{ ...manifest.shards[0], [field]: alter(manifest.shards[0][field]) }, manifest.shards[1]]
    writeFileSync(file, JSON.stringify(sealedManifest({ ...content, shards })))
    expect(await verify(), field).toBe(6)
  }
  for (const shards of [[manifest.shards[0]], [...manifest.shards].reverse()]) {
    writeFileSync(file, JSON.stringify(sealedManifest({ ...content, shards })))
    expect(await verify()).toBe(6)
  }
  writeFileSync(file, JSON.stringify(sealedManifest({ ...content, store: 'another' })))
  expect(await verify()).toBe(6)
  writeFileSync(file, JSON.stringify(sealedManifest({ ...content, format: 2 })))
  expect(await run(['backup', 'verify', path])).toMatchObject({
    stderr: expect.stringContaining('newer version of Kuma'),
  })
  writeFileSync(file, JSON.stringify(manifest))
  expect(await verify()).toBe(0)

  const shards = [0, 1].map((n) => join(path, `shards/00${n}.db`))
  const kept = shards.map((shard) => readFileSync(shard))
  const put = (n: number, bytes: Uint8Array) => {
    chmodSync(shards[n]!, 0o600)
    writeFileSync(shards[n]!, bytes)
  }
  put(0, kept[1]!)
  put(1, kept[0]!)
  expect(await verify()).toBe(6)
  put(1, kept[1]!)
  put(0, kept[0]!)
  expect(await verify()).toBe(0)
  // another store's shard, with a manifest that was made to fit
  await run(['init', 'other', '--shards', '2'])
  await run(['append', 'a', 'Made', '--dir', 'other'])
  const { stdout } = await run(['backup', '--dir', 'other'])
  const other = JSON.parse(stdout).path as string
  rmSync(shards[0]!)
  copyFileSync(join(other, 'shards/000.db'), shards[0]!)
  const theirs = JSON.parse(readFileSync(join(other, 'backup.json'), 'utf8'))
  writeFileSync(file, JSON.stringify(sealedManifest({ ...content, shards: [theirs.shards[0], manifest.shards[1]] })))
  expect(await run(['backup', 'verify', path])).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('another store'),
  })
  expect(existsSync(join(cwd, 'kuma-data'))).toBe(true)
})

test('a place that cannot be one is refused, and nothing is left there', async () => {
  const { cwd, run, backup, store } = await shellWith('a')
  writeFileSync(join(cwd, 'file'), '')
  await run(['init', 'other', '--shards', '1'])
  mkdirSync(join(cwd, 'theirs'))
  const { stdout } = await run(['backup', '--dir', 'other', '--to', 'theirs'])
  expect(JSON.parse(stdout).path).toContain('theirs')
  for (const [to, exit] of [
    [store, 2],
    [join(store, 'shards'), 2],
    [join(store, 'deep/er'), 2],
    ['file', 1],
    ['other', 2],
    ['theirs', 2],
    ['/proc/nothing', 1],
  ] as const) {
    const { code, stderr } = await run(['backup', '--to', to])
    expect({ to, code, stderr }).toEqual({ to, code: exit, stderr: expect.stringContaining('Error') })
  }
  expect(readdirSync(store).sort()).toEqual(['kuma.json', 'lock.db', 'shards'])
  expect((await backup()).path).toContain('backups')
  expect((await run(['backup', 'verify', 'nowhere'])).code).toBe(3)
  expect((await run(['backup', 'verify', '2001-01-01T00-00-00Z'])).code).toBe(3)
  expect(await run(['backup', 'sl'])).toMatchObject({ code: 2, stderr: expect.stringContaining('kuma backup ls') })
})

test('a backup that is interrupted leaves nothing', async () => {
  const { run, cwd, store } = await shellWith()
  const place = join(store, 'backups')
  for (let i = 0; i < 30; i++) await run(['append', `e${i}`, 'Made', `text=${'x'.repeat(50_000)}`])
  const child = launch(['backup', '--no-link'], { cwd })
  const end = ended(child)
  while (!existsSync(place) || namesIn(place).length === 0) await new Promise((done) => setImmediate(done))
  child.kill('SIGINT')
  const { code } = await end
  expect([0, 130]).toContain(code)
  expect(namesIn(place)).toHaveLength(code === 0 ? 1 : 0)
})
