/**
 * Random histories of documents and of a model whose states are of all kinds, held at every point against a fold in
 * memory and against what is computed the plain way: replay, diff, blame, revert, fork, lists and the feed. Half of the
 * stores are encrypted; snapshots are frequent, rare, or all taken away. fast-check prints the seed and the smallest
 * failing history; KUMA_SEED repeats one, KUMA_HISTORIES sets how many.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Config, FeedItem, PatchOperation } from '../../src/api.ts'
import type { Engine } from '../../src/engine.ts'
import { defineEntity } from '../../src/entity/define-entity.ts'
import { mergePatch } from '../../src/entity/document.ts'
import type { Json } from '../../src/entity/json.ts'
import { type } from '../../src/entity/schema.ts'
import type { ResolvedPoint } from '../../src/entity/time.ts'
import { forkStore, openEngine } from '../../src/kuma.ts'
import { openDatabase } from '../../src/store/driver.ts'
import { shardPath } from '../../src/store/manifest.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { makeFolder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'

const runs = Number(process.env['KUMA_HISTORIES'] ?? 60)
const seed = process.env['KUMA_SEED'] === undefined ? {} : { seed: Number(process.env['KUMA_SEED']) }
const BEGAN = Date.parse('2026-01-01T00:00Z')

type Board = { readonly cells: readonly Json[]; readonly names: { readonly [name: string]: Json }; readonly last: Json }

/** Arrays that grow and shrink at both ends, fields that come and go, a state that is replaced as a whole. */
function boardOf(snapshotEvery: number) {
  return defineEntity({
    type: 'board',
    snapshotEvery,
    initial: (): Board => ({ cells: [], names: {}, last: null }),
    events: {
      Pushed: type<{ value: Json }>(),
      Shifted: type<object>(),
      Named: type<{ name: string; value: Json }>(),
      Unnamed: type<{ name: string }>(),
      Reset: type<{ board: Board }>(),
      Seen: type<object>(),
    },
  })
    .evolve({
      Pushed: (board, { value }) => ({ ...board, cells: [...board.cells, value], last: value }),
      Shifted: (board) => ({ ...board, cells: board.cells.slice(1) }),
      Named: (board, { name, value }) => ({ ...board, names: { ...board.names, [name]: value } }),
      Unnamed: ({ names, ...board }, { name }) => {
        const { [name]: _, ...others } = names
        return { ...board, names: others }
      },
      Reset: (_, { board }) => board,
      Seen: (board) => structuredClone(board), // equal, but nothing of it is shared
    })
    .revert((_, board) => ({ type: 'Reset', data: { board } }))
}

interface Recorded {
  readonly type: string
  readonly data: { readonly [key: string]: Json }
  readonly at: number
}

const value = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.constantFrom(null, 'x', 'y', true, {}, [], { a: 1 }, { a: { 'b/~c': 2 } }, [1, [2]]),
)
const name = fc.constantFrom('a', 'b/c', '~d', '0', 'constructor')
const boardEvent = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('Pushed'), data: fc.record({ value }) }) },
  fc.record({ type: fc.constant('Shifted'), data: fc.constant({}) }),
  { weight: 3, arbitrary: fc.record({ type: fc.constant('Named'), data: fc.record({ name, value }) }) },
  fc.record({ type: fc.constant('Unnamed'), data: fc.record({ name }) }),
  fc.record({ type: fc.constant('Seen'), data: fc.constant({}) }),
)
const documentEvent = fc.record({
  type: fc.constantFrom('Changed', 'Noted'),
  data: fc.dictionary(name, value, { maxKeys: 3 }).map((data) => ({ ...data })),
})
const history = fc.record({
  type: fc.constantFrom('document' as const, 'board' as const),
  events: fc.array(fc.tuple(boardEvent, documentEvent, fc.integer({ min: 0, max: 2 })), {
    minLength: 1,
    maxLength: 24,
  }),
})
const histories = fc.record({
  entities: fc.array(history, { minLength: 1, maxLength: 4 }),
  snapshotEvery: fc.constantFrom(2, 3, 5, 1_000),
  snapshots: fc.constantFrom('kept', 'kept', 'dropped'),
  encrypted: fc.boolean(),
  shards: fc.integer({ min: 1, max: 3 }),
})

type History = typeof histories extends fc.Arbitrary<infer H> ? H : never

interface Entity {
  readonly id: string
  readonly type: 'document' | 'board'
  readonly events: readonly Recorded[]
}

test(`${runs} random histories are what a fold in memory makes of them, at every point`, {
  timeout: 1_200_000,
}, async () => {
  await fc.assert(fc.asyncProperty(histories, check), { numRuns: runs, ...seed })
})

async function check({ entities: given, ...how }: History): Promise<void> {
  const folder = makeFolder()
  const Board = boardOf(how.snapshotEvery)
  const entities = given.map(({ type, events }, n): Entity => {
    let at = BEGAN + n
    const recorded = events.map(([board, document, later]) => {
      at += later * 1_000
      return { ...(type === 'board' ? board : document), at }
    })
    return { id: `e${n}`, type, events: recorded }
  })
  const encrypted = how.encrypted ? ({ encryption: 'entity-keys', masterKey: MASTER_KEY } as const) : {}
  const config: Config = { path: join(folder, 'store'), shards: how.shards, entities: [Board], ...encrypted }
  let engine = await openEngine(config, { access: 'write', committer: 'inline', create: true })
  try {
    await record(engine, entities)
    if (how.snapshots === 'dropped') {
      await engine.close()
      for (let shard = 0; shard < how.shards; shard++) dropSnapshots(config.path!, shard)
      engine = await openEngine(config, { access: 'write', committer: 'inline' })
    }
    for (const entity of entities) await checkOne(engine, entity)
    await checkTwo(engine, entities)
    for (const at of instants(entities)) await checkAll(engine, entities, at)
    await checkFeed(engine, entities)
    await checkForks(config, folder, entities)
    for (const entity of entities) await checkReverts(engine, entity)
  } finally {
    await engine.close()
    rmSync(folder, { recursive: true })
  }
}

/** In turns, so that the events of entities lie among each other. */
async function record(engine: Engine, entities: readonly Entity[]): Promise<void> {
  const longest = Math.max(...entities.map(({ events }) => events.length))
  for (let i = 0; i < longest; i++) {
    for (const { id, type, events } of entities) {
      if (i < events.length) await engine.append({ id, newType: type, events: [events[i]!] })
    }
  }
}

function dropSnapshots(path: string, shard: number): void {
  const db = openDatabase(shardPath(path, shard), 'write')
  db.exec('DELETE FROM snapshots')
  db.close()
}

// ---------------------------------------------------------------- the plain way

/** The states from before the first event on. */
function statesOf({ type, events }: Entity): Json[] {
  const states: Json[] = [type === 'board' ? { cells: [], names: {}, last: null } : {}]
  for (const event of events)
    states.push(type === 'board' ? next(states.at(-1)!, event) : merged(states.at(-1)!, event))
  return states
}

function merged(state: Json, { data }: Recorded): Json {
  return mergePatch(state, data) as Json
}

function next(before: Json, { type, data }: Recorded): Json {
  const board = JSON.parse(JSON.stringify(before))
  if (type === 'Pushed') {
    board.cells.push(data['value'])
    board.last = data['value']
  }
  if (type === 'Shifted') board.cells.shift()
  if (type === 'Named') board.names[data['name'] as string] = data['value']
  if (type === 'Unnamed') delete board.names[data['name'] as string]
  return board
}

/** By the text of its path, each end of a value. */
function endsOf(value: Json | undefined, path = ''): [string, Json][] {
  const parts = typeof value === 'object' && value !== null ? Object.entries(value) : []
  if (parts.length === 0) return [[path, value as Json]]
  return parts.flatMap(([key, part]) => endsOf(part, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`))
}

function at(state: Json, path: string): unknown {
  let part: unknown = state
  for (const token of path.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    part = typeof part === 'object' && part !== null && Object.hasOwn(part, key) ? (part as never)[key] : undefined
  }
  return part
}

/** The last version that changed what is at a path; null if none did. */
function setterOf(states: readonly Json[], path: string): number | null {
  for (let version = states.length - 1; version > 0; version--) {
    if (!isDeepStrictEqual(at(states[version - 1]!, path), at(states[version]!, path))) return version
  }
  return null
}

function versionAt({ events }: Entity, time: number): number {
  return events.filter(({ at }) => at <= time).length
}

/** A moment before everything, and each at which something happened. */
function instants(entities: readonly Entity[]): number[] {
  return [BEGAN - 1, ...new Set(entities.flatMap(({ events }) => events.map(({ at }) => at)))]
}

// ---------------------------------------------------------------- held against it

async function checkOne(engine: Engine, entity: Entity): Promise<void> {
  const { id, type, events } = entity
  const states = statesOf(entity)
  const last = events.length
  for (let version = 1; version <= last; version++) {
    const { at } = events[version - 1]!
    expect(await engine.inspect(id, { version })).toMatchObject({ id, type, version, at })
    expect((await engine.inspect(id, { version })).state).toEqual(states[version])
    expect((await engine.inspect(id, { at })).state).toEqual(states[versionAt(entity, at)])
    await checkRange(engine, entity, states, { version }, { version: 1 + ((version * 7) % last) })
    await checkRange(engine, entity, states, { at }, { at: events[(version * 5) % last]!.at })
    await checkRange(engine, entity, states, { version }, { at })
    await checkRange(engine, entity, states, { at }, { version })
  }
  const usual = await engine.diff({ id })
  expect([usual.from.version, usual.to.version]).toEqual([last - 1, last])
  expect(patched(states[last - 1]!, usual.patch)).toEqual(states[last])
  await checkBlame(engine, id, states)
}

/** Replay, log and diff from one point to another. */
async function checkRange(
  engine: Engine,
  entity: Entity,
  states: readonly Json[],
  from: ResolvedPoint,
  to: ResolvedPoint,
): Promise<void> {
  const { id, events } = entity
  const versionOf = (point: ResolvedPoint) => point.version ?? versionAt(entity, point.at!)
  const [first, last] = [versionOf(from), versionOf(to)]
  if (first > last) {
    await expect(engine.diff({ id, from, to })).rejects.toMatchObject({ code: 'KUMA_INVALID_POINT' })
    return
  }
  const diff = await engine.diff({ id, from, to })
  expect([diff.from.version, diff.to.version]).toEqual([first, last])
  expect([diff.from.state, diff.to.state]).toEqual([states[first], states[last]])
  expect(patched(states[first]!, diff.patch)).toEqual(states[last])
  const inside = events.flatMap(({ at }, i) => {
    const begun = from.version === undefined ? at >= from.at : i + 1 >= from.version
    return begun && i + 1 <= last ? [i + 1] : []
  })
  const steps = await collect(engine.replay(id, { from, to }))
  expect(steps.map(({ event: { version }, state }) => ({ version, state }))).toEqual(
    inside.map((version) => ({ version, state: states[version] })),
  )
  for (const reverse of [false, true]) {
    const log = await collect(engine.log({ id, from, to, reverse }))
    expect(log.map(({ version }) => version)).toEqual(reverse ? inside.toReversed() : inside)
  }
}

/** RFC 6902, as far as patches have it here. */
function patched(state: Json, patch: readonly PatchOperation[]): unknown {
  const root = { '': JSON.parse(JSON.stringify(state)) }
  for (const operation of patch) {
    const keys = operation.path.split('/').map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
    const last = keys.pop()!
    let parent: unknown = root
    for (const key of keys) {
      expect(Object.hasOwn(parent as object, key)).toBe(true)
      parent = (parent as Record<string, unknown>)[key]
    }
    const there = last === '-' || Object.hasOwn(parent as object, last)
    if (operation.op !== 'add') expect(there).toBe(true)
    if (!Array.isArray(parent)) {
      if (operation.op === 'remove') delete (parent as Record<string, unknown>)[last]
      else (parent as Record<string, unknown>)[last] = operation.value
    } else if (operation.op === 'remove') parent.splice(Number(last), 1)
    else {
      const index = last === '-' ? parent.length : Number(last)
      expect(index).toBeLessThanOrEqual(parent.length)
      parent.splice(index, operation.op === 'add' ? 0 : 1, operation.value)
    }
  }
  return root['']
}

async function checkBlame(engine: Engine, id: string, states: readonly Json[]): Promise<void> {
  const expected = endsOf(states.at(-1)!).map(([path, value]) => ({ path, value, by: setterOf(states, path) }))
  const blamed = async (path: string) => {
    const fields = await engine.blame(id, path)
    return byPath(fields.map(({ path, value, event }) => ({ path, value, by: event?.version ?? null })))
  }
  expect(await blamed('')).toEqual(byPath(expected))
  const [part] = /^\/[^/]*/.exec(expected.at(-1)!.path) ?? ['']
  expect(await blamed(part)).toEqual(byPath(expected.filter(({ path }) => `${path}/`.startsWith(`${part}/`))))
}

/** The order of fields is that of the state as it was folded. */
function byPath<T extends { path: string }>(fields: readonly T[]): T[] {
  return fields.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

async function checkTwo(engine: Engine, entities: readonly Entity[]): Promise<void> {
  const [a, b] = [entities[0]!, entities.at(-1)!]
  const diff = await engine.diff({ id: a.id, other: b.id, from: { version: 1 } })
  expect([diff.from.version, diff.to.version]).toEqual([1, b.events.length])
  expect(patched(statesOf(a)[1]!, diff.patch)).toEqual(statesOf(b).at(-1))
}

async function checkAll(engine: Engine, entities: readonly Entity[], time: number): Promise<void> {
  const there = entities.flatMap((entity) => {
    const { id, type, events } = entity
    const version = versionAt(entity, time)
    return version === 0 ? [] : [{ id, type, version, at: events[version - 1]!.at, state: statesOf(entity)[version] }]
  })
  const byId = <T extends { id: string }>(list: readonly T[]) => list.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const inspected = byId(await collect(engine.inspectAll({ at: time })))
  expect(inspected.map(({ position: _, ...rest }) => rest)).toEqual(there)
  expect(byId(await collect(engine.entities({ at: time })))).toEqual(
    there.map(({ id, type, version, at }) => {
      const createdAt = entities.find((one) => one.id === id)!.events[0]!.at
      return { id, type, version, createdAt, updatedAt: at }
    }),
  )
}

async function checkFeed(engine: Engine, entities: readonly Entity[]): Promise<void> {
  const items = (await collect(engine.feed())).flatMap(({ items }) => items)
  const places = items.map((item) => placeOf(item).split('@')[0]!.split(':').map(Number))
  for (const shard of new Set(places.map(([shard]) => shard))) {
    const seqs = places.filter(([other]) => other === shard).map(([, seq]) => seq)
    expect(seqs).toEqual(seqs.map((_, i) => i + 1))
  }
  expect(byEntity(items)).toEqual(Object.fromEntries(entities.map(({ id, events }) => [id, events])))
  const from = items[items.length >> 1]!.position
  const rest = (await collect(engine.feed({ from }))).flatMap(({ items }) => items)
  const seen = new Set(items.slice(0, (items.length >> 1) + 1).map(placeOf))
  expect(new Set(rest.map(placeOf))).toEqual(new Set(items.map(placeOf).filter((place) => !seen.has(place))))
}

function placeOf(item: FeedItem): string {
  return item.kind === 'event' ? item.event.position : item.position
}

function byEntity(items: readonly FeedItem[]): { [id: string]: Recorded[] } {
  const events: { [id: string]: Recorded[] } = {}
  for (const item of items) {
    if (item.kind !== 'event') throw new Error('nothing was erased')
    const { entity, type, data, at } = item.event
    events[entity] = [...(events[entity] ?? []), { type, data, at }]
  }
  return events
}

async function checkForks(config: Config, folder: string, entities: readonly Entity[]): Promise<void> {
  const times = instants(entities).filter((time) => entities.some((entity) => versionAt(entity, time) > 0))
  const time = times[times.length >> 1]!
  const one = entities.findLast((entity) => versionAt(entity, time) > 0)!
  await checkFork(config, join(folder, 'all'), entities, time, {})
  await checkFork(config, join(folder, 'one'), [one], time, { entity: one.id })
  await checkFork(config, join(folder, 'now'), entities, undefined, { prefix: 'e' })
}

async function checkFork(
  config: Config,
  path: string,
  entities: readonly Entity[],
  time: number | undefined,
  options: object,
): Promise<void> {
  const forked = await forkStore(config, path, { ...options, at: time })
  const then = entities.map((entity): Entity => {
    return time === undefined ? entity : { ...entity, events: entity.events.slice(0, versionAt(entity, time)) }
  })
  const there = then.filter(({ events }) => events.length > 0)
  const events = there.reduce((sum, { events }) => sum + events.length, 0)
  expect(forked).toMatchObject({ path, entities: there.length, events })
  const masterKey = () => (config.encryption === undefined ? null : Buffer.from(MASTER_KEY, 'hex'))
  for await (const { problems } of verifyStore(path, { masterKey })) expect(problems).toEqual([])
  const engine = await openEngine({ ...config, path }, { access: 'write', committer: 'inline' })
  try {
    for (const entity of there) await checkOne(engine, entity)
    await checkFeed(engine, there)
  } finally {
    await engine.close()
  }
}

/** Back to the first version, and from there to what it was. */
async function checkReverts(engine: Engine, entity: Entity): Promise<void> {
  const { id, events } = entity
  const states = statesOf(entity)
  const last = events.length
  let version = last
  for (const to of [1 + (last >> 1), 1, last]) {
    const then = states[to]
    const planned = await engine.revert({ id, to: { version: to }, dryRun: true })
    expect([planned.version, planned.diff.to.state]).toEqual([version, then])
    const reverted = await engine.revert({ id, to: { version: to } })
    version += reverted.events.length
    expect(reverted).toMatchObject({ version, isExact: true })
    expect(reverted.events).toEqual(planned.events)
    expect(reverted.diff.patch).toEqual(planned.diff.patch)
    expect((await engine.inspect(id)).state).toEqual(then)
  }
  expect(await collect(engine.log({ id, to: { version: last } }))).toHaveLength(last)
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
