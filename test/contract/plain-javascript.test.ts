/** What no compiler has looked at: calls of plain JavaScript, in process and through a daemon, are told what was meant. */
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
    commands: { Do: kuma.type<Record<never, never>>() },
  })
  .evolve({ Did: ({ n }) => ({ n: n + 1 }) })
  .decide({ Do: () => ({ type: 'Did' }) })
  .revert(() => ({ type: 'Did' }))

const start = {
  'in process': (config: kuma.Config) => kuma.start(config),
  'through a daemon': async (config: kuma.Config) =>
    served(await openEngine(config, { access: 'write', create: true }), (path) => kuma.connect(path)),
}

// biome-ignore lint/suspicious/noExplicitAny: nothing is known of it
type Untyped = any
type Call = (doc: Untyped, ctx: Untyped) => unknown

const DID = { type: 'Did' }
const EXPECTED = [
  ['a text', '2'],
  ['a bigint', 2n],
  ['null', null],
  ['a fraction', 2.5],
  ['a negative number', -1],
  ['more than any number', Number.POSITIVE_INFINITY],
  ['more than a version can be', 2 ** 53],
  ['no number', Number.NaN],
] as const

const TAKES: { readonly [call: string]: unknown } = {
  append: DID,
  appendAll: [DID],
  execute: { type: 'Do' },
  revert: 'v1',
}

const first = (iterable: AsyncIterable<unknown>) => iterable[Symbol.asyncIterator]().next()

/** The call, and what its message and its hint tell. */
const CALLS: readonly (readonly [name: string, call: Call, told: string, hint: string])[] = [
  ["append('X')", (doc) => doc.append('X'), 'append() takes an event, and was given the text "X"', '{ type: "X", data'],
  ['append(undefined)', (doc) => doc.append(undefined), 'was given undefined', 'an event is { type:'],
  ['append(null)', (doc) => doc.append(null), 'was given null', 'an event is { type:'],
  ['append({})', (doc) => doc.append({}), 'an object without a text as its `type`', 'an event is { type:'],
  ['append([event])', (doc) => doc.append([DID]), 'was given an array', 'appendAll([...])'],
  ['appendAll(event)', (doc) => doc.appendAll(DID), 'takes an array of events', 'append(event)'],
  ['appendAll()', (doc) => doc.appendAll(), 'was given undefined', 'appendAll(['],
  ['appendAll of a text', (doc) => doc.appendAll([DID, 'X']), 'one of these is the text "X"', '{ type: "X", data'],
  ["execute('Do')", (doc) => doc.execute('Do'), 'takes a command, and was given the text "Do"', '{ type: "Do", data'],
  ['execute()', (doc) => doc.execute(), 'was given undefined', 'a command is { type:'],
  ['expectVersion', (doc) => doc.append(DID, { expectVersion: 9 }), '"expectVersion"', 'did you mean expectedVersion?'],
  ['in appendAll', (doc) => doc.appendAll([DID], { expectVersion: 9 }), 'appendAll() has no option', 'expectedVersion'],
  [
    'in execute',
    (doc) => doc.execute({ type: 'Do' }, { expectVersion: 9 }),
    'execute() has no option',
    'expectedVersion',
  ],
  ['in revert', (doc) => doc.revert('v1', { expectVersion: 9 }), 'revert() has no option', 'expectedVersion'],
  [
    'a version as options',
    (doc) => doc.append(DID, 1),
    'options of append() are an object, and not the number 1',
    'it takes',
  ],
  ['null as options', (doc) => doc.append(DID, null), 'options of append() are an object, and not null', 'it takes'],
  ["log('Did')", (doc) => doc.log('Did').toArray(), 'options of log() are an object, and not the text "Did"', 'type'],
  ['log({ form })', (doc) => doc.log({ form: 'v1' }).toArray(), '"form"', 'did you mean from?'],
  ['log({ limit })', (doc) => doc.log({ limit: '1' }).toArray(), 'limit of log() must be a number', ''],
  ['replay({ until })', (doc) => doc.replay({ untilEvents: 'Did' }).toArray(), '"untilEvents"', 'untilEvent?'],
  ["diff('v1')", (doc) => doc.diff('v1'), 'options of diff() are an object', 'from, to, other'],
  ['blame(5)', (doc) => doc.blame(5), 'the path that blame() takes must be a text', ''],
  ["delete('because')", (doc) => doc.delete('because'), 'options of delete() are an object', 'reason'],
  ['spawn, misspelt', (_, ctx) => ctx.spawn(Doc, 'a', {}, { ifExist: 'error' }), '"ifExist"', 'did you mean ifExists?'],
  [
    'spawn, of another kind',
    (_, ctx) => ctx.spawn(Doc, 'a', {}, { ifExists: 'fail' }),
    "must be 'return' or 'error'",
    '',
  ],
  ["entity('doc', 'a')", (_, ctx) => ctx.entity('doc', 'a'), 'takes a definition before the id', 'entity(id)'],
  ["entities('doc')", (_, ctx) => ctx.entities('doc').toArray(), 'options of entities() are an object', 'type'],
  ['entities({ types })', (_, ctx) => ctx.entities({ types: 'doc' }).toArray(), '"types"', 'did you mean type?'],
  ['subscribe({ form })', (_, ctx) => first(ctx.subscribe({ form: 'now' })), '"form"', 'did you mean from?'],
  ['its filter', (_, ctx) => first(ctx.subscribe({ filter: { types: 'doc' } })), '"types"', 'did you mean type?'],
  ['query({ timeout })', (_, ctx) => ctx.query('select 1', [], { timeout: 5 }).toArray(), '"timeout"', 'timeoutMs?'],
  ["query(sql, 'a')", (_, ctx) => ctx.query('select ?', 'a').toArray(), 'takes an array for its question marks', ''],
  ['waitFor()', (_, ctx) => ctx.waitFor(), 'or its name, must be a text', ''],
  ['backup({ too })', (_, ctx) => ctx.backup({ too: 'x' }), '"too"', 'did you mean to?'],
  ['fork()', (_, ctx) => ctx.fork(), 'the folder that fork() takes must be a text', ''],
  ["as('ann')", async (_, ctx) => ctx.as('ann'), 'as() takes meta, and was given the text "ann"', "as({ by: 'ann' })"],
]

describe.each(['in process', 'through a daemon'] as const)('%s:', (kind) => {
  async function open() {
    const ctx = await start[kind]({ path: folder(), shards: 1, entities: [Doc] })
    onTestFinished(() => ctx.close())
    return { ctx, doc: await ctx.spawn(Doc, 'a') }
  }

  test('what is called in another way than it is meant is refused, with what was meant, and does nothing', async () => {
    const { ctx, doc } = await open()
    for (const [name, call, told, hint] of CALLS) {
      const error: unknown = await (async () => call(doc, ctx))().then(
        () => `${name} was taken`,
        (refused: unknown) => refused,
      )
      expect(error).toMatchObject({ name: 'KumaError', code: 'KUMA_USAGE', message: expect.stringContaining(told) })
      expect((error as kuma.KumaError).hint ?? '', name).toContain(hint)
    }
    expect(await doc.inspect()).toMatchObject({ version: 1, state: { n: 0 } })
  })

  test.each(['append', 'appendAll', 'execute', 'revert'])(
    'an expectedVersion of another kind is no conflict: %s',
    async (name) => {
      const { doc } = await open()
      await doc.append({ type: 'Did' })
      const call = (expectedVersion: unknown): unknown => (doc as Untyped)[name](TAKES[name], { expectedVersion })
      for (const [what, expectedVersion] of EXPECTED) {
        await expect(call(expectedVersion), what).rejects.toMatchObject({
          code: 'KUMA_USAGE',
          message: expect.stringContaining(`expectedVersion of ${name}() must be a whole number from 0 on`),
        })
      }
      await expect(call(1)).rejects.toMatchObject({ code: 'KUMA_CONFLICT' })
      expect(await call(2)).toMatchObject({ version: expect.any(Number) })
    },
  )

  test("a point may be a POINT's text, as in the shell", async () => {
    const { ctx, doc } = await open()
    const { at } = await doc.append({ type: 'Did' })
    await doc.append({ type: 'Did' })
    expect(await doc.read('v2')).toEqual({ n: 1 })
    expect(await doc.inspect('v1')).toMatchObject({ version: 1, state: { n: 0 } })
    expect(await doc.read('now')).toEqual({ n: 2 })
    expect(await doc.read(new Date(at + 60_000).toISOString())).toEqual({ n: 2 })
    expect(await doc.diff({ from: 'v1', to: 'v3' })).toMatchObject({ from: { version: 1 }, to: { version: 3 } })
    expect(await doc.log({ from: 'v2', to: 'v2' }).toArray()).toMatchObject([{ version: 2 }])
    expect(await doc.replay({ to: 'v1' }).toArray()).toMatchObject([{ event: { version: 1 } }])
    const feed = ctx.subscribe({ filter: { entity: 'a' }, from: 'v3' })
    expect(await first(feed)).toMatchObject({ value: { kind: 'event', event: { version: 3 } } })
    await expect(doc.read('2')).rejects.toMatchObject({
      code: 'KUMA_INVALID_POINT',
      hint: expect.stringContaining('v2'),
    })
  })

  test('a point of another kind is told what was meant', async () => {
    const { doc } = await open()
    for (const [point, hint] of [
      [2, "did you mean 'v2'?"],
      [1_793_500_000_000, 'did you mean { at: 1793500000000 }?'],
      [new Date(), 'did you mean { at: date }?'],
      [null, 'write v3'],
    ]) {
      const wrong = { code: 'KUMA_INVALID_POINT', hint: expect.stringContaining(hint as string) }
      await expect(doc.read(point as never)).rejects.toMatchObject(wrong)
      await expect(doc.revert(point as never)).rejects.toMatchObject(wrong)
    }
  })
})

test('a setting that a definition or a projection does not have is refused, with what was meant', () => {
  const define = (more: object) => kuma.defineEntity({ type: 'x', initial: {}, events: {}, ...more })
  expect(() => define({ snapshotsEvery: 5 })).toThrow(
    expect.objectContaining({ code: 'KUMA_INVALID_CONFIG', hint: 'did you mean snapshotEvery?' }),
  )
  const project = (more: object) => kuma.defineProjection({ name: 'x', columns: { n: 'integer' }, ...more })
  expect(() => project({ index: [['n']] })).toThrow(
    expect.objectContaining({ code: 'KUMA_INVALID_CONFIG', hint: 'did you mean indexes?' }),
  )
})

test('connect() takes a path', async () => {
  await expect(kuma.connect(undefined as never)).rejects.toMatchObject({ code: 'KUMA_USAGE' })
  await expect(kuma.connect('x', { tokn: 'y' } as never)).rejects.toMatchObject({ hint: 'did you mean token?' })
})
