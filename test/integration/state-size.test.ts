/** How large, and how deep, the state of an entity may get; and what can be done with one that is beyond that already. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as kuma from '../../src/index.ts'
import { openEngine } from '../../src/kuma.ts'
import { launch, ndjson, kuma as run } from '../cli.ts'
import { startDaemon } from '../daemon.ts'
import { folder } from '../folder.ts'
import { http } from '../http.ts'
import { served } from '../served.ts'

const MAX = 10_000
const TOO_LARGE = 'KUMA_STATE_TOO_LARGE'

/** Events that make more of the state than they are. */
const Growing = kuma
  .defineEntity({
    type: 'growing',
    snapshotEvery: 10,
    initial: { text: 'x', inner: null as object | null, last: 0 },
    events: {
      Doubled: kuma.type<{ times: number }>(),
      Nested: kuma.type<{ levels: number }>(),
      Added: kuma.type<{ text: string }>(),
      Counted: kuma.type<{ count: number }>(),
    },
    commands: { Double: kuma.type<{ times: number }>() },
  })
  .evolve({
    Doubled: (state, { times }) => ({ ...state, text: state.text.repeat(2 ** times) }),
    Nested: (state, { levels }) => ({ ...state, inner: nested(state.inner, levels) }),
    Added: (state, { text }) => ({ ...state, text: state.text + text }),
    Counted: (state, { count }) => ({ ...state, last: count }),
  })
  .decide({ Double: (_, { times }) => ({ type: 'Doubled', data: { times } }) })

function nested(inner: object | null, levels: number): object | null {
  let outer = inner
  for (let i = 0; i < levels; i++) outer = { inner: outer }
  return outer
}

const start = {
  'in process': (config: kuma.Config) => kuma.start(config),
  'through a daemon': async (config: kuma.Config) =>
    served(await openEngine(config, { access: 'write', create: true }), (path) => kuma.connect(path)),
}

describe.each(['in process', 'through a daemon'] as const)('%s:', (kind) => {
  async function open(path = folder(), bound: { stateBytesMax?: number } = { stateBytesMax: MAX }) {
    const ctx = await start[kind]({ path, shards: 1, entities: [Growing], ...bound })
    onTestFinished(() => ctx.close())
    return ctx
  }

  test('an append that would make the state larger than is allowed is refused, and changes nothing', async () => {
    const ctx = await open()
    const doc = await ctx.spawn(kuma.document, 'd')
    const room = MAX - '{"a":"","b":""}'.length - 5_000
    await doc.append({ type: 'Set', data: { a: 'x'.repeat(5_000) } })
    await expect(doc.append({ type: 'Set', data: { b: 'x'.repeat(room + 1) } })).rejects.toMatchObject({
      code: TOO_LARGE,
      message: expect.stringContaining('10,000 bytes'),
      details: { entity: 'd', bytes: MAX + 1, max: MAX },
    })
    expect(await doc.inspect()).toMatchObject({ version: 2, state: { a: 'x'.repeat(5_000) } })
    expect(await doc.append({ type: 'Set', data: { b: 'x'.repeat(room) } })).toMatchObject({ version: 3 })
    expect(JSON.stringify(await doc.read())).toHaveLength(MAX)
    expect(await doc.append({ type: 'Set', data: { a: 1 } })).toMatchObject({ version: 4 }) // smaller
  })

  test('what is counted are bytes of UTF-8', async () => {
    const doc = await (await open()).spawn(kuma.document, 'd')
    const text = '熊'.repeat(250)
    for (let i = 0; i < 13; i++) await doc.append({ type: 'Set', data: { [`k${i}`]: text } })
    await expect(doc.append({ type: 'Set', data: { k13: text } })).rejects.toMatchObject({ code: TOO_LARGE })
    await doc.append({ type: 'Set', data: { k13: text.slice(0, 1) } })
  })

  test('events of more than that in all are no matter, so long as the state is small', async () => {
    const doc = await (await open()).spawn(kuma.document, 'd')
    for (let i = 0; i < 50; i++) await doc.append({ type: 'Set', data: { text: `${i}`.padEnd(3_000) } })
    expect(await doc.inspect()).toMatchObject({ version: 51 })
  })

  test('several events as one unit are refused together, by the state after all of them', async () => {
    const doc = await (await open()).spawn(kuma.document, 'd')
    const large = { type: 'Set', data: { a: 'x'.repeat(MAX) } }
    await expect(doc.appendAll([{ type: 'Set', data: { n: 1 } }, large])).rejects.toMatchObject({ code: TOO_LARGE })
    expect(await doc.inspect()).toMatchObject({ version: 1, state: {} })
    await doc.appendAll([large, { type: 'Set', data: { a: null } }])
    expect(await doc.inspect()).toMatchObject({ version: 3, state: {} })
  })

  test('a command and a revert are refused as an append is', async () => {
    const path = folder()
    const before = await open(path, {})
    const doc = await before.spawn(kuma.document, 'd', { a: 'x'.repeat(MAX) })
    await doc.append({ type: 'Set', data: { a: 'small' } })
    const one = await before.spawn(Growing, 'g')
    await before.close()
    const after = await open(path)
    await expect((await after.entity(kuma.document, 'd')).revert({ version: 1 })).rejects.toMatchObject({
      code: TOO_LARGE,
    })
    expect(await (await after.entity('d')).inspect()).toMatchObject({ version: 2, state: { a: 'small' } })
    const growing = await after.entity(Growing, 'g')
    const double = (times: number) => growing.execute({ type: 'Double', data: { times } })
    await expect(double(20)).rejects.toMatchObject({ code: TOO_LARGE })
    expect(await double(2)).toMatchObject({ version: 2, state: { text: 'xxxx' } })
    expect(one.id).toBe('g')
  })

  test('one that grows by more than its events is found at its next snapshot, and from then on', async () => {
    const ctx = await open()
    const growing = await ctx.spawn(Growing, 'g')
    await growing.append({ type: 'Counted', data: { count: 1 } })
    await growing.append({ type: 'Doubled', data: { times: 15 } }) // version 3: not looked at
    for (let count = 4; count < 10; count++)
      await growing.append({ type: 'Counted', data: { count } }).catch(({ code }) => expect(code).toBe(TOO_LARGE))
    const { version } = await growing.inspect()
    for (let i = 0; i < 10; i++) {
      const appended = growing.append({ type: 'Counted', data: { count: i } })
      await expect(appended).rejects.toMatchObject({ code: TOO_LARGE })
    }
    expect(await growing.inspect()).toMatchObject({ version, state: { text: 'x'.repeat(2 ** 15) } })
    expect((await growing.log().toArray()).length).toBe(version)
  })

  test('a state that is nested deeper with each event is refused before that is too deep for anything', async () => {
    const ctx = await open(folder(), {})
    const growing = await ctx.spawn(Growing, 'g')
    const nest = (levels: number) => growing.append({ type: 'Nested', data: { levels } })
    await expect(nest(10_000)).rejects.toMatchObject({
      code: TOO_LARGE,
      message: expect.stringContaining('nested deeper than 500 levels'),
    })
    expect(await growing.inspect()).toMatchObject({ version: 1, state: { inner: null } })
    let refused: unknown = null
    let version = 1
    for (; refused === null && version < 1_000; version++)
      refused = await nest(1).then(
        () => null,
        (error) => error,
      )
    expect(refused).toMatchObject({ code: TOO_LARGE })
    const found = await growing.inspect()
    expect(found.version).toBe(version - 1)
    expect(JSON.stringify(found.state).split('"inner"')).toHaveLength(version)
    await growing.diff()
    await growing.export()
  })

  test('one that is nested too deep already is told of by what cannot show it, and can be listed and erased', async () => {
    const path = folder()
    const ctx = await open(path)
    const growing = await ctx.spawn(Growing, 'g')
    await growing.append({ type: 'Counted', data: { count: 1 } })
    await growing.append({ type: 'Nested', data: { levels: 10_000 } }) // version 3: not looked at
    await expect(growing.export()).rejects.toMatchObject({ code: TOO_LARGE })
    await expect(growing.diff()).rejects.toMatchObject({ code: TOO_LARGE })
    await expect(growing.blame()).rejects.toMatchObject({ code: TOO_LARGE })
    await expect(growing.append({ type: 'Counted', data: { count: 2 } })).rejects.toMatchObject({ code: TOO_LARGE })
    const read = growing.read().then(
      () => 'shown',
      ({ code }) => code,
    )
    expect(await read).toBe(kind === 'in process' ? 'shown' : TOO_LARGE)
    const steps = growing
      .replay()
      .toArray()
      .then(
        () => 'shown',
        ({ code }) => code,
      )
    expect(await steps).toBe(kind === 'in process' ? 'shown' : TOO_LARGE)
    expect(await growing.read({ version: 2 })).toMatchObject({ last: 1 })
    await ctx.close()
    const again = await open(path)
    expect(await again.entities().toArray()).toMatchObject([{ id: 'g', version: 3 }])
    const found = await again.entity('g')
    expect(await found.log().toArray()).toHaveLength(3)
    expect(await found.delete()).toMatchObject({ erased: 3 })
  })

  test('data that is nested too deep is refused', async () => {
    const doc = await (await open()).spawn(kuma.document, 'd')
    const data = { inner: nested(null, 100_000) } as never
    await expect(doc.append({ type: 'Set', data })).rejects.toMatchObject({ code: 'KUMA_INVALID_DATA' })
    const keyed = doc.append({ type: 'Set', data }, { requestKey: 'k' })
    await expect(keyed).rejects.toMatchObject({ code: 'KUMA_INVALID_DATA' })
    await expect(doc.append({ type: 'Set', data: {} }, { meta: data })).rejects.toMatchObject({
      code: 'KUMA_INVALID_DATA',
    })
    expect(await doc.inspect()).toMatchObject({ version: 1 })
  })

  test('one that is too large already is still read, exported, made smaller and erased', async () => {
    const path = folder()
    const before = await open(path, {})
    for (const id of ['a', 'b']) {
      const doc = await before.spawn(kuma.document, id)
      for (let i = 0; i < 5; i++) await doc.append({ type: 'Set', data: { [`k${i}`]: 'x'.repeat(4_000) } })
    }
    await before.close()
    const ctx = await open(path)
    const [a, b] = [await ctx.entity('a'), await ctx.entity('b')]
    expect(JSON.stringify(await a.read()).length).toBeGreaterThan(2 * MAX)
    expect(await a.read({ version: 4 })).toMatchObject({ k2: expect.any(String) })
    expect(await a.replay().toArray()).toHaveLength(6)
    expect(await a.blame('/k0')).toMatchObject([{ event: { version: 2 } }])
    expect(await a.export()).toMatchObject({ version: 6, state: { k4: expect.any(String) } })
    await expect(a.append({ type: 'Set', data: { k5: 1 } })).rejects.toMatchObject({ code: TOO_LARGE })
    await expect(a.append({ type: 'Set', data: { k0: null } })).rejects.toMatchObject({ code: TOO_LARGE })
    await a.append({ type: 'Set', data: { k0: null, k1: null, k2: null } })
    await a.append({ type: 'Set', data: { k5: 1 } })
    expect(await a.inspect()).toMatchObject({ version: 8, state: { k5: 1 } })
    expect(await b.delete()).toMatchObject({ erased: 6, notReached: [] })
  })
})

const CONFIG = (stateBytesMax: number) => `
import * as kuma from 'kuma'
export default kuma.defineConfig({ path: './store', shards: 1, stateBytesMax: ${stateBytesMax}, projections: [] })
`

test('the shell, HTTP and an import tell it, and others are served', async () => {
  const cwd = folder()
  writeFileSync(join(cwd, 'kuma.config.ts'), CONFIG(MAX))
  const at = (args: readonly string[], input = '') => run(args, { cwd, input })
  expect((await at(['init'])).code).toBe(0)
  const large = JSON.stringify({ a: 'x'.repeat(MAX) })
  const refused = { code: 2, stderr: expect.stringContaining('the state of d would be larger than 10,000 bytes') }
  expect(await at(['append', 'd', 'Set', `a=${'x'.repeat(MAX)}`])).toMatchObject(refused)
  const { daemon, output } = await startDaemon(cwd)
  expect(await at(['append', 'd', 'Set', `a=${'x'.repeat(MAX)}`])).toMatchObject(refused)
  const body = { events: [{ type: 'Set', data: JSON.parse(large) }] }
  const answer = await http(join(cwd, 'store'), { method: 'POST', path: '/v1/entities/d/events', body })
  expect(answer.status).toBe(413)
  expect(JSON.parse(answer.text).error).toMatchObject({ code: TOO_LARGE, details: { entity: 'd', max: MAX } })
  expect(await at(['append', 'd', 'Set', 'n:=1'])).toMatchObject({ code: 0 })
  const lines = [`{"entity":"e","type":"Set","data":${large}}`, '{"entity":"f","type":"Set","data":{"n":1}}']
  const imported = await at(['import', '-', '--json'], `${lines.join('\n')}\n`)
  expect(imported.code).toBe(1)
  expect(JSON.parse(imported.stdout)).toEqual({ imported: 1, duplicates: 0, rejected: 1 })
  daemon.kill('SIGTERM')
  expect((await output).code).toBe(0)
})

test('a state that the process has no memory for is told of, and the process goes on', async () => {
  const cwd = folder()
  writeFileSync(join(cwd, 'kuma.config.ts'), CONFIG(1024 ** 3))
  const ctx = await kuma.start({ path: join(cwd, 'store'), shards: 1, stateBytesMax: 1024 ** 3 })
  const doc = await ctx.spawn(kuma.document, 'huge')
  const part = 'x'.repeat(1_000_000)
  for (let i = 0; i < 60; i++) await doc.append({ type: 'Set', data: { [`k${i}`]: part } })
  const created = await (await ctx.spawn(kuma.document, 'small')).append({ type: 'Set', data: { n: 1 } })
  const small = created.position
  await ctx.close()
  const env = { NODE_OPTIONS: '--max-old-space-size=80' }
  const at = (args: readonly string[]) => run(args, { cwd, env })
  const told = { code: 2, stderr: expect.stringContaining('the state of huge is larger than the ') }
  expect(await at(['read', 'huge'])).toMatchObject(told)
  const { daemon, output } = await startDaemon(cwd, [], env)
  const rows = await at(['query', 'select id from entities', '--after', small])
  expect(ndjson(rows.stdout)).toEqual([{ id: 'small' }])
  const [status, projections] = await Promise.all([at(['status']), at(['projections'])])
  expect(status.stdout).toMatch(/^projection entities following, 0 events behind; without 1 entity too large for it/m)
  const [entities] = ndjson(projections.stdout)
  expect(entities).toMatchObject({ name: 'entities', state: 'following', error: null, leftOut: [{ entity: 'huge' }] })
  const { text: metrics } = await http(join(cwd, 'store'), { path: '/metrics' })
  expect(metrics).toMatch(/^kuma_projection_left_out\{.*entities.*\} 1$/m)
  const get = (path: string) => http(join(cwd, 'store'), { path: `/v1/entities/${path}` })
  const body = { events: [{ type: 'Set', data: { n: 1 } }] }
  const append = http(join(cwd, 'store'), { method: 'POST', path: '/v1/entities/huge/events', body })
  for (const { status, text } of await Promise.all([append, get('huge'), get('huge/export')])) {
    expect(status).toBe(413)
    expect(JSON.parse(text).error).toMatchObject({ code: TOO_LARGE, hint: expect.stringContaining('kuma log') })
  }
  const asked = await Promise.all([at(['blame', 'huge']), at(['diff', 'huge', '--to', 'v60'])])
  for (const answer of asked) expect(answer).toMatchObject(told)
  expect(JSON.parse((await get('huge?at=v2')).text)).toMatchObject({ version: 2, state: { k0: part } })
  expect(JSON.parse((await get('small')).text)).toMatchObject({ state: { n: 1 } })
  const exported = launch(['export', 'huge', '--format', 'ndjson'], { cwd, env })
  let lines = 0
  for await (const chunk of exported.stdout!.setEncoding('utf8')) lines += chunk.split('\n').length - 1
  expect(lines).toBe(61)
  expect(await at(['delete', 'huge', '--yes'])).toMatchObject({ code: 0 })
  expect(ndjson((await at(['projections'])).stdout)).toMatchObject([{ leftOut: [] }])
  daemon.kill('SIGTERM')
  const { code, stderr } = await output
  expect(code).toBe(0)
  expect(stderr).toContain('it leaves out an entity, whose state is too large')
})

describe('read models', () => {
  const Sizes = kuma
    .defineProjection({ name: 'sizes', columns: { id: 'text', keys: 'integer' } })
    .rows(kuma.document, (state, { id }) => ({ id, keys: Object.keys(state).length }))

  /** Two that are small, and one between them that is not; `small` in another one's events too. */
  async function grown() {
    const path = folder()
    const before = await kuma.start({ path, shards: 1 })
    for (const id of ['a', 'large', 'b']) {
      const doc = await before.spawn(kuma.document, id)
      for (let i = 0; i < 5; i++)
        await doc.append({ type: 'Set', data: { [`k${i}`]: 'x'.repeat(id === 'large' ? 4_000 : 4) } })
    }
    await before.close()
    return path
  }

  async function open(path: string, stateBytesMax: number) {
    const warnings: string[] = []
    const hear = ({ message }: Error) => void warnings.push(message)
    process.on('warning', hear)
    const config = { path, stateBytesMax, projections: [Sizes] }
    const engine = await openEngine(config, { access: 'write', projects: true })
    onTestFinished(() => {
      process.off('warning', hear)
      return engine.close()
    })
    const rows = async () => {
      await engine.readModels.waitFor(null, null)
      const found: unknown[] = []
      for await (const { rows } of engine.readModels.query({ sql: 'select id, keys from sizes order by id' }))
        found.push(...rows)
      return found
    }
    const leftOut = async () => {
      const infos = await engine.readModels.list()
      return infos.map(({ name, state, leftOut }) => [name, state, leftOut.map(({ entity }) => entity)])
    }
    return { engine, rows, leftOut, warnings }
  }

  const append = (data: kuma.JsonObject) => ({ id: 'large', events: [{ type: 'Set', data }] })

  test('leave out what is too large, loudly, until it is small again', async () => {
    const path = await grown()
    const first = await open(path, MAX)
    expect(await first.rows()).toEqual([
      ['a', 5],
      ['b', 5],
    ])
    expect(first.warnings).toContain('the projection sizes leaves out large: its state is too large')
    const both = [
      ['entities', 'following', ['large']],
      ['sizes', 'following', ['large']],
    ]
    expect(await first.leftOut()).toEqual(both)
    await first.engine.append({ id: 'a', events: [{ type: 'Set', data: { more: 1 } }] })
    expect(await first.rows()).toEqual([
      ['a', 6],
      ['b', 5],
    ])
    await first.engine.close()

    const again = await open(path, MAX)
    expect(await again.rows()).toEqual([
      ['a', 6],
      ['b', 5],
    ])
    expect(await again.leftOut()).toEqual(both) // also what was left out before this began
    await again.engine.append(append({ k0: null, k1: null, k2: null }))
    expect(await again.rows()).toEqual([
      ['a', 6],
      ['b', 5],
      ['large', 2],
    ])
    expect(await again.leftOut()).toEqual([
      ['entities', 'following', []],
      ['sizes', 'following', []],
    ])
  })

  test('take a row away that they had when the bound was higher, and a rebuild goes by the bound of today', async () => {
    const path = await grown()
    const high = await open(path, 10 * MAX)
    expect(await high.rows()).toEqual([
      ['a', 5],
      ['b', 5],
      ['large', 5],
    ])
    await high.engine.close()
    const low = await open(path, MAX)
    await low.engine.readModels.rebuild('sizes')
    expect(await low.rows()).toEqual([
      ['a', 5],
      ['b', 5],
    ])
    expect(await low.leftOut()).toEqual([
      ['entities', 'following', []],
      ['sizes', 'following', ['large']],
    ])
    await low.engine.close()
    const raised = await open(path, 10 * MAX)
    expect(await raised.rows()).toEqual([
      ['a', 5],
      ['b', 5],
    ])
    await raised.engine.readModels.rebuild('sizes')
    expect(await raised.rows()).toEqual([
      ['a', 5],
      ['b', 5],
      ['large', 5],
    ])
    expect(await raised.leftOut()).toEqual([
      ['entities', 'following', []],
      ['sizes', 'following', []],
    ])
  })

  test('forget one that is erased', async () => {
    const { engine, rows, leftOut } = await open(await grown(), MAX)
    await rows()
    await engine.erase(['large'])
    expect(await leftOut()).toEqual([
      ['entities', 'following', []],
      ['sizes', 'following', []],
    ])
    expect(await engine.readModels.rowsOf('a')).toMatchObject({ sizes: [{ id: 'a' }] })
  })
})
