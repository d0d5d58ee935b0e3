/** Which backups are of use, what their order is, and which of them go. */
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import * as kuma from 'kuma'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { type BackedUpShard, readBackupManifest, sealedManifest } from '../../src/backup/backup-manifest.ts'
import { createBackup } from '../../src/backup/create-backup.ts'
import { type ListedBackup, listBackups } from '../../src/backup/list-backups.ts'
import { findBackup } from '../../src/backup/places.ts'
import { restore } from '../../src/backup/restore.ts'
import { verifyBackup } from '../../src/backup/verify-backup.ts'
import { readManifest, writeManifest } from '../../src/store/manifest.ts'
import { folder } from '../folder.ts'

const Note = kuma
  .defineEntity({ type: 'note', initial: { n: 0 }, events: { Noted: kuma.type<{ text: string }>() } })
  .evolve({ Noted: ({ n }) => ({ n: n + 1 }) })
const DAY = 86_400_000

afterEach(() => void vi.useRealTimers())

async function open(path = join(folder(), 'store')) {
  const ctx = await kuma.start({ path, shards: 1, entities: [Note] })
  onTestFinished(() => ctx.close())
  const note = async (text: string, id = 'a') => {
    const entity = await ctx.spawn(Note, id)
    await entity.append({ type: 'Noted', data: { text } })
  }
  return { ctx, path, note, place: join(path, 'backups') }
}

/** Turns `mark` in a file into something else of the same length. */
function damage(file: string, mark: string): void {
  const bytes = readFileSync(file)
  const at = bytes.indexOf(mark)
  expect(at).toBeGreaterThan(0)
  bytes[at] = bytes[at]! ^ 1
  chmodSync(file, 0o600)
  writeFileSync(file, bytes)
}

async function listed(store: string, to?: string): Promise<ListedBackup[]> {
  const all: ListedBackup[] = []
  for await (const backup of listBackups(store, to)) all.push(backup)
  return all
}

const namesOf = async (store: string, to?: string) => (await listed(store, to)).map(({ backup }) => backup)
const shard = (path: string) => join(path, 'shards/000.db')

/** A clock that says something else than it did. */
function setClock(at: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: at })
}

/** The manifest as an earlier version wrote it. */
function makeOld(path: string): void {
  const { sha256: _, checked: __, ...rest } = readBackupManifest(path)
  const old = ({ taken: _, verified: __, ...shard }: BackedUpShard) => shard
  const manifest = sealedManifest({ ...rest, shards: rest.shards.map(old) })
  writeFileSync(join(path, 'backup.json'), JSON.stringify(manifest))
}

test('a backup of a damaged store is told as not sound, and the last good one stays', async () => {
  const { ctx, path, note } = await open()
  await note('zeroth-mark')
  await ctx.backup()
  await note('first-mark')
  const good = await ctx.backup({ keep: 2 })
  expect(good).toMatchObject({ verified: true, removed: [] })
  await note('second-mark')
  await ctx.close()
  damage(shard(path), 'second-mark')
  const again = await open(path)
  for (const rule of [{ keep: 1 }, { keepWithinMs: 0 }, { verify: true }])
    await expect(again.ctx.backup(rule)).rejects.toMatchObject({
      code: 'KUMA_CORRUPT',
      message: expect.stringMatching(/not sound: shard 0: event \d+: the crc is wrong/),
    })
  const all = await listed(path)
  const bad = Array(3).fill('not sound')
  expect(all.map(({ soundness }) => soundness)).toEqual(['not checked', 'sound', ...bad])
  expect(all[1]).toMatchObject({ path: good.path, problem: null })
  expect(all[2]!.problem).toMatch(/^shard 0: event \d+: the crc is wrong/)
  expect(readBackupManifest(all[2]!.path).shards[0]!.problems).toContainEqual(expect.stringContaining('crc is wrong'))
  expect((await verifyBackup(good.path)).problems).toEqual([])
})

test('of a store that cannot be copied there is no backup, its file is named, and all that there are stay', async () => {
  const { ctx, path, note } = await open()
  await note('one')
  await ctx.backup()
  await note('two')
  await ctx.backup()
  await note('three')
  await ctx.close()
  const bytes = readFileSync(shard(path))
  writeFileSync(shard(path), bytes.fill(0xff, 4096, 8192)) // where the events begin
  await expect(createBackup(path, { keep: 1 })).rejects.toMatchObject({
    code: 'KUMA_CORRUPT',
    message: expect.stringContaining(`${shard(path)}: `),
  })
  expect(await listed(path)).toMatchObject([{ problem: null }, { problem: null }])
})

test('one that is not sound is not counted, and none is linked to what is damaged in it', async () => {
  const { ctx, path, note } = await open()
  await note('one')
  const first = await ctx.backup({ verify: true })
  await note('two-mark')
  const second = await ctx.backup({ verify: true })
  damage(shard(second.path), 'two-mark') // the disk did that
  const bad = await createBackup(path, { keep: 1 })
  expect(bad).toMatchObject({ linked: 1, removed: [], problems: [expect.stringContaining('SHA-256')] })
  const third = await ctx.backup({ keep: 2 })
  expect(third).toMatchObject({ linked: 0, removed: [] })
  expect((await verifyBackup(third.path)).problems).toEqual([])
  expect(await listed(path)).toMatchObject([
    { path: first.path, soundness: 'sound' },
    { path: second.path, soundness: 'not sound', problem: expect.stringContaining(basename(bad.path)) },
    { path: bad.path, soundness: 'not sound', problem: expect.stringContaining('SHA-256') },
    { path: third.path, soundness: 'sound' },
  ])
  expect((await ctx.backup({ keep: 1 })).removed).toEqual([basename(first.path)])
})

test('what was not checked is listed so, and is verified in full when it is linked to', async () => {
  const { ctx, path, note } = await open()
  await note('some-mark')
  await ctx.backup()
  const second = await ctx.backup({ verify: true })
  expect(second.linked).toBe(1)
  expect((await ctx.backup()).linked).toBe(1)
  const soundness = (await listed(path)).map((one) => one.soundness)
  expect(soundness).toEqual(['not checked', 'sound', 'not checked'])
  const elsewhere = folder()
  cpSync(second.path, join(elsewhere, basename(second.path)), { recursive: true })
  expect(await listed(path, elsewhere)).toMatchObject([{ soundness: 'not checked' }])

  await note('other-mark')
  await ctx.close()
  damage(shard(path), 'other-mark')
  const again = await open(path)
  await again.ctx.backup() // its SHA-256 is that of the damaged file
  const { linked, problems } = await createBackup(path, { verify: true })
  expect({ linked, problems }).toEqual({ linked: 1, problems: [expect.stringContaining('crc'), expect.anything()] })
  expect((await listed(path)).slice(3)).toMatchObject([{ soundness: 'not sound' }, { soundness: 'not sound' }])
})

test('after a clock that ran ahead the new backup stays, is the newest, and is what the next one links to', async () => {
  const { ctx, path, note } = await open()
  const now = Date.now()
  await note('one')
  setClock(now + DAY)
  const ahead = await ctx.backup({ keep: 1 })
  setClock(now)
  await note('two')
  const second = await ctx.backup()
  expect(basename(second.path) < basename(ahead.path)).toBe(true)
  expect(await namesOf(path)).toEqual([ahead, second].map((one) => basename(one.path)))
  expect(await findBackup(undefined, async () => path)).toBe(second.path)
  setClock(now + 2_000)
  const third = await ctx.backup({ keep: 1 })
  expect(third).toMatchObject({ linked: 1, removed: [basename(ahead.path)] })
  // of two that hold the same, the name says which is the newer, and the one just made stays all the same
  setClock(now - DAY)
  expect((await ctx.backup({ keep: 1, link: false })).removed).toEqual([])
})

test('of backups of one second, a newer one has a name that comes later, also where a name has become free', async () => {
  const { ctx, path, note, place } = await open()
  setClock(Date.now())
  await note('one')
  await ctx.backup()
  await note('two')
  const second = await ctx.backup({ keep: 1 })
  const third = await ctx.backup({ keep: 1, link: false })
  expect(third.removed).toEqual([basename(second.path)])
  expect(readdirSync(place).filter((name) => name.startsWith('2'))).toEqual([basename(third.path)])
  expect(await findBackup(undefined, async () => path)).toBe(third.path)
})

test('of daily backups, one from a clock that was 30 days ahead makes none go that would not have gone', async () => {
  const { ctx, path, note } = await open()
  const start = Date.now()
  const daily = async (day: number) => {
    await note(`day ${day}`)
    setClock(start + day * DAY)
    return (await ctx.backup({ keepWithinMs: 7 * DAY })).removed.length
  }
  const removed: number[] = []
  for (const day of [0, 1, 2, 3, 33, 5, 6]) removed.push(await daily(day))
  expect(removed).toEqual([0, 0, 0, 0, 0, 0, 0])
  expect(await daily(9)).toBe(0) // 7 days before the one before it
  expect(await daily(10)).toBe(2)
  expect(await namesOf(path)).toHaveLength(7)
})

test('two stores of one id leave each other their backups in one place', async () => {
  const { ctx, path, note } = await open()
  const place = join(folder(), 'place')
  await note('shared')
  const shared = await ctx.backup({ to: place })
  await ctx.close()
  const copy = join(folder(), 'copy')
  cpSync(path, copy, { recursive: true })
  const [one, two] = [await open(path), await open(copy)]
  await one.note('of one')
  await two.note('of two')
  const ofOne = await one.ctx.backup({ to: place, keep: 2 })
  await two.note('of two again')
  const ofTwo = await two.ctx.backup({ to: place, keep: 1 })
  expect(ofTwo.removed).toEqual([basename(shared.path)])
  expect((await one.ctx.backup({ to: place, keep: 1 })).removed).toEqual([])
  expect(existsSync(ofOne.path) && existsSync(ofTwo.path)).toBe(true)
  expect(await listed(path, place)).toMatchObject([
    { path: ofTwo.path, history: 'of another history' },
    { path: ofOne.path, history: 'of this history' },
    { history: 'of this history', events: 3 },
  ])
  expect(await findBackup(undefined, async () => path)).not.toBe(ofTwo.path)
})

test('backups from before a restore to an earlier time are of another history from then on', async () => {
  const { ctx, path, note } = await open()
  await note('one')
  const early = await ctx.backup()
  const at = Date.parse((await listed(path))[0]!.recorded_at!)
  while (Date.now() === at); // the next one is recorded later
  await note('two')
  const late = await ctx.backup()
  await ctx.close()
  const restored = join(folder(), 'restored')
  await restore(late.path, restored, { at })
  await (await open(restored)).note('two, in another way')
  const place = join(path, 'backups')
  expect(await listed(restored, place)).toMatchObject([
    { path: late.path, history: 'of another history' },
    { path: early.path, history: 'of this history' },
  ])
})

test.each(['today', 'an earlier version'])(
  'a backup by %s that an erasure rewrote is still of this history',
  async (by) => {
    const { ctx, path, note } = await open()
    await note('x', 'canary')
    await note('y', 'other')
    const first = await ctx.backup({ verify: true })
    await note('z', 'other')
    const second = await ctx.backup({ verify: true })
    if (by !== 'today') for (const { path } of [first, second]) makeOld(path)
    const taken = (path: string) => readBackupManifest(path).shards[0]!.taken
    const before = [taken(first.path), taken(second.path)]
    await (await ctx.entity(Note, 'canary')).delete()
    expect([taken(first.path), taken(second.path)]).toEqual(before)
    expect(await listed(path)).toMatchObject([
      { path: first.path, history: 'of this history', soundness: 'not checked', problem: null },
      { path: second.path, history: 'of this history', soundness: 'not checked', problem: null },
    ])
    for (const one of [first, second]) expect((await verifyBackup(one.path)).problems).toEqual([])
    await note('more', 'other')
    expect((await ctx.backup({ keep: 2 })).removed).toEqual([basename(first.path)])
  },
)

test('backups of earlier versions are listed, linked to, counted and restored', async () => {
  const { ctx, path, note } = await open()
  for (const text of ['one', 'two', 'three']) {
    await note(text)
    makeOld((await ctx.backup()).path)
  }
  const [first, second, third] = await namesOf(path)
  expect((await listed(path)).map(({ history, soundness }) => [history, soundness])).toEqual(
    Array(3).fill(['of this history', 'not checked']),
  )
  const last = await ctx.backup({ keep: 1 })
  expect(last).toMatchObject({ linked: 1, removed: [second, first] })
  expect(await namesOf(path)).toEqual([third, basename(last.path)])
  const restored = join(folder(), 'restored')
  await restore(join(path, 'backups', third!), restored)
  expect(
    await open(restored)
      .then(({ ctx }) => ctx.entity(Note, 'a'))
      .then((a) => a.read()),
  ).toEqual({ n: 3 })
})

test('a store that cannot be read says so of the history, and its backups are in order', async () => {
  const { ctx, path, note, place } = await open()
  const now = Date.now()
  await note('one')
  setClock(now + DAY)
  const ahead = await ctx.backup()
  await note('two')
  setClock(now)
  const newest = await ctx.backup()
  await ctx.close()
  writeFileSync(shard(path), 'not a database')
  expect(await listed(path)).toMatchObject([
    { path: ahead.path, history: 'unknown' },
    { path: newest.path, history: 'unknown' },
  ])
  writeFileSync(join(path, 'kuma.json'), '{')
  expect(await findBackup(undefined, async () => path)).toBe(newest.path)
  expect(readdirSync(place).filter((name) => name.startsWith('2'))).toHaveLength(2)
})

test('its kuma.json is the one that the store had after the last shard', async () => {
  const { ctx, path, note } = await open()
  await note('one')
  const created_at = '2020-01-01T00:00:00.000Z'
  const onProgress = () => writeManifest(path, { ...readManifest(path), created_at })
  const { path: backup } = await createBackup(path, { onProgress })
  expect(readManifest(backup).created_at).toBe(created_at)
  await ctx.close()
})
