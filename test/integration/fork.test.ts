/** A fork that is made by a program, while it goes on writing. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { expect, onTestFinished, test } from 'vitest'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'

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
