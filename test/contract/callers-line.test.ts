/** The stack of what is refused reaches the line that called: in process and through a daemon, at once and late. */
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as kuma from '../../src/index.ts'
import { openEngine } from '../../src/kuma.ts'
import { folder } from '../folder.ts'
import { served } from '../served.ts'

const Doc = kuma
  .defineEntity({
    type: 'doc',
    initial: { n: 0 },
    events: { Did: kuma.type<Record<never, never>>() },
    commands: { Refuse: kuma.type<Record<never, never>>(), RefuseLater: kuma.type<Record<never, never>>() },
  })
  .evolve({ Did: ({ n }) => ({ n: n + 1 }) })
  .decide({
    Refuse: () => {
      throw new Error('no')
    },
    RefuseLater: async () => {
      await delay(1)
      throw new Error('no, later')
    },
  })

type Doc = kuma.EntityOf<typeof Doc>

const start = {
  'in process': (config: kuma.Config) => kuma.start(config),
  'through a daemon': async (config: kuma.Config) =>
    served(await openEngine(config, { access: 'write', create: true }), (path) => kuma.connect(path)),
}

const DID = { type: 'Did' } as const
const WRONG = { expectedVersion: 99 }
const GONE = { at: new Date(0) }

/** Each is refused, and is called in a function of that name. */
const CALLS: { readonly [name: string]: (ctx: kuma.Kuma, doc: Doc) => Promise<unknown> } = {
  async appends(_, doc) {
    await doc.append(DID, WRONG)
  },
  async appendsWhatIsNoJson(_, doc) {
    await doc.append({ type: 'Did', data: { deep: { in: { it: [new Date()] } } } } as never)
  },
  async appendsWhatIsNoEvent(_, doc) {
    await doc.append('Did' as never)
  },
  async appendsSeveral(_, doc) {
    await doc.appendAll([DID, DID], WRONG)
  },
  async appendsWhileItIsDecided(_, doc) {
    const before = doc.execute({ type: 'RefuseLater' }).catch(() => {})
    await doc.append(DID, WRONG).finally(() => before)
  },
  async appendsBehindAnother(_, doc) {
    const before = doc.append(DID)
    await doc.append(DID, WRONG).finally(() => before)
  },
  async executes(_, doc) {
    await doc.execute({ type: 'Refuse' })
  },
  async executesLater(_, doc) {
    await doc.execute({ type: 'RefuseLater' })
  },
  async executesOneOfMany(_, doc) {
    await Promise.all([doc.read(), doc.execute({ type: 'RefuseLater' })])
  },
  async catches(_, doc) {
    const error: unknown = await doc.append(DID, WRONG).catch((refused: unknown) => refused)
    throw error
  },
  async reads(_, doc) {
    await doc.read(GONE)
  },
  async inspects(_, doc) {
    await doc.inspect('v77')
  },
  async compares(_, doc) {
    await doc.diff({ from: 'v76', to: 'v77' })
  },
  async blames(_, doc) {
    await doc.blame('/nowhere')
  },
  async reverts(_, doc) {
    await doc.revert('v1')
  },
  async logs(_, doc) {
    await doc.log({ from: 'whenever' }).toArray()
  },
  async replays(_, doc) {
    for await (const step of doc.replay({ to: 'whenever' })) expect(step).toBeDefined()
  },
  async spawns(ctx) {
    await ctx.spawn(Doc, 'a', undefined, { ifExists: 'error' })
  },
  async spawnsAnother(ctx) {
    await ctx.spawn(kuma.document, 'a')
  },
  async getsOne(ctx) {
    await ctx.entity('nobody')
  },
  async lists(ctx) {
    await ctx.entities({ at: 'whenever' }).toArray()
  },
  async subscribes(ctx) {
    for await (const item of ctx.subscribe({ from: '099:1' })) expect(item).toBeDefined()
  },
  async queries(ctx) {
    await ctx.query('select nothing from nowhere').toArray()
  },
  async waits(ctx) {
    await ctx.waitFor('nobody', '000:1')
  },
  async deletes(ctx) {
    await ctx.entity('a')
    await (await ctx.entity('a')).delete({ reason: 'of a' })
  },
  async forks(ctx) {
    await ctx.fork('/dev/null/nowhere')
  },
  async backsUp(ctx) {
    await ctx.backup({ to: '/dev/null/nowhere' })
  },
}

describe.each(['in process', 'through a daemon'] as const)('%s:', (kind) => {
  test('each call that is refused', { timeout: 20_000 }, async () => {
    const ctx = await start[kind]({ path: folder(), shards: 1, entities: [Doc] })
    onTestFinished(() => ctx.close())
    const doc = await ctx.spawn(Doc, 'a')
    for (const [name, call] of Object.entries(CALLS)) {
      const error = await call(ctx, doc).then(
        () => `${name} was taken`,
        (refused: unknown) => refused,
      )
      expect(error, name).toMatchObject({ name: 'KumaError' })
      const { stack, message } = error as kuma.KumaError
      expect(stack).toMatch(`KumaError: ${message}\n`)
      const frames = stack!.slice(message.length).split('\n').slice(1)
      const place = frames.findIndex((frame) => frame.includes(name) && frame.includes('callers-line.test.ts'))
      expect(place, `${name}: ${stack}`).toBeGreaterThan(-1)
      expect(place, `${name}: ${stack}`).toBeLessThan(6)
    }
  })

  test('each of many that fail for one reason has the stack of its own caller', async () => {
    const ctx = await start[kind]({ path: folder(), shards: 1, entities: [Doc] })
    const doc = await ctx.spawn(Doc, 'a')
    await ctx.close()
    const callers = {
      ann: async () => await doc.append(DID),
      bob: async () => await doc.read(),
      cid: async () => await doc.execute({ type: 'Refuse' }),
    }
    const asked = Object.entries(callers).map(async ([name, call]) => {
      const { stack } = await call().then(
        () => ({ stack: 'it was taken' }),
        (error: Error) => error,
      )
      return [name, stack!.split('\n').filter((frame) => /(?:ann|bob|cid) /.test(frame)).length, stack!.includes(name)]
    })
    expect(await Promise.all(asked)).toEqual(Object.keys(callers).map((name) => [name, 1, true]))
  })
})

test('what is refused at once is told of where it was called, also where nobody awaits it', async () => {
  const ctx = await kuma.start({ path: folder(), shards: 1, entities: [Doc] })
  onTestFinished(() => ctx.close())
  const doc = await ctx.spawn(Doc, 'a')
  const calls = () => doc.append(DID, WRONG)
  const commands = () => doc.execute({ type: 'Refuse' })
  const stackOf = (promise: Promise<unknown>) =>
    new Promise<string>((resolve) => void promise.then(undefined, (error: Error) => resolve(error.stack!)))
  expect((await stackOf(calls())).split('\n')[1]).toContain('calls')
  expect((await stackOf(commands())).split('\n')[1]).toContain('commands')
})

test('what is refused when its entity has come into memory', async () => {
  const path = folder()
  const first = await kuma.start({ path, shards: 1, entities: [Doc] })
  const many = await first.spawn(Doc, 'a')
  for (let i = 0; i < 3; i++) await many.appendAll(Array.from({ length: 300 }, () => DID))
  await first.close()
  const ctx = await kuma.start({ path, entities: [Doc] })
  onTestFinished(() => ctx.close())
  const doc = await ctx.entity(Doc, 'a')
  async function appends() {
    await doc.append(DID, WRONG)
  }
  async function executes() {
    await doc.execute({ type: 'Refuse' })
  }
  const refused = [appends(), executes()].map((call) => call.catch((error: Error) => error.stack))
  expect(await Promise.all(refused)).toEqual([
    expect.stringMatching(/at version 901, not 99\n.*\n?.*\n?.*appends/),
    expect.stringMatching(/: no\n.*\n?.*\n?.*executes/),
  ])
})

test('starting and connecting', async () => {
  async function starts() {
    await kuma.start({ path: '/dev/null/nowhere' })
  }
  async function connects() {
    await kuma.connect('/nowhere')
  }
  for (const call of [starts, connects]) {
    const { stack } = await call().then(
      () => ({ stack: 'it was taken' }),
      (error: Error) => error,
    )
    expect(stack).toContain(call.name)
  }
})
