/** Real events: 20,000 departures. What the past of an airport was is worked out here from the source, independently. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { EntityDefinition } from 'kuma'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/engine.ts'
import { openEngine } from '../../src/kuma.ts'
import { kuma, ndjson } from '../cli.ts'
import { makeFolder } from '../folder.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures', import.meta.url))

interface Flight {
  readonly entity: string
  readonly at: number
  readonly data: { readonly destination: string; readonly delay: number; readonly distance: number }
}

const flights = gunzipSync(readFileSync(join(FIXTURES, 'flights.ndjson.gz')))
  .toString()
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Flight)
const airports = [...new Set(flights.map(({ entity }) => entity))]
const departures = (airport: string) => flights.filter(({ entity }) => entity === airport)

/** What is known after so many departures. */
function known(of: readonly Flight[]) {
  const byDestination: { [airport: string]: number } = {}
  for (const { data } of of) byDestination[data.destination] = (byDestination[data.destination] ?? 0) + 1
  return {
    flights: of.length,
    delays: of.reduce((sum, { data }) => sum + Math.max(data.delay, 0), 0),
    distance: of.reduce((sum, { data }) => sum + data.distance, 0),
    byDestination,
  }
}

const cwd = makeFolder()
const config = ['--config', join(FIXTURES, 'models', 'kuma.config.ts'), '--dir', join(cwd, 'data')]
const run = async (words: readonly string[], dir = config) => {
  const { code, stdout, stderr } = await kuma([...words, ...dir], { cwd })
  expect({ words, code }, stderr).toEqual({ words, code: 0 })
  return stdout
}
let engine: Engine

beforeAll(async () => {
  await run(['init', join(cwd, 'data')], [])
  await run(['import', join(FIXTURES, 'flights.ndjson.gz')])
  const { Airport } = (await import(pathToFileURL(join(FIXTURES, 'models', 'airport.ts')).href)) as {
    Airport: EntityDefinition
  }
  engine = await openEngine({ path: join(cwd, 'data'), entities: [Airport as never] }, { access: 'read' })
})

afterAll(async () => {
  await engine?.close()
  rmSync(cwd, { recursive: true })
})

const DAYS = ['2001-01-05', '2001-02-01', '2001-03-15T12:00Z']

test('what every airport was at a time', async () => {
  for (const day of DAYS) {
    const time = Date.parse(day)
    const then = ndjson(await run(['replay', '--all', '--at', day])).map(({ id, version, state }) => ({
      id,
      version,
      state,
    }))
    const expected = airports.flatMap((id) => {
      const until = departures(id).filter(({ at }) => at <= time)
      return until.length === 0 ? [] : [{ id, version: until.length, state: known(until) }]
    })
    const byId = (a: { id?: unknown }, b: { id?: unknown }) => (String(a.id) < String(b.id) ? -1 : 1)
    expect(then.sort(byId)).toEqual(expected.sort(byId))
    const listed = ndjson(await run(['ls', '--at', day]))
    expect(listed.map(({ id, version }) => ({ id, version }))).toEqual(
      expected.map(({ id, version }) => ({ id, version })),
    )
  }
})

describe.each(['CAE', 'SFO', 'ORD'])('%s', (airport) => {
  const own = departures(airport)

  test('at any version', async () => {
    for (let version = 1; version <= own.length; version += Math.max(1, own.length >> 5)) {
      expect((await engine.inspect(airport, { version })).state).toEqual(known(own.slice(0, version)))
    }
  })

  test('what changed in February', async () => {
    const { from, to, patch } = await engine.diff({
      id: airport,
      from: { at: Date.parse('2001-02-01') - 1 },
      to: { at: Date.parse('2001-03-01') - 1 },
    })
    const before = own.filter(({ at }) => at < Date.parse('2001-02-01'))
    const february = own.filter(({ at }) => at >= Date.parse('2001-02-01') && at < Date.parse('2001-03-01'))
    expect([from.version, to.version]).toEqual([before.length, before.length + february.length])
    const reached = new Set(february.map(({ data }) => data.destination))
    const already = new Set(before.map(({ data }) => data.destination))
    const changed = (op: string) =>
      patch
        .flatMap((one) => (one.op === op && one.path.startsWith('/byDestination/') ? [one.path.slice(15)] : []))
        .sort()
    expect(changed('replace')).toEqual([...reached].filter((name) => already.has(name)).sort())
    expect(changed('add')).toEqual([...reached].filter((name) => !already.has(name)).sort())
    expect(changed('remove')).toEqual([])
  })

  test('which flight was the last to each destination', async () => {
    const blamed = await engine.blame(airport, '/byDestination')
    const last = new Map(own.map(({ data }, i) => [`/byDestination/${data.destination}`, i + 1]))
    expect(new Map(blamed.map(({ path, event }) => [path, event?.version]))).toEqual(last)
    const [delays] = await engine.blame(airport, '/delays')
    expect(delays!.event?.version).toBe(own.findLastIndex(({ data }) => data.delay > 0) + 1)
  })
})

test('a fork of January', { timeout: 120_000 }, async () => {
  const stdout = await run(['fork', join(cwd, 'january'), '--at', '2001-01-31T23:59:59.999Z'])
  const january = flights.filter(({ at }) => at < Date.parse('2001-02-01'))
  expect(JSON.parse(stdout)).toMatchObject({
    events: january.length,
    entities: new Set(january.map(({ entity }) => entity)).size,
  })
  const there = ['--config', config[1]!, '--dir', join(cwd, 'january')]
  await run(['verify'], ['--dir', join(cwd, 'january')])
  expect(JSON.parse(await run(['read', 'SFO'], there))).toEqual(known(january.filter(({ entity }) => entity === 'SFO')))
})

test('the feed has every flight, each airport in its order', async () => {
  const seen = new Map<string, Flight['data'][]>()
  for await (const { items } of engine.feed()) {
    for (const item of items) {
      if (item.kind !== 'event') continue
      const { entity, data } = item.event
      seen.set(entity, [...(seen.get(entity) ?? []), data as Flight['data']])
    }
  }
  for (const airport of airports) expect(seen.get(airport)).toEqual(departures(airport).map(({ data }) => data))
})
