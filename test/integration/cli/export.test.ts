/** export, and import of what it wrote. */
import { once } from 'node:events'
import { createWriteStream, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import * as kuma from 'kuma'
import { describe, expect, test } from 'vitest'
import { ended, launch, ndjson, shell } from '../../cli.ts'
import { hasTerminal, onTerminal } from '../../terminal.ts'

const schema = JSON.parse(readFileSync(new URL('../../../fixtures/export.schema.json', import.meta.url), 'utf8'))
const fits = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema)

const FORMATS = ['json', 'ndjson', 'cloudevents']
const MODEL = `
  import * as kuma from 'kuma'
  const Thing = kuma
    .defineEntity({ type: 'thing', initial: { n: 0 }, events: { Counted: kuma.type<{ n: number }>() } })
    .evolve({ Counted: (state, { n }) => ({ n: state.n + n }) })
  export default kuma.defineConfig({ path: './kuma-data', entities: [Thing], ids: { 'thing_*': Thing } })
`

/** A store with a user of three versions, a second one, and a thing that has a model. */
async function story() {
  const made = await shell()
  writeFileSync(join(made.cwd, 'kuma.config.ts'), MODEL)
  const lines = [
    { entity: 'user_1', type: 'SignedUp', data: { plan: 'free', name: 'Ann' }, at: '1815-12-10', meta: { by: 'bob' } },
    {
      entity: 'user_1',
      type: 'PlanChanged',
      data: { plan: 'pro', '10': 1, '9': { b: 1, a: [0.1, -1e-7] } },
      at: '2026-02-01',
    },
    { entity: 'user_1', type: 'PlanChanged', data: { plan: null }, at: '2026-02-01', meta: { tenant: { id: 7 } } },
    { entity: 'user_2', type: 'SignedUp', at: '2026-02-15' },
    { entity: 'thing_1', entityType: 'thing', type: 'Counted', data: { n: 2 }, at: '2026-03-01' },
  ]
  await made.run(['import', '-'], { input: lines.map((line) => JSON.stringify(line)).join('\n') })
  return made
}

/** An empty store that knows the same model. */
async function elsewhere() {
  const made = await shell()
  writeFileSync(join(made.cwd, 'kuma.config.ts'), MODEL)
  return made
}

type Run = Awaited<ReturnType<typeof shell>>['run']

/** All that a store holds, but for the places of the events in it. */
async function contents(run: Run) {
  const events = ndjson((await run(['log'])).stdout).map(({ position: _, ...event }) => event)
  return events.sort((a, b) => `${a['entity']} ${a['version']}`.localeCompare(`${b['entity']} ${b['version']}`))
}

/** With the keys of every object in an order of the caller's. */
function reordered(value: unknown, order: (keys: string[]) => string[]): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => reordered(item, order))
  const fields = order(Object.keys(value)).map((key) => [
    key,
    reordered((value as Record<string, unknown>)[key], order),
  ])
  return Object.fromEntries(fields)
}

describe('export', () => {
  test('writes a document that fits its schema, with one event a line', async () => {
    const { run } = await story()
    const { code, stdout, stderr } = await run(['export', 'user_1'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const document = JSON.parse(stdout)
    expect(fits(document) || fits.errors).toBe(true)
    expect(Object.keys(document)).toEqual([
      'format',
      'id',
      'type',
      'version',
      'createdAt',
      'updatedAt',
      'state',
      'readModels',
      'events',
      'sha256',
    ])
    expect(document).toMatchObject({
      id: 'user_1',
      type: 'document',
      version: 3,
      createdAt: Date.UTC(1815, 11, 10),
      state: JSON.parse((await run(['read', 'user_1'])).stdout),
      events: ndjson((await run(['log', 'user_1'])).stdout),
    })
    const lines = stdout.split('\n').filter((line) => line.includes('"PlanChanged"'))
    expect(lines.map((line) => JSON.parse(line.replace(/,$/, '')).version)).toEqual([2, 3])
  })

  test('writes the lines of `kuma log`, or CloudEvents', async () => {
    const { run } = await story()
    expect((await run(['export', 'user_1', '--format', 'ndjson'])).stdout).toBe((await run(['log', 'user_1'])).stdout)
    const [first, second] = ndjson((await run(['export', 'user_1', '--format', 'cloudevents'])).stdout)
    expect(first).toEqual({
      specversion: '1.0',
      id: expect.stringMatching(/^00[01]:\d+$/),
      source: expect.stringMatching(/^urn:uuid:[0-9a-f-]{36}$/),
      type: 'SignedUp',
      subject: 'user_1',
      time: '1815-12-10T00:00:00.000Z',
      datacontenttype: 'application/json',
      kumaversion: 1,
      kumaentitytype: 'document',
      kumameta: '{"by":"bob"}',
      data: { plan: 'free', name: 'Ann' },
    })
    expect(second!['id']).not.toBe(first!['id'])
    for (const name of Object.keys(first!)) expect(name).toMatch(/^([a-z0-9]{1,20}|data_base64)$/)
  })

  test('writes many, and says how many', async () => {
    const { run } = await story()
    const exported = async (...flags: string[]) => {
      const { code, stdout, stderr } = await run(['export', '--format', 'ndjson', ...flags])
      return { code, stderr, entities: [...new Set(ndjson(stdout).map(({ entity }) => entity))].sort() }
    }
    const users = ['user_1', 'user_2']
    const told = 'exported 2 entities, 4 events\n'
    expect(await exported('--prefix', 'user_')).toEqual({ code: 0, entities: users, stderr: told })
    expect(await exported('--type', 'document')).toEqual({ code: 0, entities: users, stderr: told })
    expect(await exported('--type', 'thing', '--prefix', '')).toMatchObject({ entities: ['thing_1'] })
    expect(await exported('--type', 'thing', '--prefix', 'user')).toMatchObject({ code: 0, entities: [] })
    const { stderr } = await run(['export', '--prefix', 'user_', '--json'])
    expect(JSON.parse(stderr)).toEqual({ entities: 2, events: 4 })
  })

  test.each(FORMATS)('of an entity that is not there writes nothing (%s)', async (format) => {
    const { run } = await story()
    expect(await run(['export', 'user_3', '--format', format])).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('"user_3"'),
    })
  })

  test.each([
    ['nothing', []],
    ['an entity and a filter', ['user_1', '--type', 'document']],
    ['a format that is not known', ['user_1', '--format', 'csv']],
  ])('given %s is told how it is used', async (_, args) => {
    const { run } = await story()
    expect(await run(['export', ...args])).toMatchObject({ code: 2, stdout: '' })
  })

  test('whose reader has heard enough ends quietly, and one that is interrupted leaves no whole document', async () => {
    const { cwd, run } = await shell()
    const line = (i: number) => JSON.stringify({ entity: 'e', type: 'A', data: { i, text: 'x'.repeat(500) } })
    await run(['import', '-'], { input: Array.from({ length: 10_000 }, (_, i) => line(i)).join('\n') })

    const deaf = launch(['export', 'e'], { cwd })
    const end = ended(deaf)
    await once(deaf.stdout!, 'data')
    deaf.stdout!.destroy()
    expect(await end).toMatchObject({ code: 0, stderr: '' })

    for (const format of FORMATS) {
      const child = launch(['export', 'e', '--format', format], { cwd })
      // it has begun, and cannot end before it is read from again
      await once(child.stdout!, 'readable')
      child.kill('SIGINT')
      const { code, stdout, stderr } = await ended(child)
      expect({ code, stderr }).toEqual({ code: 130, stderr: 'interrupted: what was written is not whole\n' })
      expect(stdout).not.toContain('sha256')
      expect(stdout.split('\n').length).toBeLessThan(10_000)
    }
  })
})

describe('what was exported, imported into another store, is what it was:', () => {
  test.each(FORMATS)('as %s', async (format) => {
    const [from, to] = [await story(), await elsewhere()]
    const { stdout } = await from.run(['export', '--prefix', '', '--format', format])
    expect(await to.run(['import', '-'], { input: stdout })).toEqual({
      code: 0,
      stdout: 'imported 5, duplicates 0, rejected 0\n',
      stderr: '',
    })
    expect(await contents(to.run)).toEqual(await contents(from.run))
    expect(ndjson((await to.run(['ls'])).stdout)).toEqual(ndjson((await from.run(['ls'])).stdout))
    expect((await to.run(['verify'])).code).toBe(0)
  })

  const sorted = (keys: string[]) => keys.sort()
  // as PostgreSQL keeps it: short keys first
  const byLength = (keys: string[]) => keys.sort((a, b) => a.length - b.length)
  test.each<[string, (documents: unknown[]) => string | Uint8Array]>([
    ['pretty-printed', (documents) => documents.map((one) => JSON.stringify(one, null, 2)).join('\n')],
    ['compact, one a line', (documents) => documents.map((one) => JSON.stringify(one)).join('\n')],
    ['without anything between them', (documents) => documents.map((one) => JSON.stringify(one)).join('')],
    [
      'with sorted keys',
      (documents) => documents.map((one) => JSON.stringify(reordered(one, sorted), null, 1)).join(''),
    ],
    ['with keys by length', (documents) => documents.map((one) => JSON.stringify(reordered(one, byLength))).join(' ')],
    [
      'with CRLF and a BOM',
      (documents) =>
        `\ufeff${documents
          .map((one) => JSON.stringify(one, null, 2))
          .join('\n')
          .replaceAll('\n', '\r\n')}`,
    ],
    [
      'in ASCII',
      (documents) =>
        documents
          .map((one) =>
            JSON.stringify(one).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
          )
          .join(''),
    ],
    ['gzipped', (documents) => gzipSync(documents.map((one) => JSON.stringify(one, null, 2)).join('\n'))],
  ])('documents %s', async (_, layOut) => {
    const [from, to] = [await story(), await elsewhere()]
    await from.run(['append', 'user_2', 'Renamed', 'name=Zoë 😀'])
    const documents = []
    for (const id of ['user_1', 'user_2', 'thing_1'])
      documents.push(JSON.parse((await from.run(['export', id])).stdout))
    const file = join(to.cwd, 'documents')
    writeFileSync(file, layOut(documents))
    expect(await to.run(['import', file])).toEqual({
      code: 0,
      stdout: 'imported 6, duplicates 0, rejected 0\n',
      stderr: '',
    })
    expect(await contents(to.run)).toEqual(await contents(from.run))
  })

  test('whatever the ids, the data and the meta', async () => {
    const words = fc.string({ unit: 'binary' }).map((any) => any.replaceAll('\0', ''))
    const key = words.filter((any) => any !== '__proto__')
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((any) => !/\p{Cc}/u.test(any))
    const number = fc.double({ noNaN: true, noDefaultInfinity: true })
    const values = [words, number, fc.maxSafeInteger(), fc.boolean(), fc.constant(null)]
    const data = fc.object({ key, values, maxDepth: 8 })
    const meta = fc.object({ key: key.map((any) => `m${any}`), values, maxDepth: 2 })
    // a time near 1970 is only taken as text
    const at = fc.integer({ min: -1e14, max: 1e12 })
    const event = fc.record({ type: name, data, meta, at })
    const events = fc.array(event, { minLength: 1, maxLength: 5 }).map((all) => all.sort((a, b) => a.at - b.at))
    const histories = fc.dictionary(name, events, { minKeys: 10, maxKeys: 20, noNullPrototype: true })
    const asData = (time: number) => (Math.abs(time) < 1e11 ? new Date(time).toISOString() : time)
    const exportedAndImported = async (history: Record<string, { readonly at: number }[]>) => {
      const from = await shell()
      const lines = Object.entries(history).flatMap(([entity, all]) =>
        all.map((one) => JSON.stringify({ entity, ...one, at: asData(one.at) })),
      )
      const first = await from.run(['import', '-'], { input: lines.join('\n') })
      expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/rejected 0\n$/) })
      const expected = await contents(from.run)
      for (const format of FORMATS) {
        const to = await shell()
        const { stdout } = await from.run(['export', '--prefix', '', '--format', format])
        expect(await to.run(['import', '-'], { input: stdout })).toMatchObject({ code: 0, stderr: '' })
        expect(await contents(to.run)).toEqual(expected)
      }
    }
    await fc.assert(fc.asyncProperty(histories, exportedAndImported), { numRuns: 3, endOnFailure: true })
  })

  test('and so is a document that the library gives', async () => {
    const [from, to] = [await story(), await elsewhere()]
    const ctx = await kuma.start({ path: join(from.cwd, 'kuma-data') })
    const dump = await (await ctx.entity('user_1')).export()
    await ctx.close()
    await to.run(['import', '-'], { input: JSON.stringify(dump) })
    expect(await contents(to.run)).toEqual((await contents(from.run)).filter(({ entity }) => entity === 'user_1'))
  })

  test.skipIf(!hasTerminal)('and on a terminal it is written as anywhere else', async () => {
    const { cwd, run } = await story()
    const shown = onTerminal(['export', 'user_1'], { cwd })
    expect(JSON.parse(shown)).toEqual(JSON.parse((await run(['export', 'user_1'])).stdout))
  })
})

describe('a document that is not what was exported is named,', () => {
  const cases: [string, (text: string) => string, RegExp][] = [
    ['cut off', (text) => text.slice(0, -80), /document 2 \(user_1\) is cut off/],
    [
      'cut off between two events',
      (text) => text.slice(0, text.lastIndexOf(',\n{"entity"')),
      /document 2 \(user_1\) is cut off/,
    ],
    [
      'changed',
      (text) => text.replace('"Ann"', '"Eve"'),
      /document 2 \(user_1\) is not as it was exported: its sha256/,
    ],
    ['without its hash', (text) => text.replace(/,\n"sha256".*/, ''), /document 2 \(user_1\) has no field sha256/],
    ['without an event', (text) => text.replace(/^\{.*"version":2.*\n/m, ''), /event 2 is not version 2/],
    ['with a field of its own', (text) => text.replace('"state"', '"note":1,"state"'), /has a field "note"/],
    ['with a field twice', (text) => text.replace('"state"', '"version":3,"state"'), /has the field version twice/],
    ['of a later format', (text) => text.replace('kuma-export/1', 'kuma-export/2'), /format "kuma-export\/2"/],
    ['no JSON', (text) => text.replace('"readModels":', '"readModels"='), /document 2 \(user_1\) is not JSON/],
    ['followed by something else', (text) => `${text}[1]`, /document 3 is no exported document/],
  ]

  test.each(cases)('%s: of a file nothing is recorded', async (_, change, message) => {
    const [from, to] = [await story(), await elsewhere()]
    const [first, second] = [await from.run(['export', 'thing_1']), await from.run(['export', 'user_1'])]
    const file = join(to.cwd, 'documents.json')
    writeFileSync(file, first.stdout + change(second.stdout))
    const { code, stdout, stderr } = await to.run(['import', file])
    expect({ code, stdout }).toEqual({ code: 2, stdout: 'imported 0, duplicates 0, rejected 0\n' })
    expect(stderr).toMatch(message)
    expect(stderr).toContain('nothing was recorded')
    expect(ndjson((await to.run(['ls'])).stdout)).toEqual([])
  })

  test.each([
    ['cut off', (text: string) => text.slice(0, -80), 'document 2 (user_1) is cut off'],
    ['changed', (text: string) => text.replace('"Ann"', '"Eve"'), 'document 2 (user_1) is not as it was exported'],
  ])('%s: from stdin what came before it is recorded, and told', async (_, change, message) => {
    const [from, to] = [await story(), await elsewhere()]
    const [first, second] = [await from.run(['export', 'thing_1']), await from.run(['export', 'user_1'])]
    const { code, stdout, stderr } = await to.run(['import', '-'], { input: first.stdout + change(second.stdout) })
    expect({ code, stdout }).toEqual({ code: 2, stdout: 'imported 1, duplicates 0, rejected 0\n' })
    expect(stderr).toContain(message)
    expect(ndjson((await to.run(['ls'])).stdout)).toMatchObject([{ id: 'thing_1' }])
  })
})

describe('an entity that exists already', () => {
  const line = (n: number) => JSON.stringify({ entity: 'e', type: 'A', data: { n } })
  const many = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => line(from + i)).join('\n')

  test('keeps its history: every event of the document is refused, also those that would fit behind it', async () => {
    const [from, to] = [await shell(), await shell()]
    await from.run(['import', '-'], { input: many(0, 1_200) })
    await to.run(['import', '-'], { input: many(5_000, 5_500) })
    const before = await contents(to.run)
    const file = join(to.cwd, 'e.json')
    writeFileSync(file, (await from.run(['export', 'e'])).stdout)
    const { code, stdout, stderr } = await to.run(['import', file])
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'imported 0, duplicates 0, rejected 1200\n' })
    expect(stderr).toContain('document 1, e from v1 on: e exists already, at version 500')
    expect(await contents(to.run)).toEqual(before)
  })

  test('keeps it when the same entity comes twice in one file, and the first is not on disk yet', async () => {
    const [from, to] = [await shell(), await shell()]
    const file = join(to.cwd, 'twice.json')
    await from.run(['import', '-'], { input: many(0, 500) })
    writeFileSync(file, (await from.run(['export', 'e'])).stdout)
    await from.run(['import', '-'], { input: many(500, 1_200) })
    writeFileSync(file, (await from.run(['export', 'e'])).stdout, { flag: 'a' })
    const { code, stdout, stderr } = await to.run(['import', file, '--json'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '{"imported":500,"duplicates":0,"rejected":1200}\n' })
    expect(ndjson(stderr)).toEqual([{ document: 2, entity: 'e', version: 1, reason: expect.any(String) }])
    expect(await contents(to.run)).toHaveLength(500)
  })

  test('takes no CloudEvents of another one, also not those that would fit behind it', async () => {
    const [from, to] = [await shell(), await shell()]
    await from.run(['import', '-'], { input: many(0, 10) })
    const input = (await from.run(['export', 'e', '--format', 'cloudevents'])).stdout
    const other = { entity: 'e', type: 'Other', at: '2020-01-01' }
    const lines = [JSON.stringify(other), JSON.stringify(other), input]
    const { code, stdout, stderr } = await to.run(['import', '-'], { input: lines.join('\n') })
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'imported 2, duplicates 0, rejected 10\n' })
    expect(stderr).toContain('line 3: v1 of e is another event here\nline 4: an earlier event of e was refused\n')
    expect(await contents(to.run)).toMatchObject([{ type: 'Other' }, { type: 'Other' }])
  })

  test('takes its own CloudEvents once, and the rest of them when an import is run again', async () => {
    const [from, to] = [await shell(), await shell()]
    await from.run(['import', '-'], { input: many(0, 10) })
    const input = (await from.run(['export', 'e', '--format', 'cloudevents'])).stdout
    await to.run(['import', '-'], { input: input.split('\n').slice(0, 4).join('\n') })
    for (const told of ['imported 6, duplicates 4, rejected 0\n', 'imported 0, duplicates 10, rejected 0\n'])
      expect(await to.run(['import', '-'], { input })).toEqual({ code: 0, stdout: told, stderr: '' })
    expect(await contents(to.run)).toEqual(await contents(from.run))
  })
})

test('a document far larger than the memory is exported and imported', async () => {
  const [from, to] = [await shell(), await shell()]
  const note = 'x'.repeat(1_000)
  const input = Array.from({ length: 80_000 }, (_, n) => JSON.stringify({ entity: 'e', type: 'A', data: { n, note } }))
  await from.run(['import', '-'], { input: input.join('\n') })
  const env = { NODE_OPTIONS: '--max-old-space-size=40' }
  const file = join(to.cwd, 'e.json')
  const exporting = launch(['export', 'e'], { cwd: from.cwd, env })
  const end = once(exporting, 'close')
  const told = text(exporting.stderr!)
  await pipeline(exporting.stdout!, createWriteStream(file))
  expect((await end)[0]).toBe(0)
  expect(await told).not.toContain('Warning')
  expect(statSync(file).size).toBeGreaterThan(80_000_000)
  expect(await to.run(['import', file], { env })).toMatchObject({
    code: 0,
    stdout: 'imported 80000, duplicates 0, rejected 0\n',
  })
  expect((await to.run(['read', 'e', '--json'])).stdout).toContain('"version":80000')
})
