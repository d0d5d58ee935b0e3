import { once } from 'node:events'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ended, launch, ndjson, shell } from '../../cli.ts'
import { startDaemon } from '../../daemon.ts'
import { hasTerminal, onTerminal } from '../../terminal.ts'

const FIXTURES = fileURLToPath(new URL('../../../fixtures', import.meta.url))

const lineOf = (entity: string, n: number, more: object = {}) =>
  JSON.stringify({ entity, type: 'Counted', data: { n }, ...more })

/** What is told before lines without keys and versions are recorded. */
const DOUBLES = /^lines have neither .*\n/m

/** What a store holds after an import from stdin. */
async function imported(input: string | Uint8Array) {
  const { run } = await shell()
  const { code, stdout, stderr } = await run(['import', '-'], { input })
  const events = ndjson((await run(['log'])).stdout)
  expect((await run(['verify'])).code).toBe(0)
  return { code, stdout, stderr: stderr.replace(DOUBLES, ''), events }
}

describe('input', () => {
  const three = [lineOf('a', 1), lineOf('b', 2), lineOf('a', 3)]

  test.each<[string, string | Uint8Array]>([
    ['with a final newline', `${three.join('\n')}\n`],
    ['without a final newline', three.join('\n')],
    ['with a BOM', `\ufeff${three.join('\n')}`],
    ['with CRLF', three.join('\r\n')],
    ['with blank lines', `\n${three.join('\n\n  \n')}\n\n`],
    ['as gzip', gzipSync(three.join('\n'))],
    ['as gzip in two members', Buffer.concat([gzipSync(`${three[0]}\n`), gzipSync(three.slice(1).join('\n'))])],
  ])('%s', async (_, input) => {
    const { code, stdout, stderr, events } = await imported(input)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'imported 3, duplicates 0, rejected 0\n', stderr: '' })
    const counted = (entity: string) => events.filter((event) => event['entity'] === entity).map(({ data }) => data)
    expect(counted('a')).toEqual([{ n: 1 }, { n: 3 }])
    expect(counted('b')).toEqual([{ n: 2 }])
  })

  test('that is empty', async () => {
    expect(await imported('')).toMatchObject({ code: 0, stdout: 'imported 0, duplicates 0, rejected 0\n', events: [] })
  })

  test('with a line of nearly 1 MiB of data, and one of more', async () => {
    const text = 'x'.repeat(1024 * 1024)
    const fits = JSON.stringify({ entity: 'a', type: 'Big', data: { text: text.slice(0, -11) } })
    const tooLong = JSON.stringify({ entity: 'b', type: 'Big', data: { text } })
    const { code, stdout, stderr, events } = await imported([fits, tooLong, lineOf('c', 1)].join('\n'))
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'imported 2, duplicates 0, rejected 1\n' })
    expect(stderr).toMatch(/^line 2: .*larger than 1 MiB/)
    expect(events.map(({ entity }) => entity).sort()).toEqual(['a', 'c'])
  })

  test('with a line too long to hold is read on after it', async () => {
    const { code, stdout, stderr } = await imported(`${'x'.repeat(5 * 1024 * 1024)}\n${lineOf('a', 1)}`)
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'imported 1, duplicates 0, rejected 1\n' })
    expect(stderr).toBe('line 1: is longer than 4 MiB\n')
  })

  test('as gzip that is cut short records what came before, and says so', async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => lineOf(`e${i % 100}`, i))
    const whole = gzipSync(lines.join('\n'))
    const { code, stdout, stderr, events } = await imported(whole.subarray(0, whole.length / 2))
    expect(code).not.toBe(0)
    expect(stderr).toContain('gzip')
    expect(events.length).toBeGreaterThan(100)
    expect(stdout).toContain(`imported ${events.length}, duplicates 0`)
  })

  test('that is not there, or is a folder', async () => {
    const { cwd, run } = await shell()
    expect(await run(['import', 'nothing.ndjson'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nothing'),
    })
    expect(await run(['import', cwd])).toMatchObject({ code: 1, stderr: expect.stringContaining('is a directory') })
  })
})

test.each([
  ['not JSON', '{"entity"', 'is not JSON'],
  ['not an object', '[1]', 'is not a JSON object'],
  ['no entity', '{"type":"A","data":{}}', 'entity is missing'],
  ['no type', '{"entity":"e","data":{}}', 'type is missing'],
  ['an unknown field', '{"entity":"e","type":"A","date":1}', 'unknown field "date"'],
  ['seconds since 1970', '{"entity":"e","type":"A","at":1700000000}', 'seconds since 1970'],
  ['a relative time', '{"entity":"e","type":"A","at":"2h ago"}', 'another time whenever it is read'],
  ['a time beside nothing', '{"entity":"e","type":"A","time":"2026-01-01T00:00:00Z"}', 'write at'],
  ['a version that is none', '{"entity":"e","type":"A","version":0}', 'whole number from 1 on'],
  ['an entity that is a number', '{"entity":7,"type":"A"}', 'must be a string'],
  ['a time that cannot be read', '{"entity":"e","type":"A","at":"soon"}', 'cannot read the point'],
  ['a time ahead of now', '{"entity":"e","type":"A","at":"2999-01-01"}', 'ahead of now'],
  ['a time before the last', '{"entity":"good","type":"A","at":"2020-01-01"}', 'earlier'],
  ['a duplicate key', '{"entity":"e","type":"A","data":{"a":1,"a":2}}', 'twice'],
  ['data that is no object', '{"entity":"e","type":"A","data":[]}', 'must be a JSON object'],
  ['an unknown entity type', '{"entity":"e","type":"A","entityType":"account"}', '"account"'],
  ['an empty id', '{"entity":"","type":"A"}', 'must not be empty'],
  ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'is not UTF-8'],
  ['a CloudEvent without a subject', '{"specversion":"1.0","id":"1","source":"/","type":"A"}', 'no subject'],
  [
    'a CloudEvent with an empty id',
    '{"specversion":"1.0","id":"","source":"/","type":"A","subject":"e"}',
    'id must not be empty',
  ],
  [
    'a CloudEvent of a day',
    '{"specversion":"1.0","id":"1","source":"/","type":"A","subject":"e","time":"2026-01-01"}',
    'RFC 3339',
  ],
  ['a CloudEvent of another version', '{"specversion":"2.0","id":"1","type":"A","subject":"e"}', '"2.0"'],
])('a line with %s is named, the good ones are recorded', async (_, line, reason) => {
  const before = `${lineOf('good', 1, { at: '2026-01-01' })}\n`
  const input = Buffer.concat([Buffer.from(before), Buffer.from(line), Buffer.from(`\n${lineOf('good', 2)}`)])
  const { code, stdout, stderr, events } = await imported(input)
  expect({ code, stdout }).toEqual({ code: 1, stdout: 'imported 2, duplicates 0, rejected 1\n' })
  expect(stderr).toMatch(/^line 2: /)
  expect(stderr).toContain(reason)
  expect(events).toHaveLength(2)
})

test('every field of a line arrives', async () => {
  const line = { entity: 'e', type: 'A', data: { a: 1 }, at: '2026-01-01', meta: { by: 'ann' }, entityType: 'document' }
  const { events } = await imported(JSON.stringify(line))
  expect(events).toMatchObject([
    { entity: 'e', entityType: 'document', type: 'A', data: { a: 1 }, at: Date.UTC(2026, 0, 1), meta: { by: 'ann' } },
  ])
})

const ORDERED = { specversion: '1.0', id: 'k1', source: '/shop', type: 'Ordered', subject: 'order_1' }

test('a CloudEvent: source and id are the request key, subject the entity, time the time, the rest meta', async () => {
  const cloudEvent = {
    ...ORDERED,
    time: '2026-01-01T00:00:00Z',
    datacontenttype: 'application/json',
    data: { total: 5 },
  }
  const lines = [cloudEvent, cloudEvent, { ...cloudEvent, source: '/other', data: { total: 6 } }]
  const { stdout, events } = await imported(lines.map((line) => JSON.stringify(line)).join('\n'))
  expect(stdout).toBe('imported 2, duplicates 1, rejected 0\n')
  expect(events).toMatchObject([
    {
      entity: 'order_1',
      type: 'Ordered',
      at: Date.UTC(2026, 0, 1),
      data: { total: 5 },
      meta: { source: '/shop', datacontenttype: 'application/json' },
    },
    { data: { total: 6 }, meta: { source: '/other' } },
  ])
})

test('a CloudEvent: what is null is not there, a leap second is the second before, and the correlation is that of meta', async () => {
  const cloudEvent = {
    ...ORDERED,
    time: '2016-12-31T23:59:60.5Z',
    dataschema: null,
    datacontenttype: null,
    data_base64: null,
    correlationid: 'corr-1',
    causationid: 'cause-1',
    partitionkey: 'p',
    data: { total: null },
  }
  const { run } = await shell()
  const input = [
    cloudEvent,
    { ...cloudEvent, id: 'k2', time: null, correlationid: null, causationid: null, data: null },
  ]
  const told = await run(['import', '-'], { input: input.map((line) => JSON.stringify(line)).join('\n') })
  expect(told).toEqual({ code: 0, stdout: 'imported 2, duplicates 0, rejected 0\n', stderr: '' })
  const meta = { source: '/shop', partitionkey: 'p' }
  const [first, second] = ndjson((await run(['log', 'order_1'])).stdout)
  expect(first).toMatchObject({ at: Date.UTC(2016, 11, 31, 23, 59, 59, 500), data: { total: null } })
  expect(first!['meta']).toEqual({ ...meta, correlationId: 'corr-1', causationId: 'cause-1' })
  expect(second).toMatchObject({ data: {}, meta })
  expect(ndjson((await run(['log', '--correlation-id', 'corr-1'])).stdout)).toHaveLength(1)

  const exported = ndjson((await run(['export', 'order_1', '--format', 'cloudevents'])).stdout)
  expect(exported[0]).toMatchObject({ correlationid: 'corr-1', causationid: 'cause-1' })
  for (const attribute of ['correlationid', 'causationid']) expect(exported[1]).not.toHaveProperty(attribute)
  const to = await shell()
  await to.run(['import', '-'], { input: exported.map((line) => JSON.stringify(line)).join('\n') })
  expect(ndjson((await to.run(['log', 'order_1'])).stdout).map((event) => event['meta'])).toEqual([
    first!['meta'],
    second!['meta'],
  ])
})

test('run again with request keys, nothing is there twice; a key with other data is rejected', async () => {
  const { run } = await shell()
  const lines = Array.from({ length: 500 }, (_, i) => lineOf(`e${i % 7}`, i, { requestKey: `k${i}` }))
  await run(['import', '-'], { input: lines.slice(0, 300).join('\n') })
  expect(await run(['import', '-'], { input: lines.join('\n') })).toMatchObject({
    code: 0,
    stdout: 'imported 200, duplicates 300, rejected 0\n',
  })
  const other = lineOf('e0', 999, { requestKey: 'k0' })
  expect(await run(['import', '-'], { input: other })).toMatchObject({
    code: 1,
    stdout: 'imported 0, duplicates 0, rejected 1\n',
    stderr: expect.stringContaining('request key "k0"'),
  })
  expect(ndjson((await run(['log'])).stdout)).toHaveLength(500)
})

test('a request key is known again when the keys of its JSON come in another order', async () => {
  const { run } = await shell()
  const line = '{"entity":"e","type":"Paid","data":{"to":"ann","amount":{"value":5,"currency":"EUR"}},"requestKey":"k"}'
  const sorted =
    '{"data":{"amount":{"currency":"EUR","value":5},"to":"ann"},"entity":"e","requestKey":"k","type":"Paid"}'
  await run(['import', '-'], { input: line })
  expect(await run(['import', '-'], { input: sorted })).toMatchObject({
    code: 0,
    stdout: 'imported 0, duplicates 1, rejected 0\n',
  })
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  'ended by %s it tells what it did, and run again it ends with every event once',
  async (signal, exitCode) => {
    const { cwd, run } = await shell()
    const lines = Array.from({ length: 2_000 }, (_, i) => `${lineOf(`e${i % 50}`, i, { requestKey: `k${i}` })}\n`)
    const child = launch(['import', '-', '--json'], { cwd })
    const end = ended(child)
    child.stdin!.write(lines.slice(0, 1_000).join(''))
    // the store is there to see: as soon as something was recorded, the import is in the middle of its input
    for (let recorded = 0; recorded === 0; ) recorded = ndjson((await run(['ls'])).stdout).length
    child.kill(signal)
    // reading stops with the next chunk
    child.stdin!.on('error', () => {})
    child.stdin!.end('\n')
    const { code, stdout } = await end
    expect(code).toBe(exitCode)
    const { imported } = JSON.parse(stdout) as { imported: number }
    expect(ndjson((await run(['log'])).stdout)).toHaveLength(imported)
    expect((await run(['import', '-'], { input: lines.join('') })).stdout).toBe(
      `imported ${2_000 - imported}, duplicates ${imported}, rejected 0\n`,
    )
    const counted = ndjson((await run(['log'])).stdout).map(({ data }) => (data as { n: number }).n)
    expect(counted.sort((a, b) => a - b)).toEqual(lines.map((_, i) => i))
  },
)

test('killed in the middle and run again with keys, it ends with every event once', async () => {
  const { cwd, run } = await shell()
  const lines = Array.from({ length: 20_000 }, (_, i) => `${lineOf(`e${i % 50}`, i, { requestKey: `k${i}` })}\n`)
  const file = join(cwd, 'events.ndjson')
  writeFileSync(file, lines.join(''))
  const child = launch(['import', file], { cwd })
  const closed = once(child, 'close')
  for (let recorded = 0; recorded === 0 && child.exitCode === null; )
    recorded = ndjson((await run(['ls'])).stdout).length
  child.kill('SIGKILL')
  await closed
  expect((await run(['import', file])).code).toBe(0)
  const counted = ndjson((await run(['log'])).stdout).map(({ data }) => (data as { n: number }).n)
  expect(counted.sort((a, b) => a - b)).toEqual(lines.map((_, i) => i))
  expect((await run(['verify'])).code).toBe(0)
})

test('the flights: every one, under its airport', async () => {
  const { cwd, run } = await shell()
  cpSync(join(FIXTURES, 'models'), cwd, { recursive: true })
  expect(await run(['import', join(FIXTURES, 'flights.ndjson.gz')])).toMatchObject({
    code: 0,
    stdout: 'imported 20000, duplicates 0, rejected 0\n',
  })
  expect(ndjson((await run(['ls', '--type', 'airport'])).stdout)).toHaveLength(220)
  expect((await run(['verify'])).stdout).toContain('events 20,000')
  expect(JSON.parse((await run(['read', 'CAE'])).stdout)).toEqual({
    flights: 18,
    delays: 282,
    distance: 2614,
    byDestination: { CLT: 8, ATL: 10 },
  })
})

test('what `kuma log` prints can be imported elsewhere', async () => {
  const [from, to] = [await shell(), await shell()]
  await from.run(['append', 'e', 'A', 'n:=1', '--at', '2026-01-01', '--as', 'ann'])
  await from.run(['append', 'e', 'B', 'n:=2', '--at', '2026-01-02'])
  const log = (await from.run(['log'])).stdout
  expect((await to.run(['import', '-'], { input: log })).stdout).toBe('imported 2, duplicates 0, rejected 0\n')
  const place = ({ position, ...event }: Record<string, unknown>) => event
  expect(ndjson((await to.run(['log'])).stdout).map(place)).toEqual(ndjson(log).map(place))
})

test('a reason that holds for every line is explained once, and with --json rejections are JSON', async () => {
  const { run } = await shell()
  const input = [1, 2, 3].map((n) => lineOf('e', n, { entityType: 'account' })).join('\n')
  const { stderr } = await run(['import', '-'], { input })
  expect(stderr.match(/kuma\.config\.ts/g)).toHaveLength(1)
  const json = await run(['import', '-', '--json'], { input })
  expect(ndjson(json.stderr)).toMatchObject([
    { note: expect.stringContaining('--keys') },
    { line: 1, reason: expect.any(String) },
    { line: 2 },
    { line: 3 },
  ])
})

test.skipIf(!hasTerminal)('an import that takes more than a second shows its progress on a terminal', async () => {
  const { cwd } = await shell()
  const lines = Array.from({ length: 250_000 }, (_, i) => lineOf(`e${i % 50}`, i))
  writeFileSync(join(cwd, 'events.ndjson'), lines.join('\n'))
  const shown = onTerminal(['import', 'events.ndjson'], { cwd })
  expect(shown).toMatch(/events, [\d,]+ a second, \d+ s left/)
  expect(shown).toContain('imported 250000, duplicates 0, rejected 0')
})

describe('the same again', () => {
  const story = ['{"a":1}', '{"a":2}', '{"a":3}']

  /** A store with a log of two entities, whose last events have the same time. */
  async function logged() {
    const made = await shell()
    const lines = story.flatMap((data) => [
      `{"entity":"a","type":"Set","data":${data},"at":"2026-01-01"}`,
      `{"entity":"b","type":"Set","data":${data},"at":"2026-01-01"}`,
    ])
    await made.run(['import', '-', '--keys', 'line:story'], { input: lines.join('\n') })
    return { ...made, log: (await made.run(['log'])).stdout }
  }
  const lineOfLog = (log: string, change: object) =>
    JSON.stringify({ ...ndjson(log).find(({ entity }) => entity === 'a'), ...change })

  test('of a log is a duplicate, in the store that it is of and in another one, also when the first run was cut off', async () => {
    const [from, to] = [await logged(), await shell()]
    const again = { code: 0, stdout: 'imported 0, duplicates 6, rejected 0\n', stderr: '' }
    expect(await from.run(['import', '-'], { input: from.log })).toEqual(again)
    const beginning = from.log.split('\n').slice(0, 3).join('\n')
    expect((await to.run(['import', '-'], { input: beginning })).stdout).toContain('imported 3')
    expect((await to.run(['import', '-'], { input: from.log })).stdout).toBe('imported 3, duplicates 3, rejected 0\n')
    expect(await to.run(['import', '-'], { input: from.log })).toEqual(again)
    const comparable = (text: string) =>
      ['a', 'b'].map((id) =>
        ndjson(text).flatMap(({ position: _, ...event }) => (event['entity'] === id ? [event] : [])),
      )
    expect(comparable((await to.run(['log'])).stdout)).toEqual(comparable(from.log))
  })

  test('with another event at a version is a conflict, and so is all that comes after it', async () => {
    const { run, log } = await logged()
    const lines = [
      lineOfLog(log, { version: 2, data: { a: 2 } }),
      lineOfLog(log, { version: 3, data: { a: 7 } }),
      lineOfLog(log, { version: 4 }),
    ]
    const { code, stdout, stderr } = await run(['import', '-'], { input: lines.join('\n') })
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'imported 0, duplicates 1, rejected 2\n' })
    expect(stderr).toContain('line 2: v3 of a is another event here\nline 3: an earlier event of a was refused\n')
    for (const change of [
      { at: 1_800_000_000_000 },
      { meta: { by: 'eve' } },
      { type: 'Put' },
      { entityType: 'thing' },
    ]) {
      const other = await run(['import', '-'], { input: lineOfLog(log, change) })
      expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('v1 of a is another event') })
    }
  })

  test('of a log that was filtered is a conflict, unless it is numbered anew', async () => {
    const { run, log } = await logged()
    const to = await shell()
    const filtered = [2, 3].map((version) => lineOfLog(log, { version })).join('\n')
    const refused = await to.run(['import', '-'], { input: filtered })
    expect(refused).toMatchObject({ code: 1, stdout: 'imported 0, duplicates 0, rejected 2\n' })
    expect(refused.stderr).toContain('line 1: v2 of a is not the next: there is no such entity here\nline 2: v3 of a')
    expect(refused.stderr).toContain('--renumber')
    const numbered = await to.run(['import', '-', '--renumber'], { input: filtered })
    expect(numbered).toMatchObject({ code: 0, stdout: 'imported 2, duplicates 0, rejected 0\n' })
    expect(numbered.stderr).toMatch(DOUBLES)
    expect(ndjson((await to.run(['log'])).stdout).map(({ version }) => version)).toEqual([1, 2])
    expect((await run(['import', '-'], { input: lineOfLog(log, { version: 9 }) })).stderr).toContain('it is at v3 here')
  })

  test('of lines that have neither keys nor versions is told before they are recorded; with --keys line nothing doubles', async () => {
    const { cwd, run } = await shell()
    const lines = [lineOf('a', 1), lineOf('a', 1), lineOf('b', 1)]
    writeFileSync(join(cwd, 'in.ndjson'), lines.join('\n'))
    const told = await run(['import', 'in.ndjson', '--dry-run'])
    expect(told.stderr).toMatch(DOUBLES)
    expect(told.stderr).toContain('with --keys line ')
    expect(await run(['import', 'in.ndjson', '--keys', 'line'])).toEqual({
      code: 0,
      stdout: 'imported 3, duplicates 0, rejected 0\n',
      stderr: '',
    })
    writeFileSync(join(cwd, 'in.ndjson.gz'), gzipSync([...lines, lineOf('c', 1)].join('\r\n')))
    for (const [file, keys, counts] of [
      ['in.ndjson.gz', 'line', 'imported 1, duplicates 3, rejected 0\n'],
      ['in.ndjson', 'line:in.ndjson', 'imported 0, duplicates 3, rejected 0\n'],
      ['in.ndjson', 'line:other', 'imported 3, duplicates 0, rejected 0\n'],
    ] as const)
      expect((await run(['import', file, '--keys', keys])).stdout).toBe(counts)
    for (const [file, keys, message] of [
      ['-', 'line', '--keys line:NAME'],
      ['in.ndjson', 'rows', 'line, or line:NAME'],
      ['in.ndjson', 'line:', 'line, or line:NAME'],
    ] as const)
      expect(await run(['import', file, '--keys', keys], { input: lineOf('z', 1) })).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(message),
      })
  })
})

test.each([
  ['CSV', 'entity,type,data\na,Set,1\n', /looks like CSV\n.*\{"entity"/],
  ['CSV in quotes', '"entity","type"\n"a","Set"\n', /looks like CSV/],
  [
    'a JSON array',
    `[${lineOf('a', 1)},${lineOf('a', 2)}]`,
    /looks like a JSON array\n.*jq -c '\.\[\]' \| kuma import -/,
  ],
  ['an array over lines', `[\n  ${lineOf('a', 1)}\n]\n`, /looks like a JSON array/],
  [
    'pretty-printed',
    JSON.stringify(JSON.parse(lineOf('a', 1)), null, 2),
    /looks like pretty-printed JSON\n.*jq -c \. \|/,
  ],
])('%s is said once, and nothing is recorded', async (_, input, message) => {
  const { code, stdout, stderr, events } = await imported(input)
  expect({ code, stdout, events }).toEqual({ code: 2, stdout: 'imported 0, duplicates 0, rejected 0\n', events: [] })
  expect(stderr).toMatch(message)
})

test('errors come in the order of the lines, twenty at most, and are counted by kind', async () => {
  const { run } = await shell()
  // those of an entity that is there wait for it; those that are not JSON are seen at once
  const wrong = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? lineOf('a', i, { version: 9 }) : '{'))
  const input = [lineOf('a', 0), ...wrong, lineOf('b', 0)].join('\n')
  const { code, stdout, stderr } = await run(['import', '-'], { input })
  expect({ code, stdout }).toEqual({ code: 1, stdout: 'imported 2, duplicates 0, rejected 40\n' })
  const numbers = Array.from(stderr.matchAll(/^line (\d+): /gm), ([, number]) => Number(number))
  expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => i + 2))
  expect(stderr).toContain('20 more are not shown: in all KUMA_CONFLICT 20, KUMA_INVALID_DATA 20\n')
  const json = await run(['import', '-', '--json'], { input })
  expect(ndjson(json.stderr).at(-1)).toEqual({ untold: 20, codes: { KUMA_CONFLICT: 20, KUMA_INVALID_DATA: 20 } })
})

describe.each(['alone', 'beside a daemon'])('a dry run %s', (where) => {
  test('says what the import then says, and records nothing', async () => {
    const { cwd, run } = await shell()
    const config = `import * as kuma from 'kuma'
      const validate = (value) =>
        typeof value.amount === 'number' ? { value } : { issues: [{ message: 'must be a number', path: ['amount'] }] }
      const Account = kuma.defineEntity({
        type: 'account',
        initial: { balance: 0 },
        events: { Deposited: { '~standard': { version: 1, vendor: 'test', validate } } },
      }).evolve({
        Deposited: ({ balance }, { amount }) => {
          if (amount === 13) throw new Error('unlucky')
          return { balance: balance + amount }
        },
      })
      export default kuma.defineConfig({ entities: [Account], ids: { 'acc_*': Account } })`
    writeFileSync(join(cwd, 'kuma.config.ts'), config)
    if (where !== 'alone') await startDaemon(cwd)
    const deposit = (entity: string, amount: unknown, more: object = {}) =>
      JSON.stringify({ entity, type: 'Deposited', data: { amount }, ...more })
    const before = [deposit('acc_1', 1, { requestKey: 'k1', at: '2026-01-01' }), lineOf('doc', 1)]
    await run(['import', '-'], { input: before.join('\n') })
    const log = (await run(['log'])).stdout
    const event = ndjson(log).find(({ entity }) => entity === 'acc_1')!
    const written = (version: number, more: object = {}) => JSON.stringify({ ...event, version, ...more })
    const input = [
      deposit('acc_1', 1, { requestKey: 'k1', at: '2026-01-01' }), // known
      deposit('acc_1', 2, { requestKey: 'k1', at: '2026-01-01' }), // used before
      deposit('acc_2', 1, { requestKey: 'k1' }),
      deposit('acc_2', 1, { requestKey: 'k1' }),
      deposit('acc_2', 2, { requestKey: 'k1' }),
      deposit('acc_2', 'much'),
      deposit('acc_2', 13),
      deposit('acc_2', 5, { at: '2001-01-01' }), // before its last
      deposit('acc_2', 5, { at: '2999-01-01' }),
      deposit('doc', 5, { entityType: 'account' }),
      deposit('', 5),
      written(1), // there
      written(2, { data: { amount: 7 } }),
      written(2, { data: { amount: 7 } }), // there by then
      written(2, { data: { amount: 8 } }),
      written(1, { entity: 'acc_3' }),
      written(3, { entity: 'acc_3' }),
      lineOf('doc', 2),
    ].join('\n')
    const dry = await run(['import', '-', '--dry-run'], { input })
    expect((await run(['log'])).stdout).toBe(log)
    const real = await run(['import', '-'], { input })
    const counts = 'duplicates 4, rejected 10'
    expect(real).toMatchObject({ code: 1, stdout: `imported 4, ${counts}\n` })
    expect(dry).toMatchObject({ code: 1, stdout: `would import 4, ${counts}: nothing was recorded\n` })
    const rejected = (text: string) => text.match(/^line .*/gm)!.map((line) => line.replace(/\(20.*\)/, ''))
    expect(rejected(dry.stderr)).toEqual(rejected(real.stderr))
    expect(JSON.parse((await run(['import', '-', '--dry-run', '--json'], { input: lineOf('doc', 3) })).stdout)).toEqual(
      {
        imported: 1,
        duplicates: 0,
        rejected: 0,
        dryRun: true,
      },
    )
  })
})

test('times up to 5 s ahead are taken, and of what Kuma recorded any, whatever the clock says', async () => {
  const { run } = await shell()
  const ahead = Date.now() + 3_600_000
  expect((await run(['append', 'soon', 'A', '--at', new Date(Date.now() + 4_000).toISOString()])).code).toBe(0)
  expect((await run(['append', 'late', 'A', '--at', new Date(ahead).toISOString()])).code).toBe(2)
  const line = { entity: 'a', type: 'A', data: {}, at: ahead }
  expect((await run(['import', '-'], { input: JSON.stringify(line) })).stderr).toContain('ahead of now')
  const written = { ...line, entityType: 'document', version: 1, position: '000:1', meta: {} }
  const old = { ...written, entity: 'old', at: 5 }
  const input = `${JSON.stringify(written)}\n${JSON.stringify(old)}`
  expect((await run(['import', '-'], { input })).stdout).toBe('imported 2, duplicates 0, rejected 0\n')

  const other = await shell()
  for (const format of ['json', 'ndjson', 'cloudevents']) {
    const { stdout } = await run(['export', '--prefix', '', '--format', format])
    const to = await shell()
    expect((await to.run(['import', '-'], { input: stdout })).stdout).toBe('imported 3, duplicates 0, rejected 0\n')
  }
  const { path } = JSON.parse((await run(['backup'])).stdout) as { path: string }
  const entity = await other.run(['restore', path, '--entity', 'a'])
  expect(entity).toMatchObject({ code: 0, stdout: expect.stringContaining('events 1') })
  // the end of what is recorded lies behind this machine's now
  for (const words of [['ls'], ['ls', '--at', 'now']]) expect(ndjson((await run(words)).stdout)).toHaveLength(3)
  expect((await run(['log', 'a', '--to', 'now'])).stdout).toContain(`${ahead}`)
  expect((await run(['replay', 'a', '--at', 'now'])).code).toBe(0)
  expect(JSON.parse((await run(['restore', path, 'all', '--at', 'now'])).stdout)).toMatchObject({ erasedAgain: 0 })
  expect((await run(['tail', '--from', 'now'])).stdout).toBe('')
})
