import { once } from 'node:events'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ended, launch, ndjson, shell } from '../../cli.ts'
import { hasTerminal, onTerminal } from '../../terminal.ts'

const FIXTURES = fileURLToPath(new URL('../../../fixtures', import.meta.url))

const lineOf = (entity: string, n: number, more: object = {}) =>
  JSON.stringify({ entity, type: 'Counted', data: { n }, ...more })

/** What a store holds after an import from stdin. */
async function imported(input: string | Uint8Array) {
  const { run } = await shell()
  const { code, stdout, stderr } = await run(['import', '-'], { input })
  const events = ndjson((await run(['log'])).stdout)
  expect((await run(['verify'])).code).toBe(0)
  return { code, stdout, stderr, events }
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

test('a CloudEvent: source and id are the request key, subject the entity, time the time, the rest meta', async () => {
  const cloudEvent = {
    specversion: '1.0',
    id: 'k1',
    source: '/shop',
    type: 'Ordered',
    subject: 'order_1',
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
  expect(await run(['import', join(FIXTURES, 'flights.ndjson.gz')])).toEqual({
    code: 0,
    stdout: 'imported 20000, duplicates 0, rejected 0\n',
    stderr: '',
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
  expect(ndjson(json.stderr)).toMatchObject([{ line: 1, reason: expect.any(String) }, { line: 2 }, { line: 3 }])
})

test.skipIf(!hasTerminal)('an import that takes more than a second shows its progress on a terminal', async () => {
  const { cwd } = await shell()
  const lines = Array.from({ length: 250_000 }, (_, i) => lineOf(`e${i % 50}`, i))
  writeFileSync(join(cwd, 'events.ndjson'), lines.join('\n'))
  const shown = onTerminal(['import', 'events.ndjson'], { cwd })
  expect(shown).toMatch(/events, [\d,]+ a second, \d+ s left/)
  expect(shown).toContain('imported 250000, duplicates 0, rejected 0')
})
