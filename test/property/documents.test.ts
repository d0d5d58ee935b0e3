/**
 * Documents are built upon in place. Whatever is under way, fails or is handed out meanwhile, they are what their events
 * give when they are merged one after the other, and what a reader was given never changes. fast-check prints the seed and
 * the shortest failing sequence; KUMA_SEED repeats one, KUMA_RUNS sets how many.
 */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Engine, LiveEngine } from '../../src/engine.ts'
import { mergePatch } from '../../src/entity/document.ts'
import { openEngine } from '../../src/kuma.ts'
import { makeFolder } from '../folder.ts'
import { smallDisk } from '../small-disk.ts'

const runs = Number(process.env['KUMA_RUNS'] ?? 25)
const seed = process.env['KUMA_SEED'] === undefined ? {} : { seed: Number(process.env['KUMA_SEED']) }

const STATE_BYTES_MAX = 100_000
/** What may be answered instead of a receipt, or of a state. */
const REFUSED = ['KUMA_DISK_FULL', 'KUMA_STATE_TOO_LARGE', 'KUMA_CONFLICT', 'KUMA_NOT_FOUND', 'KUMA_INVALID_POINT']

type Data = Record<string, unknown>

const keys = fc.constantFrom('a', 'b', '1', '2', 'k7', 'constructor', '∆')
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<unknown>(null, null, 1, 'x', true, [1, { a: null }], {}),
    fc.dictionary(keys, tie('value'), { maxKeys: 3 }).map((data) => ({ ...data })),
  ),
})).value
const patch = fc.dictionary(keys, value, { maxKeys: 3 }).map((data): Data => ({ ...data }))
/** More fields than readers share with the entity; in the document, or in a part of it. */
const many = fc.tuple(fc.nat(200), fc.boolean()).map(([first, isInner]): Data => {
  const fields = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${first + i}`, i]))
  return isInner ? { a: fields } : fields
})
const large = fc.nat(9).map((n): Data => ({ [`text${n}`]: 'x'.repeat(20_000) }))
const data = fc.oneof({ weight: 6, arbitrary: patch }, { weight: 1, arbitrary: many }, { weight: 1, arbitrary: large })

const ids = fc.constantFrom('a', 'a', 'b')
const call = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      call: fc.constant('append' as const),
      id: ids,
      events: fc.array(data, { minLength: 1, maxLength: 8 }),
      expectedVersion: fc.option(fc.nat(20), { nil: undefined, freq: 6 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ call: fc.constant('read' as const), id: ids }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant('revert' as const), id: ids, back: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant('snapshot' as const), id: ids }) },
)
/** Calls that are made at once, but for those before which all others are awaited. */
const burst = fc.record({
  calls: fc.array(fc.record({ call, isAwaited: fc.boolean() }), { minLength: 1, maxLength: 10 }),
  isFull: fc.boolean(),
  reopens: fc.constantFrom(false, false, true),
})
const settings = fc.record({
  committer: fc.constantFrom('inline' as const, 'inline' as const, 'inline' as const, 'worker' as const),
  actorsMax: fc.constantFrom(1, 100_000),
  // so that some are kept as snapshots on the way
  begun: fc.constantFrom(0, 990),
})
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never
type Burst = typeof burst extends fc.Arbitrary<infer T> ? T : never
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never

/** A document by what was acknowledged of it: its states as text, by their versions. */
class Model {
  private readonly states: unknown[] = [{}]
  private readonly events = new Map<number, Data>()

  get version(): number {
    return this.states.length - 1
  }

  acknowledged(last: number, events: readonly Data[]): void {
    for (const [i, event] of events.entries()) this.events.set(last - events.length + 1 + i, event)
    for (let next = this.events.get(this.version + 1); next !== undefined; next = this.events.get(this.version + 1))
      this.states.push(mergePatch(this.states.at(-1), next))
  }

  textAt(version: number): string {
    return JSON.stringify(this.states[version])
  }
}

/** A state that somebody was given. */
interface Given {
  readonly id: string
  readonly version: number
  readonly state: unknown
  readonly text: string
}

test(`${runs} random sequences of appends, reads and reverts`, { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(settings, fc.array(burst, { minLength: 1, maxLength: 6 }), async (set, bursts) => {
      const path = makeFolder()
      try {
        await run(path, set, bursts, () => () => {})
      } finally {
        rmSync(path, { recursive: true })
      }
    }),
    { numRuns: runs, ...seed },
  )
})

test(`${runs} random sequences on a disk that is full now and then`, { timeout: 300_000 }, async (context) => {
  const disk = smallDisk()
  if (disk === null) return context.skip('needs the right to mount a file system')
  let lost = 0
  await fc.assert(
    fc.asyncProperty(settings, fc.array(burst, { minLength: 1, maxLength: 6 }), async (set, bursts) => {
      const path = join(disk, 'run')
      mkdirSync(path)
      try {
        lost += await run(path, set, bursts, () => fillUp(join(disk, 'filler')))
      } finally {
        rmSync(path, { recursive: true })
      }
    }),
    { numRuns: runs, ...seed },
  )
  expect(lost).toBeGreaterThan(0)
})

/** @returns what makes room again */
function fillUp(filler: string): () => void {
  const file = openSync(filler, 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096))
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' })
  }
  closeSync(file)
  return () => rmSync(filler, { force: true })
}

/** @returns how many appends found no room */
async function run(
  path: string,
  { committer, actorsMax, begun }: Settings,
  bursts: readonly Burst[],
  fill: () => () => void,
): Promise<number> {
  const config = { path: join(path, 'store'), shards: 1, actorsMax, stateBytesMax: STATE_BYTES_MAX }
  const open = () => openEngine(config, { access: 'write', committer, create: true })
  const models = { a: new Model(), b: new Model() }
  const given: Given[] = []
  let lost = 0
  let empty = () => {}
  let engine = await open()
  try {
    if (begun > 0) {
      const events = Array.from({ length: begun }, (_, n) => ({ [`k${n % 80}`]: n }))
      await append(engine, models, 'a', events)
    }
    for (const { calls, isFull, reopens } of bursts) {
      if (isFull) empty = fill()
      lost += await make(engine, models, calls, given)
      empty()
      if (!reopens) continue
      await engine.close()
      engine = await open()
    }
    for (const id of ['a', 'b'] as const)
      await make(engine, models, [{ call: { call: 'read', id }, isAwaited: true }], given)
    for (const { id, version, state, text } of given) {
      const wanted = models[id as 'a'].textAt(version)
      expect({ id, version, text }).toEqual({ id, version, text: wanted })
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(STATE_BYTES_MAX)
      expect(JSON.stringify(state)).toBe(text)
    }
    await checkPast(engine, models)
  } finally {
    empty()
    await engine.close()
  }
  return lost
}

type Models = { readonly a: Model; readonly b: Model }

async function append(engine: Engine, models: Models, id: string, events: readonly Data[], expectedVersion?: number) {
  const request = { id, newType: 'document', events: events.map((data) => ({ type: 'Set', data })), expectedVersion }
  const { version } = await engine.append(request)
  models[id as 'a'].acknowledged(version, events)
}

async function make(engine: LiveEngine, models: Models, calls: Burst['calls'], given: Given[]): Promise<number> {
  const made: Promise<unknown>[] = []
  const codes: unknown[] = []
  for (const { call, isAwaited } of calls) {
    if (isAwaited) await Promise.all(made)
    made.push(
      one(engine, models, call, given).catch((error) => {
        if (!REFUSED.includes(error.code)) throw error
        codes.push(error.code)
      }),
    )
  }
  await Promise.all(made)
  return codes.filter((code) => code === 'KUMA_DISK_FULL').length
}

async function one(engine: LiveEngine, models: Models, call: Call, given: Given[]): Promise<void> {
  const { id } = call
  const model = models[id as 'a']
  switch (call.call) {
    case 'append':
      return append(engine, models, id, call.events, call.expectedVersion)
    case 'snapshot':
      return void (await engine.snapshot(id))
    case 'read': {
      const least = model.version
      const { version, state } = await engine.inspect(id)
      expect(version).toBeGreaterThanOrEqual(least)
      expect(isFrozen(state)).toBe(true)
      return void given.push({ id, version, state, text: JSON.stringify(state) })
    }
    case 'revert': {
      const version = Math.max(1, model.version - call.back)
      const reverted = await engine.revert({ id, to: { version } })
      model.acknowledged(
        reverted.version,
        reverted.events.map(({ data }) => data as Data),
      )
      expect(reverted.isExact).toBe(true)
    }
  }
}

function isFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isFrozen)
}

async function checkPast(engine: Engine, models: Models): Promise<void> {
  for (const [id, model] of Object.entries(models)) {
    for (let version = model.version; version > Math.max(0, model.version - 3); version--)
      expect(JSON.stringify((await engine.inspect(id, { version })).state)).toBe(model.textAt(version))
  }
}
