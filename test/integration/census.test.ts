/** What the engine tells of its actors to whom it serves, and what can be done to them by hand. */
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ActorSort, LiveEngine } from '../../src/engine.ts'
import { openEngine } from '../../src/kuma.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'
import { randomFrom } from '../random.ts'

async function opened(): Promise<LiveEngine> {
  const path = join(folder(), 'store')
  const engine = await openEngine({ path, shards: 2 }, { access: 'write', create: true })
  onTestFinished(() => engine.close())
  return engine
}

const append = (engine: LiveEngine, id: string, n = 0) =>
  engine.append({ id, newType: 'document', events: [{ type: 'Set', data: { n } }] })

test('a page of actors, by any column', async () => {
  const engine = await opened()
  for (let n = 0; n < 30; n++) await append(engine, `e${String(n).padStart(2, '0')}`)
  for (let n = 0; n < 5; n++) await append(engine, 'e07', n)
  await engine.append({ id: 'other', newType: 'document', events: [{ type: 'Set' }, { type: 'Set' }] })
  const ids = async (sort: ActorSort, more = {}) =>
    (await engine.actors({ sort, limit: 3, ...more })).actors.map(({ id }) => id)
  expect(await ids('id')).toEqual(['e00', 'e01', 'e02'])
  expect(await ids('id', { offset: 2 })).toEqual(['e02', 'e03', 'e04'])
  expect(await ids('id', { reverse: true })).toEqual(['other', 'e29', 'e28'])
  expect(await ids('version')).toEqual(['e07', 'other', 'e00'])
  expect((await engine.actors({ filter: 'e1', limit: 2 })).matching).toBe(10)
  expect(await engine.actors({ filter: 'docu', limit: 0 })).toEqual({ total: 31, matching: 31, actors: [] })
  const { actors } = await engine.actors({ filter: 'e07' })
  expect(actors).toMatchObject([{ id: 'e07', type: 'document', state: 'idle', mailbox: 0, version: 6 }])
  for (const sort of ['type', 'shard', 'state', 'mailbox', 'rate', 'p50', 'p99', 'age', 'idle'] as const)
    expect(await ids(sort)).toHaveLength(3)
  await expect(engine.actors({ offset: 900, limit: 101 })).rejects.toMatchObject({ code: 'KUMA_USAGE' })
  await expect(engine.actors({ sort: 'size' as never })).rejects.toMatchObject({ code: 'KUMA_USAGE' })
})

test('how long appends take is known from the first look on', async () => {
  const engine = await opened()
  await append(engine, 'a')
  expect((await engine.actors()).actors).toMatchObject([{ id: 'a', ackMs: null }])
  for (let n = 0; n < 40; n++) await append(engine, 'a', n)
  const { ackMs } = (await engine.actors()).actors[0]!
  expect(ackMs!.p50).toBeGreaterThan(0)
  expect(ackMs!.p99).toBeGreaterThanOrEqual(ackMs!.p50)
})

test('what is under way shows', async () => {
  const engine = await opened()
  await append(engine, 'a')
  const appends = Array.from({ length: 20 }, (_, n) => append(engine, 'a', n))
  const loading = append(engine, 'b')
  const { actors, total } = await engine.actors({ sort: 'id' })
  expect(total).toBe(2)
  expect(actors[0]).toMatchObject({ id: 'a', state: 'busy', mailbox: 20 })
  expect(engine.shards().reduce((sum, { pending }) => sum + pending, 0)).toBeGreaterThan(0)
  await Promise.all([...appends, loading])
  expect((await engine.actors({ sort: 'id' })).actors).toMatchObject([
    { id: 'a', state: 'idle', mailbox: 0, version: 21 },
    { id: 'b', state: 'idle', mailbox: 0, version: 1 },
  ])
  expect(engine.shards().reduce((sum, { lastSeq }) => sum + lastSeq, 0)).toBe(22)
})

describe('passivate', () => {
  test('drops an actor, and it comes back as it was', async () => {
    const engine = await opened()
    await append(engine, 'a', 1)
    expect(await engine.passivate('a')).toBe(true)
    expect((await engine.actors()).total).toBe(0)
    expect(await engine.passivate('a')).toBe(false)
    expect(await engine.passivate('nobody')).toBe(false)
    expect(await engine.inspect('a')).toMatchObject({ version: 1, state: { n: 1 } })
    expect((await append(engine, 'a', 2)).version).toBe(2)
  })

  test('amid appends nothing is lost, and nothing comes twice', async () => {
    const seed = Number(process.env['KUMA_SEED'] ?? Date.now() % 1_000_000)
    console.log(`KUMA_SEED=${seed}`)
    const random = randomFrom(seed)
    const engine = await opened()
    const ids = ['a', 'b', 'c']
    const versions = new Map<string, number[]>(ids.map((id) => [id, []]))
    const work: Promise<unknown>[] = []
    for (let round = 0; round < 200; round++) {
      const id = ids[Math.floor(random() * ids.length)]!
      if (random() < 0.3) work.push(engine.passivate(id))
      else if (random() < 0.1) work.push(engine.snapshot(id).catch(() => {}))
      else work.push(append(engine, id, round).then(({ version }) => versions.get(id)!.push(version)))
      if (random() < 0.2) await Promise.all(work.splice(0))
      else if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(work)
    for (const [id, each] of versions) {
      expect(each.toSorted((a, b) => a - b)).toEqual(each.map((_, i) => i + 1))
      expect((await engine.find(id))?.version).toBe(each.length)
    }
    await engine.close()
    for await (const { problems } of verifyStore(engine.path)) expect(problems).toEqual([])
  })
})

test('a snapshot by hand is kept once', async () => {
  const engine = await opened()
  await append(engine, 'a', 1)
  const before = engine.stats().snapshots
  expect(await engine.snapshot('a')).toBe(true)
  expect(await engine.snapshot('a')).toBe(false)
  expect(engine.stats().snapshots).toBe(before + 1)
  await expect(engine.snapshot('nobody')).rejects.toMatchObject({ code: 'KUMA_NOT_FOUND' })
  await append(engine, 'a', 2)
  expect(await engine.snapshot('a')).toBe(true)
  await engine.close()
  for await (const { problems } of verifyStore(engine.path)) expect(problems).toEqual([])
})
