/** An entity begins with a command or with events of its own: one suite, in the process and through a daemon. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import * as kuma from '../../src/index.ts'
import { openEngine } from '../../src/kuma.ts'
import { folder } from '../folder.ts'
import { served } from '../served.ts'

const Order = kuma
  .defineEntity({
    type: 'order',
    initial: (id) => ({ id, status: 'new', cents: 0 }),
    events: {
      Placed: z.object({ cents: z.number() }),
      Paid: kuma.type<Record<never, never>>(),
      Noted: kuma.type<{ text: string }>(),
    },
    commands: {
      Place: z.object({ cents: z.number() }),
      PlaceSlowly: kuma.type<{ cents: number }>(),
      PayAtOnce: kuma.type<{ cents: number }>(),
      Cancel: kuma.type(),
    },
  })
  .evolve({
    Placed: (state, { cents }) => ({ ...state, status: 'placed', cents }),
    Paid: (state) => ({ ...state, status: 'paid' }),
    Noted: (state) => state,
  })
  .decide({
    Place: ({ id, status }, { cents }, about) => {
      if (status !== 'new') throw new Error(`it is ${status}`)
      if (cents <= 0) throw new Error('it is free')
      return { type: 'Placed', data: { cents }, meta: { reason: `${id} at ${about.version}` } }
    },
    PlaceSlowly: async ({ status }, { cents }) => {
      await Promise.resolve()
      if (status !== 'new') throw new Error(`it is ${status}`)
      return { type: 'Placed', data: { cents } }
    },
    PayAtOnce: (_, { cents }) => [{ type: 'Placed', data: { cents } }, { type: 'Paid' }],
    Cancel: () => undefined,
  })

const Note = kuma
  .defineEntity({ type: 'note', initial: { text: '' }, events: { Written: kuma.type<{ text: string }>() } })
  .evolve({ Written: (_, { text }) => ({ text }) })

const start = {
  'in process': (config: kuma.Config) => kuma.start(config),
  'through a daemon': async (config: kuma.Config) => {
    const engine = await openEngine(config, { access: 'write', create: true })
    return served(engine, (path) => kuma.connect(path))
  },
}

const code = (expected: kuma.KumaErrorCode) => expect.objectContaining({ name: 'KumaError', code: expected })
const place = (cents: number) => ({ type: 'Place', data: { cents } }) as const
const placed = (cents: number) => ({ type: 'Placed', data: { cents } }) as const

describe.each(['in process', 'through a daemon'] as const)('%s:', (kind) => {
  async function open(path = folder(), config: kuma.Config = {}) {
    const ctx = await start[kind]({ path, shards: 2, entities: [Order, Note], ...config })
    onTestFinished(() => ctx.close())
    return ctx
  }

  async function nothingIsThere(ctx: kuma.Context): Promise<void> {
    expect(await ctx.entities().toArray()).toEqual([])
    await expect(ctx.entity('o')).rejects.toEqual(code('KUMA_NOT_FOUND'))
  }

  describe('a command to an entity that is not there', () => {
    test('is decided on the initial state at version 0, and what comes of it is version 1', async () => {
      const path = folder()
      const ctx = await open(path)
      const executed = await ctx.as({ by: 'ann' }).execute(Order, 'o', place(5), { meta: { ip: '10.0.0.7' } })
      expect(executed).toMatchObject({ version: 1, state: { id: 'o', status: 'placed', cents: 5 } })
      const order = await ctx.entity(Order, 'o')
      const meta = { by: 'ann', ip: '10.0.0.7', reason: 'o at 0' }
      expect(await order.log().toArray()).toMatchObject([{ type: 'Placed', version: 1, data: { cents: 5 }, meta }])
      await ctx.close()
      expect(await (await (await open(path)).entity(Order, 'o')).read()).toEqual(executed.state)
    })

    test('of which several events come makes it with all of them', async () => {
      const ctx = await open()
      const executed = await ctx.execute(Order, 'o', { type: 'PayAtOnce', data: { cents: 5 } })
      expect(executed).toMatchObject({ version: 2, state: { status: 'paid' } })
      expect(executed.events.map(({ type, version }) => [type, version])).toEqual([
        ['Placed', 1],
        ['Paid', 2],
      ])
      if (kind === 'in process') expect(ctx.stats().commitEvents).toMatchObject({ count: 1, max: 2 })
    })

    test('that is refused, or decides on nothing, leaves nothing behind', async () => {
      const path = folder()
      const ctx = await open(path)
      await expect(ctx.execute(Order, 'o', place(0))).rejects.toMatchObject({ details: { reason: 'it is free' } })
      await expect(ctx.execute(Order, 'o', place('x' as never))).rejects.toEqual(code('KUMA_INVALID_COMMAND'))
      await expect(ctx.execute(Order, 'o', place(5), { expectedVersion: 1 })).rejects.toEqual(code('KUMA_CONFLICT'))
      const unheard = await ctx.execute(Order, 'o', { type: 'Cancel' }, { requestKey: 'k' })
      expect(unheard).toEqual({
        version: 0,
        at: 0,
        position: expect.stringMatching(/^00[01]:0$/),
        events: [],
        state: { id: 'o', status: 'new', cents: 0 },
      })
      expect(Object.isFrozen(unheard.state)).toBe(true)
      await nothingIsThere(ctx)
      await ctx.close()
      const again = await open(path)
      await nothingIsThere(again)
      // no key was kept either: there is nothing to keep it
      expect(await again.execute(Order, 'o', place(5), { requestKey: 'k' })).toMatchObject({ version: 1 })
    })

    test('many at once: one of them makes it, the others are decided on what it left', async () => {
      const ctx = await open()
      const settled = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) =>
          ctx.execute(Order, 'o', { type: i % 2 ? 'Place' : 'PlaceSlowly', data: { cents: i + 1 } }),
        ),
      )
      expect(settled.map(({ status }) => status)).toEqual(['fulfilled', ...Array(19).fill('rejected')])
      expect(settled[1]).toMatchObject({ reason: { details: { reason: 'it is placed' } } })
      expect(await (await ctx.entity(Order, 'o')).inspect()).toMatchObject({ version: 1, state: { cents: 1 } })
    })

    test('under a request key gives the first answer again, and makes nothing twice', async () => {
      const path = folder()
      const ctx = await open(path)
      const both = await Promise.all([1, 2].map(() => ctx.execute(Order, 'o', place(5), { requestKey: 'k' })))
      expect(both[1]).toEqual(both[0])
      await ctx.append(Order, 'o', { type: 'Paid' })
      await ctx.close()
      const again = await open(path)
      expect(await again.execute(Order, 'o', place(5), { requestKey: 'k' })).toEqual(both[0])
      expect(await again.entities().toArray()).toMatchObject([{ id: 'o', version: 2 }])
    })

    test('where one is there goes to it: of the same type only, and at the expected version', async () => {
      const ctx = await open()
      await ctx.append(Order, 'o', placed(5))
      await expect(ctx.execute(Order, 'o', place(5))).rejects.toMatchObject({ details: { reason: 'it is placed' } })
      expect(await ctx.execute(Order, 'o', { type: 'Cancel' })).toMatchObject({ version: 1, events: [] })
      await expect(ctx.execute(Order, 'o', { type: 'Cancel' }, { expectedVersion: 0 })).rejects.toEqual(
        code('KUMA_CONFLICT'),
      )
      await ctx.append(Note, 'n', { type: 'Written', data: { text: 'x' } })
      await expect(ctx.execute(Order, 'n', place(5))).rejects.toEqual(code('KUMA_TYPE_MISMATCH'))
    })

    test('of a type that the engine does not know is refused, and a handle still makes nothing', async () => {
      const ctx = await open(folder(), { entities: [Note] })
      await expect(ctx.execute(Order, 'o', place(5))).rejects.toEqual(code('KUMA_UNKNOWN_TYPE'))
      await expect(ctx.entity(Order, 'o')).rejects.toEqual(code('KUMA_NOT_FOUND'))
      await expect(ctx.execute(Note, 'n', place(5) as never)).rejects.toEqual(code('KUMA_INVALID_COMMAND'))
      await nothingIsThere(ctx)
    })
  })

  describe('events to an entity that is not there', () => {
    test('begin it, one or several as one unit, without a Created', async () => {
      const ctx = await open()
      expect(await ctx.append(Order, 'o', [placed(5), { type: 'Paid' }], { expectedVersion: 0 })).toEqual({
        version: 2,
        position: expect.stringMatching(/^00[01]:2$/),
        at: expect.any(Number),
      })
      expect(await ctx.append(Note, 'n', { type: 'Written', data: { text: 'x' } })).toMatchObject({ version: 1 })
      const order = await ctx.entity(Order, 'o')
      expect((await order.log().toArray()).map(({ type }) => type)).toEqual(['Placed', 'Paid'])
      expect(await order.read()).toEqual({ id: 'o', status: 'paid', cents: 5 })
    })

    test('that are refused leave nothing behind', async () => {
      const ctx = await open()
      const bad = { type: 'Placed', data: { cents: 'x' } } as never
      await expect(ctx.append(Order, 'o', [placed(5), bad])).rejects.toEqual(code('KUMA_INVALID_EVENT'))
      await expect(ctx.append(Order, 'o', [])).rejects.toEqual(code('KUMA_INVALID_DATA'))
      await expect(ctx.append(Order, 'o', placed(5), { expectedVersion: 3 })).rejects.toEqual(code('KUMA_CONFLICT'))
      await nothingIsThere(ctx)
    })

    test('with expectedVersion 0 do so once', async () => {
      const ctx = await open()
      const both = [1, 2].map((cents) => ctx.append(Order, 'o', placed(cents), { expectedVersion: 0 }))
      const settled = await Promise.allSettled(both)
      expect(settled).toMatchObject([
        { status: 'fulfilled', value: { version: 1 } },
        { status: 'rejected', reason: { code: 'KUMA_CONFLICT', details: { expected: 0, actual: 1 } } },
      ])
    })
  })

  test('expectedVersion exists refuses where there is none, and takes any version where there is one', async () => {
    const ctx = await open()
    const exists = { expectedVersion: 'exists' } as const
    await expect(ctx.append(Order, 'o', placed(5), exists)).rejects.toEqual(code('KUMA_NOT_FOUND'))
    await expect(ctx.execute(Order, 'o', place(5), exists)).rejects.toEqual(code('KUMA_NOT_FOUND'))
    await nothingIsThere(ctx)
    await ctx.append(Order, 'o', placed(5))
    expect(await ctx.append(Order, 'o', { type: 'Paid' }, exists)).toMatchObject({ version: 2 })
    const order = await ctx.entity(Order, 'o')
    expect(await order.append({ type: 'Noted', data: { text: 'x' } }, exists)).toMatchObject({ version: 3 })
    expect(await order.execute({ type: 'Cancel' }, exists)).toMatchObject({ version: 3, events: [] })
  })

  test('an event may say when it happened, also one that was decided on', async () => {
    const Visit = kuma
      .defineEntity({
        type: 'visit',
        initial: { at: 0 },
        events: { Came: kuma.type<Record<never, never>>() },
        commands: { Note: kuma.type<{ at: number }>() },
      })
      .evolve({ Came: (_state, _data, { at }) => ({ at }) })
      .decide({ Note: (_, { at }) => ({ type: 'Came', at }) })
    const ctx = await open(folder(), { entities: [Visit] })
    expect(await ctx.append(Visit, 'v', { type: 'Came', at: 1_000_000_000_000 })).toMatchObject({
      at: 1_000_000_000_000,
    })
    const note = (at: number) => ctx.execute(Visit, 'v', { type: 'Note', data: { at } })
    expect(await note(1_100_000_000_000)).toMatchObject({ at: 1_100_000_000_000, state: { at: 1_100_000_000_000 } })
    await expect(note(1_050_000_000_000)).rejects.toEqual(code('KUMA_INVALID_TIME'))
    const given = Visit.given([{ type: 'Came', at: 5 }])
    expect(given.state).toEqual({ at: 5 })
    expect((await given.when({ type: 'Note', data: { at: 7 } })).state).toEqual({ at: 7 })
  })

  test('a list says when each entity was created, and when it last changed', async () => {
    const path = folder()
    const ctx = await open(path)
    const at = 1_000_000_000_000
    const first = { type: 'Written', data: { text: 'x' } } as const
    await ctx.append(Note, 'n', [
      { ...first, at },
      { ...first, at: at + 5 },
    ])
    const note = { id: 'n', type: 'note', version: 2, createdAt: at, updatedAt: at + 5 }
    expect(await ctx.entities().toArray()).toEqual([note])
    await (await ctx.entity(Note, 'n')).append({ ...first, at: at + 7 })
    await ctx.close()
    const again = await open(path)
    const now = { ...note, version: 3, updatedAt: at + 7 }
    expect(await again.entities().toArray()).toEqual([now])
    expect(await again.entities({ at: at + 6 }).toArray()).toEqual([note])
  })

  describe('a state that is handed in', () => {
    const paid = { status: 'paid', cents: 1e6 }

    test('is refused where commands say what may happen, and leaves nothing behind', async () => {
      const ctx = await open()
      const refused = {
        code: 'KUMA_INVALID_EVENT',
        details: { type: 'Created' },
        hint: expect.stringContaining('declare `Created`'),
      }
      await expect(ctx.spawn(Order, 'o', paid as never)).rejects.toMatchObject(refused)
      const created = { type: 'Created', data: paid } as never
      await expect(ctx.append(Order, 'o', created)).rejects.toMatchObject(refused)
      await expect(ctx.append(Order, 'o', [created, placed(5)])).rejects.toMatchObject(refused)
      await nothingIsThere(ctx)
      const order = await ctx.spawn(Order, 'o')
      expect(await order.read()).toEqual({ id: 'o', status: 'new', cents: 0 })
      await expect(order.append(created)).rejects.toMatchObject({ code: 'KUMA_INVALID_EVENT' })
    })

    test('is refused where a command decides on it', async () => {
      const Back = kuma
        .defineEntity({ type: 'back', initial: { n: 0 }, events: {}, commands: { Go: kuma.type() } })
        .evolve({})
        .decide({ Go: () => ({ type: 'Created', data: { n: 1 } }) as never })
      const ctx = await open(folder(), { entities: [Back] })
      await expect(ctx.execute(Back, 'b', { type: 'Go' })).rejects.toEqual(code('KUMA_INVALID_EVENT'))
      await nothingIsThere(ctx)
      await expect(Back.given([]).when({ type: 'Go' })).rejects.toEqual(code('KUMA_INVALID_EVENT'))
    })

    test('is taken where there are no commands, or where the definition declares Created', async () => {
      const Declared = kuma
        .defineEntity({
          type: 'declared',
          initial: { n: 0 },
          events: { Created: z.object({ n: z.number().max(9) }) },
          commands: { Go: kuma.type() },
        })
        .evolve({ Created: (_, { n }) => ({ n }) })
        .decide({ Go: () => undefined })
      const ctx = await open(folder(), { entities: [Note, Declared] })
      expect(await (await ctx.spawn(Note, 'n', { text: 'x' })).read()).toEqual({ text: 'x' })
      expect(await (await ctx.spawn(Declared, 'd', { n: 9 })).read()).toEqual({ n: 9 })
      await expect(ctx.spawn(Declared, 'e', { n: 10 })).rejects.toEqual(code('KUMA_INVALID_EVENT'))
    })

    test('that was recorded before there were commands is folded as ever', async () => {
      const path = folder()
      const Before = kuma
        .defineEntity({ type: 'order', initial: { status: 'new', cents: 0 }, events: { Placed: kuma.type() } })
        .evolve({ Placed: (state) => state })
      const before = await open(path, { entities: [Before] })
      const first = await before.spawn(Before, 'o', paid, { requestKey: 'k' })
      await first.append({ type: 'Placed', data: { cents: 7 } })
      await before.close()
      const ctx = await open(path)
      const order = await ctx.entity(Order, 'o')
      expect(await order.read({ version: 1 })).toEqual({ id: 'o', ...paid })
      await order.append({ type: 'Paid' })
      expect(await order.read()).toEqual({ id: 'o', status: 'paid', cents: 7 })
      // the call that made it is still answered as it was
      expect(await (await ctx.spawn(Order, 'o', paid as never, { requestKey: 'k' })).inspect()).toMatchObject({
        version: 3,
      })
    })
  })

  describe('a stream', () => {
    test('takes any event, and folds none', async () => {
      const path = folder()
      const ctx = await open(path)
      const events = Array.from({ length: 1_500 }, (_, n) => ({ type: n % 2 ? 'Ticked' : 'Tocked', data: { n } }))
      await ctx.append(kuma.stream, 's', events, { expectedVersion: 0 })
      const stream = await ctx.entity(kuma.stream, 's')
      expect(await stream.inspect()).toMatchObject({ type: 'stream', version: 1_500, state: {} })
      expect(await stream.read({ version: 7 })).toEqual({})
      await ctx.close()
      const again = await open(path)
      await again.append(kuma.stream, 's', { type: 'Stopped' }, { expectedVersion: 1_500 })
      const ticks = await (await again.entity(kuma.stream, 's')).log({ type: 'Ticked', limit: 2 }).toArray()
      expect(ticks).toMatchObject([
        { version: 2, data: { n: 1 } },
        { version: 4, data: { n: 3 } },
      ])
    })

    test('is spawned, exported, compared and erased as any entity, and cannot be reverted', async () => {
      const ctx = await open()
      const stream = await ctx.spawn(kuma.stream, 's')
      await stream.append({ type: 'Ticked', data: { n: 1 } })
      expect(await stream.export()).toMatchObject({ type: 'stream', state: {}, events: [{}, { data: { n: 1 } }] })
      expect((await stream.diff()).patch).toEqual([])
      expect(await stream.blame()).toEqual([{ path: '', value: {}, event: null }])
      await expect(stream.revert({ version: 1 })).rejects.toEqual(code('KUMA_CANNOT_REVERT'))
      await expect(ctx.execute(kuma.stream, 's', { type: 'Tick' } as never)).rejects.toEqual(
        code('KUMA_INVALID_COMMAND'),
      )
      expect(await stream.delete()).toMatchObject({ erased: 2 })
    })

    test('of one’s own, defined before there was a built-in one, stays what it is', async () => {
      const Stream = kuma
        .defineEntity({ type: 'stream', initial: { n: 0 }, events: { Ticked: kuma.type<Record<never, never>>() } })
        .evolve({ Ticked: ({ n }) => ({ n: n + 1 }) })
      const ctx = await open(folder(), { entities: [Stream] })
      await ctx.append(Stream, 's', [{ type: 'Ticked' }, { type: 'Ticked' }])
      expect(await (await ctx.entity(Stream, 's')).read()).toEqual({ n: 2 })
    })
  })
})
