/**
 * Places of a history that is no more: a store that was restored, forked or copied back refuses them wherever they are
 * given, and says from where one can go on.
 */
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { restore } from '../../src/backup/restore.ts'
import { openEngine } from '../../src/kuma.ts'
import { openDatabase } from '../../src/store/driver.ts'
import { ended, launch, kuma as run } from '../cli.ts'
import { started } from '../daemon.ts'
import { folder } from '../folder.ts'
import { http } from '../http.ts'
import { served } from '../served.ts'

const set = (n: number) => ({ type: 'Set', data: { n } })

async function open(path: string, config: kuma.Config = {}) {
  const ctx = await kuma.start({ path, shards: 1, ...config })
  onTestFinished(() => ctx.close())
  return ctx
}

async function record(ctx: kuma.Context, ...numbers: number[]): Promise<kuma.Appended[]> {
  const entity = await ctx.entity('a')
  return entity.appendAll(numbers.map(set)).then((last) => [last])
}

/** Recorded 1 to 3, backed up, recorded 4 to 7; then restored, and 104 to 109 recorded. */
async function setBack(config: kuma.Config = {}) {
  const at = folder()
  const [path, restored] = [join(at, 'store'), join(at, 'restored')]
  const ctx = await open(path, config)
  await ctx.spawn(kuma.document, 'a', { n: 1 })
  await record(ctx, 2, 3)
  const backup = await ctx.backup()
  const [last] = await record(ctx, 4, 5, 6, 7)
  await ctx.close()
  await restore(backup.path, restored)
  const again = await open(restored, config)
  const [newest] = await record(again, 104, 105, 106, 107, 108, 109)
  return { at, path, restored, backup: backup.path, ctx: again, last: last!.position, newest: newest!.position }
}

const manifestOf = (path: string) => JSON.parse(readFileSync(join(path, 'kuma.json'), 'utf8'))
const timelinesOf = (path: string) => manifestOf(path).timelines

async function numbers(ctx: kuma.Context, from: string): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const item of ctx.subscribe({ from })) {
    if (item.kind === 'event') found.push((item.event.data as { n: unknown }).n)
    if (found.at(-1) === 109) break
  }
  return found
}

const refusal = (position: string, shared: string | null) =>
  expect.objectContaining({ code: 'KUMA_INVALID_POSITION', details: { position, shared } })

test('a restore begins a timeline, which new positions name and old ones do not', async () => {
  const { path, restored, ctx, last, newest } = await setBack()
  expect(timelinesOf(path)).toBeUndefined()
  expect(manifestOf(path).requires).not.toContain('timelines')
  expect(manifestOf(restored).requires).toContain('timelines')
  const [timeline] = timelinesOf(restored)
  expect(timeline).toEqual({ id: expect.stringMatching(/^[0-9a-f]{8}$/), from: null, parted: { 0: 3 } })
  expect(last).toBe('000:7')
  expect(newest).toBe(`000:9@${timeline.id}`)
  const positions = (await (await ctx.entity('a')).log().toArray()).map(({ position }) => position)
  const own = [4, 5, 6, 7, 8, 9].map((seq) => `000:${seq}@${timeline.id}`)
  expect(positions).toEqual(['000:1', '000:2', '000:3', ...own])
  expect((await (await ctx.entity('a')).inspect()).position).toBe(newest)
  expect((await (await ctx.entity('a')).inspect({ version: 3 })).position).toBe('000:3')
  for await (const item of ctx.subscribe()) {
    // of the feed it is the place that counts, and of the event where it was recorded
    expect(item).toMatchObject({ position: `000:1@${timeline.id}`, event: { position: '000:1' } })
    break
  }
})

test('a restore of a restore, to a time before that one', async () => {
  const at = folder()
  const path = join(at, 'store')
  const ctx = await open(path)
  await ctx.spawn(kuma.document, 'a', { n: 1 })
  await record(ctx, 2)
  const first = await ctx.backup()
  await restore(first.path, join(at, 'one'))
  const one = await open(join(at, 'one'))
  await record(one, 103)
  const before = Date.now()
  while (Date.now() === before) await new Promise(setImmediate)
  const [later] = await record(one, 104)
  const second = await one.backup()
  await restore(second.path, join(at, 'two'), { at: before })
  const two = await open(join(at, 'two'))
  const [a, b] = timelinesOf(join(at, 'two'))
  expect(b).toEqual({ id: expect.any(String), from: a.id, parted: { 0: 3 } })
  const [newest] = await record(two, 109)
  expect(newest!.position).toBe(`000:4@${b.id}`)
  await expect(numbers(two, later!.position)).rejects.toEqual(refusal(later!.position, `000:3@${b.id}`))
  expect(await numbers(two, `000:3@${a.id}`)).toEqual([109])
  expect(await numbers(two, '000:2')).toEqual([103, 109])
  await expect(numbers(two, '000:3')).rejects.toEqual(refusal('000:3', `000:2@${b.id}`))
  // and the original knows nothing of what became of its backups
  await expect(numbers(ctx, `000:1@${a.id}`)).rejects.toEqual(refusal(`000:1@${a.id}`, null))
})

describe('a place behind the parting is refused', () => {
  test('by a subscription, with the last place that both share', async () => {
    const { restored, ctx, last, newest } = await setBack()
    const [{ id }] = timelinesOf(restored)
    await expect(numbers(ctx, last)).rejects.toEqual(refusal('000:7', `000:3@${id}`))
    expect(await numbers(ctx, `000:3@${id}`)).toEqual([104, 105, 106, 107, 108, 109])
    expect(await numbers(ctx, '000:3')).toEqual([104, 105, 106, 107, 108, 109])
    expect(await numbers(ctx, newest.replace('9', '8'))).toEqual([109])
    await expect(numbers(ctx, '000:1@00000000')).rejects.toEqual(refusal('000:1@00000000', null))
  })

  test('by read models that are waited for, asked, or told to skip an event', async () => {
    const { restored, ctx, last, newest } = await setBack()
    const [{ id }] = timelinesOf(restored)
    const gone = refusal(last, `000:3@${id}`)
    await expect(ctx.waitFor('entities', last)).rejects.toEqual(gone)
    await ctx.waitFor('entities', newest)
    const select = "select state->>'n' as n from entities"
    await expect(ctx.query(select, [], { after: last }).toArray()).rejects.toEqual(gone)
    expect(await ctx.query(select, [], { after: newest }).toArray()).toEqual([{ n: 109 }])
    await ctx.close()
    const skip = (position: string) =>
      run(['projections', 'skip', 'entities', position, '--reason', 'test', '--dir', restored])
    expect(await skip(last)).toMatchObject({ code: 2, stderr: expect.stringContaining('a history that is no more') })
    // however the event is named: by its own position, or as a place in the newest timeline
    for (const position of ['000:2', `000:3@${id}`, newest]) expect((await skip(position)).code).toBe(0)
    const engine = await openEngine({ path: restored }, { access: 'read' })
    onTestFinished(() => engine.close())
    const [entities] = await engine.readModels.list()
    expect(entities!.skipped.map(({ position }) => position)).toEqual(['000:2', '000:3', newest])
    await engine.readModels.rebuild('entities')
    expect((await run(['query', select, '--dir', restored])).stdout).not.toContain('109')
  })

  test('over HTTP, with status 400', async () => {
    const { restored, ctx, last, newest } = await setBack()
    const [{ id }] = timelinesOf(restored)
    await ctx.close()
    await using _ = await served(await openEngine({ path: restored }, { access: 'write' }), kuma.connect)
    const get = (path: string, headers = {}) => http(restored, { path, headers })
    const refused = {
      status: 400,
      text: expect.stringContaining(`"details":{"position":"000:7","shared":"000:3@${id}"}`),
    }
    expect(await get(`/v1/feed?from=${last}`)).toMatchObject(refused)
    expect(await get('/v1/feed', { 'last-event-id': last })).toMatchObject(refused)
    expect(await get(`/v1/query?sql=select+1&after=${last}`)).toMatchObject(refused)
    expect(await get(`/v1/query?sql=select+1+as+n&after=${newest}`)).toMatchObject({ status: 200, text: '{"n":1}\n' })
  })

  test('by a daemon that has taken the place of another, while somebody follows', async () => {
    const { cwd, store, daemon, output, start } = await started()
    const follower = await kuma.connect(store)
    onTestFinished(() => follower.close())
    const entity = await follower.spawn(kuma.document, 'a', { n: 1 })
    const { path: backup } = await follower.backup({ to: join(cwd, 'backups') })
    const { position } = await entity.append(set(2))
    const feed = follower.subscribe()[Symbol.asyncIterator]()
    for (const n of [1, 2]) expect((await feed.next()).value).toMatchObject({ event: { data: { n } } })
    const next = feed.next()
    next.catch(() => {}) // it is looked at below
    daemon.kill('SIGKILL')
    await output
    renameSync(store, join(cwd, 'old'))
    await restore(backup, store)
    await start()
    const [{ id }] = timelinesOf(store)
    await expect(next).rejects.toEqual(refusal(position, `${position.split(':')[0]}:1@${id}`))
  })
})

test('what a daemon is asked without a place, it answers in a restored store too', async () => {
  const { restored, ctx } = await setBack()
  await ctx.close()
  await using _ = await served(await openEngine({ path: restored }, { access: 'write' }), kuma.connect)
  const { code, stdout } = await run(['projections', 'run', '--once', '--dir', restored])
  expect({ code, stdout }).toMatchObject({ code: 0 })
})

test('every place in the original is refused by a fork, and the first event of that is in its own timeline', async () => {
  const at = folder()
  const ctx = await open(join(at, 'store'))
  const [first] = [await ctx.spawn(kuma.document, 'a', { n: 1 })]
  const { position } = await first.inspect()
  const { path } = await ctx.fork(join(at, 'fork'))
  const [{ id, ...timeline }] = timelinesOf(path)
  expect(timeline).toEqual({ from: null, parted: {} })
  const forked = await open(path)
  await expect(numbers(forked, position)).rejects.toEqual(refusal(position, `000:0@${id}`))
  expect((await (await forked.entity('a')).inspect()).position).toBe(`000:1@${id}`)
  await record(forked, 109)
  expect(await numbers(forked, `000:0@${id}`)).toEqual([1, 109])
  const again = await forked.fork(join(at, 'again'))
  expect(timelinesOf(again.path)).toEqual([
    { id, from: null, parted: {} },
    { id: expect.any(String), from: id, parted: {} },
  ])
})

test('an erasure that was recorded in the backup is not shared with the store', async () => {
  const at = folder()
  const ctx = await open(join(at, 'store'))
  await ctx.spawn(kuma.document, 'a', { n: 1 })
  await ctx.spawn(kuma.document, 'b')
  const backup = await ctx.backup()
  const [last] = await record(ctx, 2)
  await (await ctx.entity('b')).delete()
  await restore(backup.path, join(at, 'restored'))
  const [{ id, parted }] = timelinesOf(join(at, 'restored'))
  expect(parted).toEqual({ 0: 2 })
  const restored = await open(join(at, 'restored'))
  await expect(numbers(restored, last!.position)).rejects.toEqual(refusal('000:3', `000:2@${id}`))
  // whoever goes on from there is told of it
  for await (const item of restored.subscribe({ from: '000:2' })) {
    expect(item).toMatchObject({ kind: 'erased', position: `000:3@${id}`, entityKey: '000:2' })
    break
  }
  await restored.close()
  const { stdout } = await run(['erasures', '--json', '--dir', join(at, 'restored')])
  expect(JSON.parse(stdout)).toMatchObject({ position: `000:3@${id}` })
})

describe('a cursor', () => {
  const tail = (store: string, cwd: string, ...more: string[]) =>
    run(['tail', '--cursor', 'c', '--cursor-on', 'write', '--dir', store, ...more], { cwd })
  const seen = (stdout: string) => [...stdout.matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n))

  test('of a history that is no more is refused, and the place that it names is gone on from', async () => {
    const { at, path, restored, ctx } = await setBack()
    await ctx.close()
    expect(seen((await tail(path, at)).stdout)).toEqual([1, 2, 3, 4, 5, 6, 7])
    const refused = await tail(restored, at)
    expect(refused).toMatchObject({ code: 2, stdout: '' })
    const [, shared] = /the last place that both share is (\S+):/.exec(refused.stderr)!
    rmSync(join(at, 'c'))
    expect(seen((await tail(restored, at, '--from', shared!)).stdout)).toEqual([104, 105, 106, 107, 108, 109])
    expect((await tail(restored, at)).stdout).toBe('')
  })

  test('notices a folder that was set back by a copy of it, and written on', async () => {
    const at = folder()
    const path = join(at, 'store')
    const ctx = await open(path, { shards: 2 })
    await ctx.spawn(kuma.document, 'a', { n: 1 })
    await ctx.close()
    cpSync(path, join(at, 'snapshot'), { recursive: true })
    const lost = await open(path, { shards: 2 })
    await record(lost, 2, 3)
    await lost.close()
    await tail(path, at)
    rmSync(path, { recursive: true })
    renameSync(join(at, 'snapshot'), path)
    const set = await open(path, { shards: 2 })
    await record(set, 102, 103, 104)
    expect(await tail(path, at)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/another event stood at 00[01]:3: the store was set back/),
    })
  })

  test('notices it too while a daemon is followed, and the next one has an older folder', async () => {
    const { cwd, store, run, daemon, output, start } = await started()
    const append = async (n: number) => expect((await run(['append', 'a', 'Set', `n:=${n}`])).code).toBe(0)
    await append(1)
    daemon.kill('SIGTERM')
    await output
    cpSync(store, join(cwd, 'snapshot'), { recursive: true })
    const second = await start()
    await append(2)
    const tail = launch(['tail', '-f', '--cursor', 'c', '--cursor-on', 'write'], { cwd })
    const ending = ended(tail)
    let text = ''
    for await (const chunk of tail.stdout!) {
      text += chunk
      if (text.includes('"n":2')) break
    }
    second.daemon.kill('SIGKILL')
    await second.output
    renameSync(store, join(cwd, 'lost'))
    renameSync(join(cwd, 'snapshot'), store)
    for (const n of [102, 103]) await append(n)
    await start()
    expect(await ending).toMatchObject({ code: 2, stderr: expect.stringContaining('the store was set back') })
  })

  test('in the middle of what was read at once keeps the crc of its own event', async () => {
    const at = folder()
    const path = join(at, 'store')
    const ctx = await open(path)
    await ctx.spawn(kuma.document, 'a', { n: 1 })
    await record(ctx, 2, 3, 4)
    await ctx.close()
    const hand = (command: string) =>
      run(['tail', '--cursor', 'c', '--dir', path, '--batch', '3', '--exec', command], { cwd: at })
    expect(await hand(`! grep -q '"n":4'`)).toMatchObject({ code: 8 })
    expect(JSON.parse(readFileSync(join(at, 'c'), 'utf8'))).toMatchObject({ position: '000:3' })
    const { code, stdout } = await hand('cat')
    expect([code, ...seen(stdout)]).toEqual([0, 4])
  })

  test('that earlier versions wrote goes on, and what is erased at its place does not hinder it', async () => {
    const at = folder()
    const path = join(at, 'store')
    const ctx = await open(path)
    await ctx.spawn(kuma.document, 'a', { n: 1 })
    const { store } = manifestOf(path)
    writeFileSync(join(at, 'c'), JSON.stringify({ store, position: '000:1' }))
    expect((await tail(path, at)).stdout).toBe('')
    await record(ctx, 2)
    expect(seen((await tail(path, at)).stdout)).toEqual([2])
    expect(JSON.parse(readFileSync(join(at, 'c'), 'utf8'))).toEqual({
      store,
      position: '000:2',
      crcs: [expect.any(Number)],
    })
    await (await ctx.entity('a')).delete()
    expect((await tail(path, at)).stdout).toContain('"erased"')
  })
})

describe('a checkpoint of a read model', () => {
  const rebuilt = {
    code: 'KUMA_PROJECTION_FAILED',
    message: expect.stringContaining('the store was set back; rebuild it'),
  }

  async function failure(path: string) {
    const engine = await openEngine({ path }, { access: 'read', projects: true })
    onTestFinished(() => engine.close())
    for (;;) {
      const [info] = await engine.readModels.list()
      if (info?.error) return info.error
      if (info?.lagEvents === 0) return null
      await new Promise(setImmediate)
    }
  }

  test('behind the parting is not gone on from', async () => {
    const { path, restored, ctx } = await setBack()
    await ctx.close()
    expect((await run(['query', 'select 1', '--dir', path])).code).toBe(0)
    cpSync(join(path, 'projections.db'), join(restored, 'projections.db'))
    // the crc of the event alone would not tell: an erased one has none
    const db = openDatabase(join(restored, 'projections.db'), 'write')
    db.exec('UPDATE kuma_checkpoint SET crc = 0')
    db.close()
    expect(await failure(restored)).toMatchObject(rebuilt)
  })

  test('before it is, and names the new timeline from then on', async () => {
    const { at, restored, backup, ctx } = await setBack()
    await ctx.close()
    // another store of the same backup comes as far as where both parted
    const other = join(at, 'other')
    await restore(backup, other)
    expect((await run(['query', 'select 1', '--dir', other])).code).toBe(0)
    cpSync(join(other, 'projections.db'), join(restored, 'projections.db'))
    const db = openDatabase(join(restored, 'projections.db'), 'write')
    onTestFinished(() => void db.close())
    expect(db.prepare('SELECT DISTINCT position, timeline FROM kuma_checkpoint').all()).toEqual([
      { position: 3, timeline: timelinesOf(other)[0].id },
    ])
    db.exec('UPDATE kuma_checkpoint SET timeline = NULL') // the timeline of the original
    expect(await failure(restored)).toBe(null)
    expect(db.prepare('SELECT DISTINCT position, timeline FROM kuma_checkpoint').all()).toEqual([
      { position: 9, timeline: timelinesOf(restored)[0].id },
    ])
    db.exec("UPDATE kuma_checkpoint SET timeline = '00000000'")
    expect(await failure(restored)).toMatchObject(rebuilt)
  })

  test('that earlier versions wrote gets its column', async () => {
    const at = folder()
    const path = join(at, 'store')
    const ctx = await open(path)
    await ctx.spawn(kuma.document, 'a', { n: 1 })
    await ctx.query('select 1').toArray()
    await ctx.waitFor('entities', '000:1')
    await ctx.close()
    const db = openDatabase(join(path, 'projections.db'), 'write')
    for (const table of ['kuma_checkpoint', 'kuma_skip']) db.exec(`ALTER TABLE ${table} DROP COLUMN timeline`)
    db.close()
    const select = 'select count(*) as n from entities'
    expect(await run(['query', select, '--dir', path])).toMatchObject({ code: 0, stdout: '{"n":1}\n' })
    const again = await open(path)
    const [last] = await record(again, 2)
    expect(await again.query(select, [], { after: last!.position }).toArray()).toEqual([{ n: 1 }])
  })
})
