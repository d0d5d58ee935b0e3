/** The feed as a program uses it: what is there, then what comes, from any place, at any pace. */
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'

const Account = kuma
  .defineEntity({
    type: 'account',
    initial: { balance: 0 },
    events: { Deposited: kuma.type<{ amount: number }>(), Closed: kuma.type<object>() },
  })
  .evolve({ Deposited: ({ balance }, { amount }) => ({ balance: balance + amount }), Closed: (state) => state })
  .upcast({ PaidIn: ({ data }) => ({ type: 'Deposited', data: { amount: data.cents / 100 } }) })

async function open(path = folder(), config: kuma.Config = {}) {
  const ctx = await kuma.start({ path, shards: 3, entities: [Account], ...config })
  onTestFinished(() => ctx.close())
  return ctx
}

const deposited = (amount: number) => ({ type: 'Deposited' as const, data: { amount } })

/** So many items, and then no more are asked for. */
async function take(feed: AsyncIterable<kuma.FeedItem>, count: number): Promise<kuma.FeedItem[]> {
  const items: kuma.FeedItem[] = []
  if (count === 0) return items
  for await (const item of feed) if (items.push(item) === count) break
  return items
}

const versions = (items: readonly kuma.FeedItem[]) =>
  items.map((item) => (item.kind === 'event' ? `${item.event.entity} v${item.event.version}` : 'erased')).sort()

async function accounts(ctx: kuma.Context, ids: readonly string[]) {
  return Promise.all(ids.map((id) => ctx.spawn(Account, id)))
}

test('gives what is there, each shard in its order, and then what comes', async () => {
  const ctx = await open()
  const all = await accounts(ctx, ['a', 'b', 'c', 'd'])
  const feed = ctx.subscribe()[Symbol.asyncIterator]()
  const items: kuma.FeedItem[] = []
  for (let i = 0; i < 4; i++) items.push((await feed.next()).value as kuma.FeedItem)
  const waiting = feed.next()
  await all[0]!.append(deposited(1), { meta: { by: 'ann' } })
  const { value } = await waiting
  expect(value).toMatchObject({
    kind: 'event',
    event: {
      entity: 'a',
      entityType: 'account',
      version: 2,
      type: 'Deposited',
      data: { amount: 1 },
      meta: { by: 'ann' },
    },
  })
  expect(versions(items)).toEqual(['a v1', 'b v1', 'c v1', 'd v1'])
  await feed.return!()
})

test('goes on from the position of any item, and misses nothing', async () => {
  const ctx = await open()
  for (const account of await accounts(ctx, ['a', 'b', 'c'])) await account.appendAll([deposited(1), deposited(2)])
  const items = await take(ctx.subscribe(), 9)
  for (const [i, { position }] of items.entries()) {
    expect(versions(await take(ctx.subscribe({ from: position }), 8 - i))).toEqual(versions(items.slice(i + 1)))
  }
  const one = await ctx.spawn(Account, 'a')
  const { position } = await one.append(deposited(3))
  const [, seq] = position.split(':')
  expect(Number(seq)).toBeGreaterThan(0)
  const after = await one.append(deposited(4))
  const rest = await take(ctx.subscribe({ from: items.at(-1)!.position }), 2)
  expect(rest.map((item) => item.kind === 'event' && item.event.position)).toEqual([position, after.position])
})

test('from now on', async () => {
  const ctx = await open()
  const [a] = await accounts(ctx, ['a', 'b'])
  const feed = take(ctx.subscribe({ from: 'now' }), 1)
  await a!.append(deposited(5))
  expect(versions(await feed)).toEqual(['a v2'])
})

test('from a point: of one entity in its history, of all when it was recorded', async () => {
  const ctx = await open()
  const [a, b] = await accounts(ctx, ['a', 'b'])
  await a!.appendAll([deposited(1), deposited(2), deposited(3)])
  const from = { version: 3 }
  expect(versions(await take(ctx.subscribe({ filter: { entity: 'a' }, from }), 2))).toEqual(['a v3', 'a v4'])
  const { at } = await b!.inspect()
  while (Date.now() <= at) await new Promise(setImmediate)
  const recorded = Date.now()
  await b!.append(deposited(1))
  expect(versions(await take(ctx.subscribe({ from: { at: recorded } }), 1))).toEqual(['b v2'])
  await expect(take(ctx.subscribe({ from }), 1)).rejects.toMatchObject({ code: 'KUMA_INVALID_POINT' })
})

test('only what is asked for', async () => {
  const ctx = await open()
  const [a, b] = await accounts(ctx, ['a', 'b'])
  const user = await ctx.spawn(kuma.document, 'user', {})
  await user.append({ type: 'Closed', data: {} })
  await a!.append(deposited(1))
  await b!.append({ type: 'Closed', data: {} })
  const some = async (options: kuma.SubscribeOptions, count: number) =>
    versions(await take(ctx.subscribe(options), count))
  expect(await some({ entities: [Account] }, 4)).toEqual(['a v1', 'a v2', 'b v1', 'b v2'])
  expect(await some({ filter: { type: ['document'] } }, 2)).toEqual(['user v1', 'user v2'])
  expect(await some({ filter: { event: 'Closed' } }, 2)).toEqual(['b v2', 'user v2'])
  expect(await some({ entities: [Account], filter: { event: 'Closed' } }, 1)).toEqual(['b v2'])
  expect(await some({ filter: { entity: 'b' } }, 2)).toEqual(['b v1', 'b v2'])
})

test("events as today's definitions know them", async () => {
  const path = folder()
  const Before = kuma
    .defineEntity({ type: 'account', initial: {}, events: { PaidIn: kuma.type<{ cents: number }>() } })
    .evolve({ PaidIn: (state) => state })
  const before = await open(path, { entities: [Before] })
  await (await before.spawn(Before, 'a')).append({ type: 'PaidIn', data: { cents: 250 } })
  await before.close()
  const ctx = await open(path)
  const [item] = await take(ctx.subscribe({ filter: { event: 'Deposited' } }), 1)
  expect(item).toMatchObject({ event: { type: 'Deposited', data: { amount: 2.5 }, version: 2 } })
})

describe('an erasure', () => {
  test.each([[undefined], ['entity-keys' as const]])(
    'comes as a notice of its own (encryption: %s)',
    async (encryption) => {
      const ctx = await open(folder(), { encryption, masterKey: encryption && MASTER_KEY })
      const [a, b] = await accounts(ctx, ['a', 'b'])
      await a!.append(deposited(1))
      const [before] = await take(ctx.subscribe({ filter: { entity: 'a' } }), 1)
      const following = ctx.subscribe({ filter: { entity: 'a' } })[Symbol.asyncIterator]()
      expect(versions([(await following.next()).value, (await following.next()).value])).toEqual(['a v1', 'a v2'])
      const next = following.next()
      await a!.delete()
      const notice = (await next).value as kuma.FeedItem
      expect(notice).toMatchObject({ kind: 'erased', entityKey: before!.entityKey, entityType: 'account' })
      await following.return!()
      expect(versions(await take(ctx.subscribe({ entities: [Account] }), 2))).toEqual(['b v1', 'erased'])
      const others = ctx.subscribe({ filter: { type: 'document' } })[Symbol.asyncIterator]()
      const other = others.next()
      await b!.append(deposited(2))
      await ctx.spawn(kuma.document, 'd', {})
      expect(versions([(await other).value])).toEqual(['d v1'])
      await others.return!()
    },
  )

  test('of an id that is used again: the notice, and then the new entity', async () => {
    const ctx = await open()
    const [a] = await accounts(ctx, ['a'])
    const feed = ctx.subscribe({ filter: { entity: 'a' } })[Symbol.asyncIterator]()
    await feed.next()
    await a!.delete()
    await accounts(ctx, ['a'])
    const two = [(await feed.next()).value, (await feed.next()).value] as kuma.FeedItem[]
    expect(two.map(({ kind }) => kind)).toEqual(['erased', 'event'])
    expect(two[0]!.entityKey).not.toBe(two[1]!.entityKey)
    await feed.return!()
  })
})

test.each([
  ['nonsense', 'nonsense'],
  ['of a shard that is not there', '007:1'],
  ['naming a shard twice', '000:1,000:1'],
  ['beyond the end', '000:99'],
])('a position %s is refused', async (_, from) => {
  const ctx = await open()
  await accounts(ctx, ['a', 'b', 'c'])
  await expect(take(ctx.subscribe({ from }), 1)).rejects.toMatchObject({
    code: 'KUMA_INVALID_POSITION',
    details: { position: from },
  })
})

test('ends when the store is closed, and with the reason of its signal', async () => {
  const ctx = await open()
  await accounts(ctx, ['a'])
  const stop = new AbortController()
  const aborted = take(ctx.subscribe({ signal: stop.signal }), 2)
  const closed = take(ctx.subscribe(), 2)
  stop.abort(new Error('enough'))
  await expect(aborted).rejects.toThrow('enough')
  await ctx.close()
  expect(await closed).toHaveLength(1)
})

test('a slow reader holds up nobody, and finds everything in its place', async () => {
  const ctx = await open()
  const [a] = await accounts(ctx, ['a'])
  const slow = ctx.subscribe()[Symbol.asyncIterator]()
  await slow.next()
  const fast = take(ctx.subscribe({ filter: { event: 'Deposited' } }), 2_000)
  for (let i = 0; i < 2_000; i += 500) await a!.appendAll(Array.from({ length: 500 }, () => deposited(1)))
  expect((await fast).length).toBe(2_000)
  for (let version = 2; version <= 2_001; version++) {
    expect((await slow.next()).value).toMatchObject({ event: { version } })
  }
  await slow.return!()
})
