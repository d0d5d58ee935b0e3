/** Erasing entities through the library: they are gone, to the byte, and nobody else notices. */
import { rmSync } from 'node:fs'
import * as kuma from 'kuma'
import { expect, onTestFinished, test } from 'vitest'
import { verifyStore } from '../../src/store/verify.ts'
import { filesWith } from '../files-with.ts'
import { folder } from '../folder.ts'

const Profile = kuma
  .defineEntity({
    type: 'profile',
    snapshotEvery: 10,
    initial: { notes: [] as string[] },
    events: { Noted: kuma.type<{ note: string }>() },
  })
  .evolve({ Noted: (state, { note }) => ({ notes: [...state.notes.slice(-3), note] }) })

async function open(path = folder(), options: kuma.Config = {}) {
  const ctx = await kuma.start({ path, shards: 2, entities: [Profile], ...options })
  onTestFinished(() => ctx.close())
  return { ctx, path }
}

async function profile(ctx: kuma.Kuma, id: string, events: number, marker = id) {
  const entity = await ctx.spawn(Profile, id)
  for (let i = 0; i < events; i++) {
    const note = `${marker}-${i}${i % 7 === 3 ? `-${marker}`.repeat(900) : ''}`
    await entity.append({ type: 'Noted', data: { note } }, { requestKey: `${marker}-key-${i}` })
  }
  return entity
}

async function verified(path: string) {
  const found = { problems: [] as string[], unfinished: 0 }
  for await (const { problems, unfinished } of verifyStore(path)) {
    found.problems.push(...problems)
    found.unfinished += unfinished
  }
  return found
}

test('it is gone, to the byte, from every file, and all others are as they were', async () => {
  const { ctx, path } = await open()
  const others = [await profile(ctx, 'other_1', 45), await profile(ctx, 'other_2', 3), await profile(ctx, 'other_3', 1)]
  const person = await profile(ctx, 'person_77', 60, 'secretmark')
  const before = await Promise.all(others.map((other) => other.export()))
  const receipt = await person.delete({ reason: 'asked for' })
  expect(receipt).toMatchObject({ format: 'kuma-receipt/1', erased: 61, by: null, reason: 'asked for', notReached: [] })
  expect(receipt.files.map(({ dirty }) => dirty)).toEqual([[]])
  expect(receipt.files[0]!.pages).toBeGreaterThan(10)
  await expect(person.read()).rejects.toMatchObject({ code: 'KUMA_NOT_FOUND' })
  await expect(ctx.entity('person_77')).rejects.toMatchObject({ code: 'KUMA_NOT_FOUND' })
  expect(await Promise.all(others.map((other) => other.export()))).toEqual(before)
  await ctx.close()
  expect(filesWith(path, ['person_77', 'secretmark'])).toEqual([])
  expect(filesWith(path, ['other_2'])).toHaveLength(1)
  expect(await verified(path)).toEqual({ problems: [], unfinished: 0 })
})

test('an id that is used again is a new entity, which can be erased again', async () => {
  const { ctx, path } = await open()
  for (const mark of ['first', 'second', 'third']) {
    const person = await profile(ctx, 'person_1', 25, `${mark}-mark`)
    expect((await person.inspect()).version).toBe(26)
    expect((await person.delete()).erased).toBe(26)
  }
  const person = await profile(ctx, 'person_1', 2, 'fourth-mark')
  expect((await person.log().toArray()).map(({ version }) => version)).toEqual([1, 2, 3])
  await ctx.close()
  expect(filesWith(path, ['first-mark', 'second-mark', 'third-mark'])).toEqual([])
  expect(await verified(path)).toEqual({ problems: [], unfinished: 0 })
})

test('what is accepted before is erased as well, and what comes meanwhile is told so', async () => {
  const { ctx, path } = await open()
  const person = await profile(ctx, 'person_1', 2)
  const before = person.append({ type: 'Noted', data: { note: 'before-mark' } })
  const deleted = person.delete()
  const meanwhile = Promise.allSettled(
    Array.from({ length: 50 }, async (_, i) => {
      await new Promise((done) => setImmediate(done))
      return person.append({ type: 'Noted', data: { note: `meanwhile-mark-${i}` } })
    }),
  )
  expect((await before).version).toBe(4)
  expect((await deleted).erased).toBeGreaterThanOrEqual(4)
  for (const result of await meanwhile) {
    if (result.status === 'rejected') expect(['KUMA_ERASED', 'KUMA_NOT_FOUND']).toContain(result.reason.code)
  }
  await expect(person.append({ type: 'Noted', data: { note: 'x' } })).rejects.toMatchObject({ code: 'KUMA_NOT_FOUND' })
  await ctx.close()
  expect(filesWith(path, ['person_1', 'before-mark', 'meanwhile-mark'])).toEqual([])
  expect(await verified(path)).toEqual({ problems: [], unfinished: 0 })
})

test('a program takes backups while it appends, and what it erases is gone from them', async () => {
  const { ctx, path } = await open()
  const person = await profile(ctx, 'person_1', 5)
  const going = profile(ctx, 'other_1', 30)
  const first = await ctx.backup()
  await going
  const second = await ctx.backup({ to: `${path}-elsewhere`, keep: 1 })
  onTestFinished(() => rmSync(`${path}-elsewhere`, { recursive: true }))
  expect(filesWith(first.path, ['person_1'])).toHaveLength(1)
  const { reached, notReached } = await person.delete()
  expect({ reached, notReached }).toEqual({ reached: [first.path, second.path], notReached: [] })
  for (const backup of reached) expect(filesWith(backup, ['person_1'])).toEqual([])
  const stop = AbortSignal.abort()
  await expect(ctx.backup({ signal: stop })).rejects.toBe(stop.reason)
})
