/** An entity as a document, through the library. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import canonicalize from 'canonicalize'
import * as kuma from 'kuma'
import { expect, onTestFinished, test } from 'vitest'
import { folder } from '../folder.ts'

const Account = kuma
  .defineEntity({
    type: 'account',
    initial: { balance: 0 },
    events: { Deposited: kuma.type<{ amount: number; note?: string }>(), Closed: kuma.type<Record<never, never>>() },
  })
  .evolve({
    Deposited: (state, { amount }) => ({ balance: state.balance + amount }),
    Closed: (state) => state,
  })

/** A state that JSON cannot give back. */
const Visits = kuma
  .defineEntity({
    type: 'visits',
    initial: { seen: new Set<string>(), last: undefined as Date | undefined, z: 1, a: 2 },
    events: { Visited: kuma.type<{ who: string }>() },
  })
  .evolve({
    Visited: (state, { who }, { at }) => ({ ...state, seen: new Set([...state.seen, who]), last: new Date(at) }),
  })

const schema = JSON.parse(readFileSync(new URL('../../fixtures/export.schema.json', import.meta.url), 'utf8'))
const fits = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema)

async function open(path = folder()) {
  const ctx = await kuma.start({ path, shards: 2, entities: [Account, Visits] })
  onTestFinished(() => ctx.close())
  return ctx
}

/** As the documents tell it, by other means than ours. */
function sha256({ sha256: _, ...document }: kuma.EntityExport): string {
  return createHash('sha256').update(canonicalize(document)!).digest('hex')
}

test('it has the state, every event, and a hash that anyone can compute', async () => {
  const ctx = await open()
  const account = await ctx.as({ by: 'ann' }).spawn(Account, 'acc_1')
  await account.appendAll([{ type: 'Deposited', data: { note: '"\u2028ü😀\u0001', amount: 5 } }, { type: 'Closed' }])
  const dump = await account.export()
  const events = await account.log().toArray()
  expect(dump).toEqual({
    format: 'kuma-export/1',
    id: 'acc_1',
    type: 'account',
    version: 3,
    createdAt: events[0]!.at,
    updatedAt: events[2]!.at,
    state: { balance: 5 },
    readModels: {},
    events,
    sha256: sha256(dump),
  })
  expect(fits(JSON.parse(JSON.stringify(dump))) || fits.errors).toBe(true)
  expect(dump.events[1]!.meta.by).toBe('ann')
})

test('the schema refuses what is no export', async () => {
  const ctx = await open()
  const dump = await (await ctx.spawn(Account, 'acc_1')).export()
  const { sha256: _, ...unfinished } = dump
  for (const wrong of [unfinished, { ...dump, format: 'kuma-export/2' }, { ...dump, events: [] }, { ...dump, more: 1 }])
    expect(fits(wrong)).toBe(false)
})

test('it is as of one moment, whoever writes meanwhile', async () => {
  const ctx = await open()
  const account = await ctx.spawn(Account, 'acc_1')
  let writing = true
  const writer = (async () => {
    while (writing) await account.append({ type: 'Deposited', data: { amount: 1 } })
  })()
  for (let i = 0; i < 30; i++) {
    const dump = await account.export()
    expect(dump.events).toHaveLength(dump.version)
    expect(dump.state.balance).toBe(dump.version - 1)
    expect(dump.sha256).toBe(sha256(dump))
  }
  writing = false
  await writer
})

test('a state that JSON cannot give back is there as JSON writes it', async () => {
  const ctx = await open()
  const visits = await ctx.spawn(Visits, 'v')
  await visits.append({ type: 'Visited', data: { who: 'ann' } })
  const dump = await visits.export()
  expect(dump.state).toEqual({ seen: {}, last: new Date(dump.updatedAt).toISOString(), z: 1, a: 2 })
  expect(dump.sha256).toBe(sha256(dump))
})

test('events are exported as today’s definition knows them', async () => {
  const path = folder()
  const before = await kuma.start({ path, entities: [Account] })
  await (await before.spawn(Account, 'acc_1')).append({ type: 'Deposited', data: { amount: 5 } })
  await before.close()
  const Today = kuma
    .defineEntity({
      type: 'account',
      version: 2,
      initial: { cents: 0 },
      events: { Paid: kuma.type<{ cents: number }>() },
    })
    .evolve({ Paid: (state, { cents }) => ({ cents: state.cents + cents }) })
    .upcast({ Deposited: ({ data }) => ({ type: 'Paid', data: { cents: Number(data['amount']) * 100 } }) })
  const ctx = await kuma.start({ path, entities: [Today] })
  onTestFinished(() => ctx.close())
  const dump = await (await ctx.entity(Today, 'acc_1')).export()
  expect(dump).toMatchObject({ state: { cents: 500 }, events: [{}, { type: 'Paid', data: { cents: 500 } }] })
  expect(dump.sha256).toBe(sha256(dump))
})
