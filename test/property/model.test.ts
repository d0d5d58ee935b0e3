/**
 * Random sequences of everything that an engine does, held against a plain model in memory. fast-check prints the seed
 * and the shortest failing sequence; KUMA_SEED repeats one, KUMA_RUNS sets how many.
 */
import { rmSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Receipt } from '../../src/api.ts'
import { Client, engineOf } from '../../src/daemon/client.ts'
import type { Engine, LiveEngine, UncheckedEvent } from '../../src/engine.ts'
import { canonicalJson } from '../../src/entity/canonical-json.ts'
import { mergePatch } from '../../src/entity/document.ts'
import { type EngineOptions, openEngine } from '../../src/kuma.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { makeFolder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'
import { accountOf } from '../models.ts'
import { served } from '../served.ts'

const runs = Number(process.env['KUMA_RUNS'] ?? 1_000)
const seed = process.env['KUMA_SEED'] === undefined ? {} : { seed: Number(process.env['KUMA_SEED']) }

interface ModelEvent {
  type: string
  data: Record<string, unknown>
  at: number
}

interface Answer {
  version: number
  at: number
  position: string
  /** of a command */
  events?: readonly unknown[]
}

interface ModelEntity {
  type: string
  events: ModelEvent[]
  keys: Map<string, { request: string; answer: Answer }>
}

interface AppendOp {
  id: string
  type: 'document' | 'account'
  events: { type: string; data: Record<string, unknown>; ago?: number | undefined }[]
  /** against the version there is; undefined: not asked */
  expect?: number | undefined
  key?: string | undefined
  create: boolean
}

/** Rounds an account, or raises it. */
interface CommandOp {
  id: string
  command: 'Round' | 'Raise'
  key?: string | undefined
  create: boolean
}

const ids = fc.constantFrom('a', 'user_1', 'ключ', '🐻', 'x'.repeat(200))
const json = fc.jsonValue({ maxDepth: 3, stringUnit: 'grapheme' }).map(recordable)
const documentEvent = fc.record({
  type: fc.constantFrom('Changed', 'Toggled', 'Created', '∆'),
  data: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd e'), json, { maxKeys: 3 }).map((data) => ({ ...data })),
  // in the past, or so far ahead that the clock does not get there meanwhile
  ago: fc.option(fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: -1_000_000, max: -600_000 })), {
    nil: undefined,
    freq: 4,
  }),
})
const accountEvent = fc.record({
  type: fc.constantFrom('Deposited', 'Withdrawn', 'Unheard'),
  data: fc.record({ amount: fc.integer({ min: -100, max: 100 }) }),
})
const append: fc.Arbitrary<AppendOp> = fc.constantFrom('document' as const, 'account' as const).chain((type) =>
  fc.record({
    id: ids,
    type: fc.constant(type),
    events: fc.array<AppendOp['events'][number]>(type === 'document' ? documentEvent : accountEvent, {
      minLength: 1,
      maxLength: 4,
    }),
    expect: fc.option(fc.integer({ min: -1, max: 1 }), { nil: undefined, freq: 2 }),
    key: fc.option(fc.constantFrom('k1', 'k2', 'k3'), { nil: undefined }),
    create: fc.boolean(),
  }),
)
const command: fc.Arbitrary<CommandOp> = fc.record({
  id: ids,
  command: fc.constantFrom('Round' as const, 'Raise' as const),
  key: fc.option(fc.constantFrom('k1', 'k2', 'k3'), { nil: undefined }),
  create: fc.boolean(),
})
const op = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('append' as const),
      appends: fc.array(fc.oneof({ weight: 3, arbitrary: append }, { weight: 1, arbitrary: command }), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('read' as const), id: ids }) },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('readAt' as const), id: ids, version: fc.nat(12), byTime: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('replay' as const), id: ids, from: fc.nat(8), to: fc.nat(8) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('log' as const), id: ids, reverse: fc.boolean(), limit: fc.nat(5) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('logAll' as const), reverse: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('list' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('erase' as const),
      some: fc.uniqueArray(ids, { minLength: 1, maxLength: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('reopen' as const),
      committer: fc.constantFrom('inline' as const, 'inline' as const, 'inline' as const, 'worker' as const),
    }),
  },
)
/**
 * What must make no difference: how many threads, when actors leave, how often snapshots are taken and by which version,
 * whether it is encrypted, and whether the engine is here or behind the socket of a daemon.
 */
const settings = fc.record({
  committers: fc.constantFrom(1, 2, 5),
  actorsMax: fc.constantFrom(1, 2, 100_000),
  snapshotEvery: fc.constantFrom(1, 2, 3, 1_000),
  versions: fc.array(fc.constantFrom(1, 2), { minLength: 1, maxLength: 3 }),
  encryption: fc.option(fc.constant('entity-keys' as const), { nil: undefined }),
  behind: fc.constantFrom('nothing' as const, 'nothing' as const, 'socket' as const),
})
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never

test(`${runs} random sequences agree with a model in memory`, { timeout: 1_200_000 }, async () => {
  const sequences = fc.array(op, { minLength: 3, maxLength: 14 })
  await fc.assert(fc.asyncProperty(settings, sequences, run), { numRuns: runs, ...seed })
})

async function run(
  { committers, actorsMax, snapshotEvery, versions, encryption, behind }: Settings,
  ops: readonly Op[],
): Promise<void> {
  const path = makeFolder()
  let opened = 0
  const configNow = () => {
    const version = versions[opened++ % versions.length]!
    return { path, shards: 2, entities: [accountOf({ snapshotEvery, version })], committers, actorsMax, encryption }
  }
  const model = new Map<string, ModelEntity>()
  const open = async (committer: EngineOptions['committer']): Promise<Engine> => {
    const engine = await openEngine(configNow(), { access: 'write', committer, create: true })
    return behind === 'socket' ? throughSocket(engine) : engine
  }
  let engine = await open('inline')
  try {
    for (const step of ops) {
      if (step.op === 'reopen') {
        await engine.close()
        engine = await open(step.committer)
      } else await check(engine, model, step)
    }
    await engine.close()
    for await (const { problems } of verifyStore(path, { masterKey: () => Buffer.from(MASTER_KEY, 'hex') }))
      expect(problems).toEqual([])
    const reading = await openEngine(configNow(), { access: 'read' })
    await checkAll(reading, model)
    await reading.close()
  } finally {
    await engine.close()
    rmSync(path, { recursive: true })
  }
}

/** Closing it ends the daemon. */
const throughSocket = (engine: LiveEngine): Promise<Engine> =>
  served(engine, async (path) => engineOf(await Client.connect(path)))

async function check(
  engine: Engine,
  model: Map<string, ModelEntity>,
  step: Exclude<Op, { op: 'reopen' }>,
): Promise<void> {
  switch (step.op) {
    case 'append':
      return checkAppends(engine, model, step.appends)
    case 'read':
      return checkRead(engine, step.id, model.get(step.id), undefined)
    case 'readAt': {
      const entity = model.get(step.id)
      const at = entity?.events[Math.min(step.version, entity.events.length - 1)]?.at ?? 0
      return checkRead(
        engine,
        step.id,
        entity,
        step.byTime ? { at: at - (step.version % 2) } : { version: step.version },
      )
    }
    case 'replay': {
      const [from, to] = [Math.min(step.from, step.to), Math.max(step.from, step.to)]
      const steps = await outcome(collect(engine.replay(step.id, { from: { version: from }, to: { version: to } })))
      const entity = model.get(step.id)
      if (entity === undefined) return expect(steps).toBe('KUMA_NOT_FOUND')
      const expected = entity.events.flatMap((event, i) =>
        i + 1 >= from && i + 1 <= to ? [{ version: i + 1, type: event.type, state: stateOf(entity, i + 1) }] : [],
      )
      return expect(
        (steps as { event: ModelEvent & Answer; state: unknown }[]).map(({ event: { version, type }, state }) => ({
          version,
          type,
          state,
        })),
      ).toEqual(expected)
    }
    case 'log': {
      const events = await outcome(collect(engine.log({ id: step.id, reverse: step.reverse, limit: step.limit })))
      const entity = model.get(step.id)
      if (entity === undefined) return expect(events).toEqual(step.limit === 0 ? [] : 'KUMA_NOT_FOUND')
      const expected = entity.events.map((event, i) => ({ ...event, version: i + 1 }))
      if (step.reverse) expected.reverse()
      return expect(
        (events as (ModelEvent & Answer)[]).map(({ type, data, at, version }) => ({ type, data, at, version })),
      ).toEqual(expected.slice(0, step.limit))
    }
    case 'logAll': {
      const events = await collect(engine.log({ reverse: step.reverse }))
      const ats = events.map(({ at }) => (step.reverse ? -at : at))
      expect(ats).toEqual([...ats].sort((a, b) => a - b))
      return expect(events.length).toBe([...model.values()].reduce((sum, { events: { length } }) => sum + length, 0))
    }
    case 'list':
      return checkList(engine, model)
    case 'erase':
      return checkErase(engine, model, step.some)
  }
}

/** Fires them all before awaiting any: decided in the order of the calls, whatever is on its way to the disk. */
async function checkAppends(
  engine: Engine,
  model: Map<string, ModelEntity>,
  appends: readonly (AppendOp | CommandOp)[],
): Promise<void> {
  const now = Date.now()
  const fired = appends.map((request) => {
    if ('command' in request) {
      const { id, command: type, key: requestKey, create } = request
      const newType = create ? 'account' : undefined
      return { request, promise: outcome(engine.execute({ id, newType, command: { type, data: {} }, requestKey })) }
    }
    const version = model.get(request.id)?.events.length ?? 0
    const events = request.events.map(
      ({ ago, ...event }): UncheckedEvent => (ago === undefined ? event : { ...event, at: now - ago }),
    )
    const expectedVersion = request.expect === undefined ? undefined : Math.max(0, version + request.expect)
    const { id, type, key: requestKey, create } = request
    const promise = engine.append({ id, type, newType: create ? type : undefined, events, expectedVersion, requestKey })
    return { request, events, expectedVersion, promise: outcome(promise) }
  })
  for (const { request, promise, ...asked } of fired) {
    const result = await promise
    if ('command' in request) {
      await checkCommand(model, request, result)
      continue
    }
    const { events, expectedVersion } = asked as { events: UncheckedEvent[]; expectedVersion: number | undefined }
    const expected = predict(model, request, events, expectedVersion, now)
    if (typeof expected === 'string') {
      expect(result).toBe(expected)
    } else if (expected.repeated !== undefined) {
      expect(result).toEqual({ ...expected.repeated, repeated: true })
    } else {
      expect(result).toMatchObject({ version: expected.version })
      expect(result).not.toHaveProperty('repeated')
      record(model, request, events, result as Answer)
    }
  }
}

async function checkCommand(
  model: Map<string, ModelEntity>,
  { id, command, key, create }: CommandOp,
  result: unknown,
): Promise<void> {
  if (!model.has(id) && !create) return expect(result).toBe('KUMA_NOT_FOUND')
  if (!model.has(id) && command === 'Round')
    return expect(result).toMatchObject({ version: 0, events: [], state: { balance: 0, events: 0 } })
  const entity: ModelEntity = model.get(id) ?? { type: 'account', events: [], keys: new Map() }
  model.set(id, entity)
  const used = key === undefined ? undefined : entity.keys.get(key)
  if (used !== undefined) {
    if (used.request === command) expect(result).toEqual({ ...used.answer, repeated: true })
    else expect(result).toBe('KUMA_REQUEST_KEY_REUSED')
    return
  }
  if (entity.type !== 'account') return expect(result).toBe('KUMA_INVALID_COMMAND')
  const before = entity.events.length
  const { balance } = stateOf(entity, before) as { balance: number }
  if (command === 'Round' && balance < 0) return expect(result).toBe('KUMA_REJECTED')
  const answer = result as Answer
  if (command === 'Raise') entity.events.push({ type: 'Deposited', data: { amount: 1 }, at: answer.at })
  else if (balance % 2 === 1) entity.events.push({ type: 'Withdrawn', data: { amount: 1 }, at: answer.at })
  const { length: version } = entity.events
  expect(result).toMatchObject({ version, at: entity.events.at(-1)!.at, state: stateOf(entity, version) })
  expect(answer.events).toHaveLength(version - before)
  expect(result).not.toHaveProperty('repeated')
  if (key !== undefined) entity.keys.set(key, { request: command, answer })
}

/** All of them or none. */
async function checkErase(engine: Engine, model: Map<string, ModelEntity>, some: readonly string[]): Promise<void> {
  const erased = await outcome(engine.erase(some))
  if (!some.every((id) => model.has(id))) return expect(erased).toBe('KUMA_NOT_FOUND')
  const events = some.reduce((sum, id) => sum + model.get(id)!.events.length, 0)
  expect(erased).toMatchObject({ erased: events, entities: { length: some.length }, notReached: [] })
  for (const { dirty } of (erased as Receipt).files) expect(dirty).toEqual([])
  for (const id of some) model.delete(id)
}

function predict(
  model: Map<string, ModelEntity>,
  { id, type, key, create }: AppendOp,
  events: readonly UncheckedEvent[],
  expectedVersion: number | undefined,
  now: number,
): string | { version: number; repeated?: Answer } {
  const entity = model.get(id)
  const used = key === undefined ? undefined : entity?.keys.get(key)
  if (used !== undefined)
    return used.request === canonicalJson(events) ? { version: 0, repeated: used.answer } : 'KUMA_REQUEST_KEY_REUSED'
  const version = entity?.events.length ?? 0
  if (entity === undefined && !create) return 'KUMA_NOT_FOUND'
  if (expectedVersion !== undefined && expectedVersion !== version) return 'KUMA_CONFLICT'
  if (entity !== undefined && entity.type !== type) return 'KUMA_TYPE_MISMATCH'
  let last = entity?.events.at(-1)?.at ?? Number.NEGATIVE_INFINITY
  for (const { type: event, at } of events) {
    if (at !== undefined && (at > now || at < last)) return 'KUMA_INVALID_TIME'
    if (event === 'Unheard') return 'KUMA_INVALID_EVENT'
    last = at ?? Math.max(now, last)
  }
  return { version: version + events.length }
}

function record(
  model: Map<string, ModelEntity>,
  { id, type, key }: AppendOp,
  events: readonly UncheckedEvent[],
  answer: Answer,
): void {
  const entity: ModelEntity = model.get(id) ?? { type, events: [], keys: new Map() }
  model.set(id, entity)
  // those without a time of their own come last (a historical one after them is refused), and share the time of recording
  for (const { type: event, data, at } of events) {
    entity.events.push({ type: event, data: data as Record<string, unknown>, at: at ?? answer.at })
  }
  if (key !== undefined) entity.keys.set(key, { request: canonicalJson(events), answer })
}

async function checkRead(
  engine: Engine,
  id: string,
  entity: ModelEntity | undefined,
  point: { version: number } | { at: number } | undefined,
): Promise<void> {
  const result = await outcome(engine.inspect(id, point))
  if (entity === undefined) return expect(result).toBe('KUMA_NOT_FOUND')
  const all = entity.events
  const version =
    point === undefined
      ? all.length
      : 'version' in point
        ? point.version
        : all.filter(({ at }) => at <= point.at).length
  if (version > all.length) return expect(result).toBe('KUMA_INVALID_POINT')
  if (version === 0) return expect(result).toBe('KUMA_NOT_FOUND')
  expect(result).toMatchObject({ id, type: entity.type, version, at: all[version - 1]!.at })
  expect((result as { state: unknown }).state).toEqual(stateOf(entity, version))
}

function stateOf({ type, events }: ModelEntity, version: number): unknown {
  const past = events.slice(0, version)
  if (type === 'document') return past.reduce((state: unknown, { data }) => mergePatch(state, data), {})
  const sum = past.reduce(
    (total, event) => total + (event.type === 'Deposited' ? 1 : -1) * (event.data['amount'] as number),
    0,
  )
  return { balance: sum, events: version }
}

async function checkList(engine: Engine, model: Map<string, ModelEntity>): Promise<void> {
  const listed = await collect(engine.entities())
  const expected = Array.from(model, ([id, { type, events }]) => ({
    id,
    type,
    version: events.length,
    createdAt: events[0]!.at,
    updatedAt: events.at(-1)!.at,
  }))
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
  expect(listed.sort(byId)).toEqual(expected.sort(byId))
}

async function checkAll(engine: Engine, model: Map<string, ModelEntity>): Promise<void> {
  await checkList(engine, model)
  for (const [id, entity] of model) await checkRead(engine, id, entity, undefined)
}

/** The value, or the code of the error. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise
  } catch (error) {
    return (error as { code?: string }).code ?? error
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** What the log takes: no NUL, no lone surrogate, no -0. */
function recordable(value: unknown): unknown {
  if (typeof value === 'number') return value + 0
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '')
  if (Array.isArray(value)) return value.map(recordable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '__proto__')
      .map(([key, part]) => [recordable(key) as string, recordable(part)]),
  )
}
