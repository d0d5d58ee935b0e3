/** Snapshots: activation and time travel stay short, a wrong or old one is never believed, and all of them can be lost. */
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../src/store/driver.ts'
import { shardPath } from '../../src/store/manifest.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'

/** Counts in its state how many events made it, and in `folds` how many were folded to know that. */
function counterOf({ version = 1, snapshotEvery = 10, step = 1 } = {}) {
  const folds = { count: 0 }
  const Counter = kuma
    .defineEntity({
      type: 'counter',
      version,
      snapshotEvery,
      initial: { count: 0, sum: 0 },
      events: { Counted: kuma.type<{ n: number }>() },
    })
    .evolve({
      Counted: (state, { n }) => {
        folds.count++
        return { count: state.count + step, sum: state.sum + n }
      },
    })
  return { Counter, folds }
}

async function open(path: string, definition: kuma.AnyEntityDefinition, config: kuma.Config = {}) {
  const ctx = await kuma.start({ path, shards: 1, entities: [definition], ...config })
  onTestFinished(() => ctx.close())
  return ctx
}

/** An entity of `events` events; version 1 is its first `Counted`. */
async function filled(path: string, events: number, options = {}) {
  const { Counter } = counterOf(options)
  const ctx = await open(path, Counter)
  const counter = await ctx.spawn(Counter, 'c')
  for (let n = 0; n < events; n++) await counter.append({ type: 'Counted', data: { n } })
  await ctx.close()
}

function rows(path: string): { version: number; definition: string; state: string }[] {
  const db = openDatabase(shardPath(path, 0), 'read')
  try {
    return db.prepare('SELECT version, definition, state FROM snapshots ORDER BY rowid').all() as never
  } finally {
    db.close()
  }
}

function edit(path: string, sql: string): void {
  const db = openDatabase(shardPath(path, 0), 'write')
  db.exec(sql)
  db.close()
}

async function problemsOf(path: string): Promise<string[]> {
  const all: string[] = []
  for await (const { problems } of verifyStore(path)) all.push(...problems)
  return all
}

test('are taken at every tenth version, also in the middle of a group, and spare the folding', async () => {
  const path = folder()
  await filled(path, 24)
  const { Counter, folds } = counterOf()
  const ctx = await open(path, Counter)
  const counter = await ctx.entity(Counter, 'c')
  await counter.appendAll(Array.from({ length: 20 }, (_, n) => ({ type: 'Counted' as const, data: { n } })))
  await ctx.close()
  expect(rows(path).map(({ version }) => version)).toEqual([10, 20, 30, 40])
  folds.count = 0
  const again = await open(path, Counter)
  expect(await (await again.entity(Counter, 'c')).read()).toMatchObject({ count: 44 })
  expect(folds.count).toBe(5)
  expect(await problemsOf(path)).toEqual([])
})

test('make every moment of the past as near as the last snapshot before it', async () => {
  const path = folder()
  await filled(path, 99)
  const { Counter, folds } = counterOf()
  const ctx = await open(path, Counter)
  const counter = await ctx.entity(Counter, 'c')
  const log = await counter.log().toArray()
  for (const version of [1, 9, 10, 11, 55, 99, 100]) {
    folds.count = 0
    expect((await counter.inspect({ version })).state).toMatchObject({ count: version - 1 })
    expect(folds.count).toBeLessThan(10)
    const { at } = log[version - 1]!
    const newest = log.filter((event) => event.at <= at).length
    folds.count = 0
    expect((await counter.inspect({ at })).state).toMatchObject({ count: newest - 1 })
    expect(folds.count).toBeLessThan(10)
  }
  folds.count = 0
  const steps = await counter.replay({ from: { version: 52 }, to: { version: 54 } }).toArray()
  expect(steps.map(({ state }) => state.count)).toEqual([51, 52, 53])
  expect(folds.count).toBe(4)
  const part = await counter.log({ from: { version: 52 }, to: { version: 54 } }).toArray()
  expect(part.map(({ version }) => version)).toEqual([52, 53, 54])
})

test('of another version of the definition are ignored, and taken anew along the whole history', async () => {
  const path = folder()
  await filled(path, 35)
  const { Counter, folds } = counterOf({ version: 2, step: 100 })
  const ctx = await open(path, Counter)
  const counter = await ctx.entity(Counter, 'c')
  expect(await counter.read()).toMatchObject({ count: 3500 })
  expect(folds.count).toBe(35)
  await counter.append({ type: 'Counted', data: { n: 0 } })
  folds.count = 0
  expect(await counter.read({ version: 21 })).toMatchObject({ count: 2000 })
  expect(folds.count).toBe(1)
  await ctx.close()
  const old = await open(path, counterOf().Counter)
  expect(await (await old.entity('c')).read({ version: 31 })).toMatchObject({ count: 30 })
  expect(await problemsOf(path)).toEqual([])
})

describe('one that was changed', () => {
  test('is not believed, and verify finds it', async () => {
    const path = folder()
    await filled(path, 35)
    edit(path, `UPDATE snapshots SET state = replace(state, '"count":29', '"count":28') WHERE version = 30`)
    const { Counter, folds } = counterOf()
    const ctx = await open(path, Counter)
    expect(await (await ctx.entity(Counter, 'c')).read()).toMatchObject({ count: 35 })
    expect(folds.count).toBe(16)
    expect(await problemsOf(path)).toEqual(['the snapshot of entity 1 at version 30: the crc is wrong'])
  })

  test('in its place is found too', async () => {
    const path = folder()
    await filled(path, 25)
    edit(path, 'UPDATE snapshots SET seq = seq - 1 WHERE version = 20')
    expect(await problemsOf(path)).toEqual([
      'the snapshot of entity 1 at version 20: the crc is wrong',
      'the snapshot of entity 1 at version 20 is of no event',
    ])
    const { Counter } = counterOf()
    const ctx = await open(path, Counter)
    expect(await (await ctx.entity(Counter, 'c')).read()).toMatchObject({ count: 25 })
  })
})

test('all of them can be lost: nothing is different but the time', async () => {
  const path = folder()
  await filled(path, 35)
  edit(path, 'DELETE FROM snapshots')
  const { Counter } = counterOf()
  const ctx = await open(path, Counter)
  const counter = await ctx.entity(Counter, 'c')
  expect(await counter.read({ version: 31 })).toMatchObject({ count: 30 })
  expect(await counter.read()).toMatchObject({ count: 35 })
})

test('a state that JSON cannot give back is folded instead, and stats tell the type', async () => {
  const Clock = kuma
    .defineEntity({
      type: 'clock',
      snapshotEvery: 2,
      initial: { seen: new Set<string>() },
      events: { Ticked: kuma.type<{ at: string }>() },
    })
    .evolve({ Ticked: ({ seen }, { at }) => ({ seen: new Set([...seen, at]) }) })
  const path = folder()
  const ctx = await open(path, Clock)
  const clock = await ctx.spawn(Clock, 'k')
  for (const at of ['a', 'b', 'c']) await clock.append({ type: 'Ticked', data: { at } })
  expect(ctx.stats()).toMatchObject({ snapshots: 0, unfitForSnapshots: ['clock'] })
  await ctx.close()
  const again = await open(path, Clock)
  expect((await (await again.entity(Clock, 'k')).read()).seen).toEqual(new Set(['a', 'b', 'c']))
})
