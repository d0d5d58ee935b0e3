/** A disk that is full, and one that fails: on a real file system of 3 MB, and under a real limit on file sizes. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createBackup } from '../../src/backup/create-backup.ts'
import { verifyBackup } from '../../src/backup/verify-backup.ts'
import type { Engine } from '../../src/engine.ts'
import { defineEntity } from '../../src/entity/define-entity.ts'
import { type } from '../../src/entity/schema.ts'
import { openEngine } from '../../src/kuma.ts'
import { createStore } from '../../src/store/create.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'
import { JITI } from '../program.ts'
import { smallDisk } from '../small-disk.ts'

const config = (path: string) => ({ path, shards: 1 })
const event = { type: 'Set', data: { text: 'x'.repeat(20_000) } }

describe.each(['inline', 'worker'] as const)('with the %s committer', (committer) => {
  test('a full disk rejects what finds no room, and the shard goes on when there is some', async (context) => {
    const path = smallDisk()
    if (path === null) return context.skip('needs the right to mount a file system')
    const filler = join(path, 'filler')
    writeFileSync(filler, Buffer.alloc(1_500_000))
    const store = join(path, 'store')
    const engine = await openEngine(config(store), { access: 'write', committer, create: true })
    const { acknowledged, error } = await appendUntilError(engine)
    expect(error).toMatchObject({ code: 'KUMA_DISK_FULL', hint: expect.stringContaining('make room') })
    expect((await engine.inspect('a')).version).toBe(acknowledged)

    rmSync(filler)
    expect(await engine.append({ id: 'a', events: [event] })).toMatchObject({ version: acknowledged + 1 })
    await engine.close()
    await expectSound(store, acknowledged + 1)
  })

  test('every append under way is rejected when the disk is full, and none of them is there', async (context) => {
    const path = smallDisk()
    if (path === null) return context.skip('needs the right to mount a file system')
    const store = join(path, 'store')
    const engine = await openEngine(config(store), { access: 'write', committer, create: true })
    const keyed = { id: 'e0', newType: 'document', events: [event], requestKey: 'k' }
    const first = await engine.append(keyed)
    let repeated: Promise<unknown> | undefined
    const outcomes = await Promise.allSettled(
      Array.from({ length: 400 }, (_, i) => {
        const appended = engine.append({ id: `e${i % 5}`, newType: 'document', events: [event] })
        if (i === 300) repeated = engine.append(keyed)
        return appended
      }),
    )
    // what was acknowledged before stays acknowledged, whatever fails beside it
    expect(await repeated).toEqual({ ...first, repeated: true })
    const rejected = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    expect(rejected.length).toBeGreaterThan(0)
    expect(new Set(rejected.map(({ reason }) => reason.code))).toEqual(new Set(['KUMA_DISK_FULL']))
    await engine.close()
    await expectSound(store, 401 - rejected.length)
  })
})

test.each(['inline', 'worker'] as const)(
  'an answer without an event that finds no room is none: its request key is not known (%s)',
  async (committer) => {
    const path = smallDisk()
    if (path === null) return
    const Door = defineEntity({
      type: 'door',
      initial: { isOpen: false },
      events: { Opened: type<{ text?: string }>(), Entered: type<Record<never, never>>() },
      commands: { Ring: type<Record<never, never>>() },
    })
      .evolve({ Opened: () => ({ isOpen: true }), Entered: (state) => state })
      .decide({ Ring: ({ isOpen }) => (isOpen ? { type: 'Entered', data: {} } : undefined) })
    const store = join(path, 'store')
    const engine = await openEngine(
      { path: store, shards: 1, entities: [Door] },
      { access: 'write', committer, create: true },
    )
    const ring = (requestKey: string) => engine.execute({ id: 'd', command: { type: 'Ring' }, requestKey })
    await engine.append({ id: 'd', newType: 'door', events: [{ type: 'Created' }] })
    const kept = await ring('kept')
    const filler = join(path, 'filler')
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' })
    const lost = [
      ring('lost'),
      engine.append({ id: 'd', events: [{ type: 'Opened', data: { text: 'x'.repeat(200_000) } }] }),
    ]
    const behind = ring('lost')
    for (const each of [...lost, behind]) await expect(each).rejects.toMatchObject({ code: 'KUMA_DISK_FULL' })
    rmSync(filler)
    expect(await ring('another')).toMatchObject({ version: 1, events: [] })
    await engine.append({ id: 'd', events: [{ type: 'Opened' }] })
    expect(await ring('kept')).toEqual({ ...kept, repeated: true })
    expect(await ring('lost')).toMatchObject({ version: 3, events: [{ type: 'Entered' }] })
    await engine.close()
    await expectSound(store, 3)
  },
)

test.each(['inline', 'worker'] as const)(
  'a decision that rests on an event which found no room is rejected with it (%s)',
  async (committer) => {
    const path = smallDisk()
    if (path === null) return
    let go = () => {}
    const opened = new Promise<void>((resolve) => {
      go = resolve
    })
    const Tally = defineEntity({
      type: 'tally',
      initial: { counted: 0, text: '' },
      events: { Counted: type<{ text: string }>() },
      commands: { Count: type<Record<never, never>>() },
    })
      .evolve({ Counted: ({ counted }, { text }) => ({ counted: counted + 1, text }) })
      .decide({
        Count: async ({ counted }) => {
          await opened
          return { type: 'Counted', data: { text: `after ${counted}` } }
        },
      })
    const store = join(path, 'store')
    const engine = await openEngine(
      { path: store, shards: 1, entities: [Tally] },
      { access: 'write', committer, create: true },
    )
    await engine.append({ id: 't', newType: 'tally', events: [{ type: 'Counted', data: { text: 'first' } }] })
    const filler = join(path, 'filler')
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' })
    const lost = engine.append({ id: 't', events: [{ type: 'Counted', data: { text: 'x'.repeat(200_000) } }] })
    const decided = engine.execute({ id: 't', command: { type: 'Count' } })
    const behind = engine.append({ id: 't', events: [{ type: 'Counted', data: { text: 'behind' } }] })
    await expect(lost).rejects.toMatchObject({ code: 'KUMA_DISK_FULL' })
    rmSync(filler)
    go()
    await expect(decided).rejects.toMatchObject({ code: 'KUMA_DISK_FULL' })
    expect(await behind).toMatchObject({ version: 2 })
    expect(await engine.execute({ id: 't', command: { type: 'Count' } })).toMatchObject({
      version: 3,
      state: { counted: 3, text: 'after 2' },
    })
    await engine.close()
    await expectSound(store, 3)
  },
)

test.each(['inline', 'worker'] as const)(
  'an encrypted store on a full disk never has an entity without its key (%s)',
  async (committer) => {
    const path = smallDisk()
    if (path === null) return
    const store = join(path, 'store')
    const settings = { ...config(store), encryption: 'entity-keys', masterKey: MASTER_KEY } as const
    const filler = join(path, 'filler')
    const engine = await openEngine(settings, { access: 'write', committer, create: true })
    const create = (i: number) => engine.append({ id: `e${i}`, newType: 'document', events: [event] })
    await create(0)
    // 40 KB are left: room for keys and some events, then for neither
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' })
    truncateSync(filler, statSync(filler).size - 40 * 1024)
    const codes = new Set<unknown>()
    const created = [0]
    for (let i = 1; i <= 200; i++) {
      await create(i).then(
        () => created.push(i),
        ({ code }) => codes.add(code),
      )
    }
    expect(codes).toEqual(new Set(['KUMA_DISK_FULL']))
    rmSync(filler)
    for (const i of [201, 202]) {
      await create(i)
      created.push(i)
    }
    for (const i of created) expect((await engine.inspect(`e${i}`)).version).toBe(1)
    await engine.close()
    await expectSound(store, created.length)
  },
)

test.for([0, 16, 200])('a backup that finds only %i KB on the disk leaves nothing behind', async (left_kb, context) => {
  const path = smallDisk()
  if (path === null) return context.skip('needs the right to mount a file system')
  const store = join(path, 'store')
  const engine = await openEngine(config(store), { access: 'write', create: true })
  for (let n = 0; n < 30; n++) await engine.append({ id: 'a', newType: 'document', events: [event] })
  await engine.close()
  const filler = join(path, 'filler')
  spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' })
  truncateSync(filler, statSync(filler).size - left_kb * 1024)

  await expect(createBackup(store)).rejects.toMatchObject({
    code: 'KUMA_DISK_FULL',
    hint: expect.stringContaining('make room'),
  })
  expect(namesUnder(join(store, 'backups')).filter((name) => !name.startsWith('lock.db'))).toEqual([])

  rmSync(filler)
  const backup = await createBackup(store)
  expect(await verifyBackup(backup.path)).toMatchObject({ problems: [], events: 30 })
  await expectSound(store, 30)
})

test('read models wait while the disk is full, and are made good when there is room', async (context) => {
  const path = smallDisk()
  if (path === null) return context.skip('needs the right to mount a file system')
  const store = join(path, 'store')
  const settings = { ...config(store), readModels: {} }
  const first = await openEngine(config(store), { access: 'write', create: true })
  for (let n = 0; n < 40; n++) await first.append({ id: `e${n}`, newType: 'document', events: [event] })
  await first.close()
  const filler = join(path, 'filler')
  spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' })
  // 300 KB are left: enough for empty tables, and not for 800 KB of rows
  truncateSync(filler, statSync(filler).size - 300 * 1024)

  const engine = await openEngine(settings, { access: 'write', projects: true })
  for (;;) {
    const [info] = await engine.readModels.list()
    if (info!.error !== null) {
      expect(info).toMatchObject({ state: 'waiting', error: { code: 'KUMA_DISK_FULL' } })
      break
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect((await engine.inspect('e7')).version).toBe(1)

  rmSync(filler)
  const { position } = await engine.append({ id: 'e7', events: [{ type: 'Set', data: { n: 1 } }] })
  await engine.readModels.waitFor('entities', position)
  const sql =
    'select count(*) as entities, sum(version) as versions, sum(length(state)) > 800000 as whole from entities'
  const found: unknown[] = []
  for await (const { rows } of engine.readModels.query({ sql })) found.push(...rows)
  expect(found).toEqual([[40, 41, 1]])
  await engine.close()
  await expectSound(store, 41)
})

test.each(['inline', 'worker'])(
  'a failing disk poisons the shard: unclear, then refused, while reading goes on (%s)',
  async (committer) => {
    const path = join(folder(), 'store')
    await createStore(path, { shards: 1 })
    const program = join(import.meta.dirname, '../programs/append-under-limit.ts')
    // in blocks of 512 bytes: no file of this process may grow beyond 1 MB
    const child = spawnSync(
      'sh',
      ['-c', 'ulimit -f 2000 && exec "$@"', 'sh', process.execPath, JITI, program, path, committer],
      { encoding: 'utf8' },
    )
    expect(child.stderr).toBe('')
    const { acknowledged, first, second, version } = JSON.parse(child.stdout)
    expect(first).toMatchObject({ code: 'KUMA_INDETERMINATE', details: { requestKey: `k${acknowledged}` } })
    expect(second).toMatchObject({ code: 'KUMA_POISONED', details: { shard: 0 } })
    expect(version).toBe(acknowledged)

    // opened anew, the same request key tells the truth: recorded then or now, but once
    const engine = await openEngine(config(path), { access: 'write', committer: 'inline' })
    const retried = await engine.append({
      id: 'a',
      newType: 'document',
      events: [event],
      requestKey: `k${acknowledged}`,
    })
    expect(retried.version).toBe(acknowledged + 1)
    await engine.close()
    await expectSound(path, acknowledged + 1)
  },
)

function namesUnder(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : []
}

async function appendUntilError(engine: Engine): Promise<{ acknowledged: number; error: unknown }> {
  for (let acknowledged = 0; ; acknowledged++) {
    try {
      await engine.append({ id: 'a', newType: 'document', events: [event] })
    } catch (error) {
      return { acknowledged, error }
    }
  }
}

async function expectSound(path: string, expected: number): Promise<void> {
  let events = 0
  for await (const report of verifyStore(path)) {
    expect(report.problems).toEqual([])
    events += report.events
  }
  expect(events).toBe(expected)
}
