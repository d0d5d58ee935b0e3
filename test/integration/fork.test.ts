/** A fork that is made by a program, while it goes on writing. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openEngine } from '../../src/kuma.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'
import { doorOf } from '../models.ts'

async function filled(config: kuma.Config = {}) {
  const at = folder()
  const ctx = await kuma.start({ path: join(at, 'store'), shards: 3, ...config })
  onTestFinished(() => ctx.close())
  const entities = await Promise.all(Array.from({ length: 20 }, (_, n) => ctx.spawn(kuma.document, `e${n}`, { n })))
  for (const entity of entities)
    await entity.appendAll(Array.from({ length: 1_000 }, (_, i) => ({ type: 'Set', data: { i } })))
  return { at, ctx, entities }
}

test.each([[undefined], ['entity-keys' as const]])(
  'each history in it is a beginning of the original (encryption: %s)',
  async (encryption) => {
    const key = { encryption, masterKey: encryption && MASTER_KEY }
    const { at, ctx, entities } = await filled(key)
    let going = true
    const writers = entities.map(async (entity) => {
      while (going)
        await entity.append({ type: 'Set', data: { i: Math.random() } }, { requestKey: String(Math.random()) })
    })
    const parts: number[] = []
    const { path, events } = await ctx.fork(join(at, 'fork'), { onProgress: ({ part }) => parts.push(part) })
    going = false
    await Promise.all(writers)
    expect(parts).toEqual(parts.toSorted((a, b) => a - b))
    expect(parts.at(-1)).toBe(1)
    for await (const { problems } of verifyStore(path, { masterKey: () => Buffer.from(MASTER_KEY, 'hex') }))
      expect(problems).toEqual([])
    const forked = await kuma.start({ path, ...key })
    onTestFinished(() => forked.close())
    let count = 0
    for (const { id } of entities) {
      const there = await (await forked.entity(id)).log().toArray()
      const here = await (await ctx.entity(id)).log({ to: { version: there.length } }).toArray()
      const content = (all: kuma.Event[]) => all.map(({ position: _, ...event }) => event)
      expect(content(there)).toEqual(content(here))
      expect(there.length).toBeGreaterThanOrEqual(1_001)
      count += there.length
    }
    expect(count).toBe(events)
    // an id of its own, so that a backup or a cursor of one is not taken for the other's
    expect(await (await forked.entity('e0')).append({ type: 'Tried', data: {} })).toBeDefined()
  },
)

test('what is erased while it is made does not come to life in it', async () => {
  const { at, ctx, entities } = await filled()
  let deleted: Promise<unknown> | null = null
  const onProgress = ({ events }: { events: number }) => {
    // when all are copied: one commit, and there are thousands of events to verify
    if (events === 20_020) deleted ??= entities[0]!.delete()
  }
  await expect(ctx.fork(join(at, 'fork'), { onProgress })).rejects.toMatchObject({ code: 'KUMA_ERASED' })
  await deleted
  expect(readdirSync(at)).toEqual(['store'])
  expect(await ctx.fork(join(at, 'fork'))).toMatchObject({ entities: 19 })
})

test('ends with the reason of its signal, and leaves nothing behind', async () => {
  const { at, ctx } = await filled()
  const stop = new AbortController()
  const onProgress = () => stop.abort(new Error('enough'))
  await expect(ctx.fork(join(at, 'fork'), { signal: stop.signal, onProgress })).rejects.toThrow('enough')
  expect(existsSync(join(at, 'fork'))).toBe(false)
  expect(readdirSync(at)).toEqual(['store'])
})

describe.each([[undefined], ['entity-keys' as const]])('request keys are in it (encryption: %s):', (encryption) => {
  const Door = doorOf(2)
  const config = { entities: [Door], encryption, masterKey: encryption && MASTER_KEY }
  const ring = { type: 'Ring', data: {} } as const
  const timeOf = (group: number, n: number) => 1_000_000_000_000 + 10_000 * group + n
  const three = (group: number) => [1, 2, 3].map((n) => ({ type: 'Set', data: { n }, at: timeOf(group, n) }))

  /** All ways to come by a request key, each with a second entity beside it. */
  async function store() {
    const at = folder()
    const ctx = await kuma.start({ path: join(at, 'store'), shards: 1, ...config })
    onTestFinished(() => ctx.close())
    for (const id of ['doc', 'other']) {
      const doc = await ctx.spawn(kuma.document, id, undefined, { requestKey: 'spawned' })
      await doc.append({ type: 'Set', data: { b: 1, a: 2 } }, { requestKey: 'appended' })
      await doc.revert({ version: 1 }, { requestKey: 'reverted' })
      const door = await ctx.spawn(Door, `door-${id}`)
      await door.execute(ring, { requestKey: 'too-early' })
      await door.append({ type: 'Opened', data: {} })
      await door.execute(ring, { requestKey: 'in-time' })
    }
    return { at, ctx }
  }

  async function forked(ctx: kuma.Kuma, path: string, options?: kuma.ForkOptions) {
    await ctx.fork(path, options)
    for await (const { problems } of verifyStore(path, { masterKey: () => Buffer.from(MASTER_KEY, 'hex') }))
      expect(problems).toEqual([])
    const fork = await kuma.start({ path, ...config })
    onTestFinished(() => fork.close())
    return fork
  }

  test('what was asked of the original and is asked again is known, of all of it and of a part', async () => {
    const { at, ctx } = await store()
    const parts = [{}, { entity: 'doc' }, { prefix: 'door-' }, { type: 'door' }, { at: Date.now() }]
    for (const [i, part] of parts.entries()) {
      const fork = await forked(ctx, join(at, `fork-${i}`), part)
      for (const { id, type, version } of await fork.entities().toArray()) {
        if (type === 'document') {
          const doc = await fork.spawn(kuma.document, id, undefined, { requestKey: 'spawned' })
          expect(await doc.append({ type: 'Set', data: { a: 2, b: 1 } }, { requestKey: 'appended' })).toMatchObject({
            version: 2,
          })
          await doc.revert({ version: 1 }, { requestKey: 'reverted' })
        } else {
          const door = await fork.entity(Door, id)
          const early = await door.execute(ring, { requestKey: 'too-early' })
          const { position, at } = await door.inspect({ version: 1 })
          expect(early).toEqual({ version: 1, position, at, events: [], state: { isOpen: false, visitors: 0 } })
          const entered = await door.execute(ring, { requestKey: 'in-time' })
          expect(entered.events).toEqual(await door.log({ from: { version: 3 } }).toArray())
        }
        expect((await (await fork.entity(id)).inspect()).version).toBe(version)
      }
    }
  })

  test('a message that came after its time is not known there, and one that the time cuts in two is refused', async () => {
    const path = join(folder(), 'store')
    const engine = await openEngine({ path, shards: 1, ...config }, { access: 'write', create: true })
    const groups = ['first', 'second', 'third'].map((requestKey, i) => ({ id: 'doc', requestKey, events: three(i) }))
    for (const group of groups) await engine.append({ ...group, newType: 'document' })
    await engine.close()
    const ctx = await kuma.start({ path, ...config })
    onTestFinished(() => ctx.close())
    const fork = await forked(ctx, `${path}-fork`, { at: timeOf(1, 2) })
    const doc = await fork.entity('doc')
    const again = (i: number) => doc.appendAll(groups[i]!.events, { requestKey: groups[i]!.requestKey })
    expect(await again(0)).toMatchObject({ version: 3 })
    await expect(again(1)).rejects.toMatchObject({
      code: 'KUMA_REQUEST_KEY_REUSED',
      hint: expect.stringContaining('cut'),
    })
    expect(await again(2)).toMatchObject({ version: 8 })
    // and so in a fork of the fork
    const second = await forked(fork, `${path}-fork-2`, { at: timeOf(1, 2) })
    const there = (await second.entity('doc')).appendAll(groups[1]!.events, { requestKey: 'second' })
    await expect(there).rejects.toMatchObject({ code: 'KUMA_REQUEST_KEY_REUSED' })
  })
})
