/** An evolve that changes the state it is given, or makes NaN or undefined in it: new events are refused, recorded ones told. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { expect, onTestFinished, test } from 'vitest'
import { openEngine } from '../../src/kuma.ts'
import { kuma as binary, shell } from '../cli.ts'
import { startDaemon } from '../daemon.ts'
import { folder } from '../folder.ts'
import { warnings } from '../warnings.ts'

interface Tally {
  count: number
  items: number[]
  name?: string | undefined
  /** the count when it was named */
  named?: number
}

type Fold = (tally: Tally, data: { n?: number }) => Tally

const sound: Fold = (tally, { n = 1 }) => ({ ...tally, count: tally.count + 1, items: [...tally.items, n] })
const mutating: Fold = (tally, { n = 1 }) => {
  tally.count += 1
  tally.items.push(n)
  return tally
}
const NAN: Fold = (tally, { n }) => ({ ...tally, count: tally.count + n! })
const UNDEFINED: Fold = (tally) => ({ ...tally, name: undefined })

/** @param counted what becomes of a tally by `Counted` */
function tallyOf(counted: Fold) {
  return kuma
    .defineEntity({
      type: 'tally',
      initial: (): Tally => ({ count: 0, items: [] }),
      events: { Counted: kuma.type<{ n?: number }>(), Named: kuma.type<{ name: string }>() },
    })
    .evolve({
      Counted: (tally, data) => counted(tally as Tally, data),
      Named: (tally, { name }) => ({ ...tally, name, named: tally.count }),
    })
}

async function open(path: string, counted: Fold) {
  const Tally = tallyOf(counted)
  const ctx = await kuma.start({ path, entities: [Tally], shards: 1 })
  onTestFinished(() => ctx.close())
  return { ctx, Tally }
}

/** A store with a tally of three counted, that a sound model has recorded. */
async function recorded() {
  const path = folder()
  const { ctx, Tally } = await open(path, sound)
  const one = await ctx.spawn(Tally, 'one')
  await one.appendAll([{ type: 'Counted' }, { type: 'Counted' }, { type: 'Counted' }])
  await ctx.close()
  return path
}

const refused = (version: number, problem: string, path?: string) =>
  expect.objectContaining({
    code: 'KUMA_MODEL_FAILED',
    message: expect.stringContaining(
      `the model of "tally" failed on Counted (version ${version} of one): it ${problem}`,
    ),
    details: { entity: 'one', type: 'Counted', version, ...(path === undefined ? {} : { path }) },
  })

test.each([
  ['changes the state that it is given', mutating, 'changed what it was given: Cannot assign', undefined],
  ['makes NaN', NAN, 'made /count NaN', '/count'],
  ['makes undefined', UNDEFINED, 'made /name undefined', '/name'],
])('a new event is refused whose fold %s, however often, and nothing of it counts', async (_, fold, problem, path) => {
  const { ctx, Tally } = await open(folder(), fold)
  const one = await ctx.spawn(Tally, 'one')
  for (let i = 0; i < 30; i++) await expect(one.append({ type: 'Counted' })).rejects.toEqual(refused(2, problem, path))
  const all = [{ type: 'Named', data: { name: 'ann' } } as const, { type: 'Counted' } as const]
  await expect(one.appendAll(all)).rejects.toEqual(refused(3, problem, path))
  await one.append({ type: 'Named', data: { name: 'bo' } })
  expect(await one.inspect()).toMatchObject({ version: 2, state: { count: 0, items: [], name: 'bo' } })
  expect(await one.log().toArray()).toHaveLength(2)
})

test('what the first folds do not do, one in a thousand is found to do', async () => {
  const { ctx, Tally } = await open(folder(), (tally, data) => (tally.count < 30 ? sound : mutating)(tally, data))
  const one = await ctx.spawn(Tally, 'one')
  const hundred = Array.from({ length: 100 }, () => ({ type: 'Counted' as const }))
  const counted = async () => {
    for (let i = 0; i < 11; i++) await one.appendAll(hundred)
  }
  await expect(counted()).rejects.toMatchObject({ code: 'KUMA_MODEL_FAILED', details: { type: 'Counted' } })
  const { version } = await one.inspect()
  expect(version).toBeGreaterThan(30)
  expect(version).toBeLessThanOrEqual(1_001)
  await expect(one.append({ type: 'Counted' })).rejects.toMatchObject({ code: 'KUMA_MODEL_FAILED' })
})

test.each([
  ['changes the state', mutating, { count: 3, items: [1, 1, 1] }, 'changed the state that it was given'],
  ['makes NaN', NAN, { count: Number.NaN, items: [] }, 'made NaN in the state'],
  ['makes undefined', UNDEFINED, { count: 0, items: [], name: undefined }, 'made undefined in the state'],
])(
  'what is recorded is folded as ever by an evolve that %s, and that is told once',
  async (_, fold, state, problem) => {
    const path = await recorded()
    const heard = warnings()
    const { ctx, Tally } = await open(path, fold)
    const one = await ctx.entity(Tally, 'one')
    expect(await one.read({ version: 4 })).toStrictEqual(state)
    expect(await one.read()).toStrictEqual(state)
    await new Promise(setImmediate) // a warning is told in a turn of its own
    expect(heard).toEqual([
      `evolve of "tally" ${problem} with Counted (event 000:2): new events with which it does so are refused`,
    ])
  },
)

test('an event may carry on what those before it made', async () => {
  const { ctx, Tally } = await open(await recorded(), NAN)
  const one = await ctx.entity(Tally, 'one')
  await one.append({ type: 'Named', data: { name: 'ann' } })
  await one.append({ type: 'Counted', data: { n: 1 } })
  expect(await one.read()).toStrictEqual({ count: Number.NaN, items: [], name: 'ann', named: Number.NaN })
})

test('what was recorded elsewhere comes in as it is', async () => {
  const engine = await openEngine(
    { path: folder(), entities: [tallyOf(NAN)], shards: 1 },
    { access: 'write', create: true },
  )
  onTestFinished(() => engine.close())
  const heard = warnings()
  const events = [{ type: 'Created' }, { type: 'Counted' }, { type: 'Counted' }]
  const copy = { id: 'one', type: 'tally', newType: 'tally', events, expectedVersion: 0, requests: [] }
  expect(await engine.appendCopy(copy)).toMatchObject({ version: 3 })
  const added = { id: 'one', type: 'tally', events: [{ type: 'Counted' }] }
  expect(await engine.append(added)).toMatchObject({ version: 4 }) // it was NaN before
  await new Promise(setImmediate) // a warning is told in a turn of its own
  await new Promise(setImmediate) // a warning is told in a turn of its own
  expect(heard).toEqual([expect.stringContaining('made NaN')])
})

const CONFIG = (count: string) => `
import * as kuma from 'kuma'
const Airport = kuma.defineEntity({
  type: 'airport',
  initial: () => ({ flights: 0 }),
  events: { Departed: kuma.type<{ to: string }>() },
}).evolve({ Departed: (airport: any) => ({ ...airport, flights: airport.${count} + 1 }) })
export default kuma.defineConfig({ entities: [Airport], ids: { '*': Airport } })
`

test('the shell is told the path and the event, and a daemon tells of what is recorded', {
  timeout: 20_000,
}, async () => {
  const { cwd, run } = await shell()
  const config = join(cwd, 'kuma.config.ts')
  writeFileSync(config, CONFIG('flghts'))
  const { code, stderr } = await run(['append', 'lax', 'Departed', 'to=jfk'])
  expect(code).toBe(1)
  expect(stderr).toContain('failed on Departed (version 1 of lax): it made /flights NaN')
  expect(await run(['read', 'lax'])).toMatchObject({ code: 3 })

  writeFileSync(config, CONFIG('flights'))
  expect(await run(['append', 'lax', 'Departed', 'to=jfk'])).toMatchObject({ code: 0 })
  writeFileSync(config, CONFIG('flghts'))
  const read = await binary(['read', 'lax'], { cwd })
  expect(read).toMatchObject({ code: 0, stderr: expect.stringContaining('made NaN in the state with Departed') })
  const { daemon, output } = await startDaemon(cwd)
  expect((await run(['append', 'jfk', 'Departed', 'to=lax'])).stderr).toContain('it made /flights NaN')
  expect((await run(['read', 'lax'])).stdout).toContain('"flights":null')
  daemon.kill('SIGTERM')
  const told = (await output).stderr.split('\n').filter((line) => line.includes('made NaN'))
  expect(told.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ level: 'warn', entityType: 'airport', event: 'Departed', position: expect.any(String) }),
  ])
})
