/** How live entities come and go, what is bounded, and what stats tell of it. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'

async function open(config: kuma.Config = {}) {
  const path = config.path ?? folder()
  const ctx = await kuma.start({ shards: 4, ...config, path })
  onTestFinished(() => ctx.close())
  return { ctx, path }
}

const set = (value: number) => ({ type: 'Set', data: { value } })

test('actors leave when nobody uses them, and come back with all that was recorded', async () => {
  const { ctx } = await open({ actorIdleMs: 40 })
  const entities = await Promise.all(Array.from({ length: 50 }, (_, i) => ctx.spawn(kuma.document, `e${i}`)))
  await Promise.all(entities.map((entity, i) => entity.append(set(i))))
  expect(ctx.stats().actors).toBe(50)
  // nothing is appended meanwhile: their heads get to disk all the same
  await vi.waitFor(() => expect(ctx.stats().actors).toBe(0), { timeout: 20_000 })
  expect(await Promise.all(entities.map((entity) => entity.read()))).toEqual(entities.map((_, value) => ({ value })))
  expect((await entities[7]!.append(set(0))).version).toBe(3)
})

test('one that is used stays', async () => {
  const { ctx } = await open({ actorIdleMs: 400 })
  const [used] = await Promise.all(['used', 'idle'].map((id) => ctx.spawn(kuma.document, id)))
  await vi.waitFor(
    async () => {
      await used!.read()
      expect(ctx.stats().actors).toBe(1)
    },
    { timeout: 20_000, interval: 20 },
  )
  const { reads } = ctx.stats()
  await used!.read()
  expect(ctx.stats()).toMatchObject({ actors: 1, reads: reads + 1 })
})

test('actors are held by count, whatever comes', async () => {
  const { ctx } = await open({ actorsMax: 20 })
  for (let round = 0; round < 30; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => (await ctx.spawn(kuma.document, `e${round}-${i}`)).append(set(i))),
    )
  }
  expect(ctx.stats().actors).toBeLessThan(300)
  for (let round = 0; round < 30; round++) {
    expect(await (await ctx.entity(`e${round}-3`)).read()).toEqual({ value: 3 })
  }
})

test('thousands of entities that are woken at once hold up neither timers nor each other', async () => {
  const { ctx, path } = await open()
  const ids = Array.from({ length: 3_000 }, (_, i) => `e${i}`)
  await Promise.all(
    ids.map(async (id) => {
      const entity = await ctx.spawn(kuma.document, id)
      await entity.appendAll(Array.from({ length: 20 }, (_, value) => set(value)))
    }),
  )
  await ctx.close()
  const again = (await open({ path })).ctx
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const entities = await Promise.all(ids.map((id) => again.entity(id)))
  const states = await Promise.all(entities.map((entity) => entity.read()))
  clearInterval(timer)
  expect(states).toEqual(ids.map(() => ({ value: 19 })))
  expect(turns).toBeGreaterThan(5)
})

describe('a flood', () => {
  test('beyond the bound is rejected at once, and all that was acknowledged is there', () => {
    const program = join(import.meta.dirname, '../programs/flood.js')
    const child = spawnSync(process.execPath, ['--expose-gc', program, join(folder(), 'store')], { encoding: 'utf8' })
    expect(child.stderr).toBe('')
    const { acknowledged, overloaded, other, recorded, peakMiB } = JSON.parse(child.stdout)
    expect(overloaded).toBeGreaterThan(0)
    expect(other).toEqual([])
    expect(recorded).toBe(acknowledged)
    // 600 MB were thrown at it at once, of which 64 may wait
    expect(peakMiB).toBeLessThan(800)
  })

  test('of appends to a large document takes no copy of its state for each of them', () => {
    const program = join(import.meta.dirname, '../programs/crowded-document.js')
    const words = ['--max-old-space-size=100', program, join(folder(), 'store')]
    const child = spawnSync(process.execPath, words, { encoding: 'utf8' })
    expect(child.stderr).toBe('')
    expect(JSON.parse(child.stdout)).toEqual({ version: 3_001, fields: 23_000, last: 2_999 })
  })

  test.each([
    ['', false],
    [', also when the store is closed meanwhile', true],
  ])('of calls to an entity that decides is bounded too%s', async (_, close) => {
    let go!: () => void
    const opened = new Promise<void>((resolve) => (go = resolve))
    const Slow = kuma
      .defineEntity({
        type: 'slow',
        initial: { done: 0 },
        events: { Done: kuma.type<Record<never, never>>() },
        commands: { Do: kuma.type<Record<never, never>>() },
      })
      .evolve({ Done: ({ done }) => ({ done: done + 1 }) })
      .decide({
        Do: async () => {
          await opened
          return { type: 'Done' }
        },
      })
    const { ctx, path } = await open({ entities: [Slow] })
    const slow = await ctx.spawn(Slow, 's')
    const calls = Array.from({ length: 20_000 }, () => slow.append({ type: 'Done' }))
    const first = slow.execute({ type: 'Do' })
    const more = Array.from({ length: 20_000 }, () => slow.append({ type: 'Done' }))
    const settling = Promise.allSettled(more)
    const closing = close ? ctx.close() : undefined
    go()
    await Promise.all([...calls, first])
    const settled = await settling
    const rejected = settled.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    expect(rejected.length).toBeGreaterThan(0)
    expect(new Set(rejected.map(({ reason }) => reason.code))).toEqual(new Set(['KUMA_OVERLOADED']))
    await closing
    const again = close ? (await open({ path, entities: [Slow] })).ctx : ctx
    expect(await (await again.entity(Slow, 's')).read()).toEqual({ done: 20_001 + 20_000 - rejected.length })
  })
})

test('stats tell what was done', async () => {
  const { ctx, path } = await open({ committers: 3 })
  const entities = await Promise.all(Array.from({ length: 9 }, (_, i) => ctx.spawn(kuma.document, `e${i}`)))
  await Promise.all(entities.map((entity) => entity.appendAll([set(1), set(2)])))
  await entities[0]!.read()
  const stats = ctx.stats()
  expect(stats).toMatchObject({
    actors: 9,
    loading: 0,
    waiting: 0,
    appendsPending: 0,
    bytesPending: 0,
    events: 27,
    reads: 1,
  })
  expect(stats.commitEvents.count).toBeGreaterThan(0)
  expect(stats.commitEvents.mean * stats.commitEvents.count).toBeCloseTo(27)
  expect(stats.commitMs.p50).toBeGreaterThan(0)
  expect(stats.walBytesByShard).toHaveLength(4)
  expect(stats.walBytes).toBeGreaterThan(0)
  expect(stats.eventsPerSecond).toBeGreaterThan(0)
  await ctx.close()
  for await (const { problems } of verifyStore(path)) expect(problems).toEqual([])
})

test.each([
  ['committers', 0],
  ['actorsMax', 0.5],
  ['stateBytesMax', 0],
  ['actorIdleMs', 1],
  ['decideTimeoutMs', 2 ** 31],
])('the setting %s cannot be %d', async (name, value) => {
  await expect(kuma.start({ path: folder(), [name]: value })).rejects.toMatchObject({
    code: 'KUMA_INVALID_CONFIG',
    message: expect.stringContaining(name),
  })
})
