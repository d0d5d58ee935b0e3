/** A command under a request key that decides on nothing: that is its answer for good, and no reader sees how it is kept. */
import { once } from 'node:events'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { restore } from '../../src/backup/restore.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { filesWith } from '../files-with.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'
import { launchProgram } from '../program.ts'

const Order = kuma
  .defineEntity({
    type: 'order',
    snapshotEvery: 2,
    initial: { open: false, coupons: 0 },
    events: { Opened: kuma.type<Record<never, never>>(), Applied: kuma.type<Record<never, never>>() },
    commands: {
      Apply: kuma.type<{ code?: string; by?: string }>(),
      Refuse: kuma.type<Record<never, never>>(),
      Look: kuma.type(),
    },
  })
  .evolve({
    Opened: (state) => ({ ...state, open: true }),
    Applied: (state) => ({ ...state, coupons: state.coupons + 1 }),
  })
  .decide({
    Apply: ({ open }) => (open ? { type: 'Applied', data: {} } : undefined),
    Look: () => undefined,
    Refuse: ({ open }) => {
      if (!open) throw new Error('it is not open')
      return { type: 'Applied', data: {} }
    },
  })
  .revert(() => [])
const used = kuma
  .defineProjection({ name: 'used', columns: { coupons: 'integer' } })
  .rows(Order, (state) => ({ coupons: state.coupons }))

const opened = { type: 'Opened', data: {} } as const
const apply = (code = 'x') => ({ type: 'Apply', data: { code } }) as const

async function open(path: string, config: kuma.Config = {}) {
  const ctx = await kuma.start({ path, shards: 2, entities: [Order], ...config })
  onTestFinished(() => ctx.close())
  return ctx
}

async function problemsOf(path: string): Promise<string[]> {
  const found: string[] = []
  for await (const { problems } of verifyStore(path, { masterKey: () => Buffer.from(MASTER_KEY, 'hex') }))
    found.push(...problems)
  return found
}

describe.each([[undefined], ['entity-keys' as const]])('encryption %s:', (encryption) => {
  const key = encryption && { encryption, masterKey: MASTER_KEY }

  test('the same message gives the first answer again and records nothing, also after opening again', async () => {
    const path = folder()
    const ctx = await open(path, key)
    const order = await ctx.spawn(Order, 'o')
    const [first, atOnce] = await Promise.all([1, 2].map(() => order.execute(apply(), { requestKey: 'message-1' })))
    expect(first).toMatchObject({ version: 1, events: [], state: { open: false, coupons: 0 } })
    expect(atOnce).toEqual(first)
    const other = await order.execute(apply('y'), { requestKey: 'message-2' })
    expect(other).toMatchObject({ version: 1, events: [], position: first!.position, at: first!.at })
    await order.append(opened)
    expect(await order.execute(apply(), { requestKey: 'message-1' })).toEqual(first)
    expect(await order.execute(apply(), { requestKey: 'message-3' })).toMatchObject({ version: 3 })
    await ctx.close()
    const again = await (await open(path, key)).entity(Order, 'o')
    expect(await again.execute(apply(), { requestKey: 'message-1' })).toEqual(first)
    expect(await again.execute(apply('y'), { requestKey: 'message-2' })).toEqual(other)
    for (const { requestKey, command } of [
      { requestKey: 'message-1', command: apply('y') },
      { requestKey: 'message-2', command: apply() },
    ])
      await expect(again.execute(command, { requestKey })).rejects.toMatchObject({ code: 'KUMA_REQUEST_KEY_REUSED' })
    expect(await again.read()).toEqual({ open: true, coupons: 1 })
    expect(await problemsOf(path)).toEqual([])
  })

  test('nobody who reads meets it', async () => {
    const path = folder()
    const ctx = await open(path, { ...key, projections: [used] })
    const order = await ctx.spawn(Order, 'o')
    for (let i = 0; i < 5; i++) {
      await order.execute({ type: 'Look', data: {} }, { requestKey: `look-${i}` })
      await order.append(i === 0 ? opened : { type: 'Applied', data: {} }, { expectedVersion: i + 1 })
      await order.revert({ version: 1 }, { requestKey: `revert-${i}` })
    }
    const events = await order.log().toArray()
    expect(events.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6])
    expect(await ctx.entities().toArray()).toMatchObject([{ id: 'o', version: 6 }])
    expect((await order.replay().toArray()).map(({ event }) => event)).toEqual(events)
    const seen: kuma.Event[] = []
    for await (const item of ctx.subscribe({ from: 'start' })) {
      if (item.kind === 'event') seen.push(item.event)
      if (seen.length === 6) break
    }
    expect(seen).toEqual(events)
    expect((await order.export()).events).toEqual(events)
    const rows = await ctx.query('select coupons, _version from used').toArray()
    expect(rows).toEqual([{ coupons: 4, _version: 6 }])
    expect(await order.read({ version: 3 })).toEqual({ open: true, coupons: 1 })
  })

  test('goes with its entity when that is erased, to the byte, and with no other', async () => {
    const path = folder()
    const ctx = await open(path, { ...key, shards: 1 })
    const [order, other] = await Promise.all(['secret-id', 'other'].map((id) => ctx.spawn(Order, id)))
    for (let i = 0; i < 700; i++) void order!.execute(apply(), { requestKey: `secret-key-${i}` })
    const first = await other!.execute(apply(), { requestKey: 'message-1' })
    await ctx.backup()
    const receipt = await order!.delete()
    expect(receipt).toMatchObject({ erased: 1, notReached: [], reached: [expect.stringContaining('backups')] })
    expect(receipt.files.map(({ dirty }) => dirty)).toEqual([[]])
    await other!.append(opened)
    await ctx.close()
    expect(filesWith(path, ['secret-id', 'secret-key'])).toEqual([])
    expect(await problemsOf(path)).toEqual([])
    const again = await open(path, key)
    expect(await (await again.entity(Order, 'other')).execute(apply(), { requestKey: 'message-1' })).toEqual(first)
    // an id that is used again is a new entity
    const anew = await again.spawn(Order, 'secret-id')
    await anew.append(opened)
    expect(await anew.execute(apply(), { requestKey: 'secret-key-0' })).toMatchObject({ version: 3 })
  })
})

test('a backup has it, and a store that is set back to a time has those of before', async () => {
  const path = join(folder(), 'store')
  const ctx = await open(path)
  const order = await ctx.spawn(Order, 'o')
  const first = await order.execute(apply(), { requestKey: 'message-1' })
  const at = Date.now()
  while (Date.now() === at); // times are in milliseconds
  await order.execute(apply(), { requestKey: 'message-2' })
  await order.append(opened)
  const backup = await ctx.backup()
  for (const to of ['whole', 'then']) {
    await restore(backup.path, `${path}-${to}`, to === 'then' ? { at } : {})
    expect(await problemsOf(`${path}-${to}`)).toEqual([])
    const there = await (await open(`${path}-${to}`)).entity(Order, 'o')
    if (to === 'then') await there.append(opened)
    expect(await there.execute(apply(), { requestKey: 'message-1' })).toMatchObject({ at: first.at, events: [] })
    const { events } = await there.execute(apply(), { requestKey: 'message-2' })
    expect(events).toHaveLength(to === 'then' ? 1 : 0)
  }
})

test('it is on disk when it is given: a process that is killed just after has kept it', async () => {
  const path = join(folder(), 'store')
  const child = launchProgram('answer-nothing.ts', path)
  expect(String((await once(child.stdout!, 'data'))[0])).toBe('1\n')
  await once(child, 'exit')
  const order = await (await open(path)).entity(Order, 'o')
  await order.append(opened)
  const again = await order.execute({ type: 'Apply', data: {} }, { requestKey: 'message-1' })
  expect(again).toMatchObject({ version: 1, events: [] })
  expect(await problemsOf(path)).toEqual([])
})

test('an entity that has left memory is decided on the same way', async () => {
  const ctx = await open(folder(), { actorsMax: 1 })
  const orders = await Promise.all(Array.from({ length: 20 }, (_, i) => ctx.spawn(Order, `o${i}`)))
  const first = await Promise.all(orders.map((order) => order.execute(apply(), { requestKey: 'message-1' })))
  for (const order of orders) await order.append(opened)
  expect(await Promise.all(orders.map((order) => order.execute(apply(), { requestKey: 'message-1' })))).toEqual(first)
})

test('a command that is refused leaves no key: the same message may be right later', async () => {
  const ctx = await open(folder())
  const order = await ctx.spawn(Order, 'o')
  const refuse = { type: 'Refuse', data: {} } as const
  await expect(order.execute(refuse, { requestKey: 'message-1' })).rejects.toMatchObject({ code: 'KUMA_REJECTED' })
  await order.append(opened)
  expect(await order.execute(refuse, { requestKey: 'message-1' })).toMatchObject({ version: 3, events: [{}] })
})

test('a command is known again whatever the order of the keys in its data', async () => {
  const order = await (await open(folder())).spawn(Order, 'o')
  await order.append(opened)
  const first = await order.execute({ type: 'Apply', data: { code: 'x', by: 'ann' } }, { requestKey: 'message-1' })
  const again = await order.execute({ data: { by: 'ann', code: 'x' }, type: 'Apply' }, { requestKey: 'message-1' })
  expect(again).toEqual(first)
  expect(await order.read()).toMatchObject({ coupons: 1 })
})
