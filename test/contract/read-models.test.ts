/** Read models: one suite, run on the embedded sink and on a real rqlite, of one node and of three. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { contextOf } from '../../src/context.ts'
import type { ReadModels, Rebuilt } from '../../src/engine.ts'
import * as kuma from '../../src/index.ts'
import { openEngine } from '../../src/kuma.ts'
import { openDatabase } from '../../src/store/driver.ts'
import { BINARY, environment } from '../cli.ts'
import { folder, makeFolder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'
import { randomFrom } from '../random.ts'
import { execute, hasRqlite, type Node, startCluster, startNode, urlOf, wipe } from '../rqlite.ts'

const Account = kuma
  .defineEntity({
    type: 'account',
    initial: { balance: 0, name: '' },
    events: {
      Deposited: kuma.type<{ amount: number; day?: string }>(),
      Withdrawn: kuma.type<{ amount: number }>(),
      Renamed: kuma.type<{ name: string }>(),
    },
  })
  .evolve({
    Deposited: (state, { amount }) => ({ ...state, balance: state.balance + amount }),
    Withdrawn: (state, { amount }) => ({ ...state, balance: state.balance - amount }),
    Renamed: (state, { name }) => ({ ...state, name }),
  })

const accounts = kuma
  .defineProjection({ name: 'accounts', columns: { balance: 'integer', name: 'text' }, indexes: [['balance']] })
  .rows(Account, ({ balance, name }) => ({ balance, name }))

const turnover = kuma
  .defineProjection({ name: 'turnover', columns: { day: 'text', deposits: 'integer', cents: 'integer' }, key: ['day'] })
  .on(Account, {
    Deposited: ({ data }, table) =>
      table.increment({ day: data.day ?? 'monday' }, { deposits: 1, cents: data.amount * 100 }),
    Withdrawn: ({ data }, table) =>
      table.sql`update turnover set cents = cents - ${data.amount * 100} where _entity = ${table.entity} and day = 'monday'`,
  })

const SINKS = ['projections.db', ...(hasRqlite ? ['rqlite', 'rqlite of 3 nodes'] : [])] as const
const code = (expected: kuma.KumaErrorCode) => expect.objectContaining({ name: 'KumaError', code: expected })

describe.each(SINKS)('%s:', (kind) => {
  const isRqlite = kind !== 'projections.db'
  let nodes: readonly Node[] = []
  const url = () => nodes[0]!.url

  beforeAll(async () => {
    if (kind === 'rqlite') nodes = [await startNode(makeFolder())]
    if (kind === 'rqlite of 3 nodes') nodes = await startCluster(makeFolder(), 3)
  }, 60_000)
  afterAll(() => Promise.all(nodes.map((node) => node.kill())))

  /** A store's config, with a sink that nobody has used. */
  async function config(more: kuma.Config = {}): Promise<kuma.Config> {
    if (isRqlite) await wipe(url())
    const readModels = { ...more.readModels, ...(isRqlite ? { rqliteUrl: urlOf(nodes) } : {}) }
    return { path: folder(), shards: 4, entities: [Account], projections: [accounts, turnover], ...more, readModels }
  }

  async function opened(config: kuma.Config) {
    const engine = await openEngine(config, { access: 'write', create: true, projects: true })
    engine.onProjectionFailed(() => {})
    onTestFinished(() => engine.close())
    return { engine, ctx: contextOf(engine) }
  }

  const open = async (more: kuma.Config = {}) => opened(await config(more))

  /** SQL that someone else runs on the sink. */
  async function meddle(path: string, ...statements: string[]): Promise<void> {
    if (isRqlite) return void (await execute(url(), statements))
    const db = openDatabase(join(path, 'projections.db'), 'write')
    for (const sql of statements) db.exec(sql)
    db.close()
  }

  /** When a projection is in a state. */
  async function until(
    engine: Awaited<ReturnType<typeof openEngine>>,
    name: string,
    isSo: (info: Awaited<ReturnType<typeof engine.readModels.list>>[number]) => boolean,
  ) {
    let isOver = false
    onTestFinished(() => {
      isOver = true
    })
    while (!isOver) {
      const info = (await engine.readModels.list()).find((one) => one.name === name)
      if (info !== undefined && isSo(info)) return info
      await new Promise((resolve) => setImmediate(resolve))
    }
    throw new Error(`${name} never came to that state`)
  }

  const all = <T>(items: kuma.Items<T>) => items.toArray()

  test('entities can be asked without any code, and events on request', async () => {
    const { ctx } = await open({ projections: [], readModels: { events: true } })
    await ctx.spawn(Account, 'a', { name: 'Ann' })
    const doc = await ctx.spawn(kuma.document, 'd', { plan: 'pro', seats: 5, tags: ['x'], nested: { ok: true } })
    const { position, at } = await doc.append({ type: 'PlanChanged', data: { plan: null } })
    const query = (sql: string, params?: (string | number | null)[]) => all(ctx.query(sql, params, { after: position }))
    expect(await query('select id, version, type, updated_at, state from entities where id = ?', ['d'])).toEqual([
      { id: 'd', version: 2, type: 'document', updated_at: at, state: { seats: 5, tags: ['x'], nested: { ok: true } } },
    ])
    expect(await query("select id, state->>'seats' as seats from entities where state->>'seats' > ?", [4])).toEqual([
      { id: 'd', seats: 5 },
    ])
    expect(await query("select version, type, data, meta from events where id = 'd' order by version")).toEqual([
      { version: 1, type: 'Created', data: expect.objectContaining({ plan: 'pro' }), meta: {} },
      { version: 2, type: 'PlanChanged', data: { plan: null }, meta: {} },
    ])
  })

  test('every kind of column comes back as it was given', async () => {
    const columns = {
      t: 'text',
      i: 'integer',
      r: 'real',
      b: 'boolean',
      j: 'json',
      n: 'text null',
      jn: 'json null',
    } as const
    const rows = [
      { t: "x'4142'", i: Number.MAX_SAFE_INTEGER, r: 0.1, b: true, j: { a: [1, null, 'x'] }, n: null, jn: null },
      { t: ` X'4142'`, i: -Number.MAX_SAFE_INTEGER, r: 5, b: false, j: 'text', n: "x''", jn: "x'41'" },
      { t: `"'; drop table entities; --`, i: 0, r: -1e300, b: true, j: [], n: '', jn: {} },
      { t: '\u2028 \u{1f600} %', i: 3_000_000_000, r: 1 / 3, b: false, j: null, n: '?', jn: 1 },
      { t: 'large', i: 1e16, r: 1e16, b: true, j: 1e16, n: '', jn: [1e30] },
      { t: 'a power of 2', i: 2 ** 60, r: 2 ** 60, b: true, j: 2 ** 60, n: '', jn: [-(2 ** 53)] },
      { t: 'beyond 64 bits', i: 6.02214076e23, r: 6.02214076e23, b: true, j: -6.02214076e23, n: '', jn: null },
    ]
    const kinds = kuma.defineProjection({ name: 'kinds', columns, key: ['t'] }).rows(Account, () => rows)
    const { ctx } = await open({ projections: [kinds] })
    const { position } = await (await ctx.spawn(Account, `a"'; drop table kinds; --`)).append({
      type: 'Renamed',
      data: { name: `x'4142'` },
    })
    const found = await all(ctx.query<kuma.RowOf<typeof kinds>>('select * from kinds', [], { after: position }))
    const plain = found.map(({ _entity, _version, ...row }) => row)
    expect(new Set(plain)).toEqual(new Set(rows))
    expect(found[0]).toMatchObject({ _version: 2, _entity: expect.stringMatching(/^00\d:1$/) })
    expect(await all(ctx.query('select n from kinds where t = ?', [`x'4142'`]))).toEqual([{ n: null }])
    for (const large of [1e16, 2 ** 60, 6.02214076e23, Number.MAX_SAFE_INTEGER]) {
      expect(await all(ctx.query('select i from kinds where i = ?', [large]))).toEqual([{ i: large }])
      expect(await all(ctx.query('select ? as n', [large]))).toEqual([{ n: large }])
    }
    expect(await all(ctx.query("select state->>'name' as name from entities"))).toEqual([{ name: `x'4142'` }])
    expect(await all(ctx.query(`select id from entities where id = ?`, [`a"'; drop table kinds; --`]))).toHaveLength(1)
    // rqlite gives bytes that are no column as the text that they are
    const [odd] = await all(
      ctx.query("select 9007199254740993 as big, x'0102' as bytes, 1.5 as real, ? is null as no", [null]),
    )
    expect(odd).toEqual({ big: '9007199254740993', bytes: isRqlite ? '\u0001\u0002' : 'AQI=', real: 1.5, no: 1 })
  })

  test('a state that is not JSON stands in entities as JSON.stringify has it', async () => {
    const state = {
      when: new Date(0),
      none: undefined,
      big: 2 ** 60,
      nan: Number.NaN,
      half: '\ud800',
      nul: 'a\0b',
      d: -0,
    }
    const Odd = kuma
      .defineEntity({ type: 'odd', initial: (): object => state, events: { Seen: kuma.type<object>() } })
      .evolve({ Seen: (state) => state })
    const { ctx } = await open({ entities: [Odd], projections: [] })
    const { position } = await (await ctx.spawn(Odd, 'o')).append({ type: 'Seen', data: {} })
    const found = await all(ctx.query(`select state, state->>'when' as "when" from entities`, [], { after: position }))
    expect(found).toEqual([{ state: JSON.parse(JSON.stringify(state)), when: '1970-01-01T00:00:00.000Z' }])
  })

  test('rows from state: one, several, none, and those that were there before go', async () => {
    const Cart = kuma
      .defineEntity({
        type: 'cart',
        initial: { items: [] as string[], open: true },
        events: { Put: kuma.type<{ sku: string }>(), Closed: kuma.type<Record<string, never>>() },
      })
      .evolve({
        Put: (state, { sku }) => ({ ...state, items: [...new Set([...state.items, sku])] }),
        Closed: (state) => ({ ...state, open: false }),
      })
    const items = kuma
      .defineProjection({ name: 'cart_items', columns: { sku: 'text', place: 'integer' }, key: ['sku'] })
      .rows(Cart, (cart) => (cart.open ? cart.items.map((sku, place) => ({ sku, place })) : null))
    const { ctx } = await open({ entities: [Cart], projections: [items] })
    const cart = await ctx.spawn(Cart, 'c')
    await cart.append({ type: 'Put', data: { sku: 'b' } })
    let { position } = await cart.append({ type: 'Put', data: { sku: 'a' } })
    const rows = () =>
      all(ctx.query('select sku, place, _version from cart_items order by sku', [], { after: position }))
    expect(await rows()).toEqual([
      { sku: 'a', place: 1, _version: 3 },
      { sku: 'b', place: 0, _version: 3 },
    ])
    ;({ position } = await cart.append({ type: 'Closed', data: {} }))
    expect(await rows()).toEqual([])
  })

  test('random histories, with erasures, stops and restarts: every table is what a fold of the log gives', {
    timeout: 120_000,
  }, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    console.log('seed', seed)
    const random = randomFrom(seed)
    const pick = (n: number) => Math.floor(random() * n)
    const made = await config()
    let { engine, ctx } = await opened(made)
    for (let round = 0; round < 4; round++) {
      const waiting: Promise<unknown>[] = []
      for (let i = 0; i < 150; i++) {
        const entity = await ctx.spawn(Account, `acc_${pick(25)}`, { name: 'x' }).catch(() => null)
        if (entity === null) continue // it is being erased
        const event = [
          { type: 'Deposited' as const, data: { amount: pick(100), day: `day_${pick(3)}` } },
          { type: 'Deposited' as const, data: { amount: pick(100) } },
          { type: 'Withdrawn' as const, data: { amount: pick(100) } },
          { type: 'Renamed' as const, data: { name: `name ${pick(9)}` } },
        ][pick(4)]!
        waiting.push(entity.append(event).catch(() => {}))
        if (pick(60) === 0) waiting.push(entity.delete().catch(() => {}))
      }
      await Promise.all(waiting)
      await engine.close()
      ;({ engine, ctx } = await opened(made))
    }
    await engine.readModels.catchUp()
    await expectFolded(ctx)
  })

  /** Both tables against what the log says. */
  async function expectFolded(ctx: kuma.Context): Promise<void> {
    const balances: unknown[] = []
    const counters = new Map<string, { deposits: number; cents: number }>()
    for await (const { id } of ctx.entities()) {
      const entity = await ctx.entity(Account, id)
      const { state, version } = await entity.inspect()
      balances.push({ id, balance: state.balance, name: state.name, _version: version })
      for (const event of await entity.log().toArray()) {
        if (event.type !== 'Deposited' && event.type !== 'Withdrawn') continue
        const day = event.type === 'Deposited' ? (event.data.day ?? 'monday') : 'monday'
        const counter = counters.get(`${id} ${day}`)
        if (event.type === 'Deposited')
          counters.set(`${id} ${day}`, {
            deposits: (counter?.deposits ?? 0) + 1,
            cents: (counter?.cents ?? 0) + event.data.amount * 100,
          })
        else if (counter !== undefined) counter.cents -= event.data.amount * 100
      }
    }
    const rows = await all(
      ctx.query('select e.id, a.balance, a.name, a._version from accounts a join entities e using (_entity)'),
    )
    expect(new Set(rows)).toEqual(new Set(balances))
    expect(rows).toHaveLength(balances.length)
    expect(await all(ctx.query('select count(*) n from accounts'))).toEqual([{ n: balances.length }])
    const counted = await all(
      ctx.query<{ id: string; day: string; deposits: number; cents: number }>(
        'select e.id, t.day, t.deposits, t.cents from turnover t left join entities e using (_entity)',
      ),
    )
    expect(new Map(counted.map(({ id, day, deposits, cents }) => [`${id} ${day}`, { deposits, cents }]))).toEqual(
      counters,
    )
  }

  describe('a handler that', () => {
    const bad: [string, kuma.AnyProjection, RegExp][] = [
      [
        'throws',
        rowsOf(() => {
          throw new Error('no such luck')
        }),
        /no such luck/,
      ],
      ['returns a promise', rowsOf(() => Promise.reject(new Error('late'))), /promise/],
      ['returns undefined', rowsOf(() => undefined), /undefined/],
      ['returns a text', rowsOf(() => 'x'), /object/],
      ['gives NaN', rowsOf(() => ({ n: Number.NaN, t: '' })), /n must be a whole number.*NaN/],
      ['gives a fraction', rowsOf(() => ({ n: 1.5, t: '' })), /n must be a whole number.*1\.5/],
      ['gives infinity', rowsOf(() => ({ n: Number.POSITIVE_INFINITY, t: '' })), /n must be a whole number.*Infinity/],
      ['gives an object for a text', rowsOf(() => ({ n: 1, t: { a: 1 } })), /t must be a text, and is object/],
      ['gives bytes', rowsOf(() => ({ n: 1, t: Buffer.from('AB') })), /bytes/],
      ['gives half a character', rowsOf(() => ({ n: 1, t: '\ud800' })), /UTF-8/],
      ['leaves a column out', rowsOf(() => ({ n: 1 })), /t must be a text, and is undefined/],
      ['makes a column up', rowsOf(() => ({ n: 1, t: '', x: 1 })), /no column "x"/],
      [
        'gives two rows without a key',
        rowsOf(() => [
          { n: 1, t: '' },
          { n: 2, t: '' },
        ]),
        /key/,
      ],
      ['says wrong SQL', on((_, table) => table.sql`update nowhere set n = ${1}`), /nowhere/],
      ['says SQL that changes nothing', on((_, table) => table.sql`select 1`), /insert, an update/],
      ['gives a number for a statement', on(() => 7 as never), /number/],
      [
        'breaks a constraint',
        on((_, table) => table.sql`insert into bad (_entity, _version, n) values (${table.entity}, 1, null)`),
        /NOT NULL/,
      ],
    ]

    test.each(bad)('%s stops its projection, alone and loudly', async (_, projection, message) => {
      const made = await config({ projections: [accounts, projection] })
      const { engine, ctx } = await opened(made)
      const failed: unknown[] = []
      engine.onProjectionFailed((name, { position }) => failed.push([name, position]))
      const account = await ctx.spawn(Account, 'a', { name: 'Ann' })
      const { position } = await account.append({ type: 'Deposited', data: { amount: 5 } })
      const { error, state } = await until(engine, 'bad', (info) => info.state === 'failed')
      expect(state).toBe('failed')
      expect(error!.message).toMatch(message)
      expect(error!.position).toMatch(/^00\d:[12]$/)
      expect(failed[0]).toEqual(['bad', error!.position])
      await expect(ctx.waitFor('bad', position)).rejects.toEqual(code('KUMA_PROJECTION_FAILED'))
      await ctx.waitFor(accounts, position)
      const last = await account.append({ type: 'Deposited', data: { amount: 5 } })
      await ctx.waitFor(accounts, last.position)
      expect(await all(ctx.query('select balance from accounts'))).toEqual([{ balance: 10 }])
      const sql = 'select count(*) n from bad'
      await expect(all(ctx.query(sql))).rejects.toMatchObject({
        code: 'KUMA_PROJECTION_FAILED',
        message: expect.stringMatching(message),
        hint: expect.stringMatching(/resume bad.*skip bad 00\d:\d.*stale/),
      })
      expect(await all(ctx.query(sql, [], { stale: true }))).toEqual([{ n: 0 }])
    })

    function rowsOf(row: () => unknown): kuma.AnyProjection {
      return kuma.defineProjection({ name: 'bad', columns: { n: 'integer', t: 'text' } }).rows(Account, row as never)
    }

    function on(
      handler: (event: unknown, table: kuma.Table<{ n: 'integer'; t: 'text' }, never>) => never | kuma.Statement,
    ) {
      return kuma
        .defineProjection({ name: 'bad', columns: { n: 'integer', t: 'text' } })
        .on(Account, { Deposited: handler as never })
    }
  })

  test('of a failed one, the event can be skipped, and that is told; or it is tried again', async () => {
    let isBroken = true
    const picky = kuma.defineProjection({ name: 'picky', columns: { total: 'integer' } }).on(Account, {
      Deposited: ({ data }, table) => {
        if (isBroken && data.amount === 13) throw new Error('unlucky')
        return table.increment({}, { total: data.amount })
      },
    })
    const { engine, ctx } = await open({ projections: [picky] })
    const account = await ctx.spawn(Account, 'a')
    const amounts = [1, 13, 2, 13, 4]
    let position = ''
    const positions: string[] = []
    for (const amount of amounts) {
      ;({ position } = await account.append({ type: 'Deposited', data: { amount } }))
      positions.push(position)
    }
    const { error } = await until(engine, 'picky', ({ state }) => state === 'failed')
    expect(error).toMatchObject({ position: positions[1], message: 'unlucky' })
    await expect(engine.readModels.skip('picky', `${positions[1]},003:1,002:1`, 'x')).rejects.toEqual(
      code('KUMA_INVALID_POSITION'),
    )
    await engine.readModels.skip('picky', positions[1]!, 'a bad day')
    await until(engine, 'picky', (info) => info.state === 'failed' && info.error!.position === positions[3])
    isBroken = false
    await engine.readModels.resume('picky')
    expect(await all(ctx.query('select total from picky', [], { after: position }))).toEqual([
      { total: 1 + 2 + 13 + 4 },
    ])
    const [, info] = await engine.readModels.list()
    expect(info).toMatchObject({
      state: 'following',
      error: null,
      skipped: [{ position: positions[1], reason: 'a bad day' }],
    })
  })

  test('paused, it rests where it is; resumed, it goes on', async () => {
    const { engine, ctx } = await open()
    const account = await ctx.spawn(Account, 'a')
    const first = await account.append({ type: 'Deposited', data: { amount: 1 } })
    await ctx.waitFor('accounts', first.position)
    await engine.readModels.pause('accounts')
    await until(engine, 'accounts', ({ state }) => state === 'paused')
    const second = await account.append({ type: 'Deposited', data: { amount: 2 } })
    await ctx.waitFor(turnover, second.position)
    expect(await all(ctx.query('select balance from accounts'))).toEqual([{ balance: 1 }])
    await expect(ctx.waitFor('accounts', second.position, { signal: AbortSignal.timeout(50) })).rejects.toThrow(
      /timeout/,
    )
    expect((await engine.readModels.list()).find(({ name }) => name === 'accounts')).toMatchObject({ lagEvents: 1 })
    await engine.readModels.resume('accounts')
    await ctx.waitFor('accounts', second.position)
    expect(await all(ctx.query('select balance from accounts'))).toEqual([{ balance: 3 }])
  })

  test('one that nobody has asked for yet can be paused', async () => {
    const { engine } = await open()
    await engine.readModels.pause('accounts')
    await until(engine, 'accounts', ({ state }) => state === 'paused')
  })

  describe('a question about a table whose projection has stopped', () => {
    const unlucky = kuma
      .defineProjection({ name: 'unlucky', columns: { n: 'integer' }, indexes: [['n']] })
      .rows(Account, ({ balance }) => {
        if (balance >= 13) throw new Error('thirteen')
        return { n: balance }
      })

    async function stopped() {
      const made = await config({ projections: [accounts, unlucky], shards: 1 })
      const { engine, ctx } = await opened(made)
      const account = await ctx.spawn(Account, 'a')
      const { position } = await account.append({ type: 'Deposited', data: { amount: 1 } })
      await ctx.waitFor('unlucky', position)
      await account.append({ type: 'Deposited', data: { amount: 12 } })
      await until(engine, 'unlucky', ({ state }) => state === 'failed')
      await account.append({ type: 'Deposited', data: { amount: 1 } })
      return { made, engine, ctx }
    }
    const refused = {
      code: 'KUMA_PROJECTION_FAILED',
      message: 'unlucky stopped at 000:3: thirteen',
      details: { projection: 'unlucky', position: '000:3' },
    }

    test('is refused however it is put, and one that only speaks of it is not', async () => {
      const { made, engine, ctx } = await stopped()
      await engine.readModels.waitFor('accounts', '000:4')
      await meddle(made.path!, 'create view mine as select u.n from accounts a join UNLUCKY u using (_entity)')
      for (const sql of [
        'select * from unlucky',
        'select n from "Unlucky" where n > 5',
        'select count(*) from unlucky__1',
        'with x as (select n from main.unlucky) select balance from accounts where balance in x',
        'select (select max(n) from [unlucky]) as n',
        'select * from mine',
        'select balance from accounts union all select n from unlucky;',
        '/* accounts */ select 1 from accounts, unlucky -- that is all',
      ])
        await expect(all(ctx.query(sql)), sql).rejects.toMatchObject(refused)
      for (const sql of [
        "select balance as unlucky, 'unlucky' as text from accounts -- unlucky",
        'with unlucky as (select balance from accounts) select * from unlucky',
        'explain query plan select * from unlucky',
      ])
        expect(await all(ctx.query(sql)), sql).toHaveLength(1)
      await expect(all(ctx.query('select 1; select * from unlucky'))).rejects.toEqual(code('KUMA_INVALID_QUERY'))
      await expect(all(ctx.query('select * from mine', [], { after: '000:4' }))).rejects.toMatchObject(refused)
    })

    test('asked as it is, is answered, and is told how far behind it is', async () => {
      const { made, engine, ctx } = await stopped()
      const told: unknown[] = []
      const options = { stale: true, onBehind: (tables: readonly kuma.Behind[]) => told.push(...tables) }
      const sql = 'select n, balance from unlucky join accounts using (_entity)'
      await engine.readModels.waitFor('accounts', '000:4')
      expect(await all(ctx.query(sql, [], options))).toEqual([{ n: 1, balance: 14 }])
      const unlucky = {
        projection: 'unlucky',
        state: 'failed',
        lagEvents: 2,
        lagSeconds: expect.any(Number),
        error: expect.objectContaining({ message: 'thirteen', position: '000:3' }),
      }
      const accounts = { projection: 'accounts', state: 'following', lagEvents: 0, lagSeconds: 0, error: null }
      expect(told).toEqual([accounts, unlucky])
      await engine.close()
      const reader = await openEngine(made, { access: 'read' })
      onTestFinished(() => reader.close())
      const asIs = contextOf(reader)
      expect(await all(asIs.query(sql, [], options))).toEqual([{ n: 1, balance: 14 }])
      expect(told.slice(2)).toEqual([{ ...accounts, state: 'idle' }, unlucky])
      // one that catches up first tries again
      await expect(all(asIs.query(sql))).rejects.toEqual(code('KUMA_PROJECTION_FAILED'))
    })

    test('paused is answered, and told that it rests', async () => {
      const { engine, ctx } = await open({ shards: 1 })
      const account = await ctx.spawn(Account, 'a')
      await engine.readModels.catchUp()
      await engine.readModels.pause('accounts')
      const told: unknown[] = []
      const onBehind = (tables: readonly kuma.Behind[]) => told.push(...tables)
      expect(await all(ctx.query('select balance from accounts', [], { onBehind }))).toEqual([{ balance: 0 }])
      expect(told).toEqual([])
      const { position } = await account.append({ type: 'Deposited', data: { amount: 1 } })
      const sql = 'select balance, version from accounts join entities using (_entity)'
      await ctx.waitFor('entities', position)
      expect(await all(ctx.query(sql, [], { onBehind }))).toEqual([{ balance: 0, version: 2 }])
      expect(told).toMatchObject([{ projection: 'accounts', state: 'paused', lagEvents: 1 }])
    })
  })

  describe('a definition that changed', () => {
    const named = (version: number, name: (text: string) => string, more: Partial<kuma.Columns> = {}) =>
      kuma
        .defineProjection({ name: 'names', version, columns: { name: 'text', ...more } as { name: 'text' } })
        .rows(Account, (state) => ({ name: name(state.name) }))

    test('with a higher version is built anew by itself, while the old one serves', async () => {
      const made = await config({ projections: [named(1, (text) => text)] })
      const before = await opened(made)
      const { position } = await (await before.ctx.spawn(Account, 'a', { name: 'ann' })).append({
        type: 'Deposited',
        data: { amount: 1 },
      })
      await before.ctx.waitFor('names', position)
      await before.engine.close()
      const { engine, ctx } = await opened({ ...made, projections: [named(2, (text) => text.toUpperCase())] })
      await until(engine, 'names', (info) => info.generation === 2 && info.version === 2 && info.building === null)
      expect(await all(ctx.query('select name from names'))).toEqual([{ name: 'ANN' }])
      await engine.close()
      // whoever still has the old one does not write over it
      const old = await opened(made)
      expect(await until(old.engine, 'names', ({ state }) => state === 'failed')).toMatchObject({
        error: { code: 'KUMA_PROJECTION_CHANGED' },
        generation: 2,
      })
    })

    test('without one is refused, with the hint', async () => {
      const made = await config({ projections: [named(1, (text) => text)] })
      const before = await opened(made)
      await before.engine.readModels.catchUp()
      await before.engine.close()
      const changed = { ...made, projections: [named(1, (text) => text, { more: 'text null' })] }
      const reader = await openEngine(changed, { access: 'read' })
      const isTold = {
        code: 'KUMA_PROJECTION_CHANGED',
        message: expect.stringContaining('the same version 1'),
        hint: expect.stringMatching(/raise its version.*kuma projections rebuild names/),
      }
      const listed = await reader.readModels.list()
      expect(listed.find(({ name }) => name === 'names')).toMatchObject({
        state: 'failed',
        error: { code: 'KUMA_PROJECTION_CHANGED' },
      })
      await expect(all(contextOf(reader).query('select * from names'))).rejects.toMatchObject(isTold)
      await reader.close()
      const { engine, ctx } = await opened(changed)
      const { error } = await until(engine, 'names', ({ state }) => state === 'failed')
      expect(error).toMatchObject({
        code: 'KUMA_PROJECTION_CHANGED',
        message: expect.stringContaining('raise its version'),
      })
      await expect(all(ctx.query('select * from names'))).rejects.toMatchObject(isTold)
      expect(await all(ctx.query('select * from names', [], { stale: true }))).toEqual([])
      await engine.readModels.rebuild('names')
      expect(await all(ctx.query('select more from names'))).toEqual([])
    })

    describe('in its code alone', () => {
      const names = kuma.defineProjection({
        name: 'names',
        columns: { name: 'text', balance: 'real', rich: 'boolean' },
      })
      const days = kuma.defineProjection({ name: 'days', columns: { day: 'text', n: 'integer' }, key: ['day'] })
      const CODES: [string, kuma.AnyProjection, kuma.AnyProjection, kuma.AnyProjection][] = [
        [
          'that makes rows of states',
          names.rows(Account, (state) => ({ name: state.name, balance: state.balance, rich: state.balance > 1 })),
          names.rows(Account, ({ name, balance }) => ({ name, balance, rich: balance >= 2 })),
          names.rows(Account, ({ name, balance }) => ({ name: name.toUpperCase(), balance, rich: balance > 1 })),
        ],
        [
          'that makes rows of events',
          days.on(Account, { Deposited: ({ data }, table) => table.increment({ day: data.day! }, { n: data.amount }) }),
          days.on(Account, {
            Deposited: ({ data: { amount, day = '' } }, table) =>
              table.sql`insert into days (_entity, _version, day, n) values (${table.entity}, 2, ${day}, ${amount}) on conflict do update set n = n + excluded.n, _version = 3`,
          }),
          days.on(Account, { Deposited: ({ data }, table) => table.increment({ day: data.day! }, { n: 1 }) }),
        ],
      ]

      test.each(CODES)(
        '%s: the same in other words goes on, what would mix two is refused',
        async (_, as, like, unlike) => {
          const made = await config({ projections: [as] })
          const before = await opened(made)
          const account = await before.ctx.spawn(Account, 'a', { name: 'ann' })
          for (const amount of [1, 2]) await account.append({ type: 'Deposited', data: { amount, day: 'monday' } })
          const sql = `select * from ${as.name}`
          await before.engine.readModels.catchUp()
          const rows = await all(before.ctx.query(sql))
          expect(rows).toHaveLength(1)
          await before.engine.close()

          const same = await opened({ ...made, projections: [like] })
          await same.engine.readModels.catchUp()
          expect(await all(same.ctx.query(sql))).toEqual(rows)
          await same.engine.close()

          const changed = await opened({ ...made, projections: [unlike] })
          await expect(all(changed.ctx.query(sql))).rejects.toMatchObject({
            code: 'KUMA_PROJECTION_CHANGED',
            message: expect.stringContaining('makes other rows than those that stand in its table'),
          })
          await changed.ctx.spawn(Account, 'b', { name: 'bob' })
          await changed.engine.readModels.catchUp()
          expect(await all(changed.ctx.query(sql, [], { stale: true }))).toEqual(rows)
          await changed.engine.readModels.rebuild(as.name)
          expect(
            await all(changed.ctx.query(`${sql} where _entity in (select _entity from entities where id = 'a')`)),
          ).not.toEqual(rows)
        },
      )
    })

    test('because the entity did is built anew too', async () => {
      const counted = (version: number, step: number) =>
        kuma
          .defineEntity({
            type: 'account',
            version,
            initial: { n: 0 },
            events: { Deposited: kuma.type<{ amount: number }>() },
          })
          .evolve({ Deposited: (state) => ({ n: state.n + step }) })
      const configOf = (version: number, step: number): kuma.Config => {
        const Counted = counted(version, step)
        const projection = kuma
          .defineProjection({ name: 'counts', columns: { n: 'integer' } })
          .rows(Counted, ({ n }) => ({ n }))
        return { entities: [Counted], projections: [projection] }
      }
      const made = await config(configOf(1, 1))
      const before = await opened(made)
      const { position } = await before.engine.append({
        id: 'a',
        newType: 'account',
        events: [{ type: 'Deposited', data: { amount: 1 } }],
      })
      await before.ctx.waitFor('counts', position)
      await before.engine.close()
      const { engine, ctx } = await opened({ ...made, ...configOf(2, 10) })
      await until(engine, 'counts', (info) => info.generation === 2 && info.building === null)
      await until(engine, 'entities', (info) => info.generation === 2 && info.building === null)
      expect(await all(ctx.query('select n from counts'))).toEqual([{ n: 10 }])
      expect(await all(ctx.query('select state from entities'))).toEqual([{ state: { n: 10 } }])
    })

    test('is compared before it is built, if asked for', async () => {
      let upper = false
      const projection = kuma
        .defineProjection({ name: 'names', columns: { name: 'text' } })
        .rows(Account, ({ name }) => (upper && name === 'bob' ? null : { name: upper ? name.toUpperCase() : name }))
      const { engine, ctx } = await open({ projections: [projection] })
      for (const name of ['ann', 'bob', '42']) await ctx.spawn(Account, name, { name })
      await engine.readModels.catchUp()
      upper = true
      const { difference, isTrial } = await engine.readModels.rebuild('names', { dryRun: true })
      expect(isTrial).toBe(true)
      expect(difference).toMatchObject({ rowsBefore: 3, rowsAfter: 2, onlyBefore: 2, onlyAfter: 1 })
      expect(difference!.samplesBefore.map((row) => row['name']).sort()).toEqual(['ann', 'bob'])
      expect(difference!.samplesAfter).toMatchObject([{ name: 'ANN' }])
      expect(await all(ctx.query('select name from names order by 1'))).toEqual([
        { name: '42' },
        { name: 'ann' },
        { name: 'bob' },
      ])
      expect(await until(engine, 'names', ({ building }) => building === null)).toMatchObject({ generation: 1 })
      await engine.readModels.rebuild('names')
      expect(await all(ctx.query('select name from names order by 1'))).toEqual([{ name: '42' }, { name: 'ANN' }])
    })

    describe('and whose version is raised, where nothing follows the log:', () => {
      /** Served as version 1, and raised, with another one: engines as commands open them. */
      async function raised() {
        const made = await config({ projections: [named(1, (text) => text), accounts] })
        const before = await opened(made)
        const account = await before.ctx.spawn(Account, 'a', { name: 'ann' })
        await before.engine.readModels.catchUp()
        await account.append({ type: 'Deposited', data: { amount: 1 } })
        await before.engine.close()
        const others = kuma.defineProjection({ name: 'accounts', version: 2, columns: { n: 'integer' } })
        const projections = [named(2, (text) => text.toUpperCase()), others.rows(Account, () => null)]
        const command = async (projects = true) => {
          const engine = await openEngine({ ...made, projections }, { access: 'read', projects })
          onTestFinished(() => engine.close())
          return engine.readModels
        }
        return { command, meddle: (...sql: string[]) => meddle(made.path!, ...sql) }
      }

      const QUESTIONS = [
        'select name, serving from kuma_projection order by 1',
        'select * from kuma_generation order by projection, generation',
        'select projection, generation, shard, position from kuma_checkpoint order by 1, 2, 3',
        'select * from names',
        'select * from accounts',
      ]

      async function contents(command: (projects: boolean) => Promise<ReadModels>): Promise<unknown[]> {
        const found: unknown[] = []
        const readModels = await command(false)
        for (const sql of QUESTIONS)
          for await (const { rows } of readModels.query({ sql, stale: true })) found.push(rows)
        return found
      }

      const infoOf = async (readModels: ReadModels) => (await readModels.list()).find(({ name }) => name === 'names')

      test('a rebuild ends, and the new table serves', async () => {
        const readModels = await (await raised()).command()
        expect(await readModels.rebuild('names')).toMatchObject({ generation: 2, isTrial: false })
        expect(await infoOf(readModels)).toMatchObject({ generation: 2, version: 2, building: null, lagEvents: 0 })
      })

      test('a dry run ends, and what it shows is all that there is of it', async () => {
        const { command } = await raised()
        const before = await contents(command)
        const readModels = await command()
        const tried = readModels.rebuild('names', { dryRun: true })
        await readModels.list() // as whoever shows how far it has come
        expect((await tried).difference).toMatchObject({
          rowsBefore: 1,
          rowsAfter: 1,
          samplesBefore: [{ name: 'ann' }],
          samplesAfter: [{ name: 'ANN' }],
        })
        expect(await contents(command)).toEqual(before)
      })

      test('one that is interrupted leaves what serves, and nothing else', async () => {
        const { command } = await raised()
        const before = await contents(command)
        for (const dryRun of [true, false]) {
          const stop = new AbortController()
          const readModels = await command()
          const rebuilt = readModels.rebuild('names', { dryRun, signal: stop.signal })
          stop.abort(new Error('enough'))
          await expect(rebuilt, `dryRun: ${dryRun}`).rejects.toThrow('enough')
          if (dryRun) expect(await contents(command)).toEqual(before)
          else expect(await infoOf(readModels)).toMatchObject({ generation: 1, version: 1 })
        }
      })

      test('a dry run that was killed keeps nobody from building it', async () => {
        const { command, meddle } = await raised()
        await (await command()).rebuild('names')
        await meddle(
          "update kuma_generation set state = 'trial', version = 1 where projection = 'names'",
          "update kuma_projection set serving = null where name = 'names'",
        )
        const readModels = await command()
        await readModels.catchUp()
        expect(await infoOf(readModels)).toMatchObject({ generation: 3, version: 2, building: null })
      })

      test('of two at once one is done, and the other one is told', async () => {
        const { command } = await raised()
        const rebuilt = await Promise.allSettled(
          [await command(), await command()].map((readModels) => readModels.rebuild('names')),
        )
        const done = rebuilt.filter(({ status }) => status === 'fulfilled')
        expect(done.length).toBeGreaterThan(0)
        for (const one of rebuilt)
          if (one.status === 'rejected') expect(one.reason.message).toContain('somebody else has begun another one')
        const generations = done.map((one) => (one as PromiseFulfilledResult<Rebuilt>).value.generation)
        expect(await infoOf(await command())).toMatchObject({ generation: Math.max(...generations), building: null })
      })
    })

    test('or is gone from the config leaves its table, which can be dropped', async () => {
      const made = await config()
      const before = await opened(made)
      await before.ctx.spawn(Account, 'a')
      await before.engine.readModels.catchUp()
      await expect(before.engine.readModels.drop('accounts')).rejects.toEqual(code('KUMA_USAGE'))
      await before.engine.close()
      const { engine, ctx } = await opened({ ...made, projections: [turnover] })
      await until(engine, 'accounts', ({ state }) => state === 'orphaned')
      expect(await all(ctx.query('select count(*) n from accounts'))).toEqual([{ n: 1 }])
      await engine.readModels.drop('accounts')
      await expect(all(ctx.query('select 1 from accounts'))).rejects.toEqual(code('KUMA_INVALID_QUERY'))
      await expect(engine.readModels.drop('accounts')).rejects.toEqual(code('KUMA_UNKNOWN_PROJECTION'))
    })
  })

  describe('when someone else', () => {
    const meddled = async (...sql: string[]) => {
      const made = await config()
      const { engine, ctx } = await opened(made)
      const account = await ctx.spawn(Account, 'a')
      await account.append({ type: 'Deposited', data: { amount: 1 } })
      await engine.readModels.catchUp()
      await meddle(made.path!, ...sql)
      const { position } = await account.append({ type: 'Deposited', data: { amount: 2 } })
      return { engine, ctx, position }
    }
    const mended = async ({ engine, ctx, position }: Awaited<ReturnType<typeof meddled>>) => {
      await ctx.waitFor(accounts, position)
      await engine.readModels.rebuild('turnover')
      expect(await all(ctx.query('select deposits, cents from turnover', [], { after: position }))).toEqual([
        { deposits: 2, cents: 300 },
      ])
    }

    test('drops a table, its projection stops, and can be built anew', async () => {
      const made = await meddled('drop table turnover__1')
      expect(await until(made.engine, 'turnover', ({ state }) => state === 'failed')).toMatchObject({
        error: { message: expect.stringContaining('turnover__1') },
      })
      await mended(made)
    })

    test.each([
      ['moves a checkpoint back', 'update kuma_checkpoint set position = position - 1 where position > 0'],
      ['moves a checkpoint beyond the end', 'update kuma_checkpoint set position = position + 100'],
      ['takes a checkpoint away', 'delete from kuma_checkpoint'],
    ])('%s, nothing is counted twice, and the projection stops', async (_, sql) => {
      const made = await meddled(`${sql}${sql.includes('where') ? ' and' : ' where'} projection = 'turnover'`)
      await until(made.engine, 'turnover', ({ state }) => state === 'failed')
      const asked = 'select deposits from turnover'
      await expect(all(made.ctx.query(asked))).rejects.toEqual(code('KUMA_PROJECTION_FAILED'))
      expect(await all(made.ctx.query(asked, [], { stale: true }))).toEqual([{ deposits: 1 }])
      await mended(made)
    })
  })

  test('two projectors at once do no harm', async () => {
    const made = await config()
    const { engine, ctx } = await opened(made)
    const other = await openEngine(made, { access: 'read', projects: true })
    onTestFinished(() => other.close())
    await other.readModels.list()
    const entities = await Promise.all(Array.from({ length: 20 }, (_, i) => ctx.spawn(Account, `acc_${i}`)))
    for (let round = 0; round < 20; round++)
      await Promise.all(entities.map((entity) => entity.append({ type: 'Deposited', data: { amount: round } })))
    await engine.readModels.catchUp()
    await other.readModels.catchUp()
    await expectFolded(ctx)
  })

  test('a store that was set back and written on is noticed, and its tables can be built anew', async () => {
    const made = await config({ shards: 1 })
    const deposit = (ctx: kuma.Context, amount: number) =>
      ctx.entity(Account, 'a').then((account) => account.append({ type: 'Deposited', data: { amount } }))
    const first = await opened(made)
    await first.ctx.spawn(Account, 'a')
    await first.engine.close()
    const older = folder()
    cpSync(made.path!, older, { recursive: true })

    const second = await opened(made)
    for (const amount of [1, 2, 3]) await deposit(second.ctx, amount)
    await second.engine.readModels.catchUp()
    await second.engine.close()
    if (!isRqlite) cpSync(join(made.path!, 'projections.db'), join(older, 'projections.db'))

    const writer = await openEngine({ ...made, path: older }, { access: 'write' })
    for (const amount of [10, 20, 30, 40]) await deposit(contextOf(writer), amount)
    await writer.close()
    const { engine, ctx } = await opened({ ...made, path: older })
    for (const name of ['entities', 'accounts', 'turnover']) {
      const { error } = await until(engine, name, ({ state }) => state === 'failed')
      expect(error!.message).toContain('the store was set back')
      await engine.readModels.rebuild(name)
    }
    await expectFolded(ctx)
  })

  test("a sink that is another store's is refused", async () => {
    const made = await config()
    const first = await opened(made)
    await first.engine.readModels.catchUp()
    await first.engine.close()
    if (!isRqlite) await meddle(made.path!, "update kuma_sink set store = 'another'")
    const other = isRqlite ? { ...made, path: folder() } : made
    await expect(opened(other)).rejects.toEqual(code('KUMA_WRONG_SINK'))
  })

  describe('a question', () => {
    test('cannot write, whatever it says', async () => {
      const { engine, ctx } = await open()
      await ctx.spawn(Account, 'a')
      await engine.readModels.catchUp()
      for (const sql of [
        'delete from kuma_checkpoint',
        "insert into accounts__1 values ('x', 1, 1, 'x') returning *",
        'drop table kuma_sink',
        'create table t (a)',
        'with x as (select 1) update accounts__1 set balance = 7',
      ])
        await expect(all(ctx.query(sql)), sql).rejects.toEqual(code('KUMA_INVALID_QUERY'))
      expect(await all(ctx.query('select count(*) n from accounts'))).toEqual([{ n: 1 }])
    })

    test('that is awaited gives its rows, anew each time, and what is wrong with it', async () => {
      const { ctx } = await open()
      const account = await ctx.spawn(Account, 'a', { name: 'Ann' })
      const { position } = await account.append({ type: 'Deposited', data: { amount: 5 } })
      const asked = ctx.query('select * from accounts', [], { of: accounts, after: position })
      const [ann, ...others] = await asked
      expect([ann!.name.length, ann!.balance, others.length]).toEqual([3, 5, 0])
      expect(await asked.toArray()).toEqual([ann])
      const last = await account.append({ type: 'Withdrawn', data: { amount: 1 } })
      await ctx.waitFor(accounts, last.position)
      expect(await Promise.all([asked, ctx.query('select 1 as one')])).toEqual([
        [expect.objectContaining({ name: 'Ann', balance: 4 })],
        [{ one: 1 }],
      ])
      const wrong = async () => ctx.query('select nothing from accounts')
      await expect(wrong()).rejects.toEqual(code('KUMA_INVALID_QUERY'))
    })

    test('that is wrong is told so, with the tables that there are', async () => {
      const { ctx } = await open()
      await expect(all(ctx.query('select * from account'))).rejects.toMatchObject({
        code: 'KUMA_INVALID_QUERY',
        hint: expect.stringContaining('accounts, entities, turnover'),
      })
      await expect(all(ctx.query('selec 1'))).rejects.toEqual(code('KUMA_INVALID_QUERY'))
      await expect(all(ctx.query('select ?', [Number.NaN]))).rejects.toEqual(code('KUMA_INVALID_QUERY'))
      await expect(all(ctx.query('select ?', []))).rejects.toEqual(code('KUMA_INVALID_QUERY'))
      await expect(all(ctx.query('select 1', [], { after: '000:999' }))).rejects.toEqual(code('KUMA_INVALID_POSITION'))
      await expect(ctx.waitFor('acounts', '000:0')).rejects.toMatchObject({
        code: 'KUMA_UNKNOWN_PROJECTION',
        hint: 'did you mean accounts?',
      })
    })

    const FOREVER = 'with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c'

    test('that runs for ever is stopped: by time, or by whoever asked', async () => {
      const { ctx } = await open()
      await expect(all(ctx.query(FOREVER, [], { timeoutMs: 200 }))).rejects.toEqual(code('KUMA_TIMEOUT'))
      const signal = AbortSignal.timeout(200)
      await expect(all(ctx.query(FOREVER, [], { signal }))).rejects.toBe(await reasonOf(signal))
      expect(await all(ctx.query('select 1 as one'))).toEqual([{ one: 1 }])
    })

    test('of a million rows gives them as they are asked for', { timeout: 120_000 }, async () => {
      const { ctx } = await open()
      const rows = ctx.query<{ x: number }>(
        'with recursive c(x) as (select 1 union all select x + 1 from c where x < 1000000) select x from c',
      )
      let sum = 0
      for await (const { x } of rows) sum += x
      expect(sum).toBe(500_000_500_000)
      for await (const { x } of rows) if (x === 1_000) break
      expect(await all(ctx.query('select 1 as one'))).toEqual([{ one: 1 }])
    })
  })

  describe('the rows of an answer', () => {
    const MIB = 1024 * 1024
    const rows = (count: number) =>
      `with recursive c(x) as (select 1 union all select x + 1 from c where x < ${count}) select x, hex(zeroblob(?)) as text from c`

    test('are refused when one is larger than 16 MiB, whatever came before it', async () => {
      const { ctx } = await open()
      const sql = 'select 1 as text union all select hex(zeroblob(?))'
      await expect(all(ctx.query(sql, [8 * MIB]))).rejects.toMatchObject({
        code: 'KUMA_INVALID_QUERY',
        message: expect.stringContaining('16 MiB'),
      })
      const found = await all(ctx.query<{ text: string }>(sql, [8 * MIB - 1_024]))
      expect(found[1]!.text).toHaveLength(16 * MIB - 2_048)
    })

    test('come in pages that are small also where rows are large', async () => {
      const { engine } = await open()
      const sizes: number[] = []
      for await (const page of engine.readModels.query({ sql: rows(20), params: [MIB / 4] }))
        sizes.push(page.rows.length)
      expect(Math.max(...sizes)).toBeLessThan(3)
      expect(sizes.reduce((sum, size) => sum + size)).toBe(20)
    })
  })

  describe('an erasure', () => {
    test('takes the rows out of every table and generation, running, paused or failed, and out of the files', async () => {
      const broken = kuma.defineProjection({ name: 'broken', columns: { name: 'text' } }).rows(Account, ({ name }) => {
        if (name === 'stop') throw new Error('it was someone-very-personal')
        return { name }
      })
      const made = await config({ projections: [accounts, broken], readModels: { events: true } })
      const { engine, ctx } = await opened(made)
      const ann = await ctx.spawn(Account, 'someone-very-personal', { name: 'Ann Very-Personal' })
      const bob = await ctx.spawn(Account, 'bob', { name: 'Bob' })
      for (let i = 0; i < 30; i++)
        await ann.append({ type: 'Renamed', data: { name: `Ann Very-Personal ${'x'.repeat(i * 40)}` } })
      await engine.readModels.catchUp()
      await engine.readModels.pause('accounts')
      const { position } = await bob.append({ type: 'Renamed', data: { name: 'stop' } })
      await until(engine, 'broken', ({ state }) => state === 'failed')
      const exported = await ann.export()
      expect(Object.keys(exported.readModels)).toEqual(['accounts', 'broken', 'entities', 'events'])
      expect(exported.readModels['accounts']).toMatchObject([{ balance: 0 }])
      const receipt = await ann.delete()
      const ids = nodes.map((_, i) => `rqlite node n${i + 1}`)
      const reached = isRqlite ? ids.map((id) => `${id}: its database and snapshots`) : ['projections.db']
      expect(receipt.reached).toEqual(expect.arrayContaining(reached))
      expect(receipt.notReached.map(({ what }) => what).sort()).toEqual(ids.map((id) => `raft.db of ${id}`))
      for (const table of ['accounts', 'broken', 'entities', 'events']) {
        const rows = ctx.query(`select * from ${table} where _entity = ?`, [keyOf(exported)], { stale: true })
        expect(await all(rows)).toEqual([])
      }
      await ctx.waitFor('events', position)
      expect(JSON.stringify(await all(ctx.query('select * from kuma_generation')))).not.toContain('very-personal')
      if (!isRqlite) {
        for (const file of ['projections.db', 'projections.db-wal']) {
          const path = join(made.path!, file)
          if (existsSync(path)) expect(readFileSync(path).includes('ery-'), file).toBe(false)
        }
      }
    })

    test.runIf(isRqlite)(
      'reaches the sink in the store too, and names an rqlite that the config names no more',
      async () => {
        const made = await config()
        const embedded = { ...made, readModels: {} }
        const bytes = () => readFileSync(join(made.path!, 'projections.db')).includes('ery-personal')
        const first = await opened(embedded)
        for (const id of ['ann', 'bob']) await first.ctx.spawn(Account, id, { name: `very-personal ${id}` })
        await first.engine.readModels.catchUp()
        await first.engine.close()
        expect(bytes()).toBe(true)

        const second = await opened(made)
        await second.engine.readModels.catchUp()
        const both = await second.engine.erase(['ann', 'bob'])
        expect(both.reached).toEqual(expect.arrayContaining(['projections.db', expect.stringMatching(/^rqlite node/)]))
        expect(both.notReached.every(({ what }) => what.startsWith('raft.db'))).toBe(true)
        expect(bytes()).toBe(false)
        await second.ctx.spawn(Account, 'cy')
        await second.engine.close()

        const third = await opened(embedded)
        const one = await third.engine.erase(['cy'])
        expect(one.notReached).toEqual([
          {
            what: expect.stringContaining(`rqlite at ${url()}`),
            remedy: expect.stringContaining('backup-places.ndjson'),
          },
        ])
      },
    )

    test.runIf(!isRqlite)(
      'reaches what stands plain beside an encrypted store, once it is not asked for any more',
      async () => {
        const plain = await config({ encryption: 'entity-keys', masterKey: MASTER_KEY })
        const { projections, readModels, ...without } = plain
        const first = await opened(plain)
        await first.ctx.spawn(Account, 'ann', { name: 'very-personal' })
        await first.engine.readModels.catchUp()
        await first.engine.close()
        const engine = await openEngine(without, { access: 'write' })
        onTestFinished(() => engine.close())
        const receipt = await engine.erase(['ann'])
        expect(receipt).toMatchObject({ reached: ['projections.db'], notReached: [] })
        expect(readFileSync(join(plain.path!, 'projections.db')).includes('ery-personal')).toBe(false)
      },
    )

    const keyOf = ({ readModels }: kuma.EntityExport) => readModels['entities']![0]!['_entity'] as string

    test('while rows of it are on their way leaves none behind', async () => {
      const { engine, ctx } = await open()
      for (let round = 0; round < 10; round++) {
        const account = await ctx.spawn(Account, `acc_${round}`)
        const writes = Array.from({ length: 20 }, (_, i) =>
          account.append({ type: 'Deposited', data: { amount: i } }).catch(() => {}),
        )
        await writes[5]
        await account.delete()
        await Promise.all(writes)
      }
      await engine.readModels.catchUp()
      for (const table of ['accounts', 'turnover', 'entities'])
        expect(await all(ctx.query(`select * from ${table}`)), table).toEqual([])
    })

    test('by another process, while a projector has read the events but not written, leaves none behind', async () => {
      let erase: (() => void) | undefined
      const names = kuma.defineProjection({ name: 'names', columns: { name: 'text' } }).on(Account, {
        Renamed: ({ data }, table) => {
          if (data.name === 'now') erase?.()
          return table.upsert({ name: data.name })
        },
      })
      // one shard: bob's event is read after all of ann's, in the same batch
      const made = await config({ projections: [names], shards: 1 })
      const writer = await openEngine(made, { access: 'write', create: true })
      for (const [id, name] of [
        ['ann', 'Ann'],
        ['bob', 'now'],
      ] as const)
        await (await contextOf(writer).spawn(Account, id)).append({ type: 'Renamed', data: { name } })
      await writer.close()
      const projecting = await openEngine(made, { access: 'read', projects: true })
      const erased = new Promise<{ said: string; closed: Promise<void> }>((resolve) => {
        erase = () => {
          erase = undefined
          const env = environment(isRqlite ? { KUMA_RQLITE_URL: urlOf(nodes) } : {})
          const words = [BINARY, 'delete', 'ann', '--yes', '--dir', made.path!]
          const { stdout, stderr } = spawnSync(process.execPath, words, { cwd: made.path!, env, encoding: 'utf8' })
          // it still sends what it has read
          resolve({ said: stdout + stderr, closed: projecting.close() })
        }
      })
      await projecting.readModels.list()
      const { said, closed } = await erased
      expect(said).toContain('receipt')
      await closed
      const reader = await openEngine(made, { access: 'read' })
      onTestFinished(() => reader.close())
      for (const table of ['names', 'entities'])
        for await (const { rows } of reader.readModels.query({ sql: `select * from ${table}`, stale: true }))
          expect(rows, table).toEqual([])
    })
  })
})

function reasonOf(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason))
  })
}
