/** Emmett, as it is published, on Kuma as its event store: the adapter of fixtures/examples/emmett. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { CommandHandler, type Event, STREAM_DOES_NOT_EXIST, STREAM_EXISTS } from '@event-driven-io/emmett'
import * as kuma from 'kuma'
import { expect, onTestFinished, test } from 'vitest'
import { kumaEventStore } from '../../fixtures/examples/emmett/event-store.ts'
import { ended, environment } from '../cli.ts'
import { folder } from '../folder.ts'

const EXAMPLE = join(import.meta.dirname, '../../fixtures/examples/emmett/cart.ts')

type Counted = Event<'Counted', { by: number }, { who?: string }>

const handle = CommandHandler({
  initialState: () => ({ sum: 0 }),
  evolve: ({ sum }: { sum: number }, { data }: Counted) => ({ sum: sum + data.by }),
})
const counted = (by: number): Counted => ({ type: 'Counted', data: { by }, metadata: { who: 'ann' } })

async function open() {
  const ctx = await kuma.start({ path: folder(), shards: 1 })
  onTestFinished(() => ctx.close())
  return { ctx, store: kumaEventStore(ctx) }
}

test('the example runs', async () => {
  const args = ['--import', 'jiti/register', EXAMPLE, folder()]
  const child = spawn(process.execPath, args, { env: environment(), stdio: 'pipe' })
  onTestFinished(() => void child.kill('SIGKILL'))
  const { code, stdout } = await ended(child)
  expect(stdout.split('\n')).toEqual([
    '{ isConfirmed: true, items: 3 } at version 3',
    'refused: the cart is confirmed',
    "ItemAdded { sku: 'tea', quantity: 2 }",
    "ItemAdded { sku: 'cup', quantity: 1 }",
    "Confirmed { by: 'ann' }",
    '',
  ])
  expect(code).toBe(0)
})

test('its CommandHandler begins a stream, goes on with it, and leaves nothing behind where nothing comes', async () => {
  const { ctx, store } = await open()
  expect(await handle(store, 's', () => [])).toMatchObject({ newEvents: [], nextExpectedStreamVersion: 0n })
  await expect(handle(store, 's', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await ctx.entities().toArray()).toEqual([])
  expect(await handle(store, 's', () => [counted(1), counted(2)])).toMatchObject({
    createdNewStream: true,
    nextExpectedStreamVersion: 2n,
    newState: { sum: 3 },
  })
  expect(await handle(store, 's', ({ sum }) => counted(sum))).toMatchObject({
    createdNewStream: false,
    nextExpectedStreamVersion: 3n,
    newState: { sum: 6 },
  })
  expect(await (await ctx.entity('s')).log({ limit: 1 }).toArray()).toMatchObject([{ meta: { who: 'ann' } }])
})

test('its CommandHandler tries again after a conflict, so that none of many is lost', async () => {
  const { store } = await open()
  const retry = { onVersionConflict: true } as const
  const add = async () => {
    await Promise.resolve() // until all have read it
    return counted(1)
  }
  await Promise.all(Array.from({ length: 3 }, () => handle(store, 's', add, { retry })))
  const { state } = await store.aggregateStream('s', {
    initialState: () => 0,
    evolve: (sum: number, { data }: Counted) => sum + data.by,
  })
  expect(state).toBe(3)
})

test('an expected version is a number, that there is a stream, or that there is none', async () => {
  const { store } = await open()
  const conflict = { name: 'Error', errorCode: 412 }
  const append = (expectedStreamVersion: never) => store.appendToStream('s', [counted(1)], { expectedStreamVersion })
  await expect(append(STREAM_EXISTS as never)).rejects.toMatchObject(conflict)
  await expect(append(1n as never)).rejects.toMatchObject(conflict)
  await append(STREAM_DOES_NOT_EXIST as never)
  await expect(append(STREAM_DOES_NOT_EXIST as never)).rejects.toMatchObject(conflict)
  await append(STREAM_EXISTS as never)
  await append(2n as never)
  await expect(store.readStream('s', { expectedStreamVersion: 2n })).rejects.toMatchObject(conflict)
})

test('a stream is read from and to a position, with what Emmett tells of each event', async () => {
  const { store } = await open()
  expect(await store.readStream('s')).toEqual({ currentStreamVersion: 0n, events: [], streamExists: false })
  expect(await store.streamExists('s')).toBe(false)
  await store.appendToStream('s', [1, 2, 3, 4].map(counted))
  expect(await store.streamExists('s')).toBe(true)
  const { events, ...stream } = await store.readStream<Counted>('s', { from: 2n, to: 3n })
  expect(stream).toEqual({ currentStreamVersion: 4n, streamExists: true })
  const metadata = { who: 'ann', streamName: 's', messageId: '000:2', streamPosition: 2n }
  expect(events[0]).toEqual({ kind: 'Event', type: 'Counted', data: { by: 2 }, metadata })
  expect(events).toHaveLength(2)
  expect((await store.readStream('s', { maxCount: 3n })).events).toHaveLength(3)
  expect((await store.readStream('s', { from: 9n })).events).toEqual([])
})

test('events are written as `downcast` makes them, and read as `upcast` does', async () => {
  const { ctx, store } = await open()
  type Stored = Event<'Counted', { big: string }>
  type Big = Event<'Counted', { big: bigint }>
  const schema = {
    versioning: {
      upcast: ({ type, data }: Stored): Big => ({ type, data: { big: BigInt(data.big) } }),
      downcast: ({ type, data }: Big): Stored => ({ type, data: { big: String(data.big) } }),
    },
  }
  const bigs = CommandHandler<bigint, Big, Stored>({
    initialState: () => 0n,
    evolve: (sum, { data }) => sum + data.big,
    schema,
  })
  await store.appendToStream<Big, Stored>('s', [{ type: 'Counted', data: { big: 2n ** 70n } }], { schema })
  expect(await bigs(store, 's', () => [])).toMatchObject({ newState: 2n ** 70n })
  const [event] = await (await ctx.entity('s')).log().toArray()
  expect(event!.data).toEqual({ big: String(2n ** 70n) })
})
