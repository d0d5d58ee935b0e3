/** The library as a program uses it: one suite, run on an engine in the process and through a daemon. On real files. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import * as kuma from '../../src/index.ts'
import { openEngine } from '../../src/kuma.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'
import { doorOf } from '../models.ts'
import { served } from '../served.ts'

const Account = kuma
  .defineEntity({
    type: 'account',
    initial: { balance: 0, name: '' },
    events: {
      Deposited: kuma.type<{ amount: number }>(),
      Withdrawn: kuma.type<{ amount: number }>(),
      Renamed: z.object({ name: z.string().trim().min(1) }),
    },
  })
  .evolve({
    Deposited: (state, { amount }) => ({ ...state, balance: state.balance + amount }),
    Withdrawn: (state, { amount }) => ({ ...state, balance: state.balance - amount }),
    Renamed: (state, { name }) => ({ ...state, name }),
  })

/** With `Created` of its own. */
const Order = kuma
  .defineEntity({
    type: 'order',
    initial: (id) => ({ id, customer: '', lines: 0 }),
    events: { Created: z.object({ customer: z.string() }), LineAdded: kuma.type<{ sku: string }>() },
  })
  .evolve({
    Created: (state, { customer }) => ({ ...state, customer }),
    LineAdded: (state) => ({ ...state, lines: state.lines + 1 }),
  })

const Door = doorOf(1)

const start = {
  'in process': (config: kuma.Config) => kuma.start(config),
  'through a daemon': async (config: kuma.Config) => {
    const projects = config.projections !== undefined
    const engine = await openEngine(config, { access: 'write', create: true, projects })
    return served(engine, (path) => kuma.connect(path))
  },
}

const code = (expected: kuma.KumaErrorCode) => expect.objectContaining({ name: 'KumaError', code: expected })

describe.each(['in process', 'through a daemon'] as const)('%s:', (kind) => {
  async function open(path = folder(), config: kuma.Config = {}) {
    const ctx = await start[kind]({ path, shards: 4, entities: [Account, Order, Door], ...config })
    onTestFinished(() => ctx.close())
    return ctx
  }

  test('the first steps: spawn, append, read, read the past, open again', async () => {
    const path = folder()
    const ctx = await open(path)
    const account = await ctx.spawn(Account, 'acc_001', { name: 'Savings' })
    expect(await account.append({ type: 'Deposited', data: { amount: 1000 } })).toEqual({
      version: 2,
      position: expect.stringMatching(/^00[0-3]:2$/),
      at: expect.any(Number),
    })
    await account.append({ type: 'Withdrawn', data: { amount: 200 } })
    expect(await account.read()).toEqual({ balance: 800, name: 'Savings' })
    expect(await account.read({ version: 2 })).toEqual({ balance: 1000, name: 'Savings' })
    await ctx.close()
    const again = await open(path)
    expect(await (await again.entity(Account, 'acc_001')).read()).toEqual({ balance: 800, name: 'Savings' })
  })

  describe('spawn', () => {
    test('of an id that is there gives it as it is', async () => {
      const ctx = await open()
      await ctx.spawn(Account, 'a', { name: 'first' })
      const second = await ctx.spawn(Account, 'a', { name: 'second' })
      expect(await second.inspect()).toMatchObject({ version: 1, state: { name: 'first' } })
      await expect(ctx.spawn(Account, 'a', {}, { ifExists: 'error' })).rejects.toEqual(code('KUMA_ALREADY_EXISTS'))
      await expect(ctx.spawn(kuma.document, 'a')).rejects.toEqual(code('KUMA_TYPE_MISMATCH'))
    })

    test('by many at once records one Created', async () => {
      const ctx = await open()
      const spawned = await Promise.all(Array.from({ length: 50 }, (_, i) => ctx.spawn(Account, 'a', { name: `${i}` })))
      expect(await spawned[0]!.log().toArray()).toHaveLength(1)
      const states = await Promise.all(spawned.map((entity) => entity.read()))
      expect(new Set(states.map(({ name }) => name)).size).toBe(1)
    })

    test('under a request key can be repeated, also where it must be the first', async () => {
      const path = folder()
      const ctx = await open(path)
      const once = { requestKey: 'k', ifExists: 'error' } as const
      await ctx.spawn(Account, 'a', { name: 'first' }, once)
      expect(await (await ctx.spawn(Account, 'a', { name: 'first' }, once)).inspect()).toMatchObject({ version: 1 })
      await expect(ctx.spawn(Account, 'a', {}, { ...once, requestKey: 'other' })).rejects.toEqual(
        code('KUMA_ALREADY_EXISTS'),
      )
      await expect(ctx.spawn(Order, 'a', { customer: 'x' }, { requestKey: 'third' })).rejects.toEqual(
        code('KUMA_TYPE_MISMATCH'),
      )
    })

    test('records Created as the definition declares it', async () => {
      const ctx = await open()
      const order = await ctx.spawn(Order, 'o1', { customer: 'ann' })
      expect(await order.read()).toEqual({ id: 'o1', customer: 'ann', lines: 0 })
      expect(await order.log().toArray()).toMatchObject([{ type: 'Created', version: 1, data: { customer: 'ann' } }])
      await expect(ctx.spawn(Order, 'o2', {} as never)).rejects.toEqual(code('KUMA_INVALID_EVENT'))
      await expect(ctx.entity('o2')).rejects.toEqual(code('KUMA_NOT_FOUND'))
    })
  })

  test('entity never creates, and knows its type', async () => {
    const ctx = await open()
    await expect(ctx.entity(Account, 'nobody')).rejects.toEqual(code('KUMA_NOT_FOUND'))
    await ctx.spawn(Account, 'a', { name: 'x' })
    await expect(ctx.entity(Order, 'a')).rejects.toEqual(code('KUMA_TYPE_MISMATCH'))
    expect((await ctx.entity('a')).type).toBe('account')
  })

  describe('append', () => {
    test('of several is one unit: all or none', async () => {
      const ctx = await open()
      const account = await ctx.spawn(Account, 'a')
      const good = { type: 'Deposited', data: { amount: 1 } } as const
      await expect(account.appendAll([good, { type: 'Renamed', data: { name: ' ' } }])).rejects.toEqual(
        code('KUMA_INVALID_EVENT'),
      )
      await expect(account.appendAll([])).rejects.toEqual(code('KUMA_INVALID_DATA'))
      expect(await account.appendAll([good, good, good])).toMatchObject({ version: 4 })
      expect(await account.inspect()).toMatchObject({ version: 4, state: { balance: 3 } })
    })

    test('stores what the schema gives out, not what went in', async () => {
      const ctx = await open()
      const account = await ctx.spawn(Account, 'a')
      await account.append({ type: 'Renamed', data: { name: '  Ann ' } })
      expect(await account.log({ type: 'Renamed' }).toArray()).toMatchObject([{ data: { name: 'Ann' } }])
    })

    test('under an expected version says which one it found', async () => {
      const ctx = await open()
      const account = await ctx.spawn(Account, 'a')
      const event = { type: 'Deposited', data: { amount: 1 } } as const
      const both = await Promise.allSettled([1, 2].map(() => account.append(event, { expectedVersion: 1 })))
      expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
      const error: unknown = await account.append(event, { expectedVersion: 7 }).catch((e: unknown) => e)
      expect(kuma.isKumaError(error, 'KUMA_CONFLICT') && error.details).toEqual({ entity: 'a', expected: 7, actual: 2 })
    })

    test('under a request key gives the first answer again, also after opening again', async () => {
      const path = folder()
      const ctx = await open(path)
      const account = await ctx.spawn(Account, 'a')
      const event = { type: 'Deposited', data: { amount: 5 } } as const
      const first = await account.append(event, { requestKey: 'k' })
      await account.append(event)
      expect(await account.append(event, { requestKey: 'k' })).toEqual(first)
      await ctx.close()
      const again = await (await open(path)).entity(Account, 'a')
      expect(await again.append(event, { requestKey: 'k' })).toEqual(first)
      expect(await again.read()).toMatchObject({ balance: 10 })
      const other = { type: 'Deposited', data: { amount: 6 } } as const
      await expect(again.append(other, { requestKey: 'k' })).rejects.toEqual(code('KUMA_REQUEST_KEY_REUSED'))
      const cycle: { amount: number; self?: unknown } = { amount: 1 }
      cycle.self = cycle
      await expect(again.append({ type: 'Deposited', data: cycle }, { requestKey: 'k' })).rejects.toEqual(
        code('KUMA_INVALID_DATA'),
      )
    })

    test('under a request key is known whatever the order of its keys, several at once too', async () => {
      const doc = await (await open()).spawn(kuma.document, 'd')
      const first = await doc.append(
        { type: 'Paid', data: { to: 'ann', amount: { value: 5, currency: 'EUR' } } },
        { requestKey: 'k' },
      )
      const sorted = { type: 'Paid', data: { amount: { currency: 'EUR', value: 5 }, to: 'ann' } }
      expect(await doc.append(sorted, { requestKey: 'k' })).toEqual(first)
      const both = await doc.appendAll([sorted, { type: 'Set', data: { b: [{ y: 1, x: 2 }], a: 1 } }], {
        requestKey: 'both',
      })
      const again = [sorted, { data: { a: 1, b: [{ x: 2, y: 1 }] }, type: 'Set' }]
      expect(await doc.appendAll(again, { requestKey: 'both' })).toEqual(both)
      const others = [sorted, { type: 'Set', data: { a: 1, b: [{ x: 1, y: 2 }] } }]
      await expect(doc.appendAll(others, { requestKey: 'both' })).rejects.toEqual(code('KUMA_REQUEST_KEY_REUSED'))
    })

    test('under a request key a command that changes nothing has that answer for good', async () => {
      const path = folder()
      const ctx = await open(path)
      const door = await ctx.spawn(Door, 'd')
      const first = await door.execute({ type: 'Ring', data: {} }, { requestKey: 'k' })
      expect(first).toMatchObject({ version: 1, events: [] })
      await door.append({ type: 'Opened', data: {} })
      expect(await door.execute({ type: 'Ring', data: {} }, { requestKey: 'k' })).toEqual(first)
      await ctx.close()
      const again = await (await open(path)).entity(Door, 'd')
      expect(await again.execute({ type: 'Ring', data: {} }, { requestKey: 'k' })).toEqual(first)
      expect(await again.execute({ type: 'Ring', data: {} }, { requestKey: 'other' })).toMatchObject({ version: 3 })
    })

    test('of the caller’s object keeps what it was when it was called, also while the entity is loaded', async () => {
      const path = folder()
      const first = await open(path)
      const data = { tags: ['a'] }
      const spawned = first.spawn(kuma.document, 'd', data)
      data.tags.push('b')
      const doc = await spawned
      for (let n = 0; n < 1_000; n++) void doc.append({ type: 'Counted', data: { n } })
      await first.close()
      const ctx = await open(path)
      const cold = await ctx.entity(kuma.document, 'd')
      const event = { type: 'Tagged', data: { tags: ['c'] } }
      const appended = [cold.append(event)]
      event.data.tags.push('d')
      appended.push(cold.append(event))
      event.data.tags.push('e')
      await Promise.all(appended)
      const tags = (await cold.log({ type: ['Created', 'Tagged'] }).toArray()).map((e) => e.data['tags'])
      expect(tags).toEqual([['a'], ['c'], ['c', 'd']])
    })

    test.each<[string, unknown]>([
      ['undefined in a list', [undefined]],
      ['a non-finite number', Number.NaN],
      ['a bigint', 1n],
      ['a Date', new Date()],
      ['a Map', new Map()],
      ['a function', () => 1],
      ['a lone surrogate', '\ud800'],
      ['NUL', 'a\0b'],
      ['what is nested too deep', Array.from({ length: 64 }).reduce((inner) => [inner], 1)],
      ['what is too large', 'x'.repeat(1024 * 1024)],
      ['a __proto__ key', JSON.parse('{"__proto__":1}')],
    ])('refuses %s, and changes nothing', async (_, value) => {
      const ctx = await open()
      const doc = await ctx.spawn(kuma.document, 'd', { n: 1 })
      await expect(doc.append({ type: 'Set', data: { value } as never })).rejects.toEqual(code('KUMA_INVALID_DATA'))
      expect(await doc.inspect()).toMatchObject({ version: 1, state: { n: 1 } })
      expect(await doc.append({ type: 'Set', data: { n: 2 } })).toMatchObject({ version: 2 })
    })

    test('takes large numbers as they are', async () => {
      const path = folder()
      const ctx = await open(path)
      const state = { avogadro: 6.02214076e23, list: [1e16, 1e30, 2 ** 53, -(2 ** 60), Number.MAX_VALUE] }
      const doc = await ctx.spawn(kuma.document, 'd', state)
      await doc.append({ type: 'Set', data: { more: 2 ** 53 + 2 } }, { meta: { n: 1e17 } })
      expect(await doc.read()).toEqual({ ...state, more: 2 ** 53 + 2 })
      expect((await doc.export()).state).toEqual({ ...state, more: 2 ** 53 + 2 })
      await ctx.close()
      const again = await open(path)
      expect(await (await again.entity('d')).read()).toEqual({ ...state, more: 2 ** 53 + 2 })
      expect(await (await again.entity('d')).log({ from: 'v2' }).toArray()).toMatchObject([{ meta: { n: 1e17 } }])
    })

    test.each(['', 'x'.repeat(513), 'é'.repeat(257), 'a\nb', 'a\u0085b', '\udc00'])('refuses the id %j', async (id) => {
      const ctx = await open()
      await expect(ctx.spawn(kuma.document, id)).rejects.toEqual(code('KUMA_INVALID_ID'))
      expect(await ctx.entities().toArray()).toEqual([])
    })

    test.each(['x'.repeat(512), 'é'.repeat(256), '../../etc/passwd', "'; DROP TABLE events --", '😀', ' ', '%', '*'])(
      'takes the id %j as it is',
      async (id) => {
        const ctx = await open()
        await (await ctx.spawn(kuma.document, id)).append({ type: 'Set', data: { n: 1 } })
        expect(await ctx.entities({ prefix: id }).toArray()).toMatchObject([{ id, version: 2 }])
        expect(await (await ctx.entity(id)).read()).toEqual({ n: 1 })
      },
    )

    test('refuses an event that the definition does not have', async () => {
      const ctx = await open()
      const account = await ctx.spawn(Account, 'a')
      await expect(account.append({ type: 'Closed' } as never)).rejects.toEqual(code('KUMA_INVALID_EVENT'))
      await expect(account.append({ type: 'toString', data: {} } as never)).rejects.toEqual(code('KUMA_INVALID_EVENT'))
    })
  })

  describe('a model that fails hurts only that call:', () => {
    test.each<[string, () => unknown]>([
      [
        'it throws',
        () => {
          throw new Error('broken')
        },
      ],
      ['it returns a promise', async () => ({})],
      ['it returns undefined', () => undefined],
    ])('%s', async (_, evolve) => {
      const Fragile = kuma
        .defineEntity({
          type: 'fragile',
          initial: { ok: 0 },
          events: { Good: kuma.type<object>(), Bad: kuma.type<object>() },
        })
        .evolve({ Good: ({ ok }) => ({ ok: ok + 1 }), Bad: evolve as never })
      const ctx = await open(folder(), { entities: [Fragile] })
      const entity = await ctx.spawn(Fragile, 'f')
      const results = await Promise.allSettled([
        entity.append({ type: 'Good' }),
        entity.append({ type: 'Bad' }),
        entity.append({ type: 'Good' }),
      ])
      expect(results).toMatchObject([
        { status: 'fulfilled' },
        { status: 'rejected', reason: { code: 'KUMA_MODEL_FAILED' } },
        { status: 'fulfilled', value: { version: 3 } },
      ])
      expect(await entity.read()).toEqual({ ok: 2 })
      expect(await entity.log().toArray()).toHaveLength(3)
    })
  })

  // through a daemon a model has nothing to append with
  test.runIf(kind === 'in process').each(['itself', 'another'])(
    'a model that appends to %s is refused, and the log stays whole',
    async (target) => {
      const path = folder()
      let inner: Promise<unknown> | undefined
      let append: (() => Promise<unknown>) | undefined
      const Meddler = kuma
        .defineEntity({ type: 'meddler', initial: { n: 0 }, events: { Counted: kuma.type<object>() } })
        .evolve({
          Counted: ({ n }) => {
            const call = append
            append = undefined
            inner ??= call?.()
            return { n: n + 1 }
          },
        })
      const ctx = await open(path, { entities: [Meddler], shards: 1 })
      const [one, two] = [await ctx.spawn(Meddler, 'one'), await ctx.spawn(Meddler, 'two')]
      append = () => (target === 'itself' ? one : two).append({ type: 'Counted' })
      await expect(one.append({ type: 'Counted' })).rejects.toEqual(code('KUMA_MODEL_FAILED'))
      await inner
      await one.append({ type: 'Counted' })
      expect(await one.read()).toEqual({ n: target === 'itself' ? 2 : 1 })
      await ctx.close()
      const again = await open(path, { entities: [Meddler] })
      expect(await (await again.entity(Meddler, 'one')).read()).toEqual({ n: target === 'itself' ? 2 : 1 })
      expect(await (await again.entity(Meddler, 'two')).read()).toEqual({ n: target === 'itself' ? 0 : 1 })
      for await (const { problems } of verifyStore(path)) expect(problems).toEqual([])
    },
  )

  test('the state handed out is frozen, deeply', async () => {
    const ctx = await open()
    const doc = await ctx.spawn(kuma.document, 'd', { deep: { list: [1] } })
    const state = (await doc.read()) as { deep: { list: number[] } }
    expect(() => state.deep.list.push(2)).toThrow(TypeError)
    expect(() => Object.assign(state.deep, { more: 1 })).toThrow(TypeError)
  })

  test('replay gives each event with the state after it, log the events, both within a range', async () => {
    const ctx = await open()
    const account = await ctx.spawn(Account, 'a', { name: 'x' })
    for (const amount of [1, 2, 3]) await account.append({ type: 'Deposited', data: { amount } })
    const balances = async (range?: kuma.ReplayRange) =>
      (await account.replay(range).toArray()).map(({ state }) => state.balance)
    expect(await balances()).toEqual([0, 1, 3, 6])
    expect(await balances({ from: { version: 2 }, to: { version: 3 } })).toEqual([1, 3])
    expect(await balances({ to: { at: 'yesterday' } })).toEqual([])
    const versions = (await account.log({ type: 'Deposited', reverse: true, limit: 2 }).toArray()).map((e) => e.version)
    expect(versions).toEqual([4, 3])
    const [event] = await account.log({ limit: 1 }).toArray()
    expect(Object.keys(event!).sort()).toEqual(
      ['at', 'data', 'entity', 'entityType', 'meta', 'position', 'type', 'version'].sort(),
    )
    const enough = new AbortController()
    enough.abort(new Error('enough'))
    await expect(account.replay({ signal: enough.signal }).toArray()).rejects.toThrow('enough')
  })

  test('read and inspect take a point; one that cannot be read is refused', async () => {
    const ctx = await open()
    const account = await ctx.spawn(Account, 'a', { name: 'x' })
    const { at } = await account.append({ type: 'Deposited', data: { amount: 1 } })
    expect(await account.read({ at })).toMatchObject({ balance: 1 })
    expect(await account.read({ at: new Date(at) })).toMatchObject({ balance: 1 })
    expect(await account.inspect({ version: 1 })).toMatchObject({
      id: 'a',
      type: 'account',
      version: 1,
      state: { balance: 0 },
    })
    await expect(account.read({ at: 'yesterday' })).rejects.toEqual(code('KUMA_NOT_FOUND'))
    for (const point of [{ version: 3 }, { version: -1 }, { version: 0.5 }, { at: 'soon' }, { at: Number.NaN }, {}])
      await expect(account.read(point as kuma.Point)).rejects.toEqual(code('KUMA_INVALID_POINT'))
  })

  test('as fills in the meta of what is appended through it', async () => {
    const ctx = await open()
    const asAnn = ctx.as({ by: 'ann', ip: '10.0.0.1' })
    const account = await asAnn.spawn(Account, 'a')
    await account.append({ type: 'Deposited', data: { amount: 1 } }, { meta: { by: 'bob', shift: 3 } })
    await (await asAnn.as({ reason: 'test' }).entity(Account, 'a')).append({ type: 'Deposited', data: { amount: 1 } })
    expect((await account.log().toArray()).map(({ meta }) => meta)).toEqual([
      { by: 'ann', ip: '10.0.0.1' },
      { by: 'bob', ip: '10.0.0.1', shift: 3 },
      { by: 'ann', ip: '10.0.0.1', reason: 'test' },
    ])
    expect(await account.log({ by: 'bob' }).toArray()).toHaveLength(1)
    expect('close' in asAnn).toBe(false)
    await expect(account.append({ type: 'Deposited', data: { amount: 1 } }, { meta: { $kuma: 1 } })).rejects.toEqual(
      code('KUMA_INVALID_DATA'),
    )
  })

  test('entities are listed by type and prefix', async () => {
    const ctx = await open()
    for (let i = 0; i < 30; i++) {
      const id = `${i % 2 ? 'odd' : 'even'}_${i}`
      await (i % 3 === 0 ? ctx.spawn(kuma.document, id) : ctx.spawn(Account, id))
    }
    const count = async (query?: kuma.EntitiesQuery) => (await ctx.entities(query).toArray()).length
    expect(await count()).toBe(30)
    expect(await count({ type: Account })).toBe(20)
    expect(await count({ type: 'document' })).toBe(10)
    expect(await count({ prefix: 'odd_' })).toBe(15)
    expect(await count({ prefix: 'odd_', type: Account })).toBe(10)
    expect(await count({ limit: 7 })).toBe(7)
  })

  test('read models are asked, also for what was just written', async () => {
    const balances = kuma
      .defineProjection({ name: 'balances', columns: { id: 'text', balance: 'integer', is_empty: 'boolean' } })
      .rows(Account, ({ balance }, { id }) => ({ id, balance, is_empty: balance === 0 }))
    const ctx = await open(folder(), { projections: [balances] })
    let position = ''
    for (const [id, amount] of [
      ['a', 5],
      ['b', 7],
    ] as const)
      ({ position } = await (await ctx.spawn(Account, id)).append({ type: 'Deposited', data: { amount } }))
    const rich = ctx.query<kuma.RowOf<typeof balances>>(
      'select id, balance, is_empty from balances where balance > ?',
      [5],
      { after: position },
    )
    expect(await rich.toArray()).toEqual([{ id: 'b', balance: 7, is_empty: false }])
    await ctx.waitFor(balances, position)
    await ctx.waitFor('entities', position)
    expect(await ctx.query('select count(*) as n from entities').toArray()).toEqual([{ n: 2 }])
    const many = ctx.query<{ x: number }>(
      'with recursive c(x) as (select 1 union all select x + 1 from c where x < 20000) select x from c',
    )
    let last = 0
    for await (const { x } of many) if (x === ++last && x === 9_000) break
    expect(last).toBe(9_000)
    expect((await (await ctx.entity(Account, 'a')).export()).readModels['balances']).toMatchObject([
      { id: 'a', balance: 5 },
    ])

    await expect(ctx.query('delete from balances').toArray()).rejects.toEqual(code('KUMA_INVALID_QUERY'))
    await expect(ctx.query('select 1', [], { after: '000:999' }).toArray()).rejects.toEqual(
      code('KUMA_INVALID_POSITION'),
    )
    await expect(ctx.query('select ?', [{} as never]).toArray()).rejects.toEqual(code('KUMA_INVALID_QUERY'))
    await expect(ctx.waitFor('balance', position)).rejects.toEqual(code('KUMA_UNKNOWN_PROJECTION'))
    const enough = new AbortController()
    const endless = ctx.query(
      'with recursive c(x) as (select 1 union all select x + 1 from c) select max(x) from c',
      [],
      {
        signal: enough.signal,
      },
    )
    const ended = expect(endless.toArray()).rejects.toThrow('enough')
    enough.abort(new Error('enough'))
    await ended
    for (const timeoutMs of [0, -1, 2 ** 31])
      await expect(ctx.query('select 1', [], { timeoutMs }).toArray()).rejects.toEqual(code('KUMA_INVALID_QUERY'))
  })

  test('a subscription begins where it is made, also if it is read later', async () => {
    const ctx = await open()
    await ctx.spawn(Account, 'before')
    const [all, one] = [ctx.subscribe({ from: 'now' }), ctx.subscribe({ from: 'now', filter: { entity: 'after' } })]
    await ctx.spawn(Account, 'after')
    for (const each of [all, one]) {
      for await (const item of each) {
        expect(item).toMatchObject({ event: { entity: 'after', version: 1 } })
        break
      }
    }
  })

  test('what waits is left at once, by whatever holds it', async () => {
    const ctx = await open()
    const endless = 'with recursive c(x) as (select 1 union all select x + 1 from c) select max(x) from c'
    const lists: (() => AsyncIterable<unknown>)[] = [
      () => ctx.subscribe(),
      () => ctx.subscribe({ from: 'now' }),
      () => ctx.query(endless),
    ]
    for (const list of lists) {
      const iterator = list()[Symbol.asyncIterator]()
      const waiting = [iterator.next(), iterator.next()]
      expect(await iterator.return!()).toEqual({ done: true, value: undefined })
      expect(await Promise.all(waiting)).toEqual(Array(2).fill({ done: true, value: undefined }))
      expect(await iterator.next()).toEqual({ done: true, value: undefined })
      const unread = list()[Symbol.asyncIterator]()
      expect(await unread.return!()).toEqual({ done: true, value: undefined })
      const readable = Readable.from(list())
      readable.resume().destroy()
      await once(readable, 'close')
      const reader = ReadableStream.from(list()).getReader()
      const read = reader.read()
      await reader.cancel()
      expect(await read).toEqual({ done: true, value: undefined })
    }
    const stop = new AbortController()
    const aborted = ctx.subscribe({ signal: stop.signal })[Symbol.asyncIterator]().next()
    stop.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
  })

  test('close settles what was accepted, and refuses what comes after', async () => {
    const path = folder()
    const ctx = await open(path)
    const account = await ctx.spawn(Account, 'a')
    const appends = Array.from({ length: 500 }, () => account.append({ type: 'Deposited', data: { amount: 1 } }))
    const closing = ctx.close()
    await expect(account.append({ type: 'Deposited', data: { amount: 1 } })).rejects.toEqual(code('KUMA_CLOSED'))
    await Promise.all(appends)
    await closing
    await ctx.close()
    await expect(account.read()).rejects.toEqual(code('KUMA_CLOSED'))
    await expect(account.read({ version: 1 })).rejects.toEqual(code('KUMA_CLOSED'))
    await expect(account.log().toArray()).rejects.toEqual(code('KUMA_CLOSED'))
    await expect(ctx.entities().toArray()).rejects.toEqual(code('KUMA_CLOSED'))
    await expect(ctx.subscribe()[Symbol.asyncIterator]().next()).rejects.toEqual(code('KUMA_CLOSED'))
    const again = await open(path)
    expect(await (await again.entity(Account, 'a')).read()).toMatchObject({ balance: 500 })
  })

  test('an entity whose definition was not given can be listed and logged, and not read', async () => {
    const path = folder()
    const first = await open(path)
    await first.spawn(Account, 'a', { name: 'x' })
    await first.close()
    const ctx = await open(path, { entities: [] })
    const account = await ctx.entity('a')
    expect(await account.log().toArray()).toHaveLength(1)
    await expect(account.read()).rejects.toEqual(code('KUMA_UNKNOWN_TYPE'))
    await expect(account.append({ type: 'Deposited', data: {} })).rejects.toEqual(code('KUMA_UNKNOWN_TYPE'))
  })
})
