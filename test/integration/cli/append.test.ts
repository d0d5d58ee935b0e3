import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { BINARY, environment, ndjson, shell } from '../../cli.ts'

test('an append is told with its version and position, and as JSON', async () => {
  const { run } = await shell()
  const first = await run(['append', 'user_1', 'SignedUp', 'email=ann@example.org', 'plan=free'])
  expect(first).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^ok user_1 v1 00[01]:1\n$/) })
  const second = await run(['append', 'user_1', 'PlanChanged', 'plan=pro', '--json'])
  expect(JSON.parse(second.stdout)).toEqual({
    entity: 'user_1',
    version: 2,
    position: expect.stringMatching(/^00[01]:2$/),
    at: expect.any(Number),
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  })
  expect(await run(['read', 'user_1'])).toMatchObject({
    stdout: '{"email":"ann@example.org","plan":"pro"}\n',
  })
})

describe('data', () => {
  test.each([
    ['pairs', ['a=1', 'b:=1', 'c:=[true,null]', 'd=x=y', 'e='], { a: '1', b: 1, c: [true, null], d: 'x=y', e: '' }],
    ['one object', ['{"a":{"b":2}}'], { a: { b: 2 } }],
    ['none', [], {}],
    ['an object on stdin', ['-'], { from: 'stdin' }],
  ])('%s', async (_, words, data) => {
    const { run } = await shell()
    await run(['append', 'e', 'Event', ...words], { input: '{"from":"stdin"}' })
    expect(ndjson((await run(['log', 'e'])).stdout)).toMatchObject([{ data }])
  })

  test.each([
    ['an object and a pair', ['{"a":1}', 'b=2'], 'not both'],
    ['a word that is no pair', ['word'], '"word" is neither key=text nor key:=json'],
    ['a key given twice', ['a=1', 'a=2'], '"a" is given twice'],
    ['a value that is not JSON', ['a:={'], 'is not JSON'],
    ['an integer beyond 2^53', ['a:=9007199254740993'], 'beyond 2^53'],
    ['a key twice in an object', ['{"a":1,"a":2}'], 'twice'],
    ['__proto__', ['{"__proto__":{}}'], '__proto__'],
    ['__proto__ in a pair', ['__proto__:={}'], '__proto__'],
    ['a list', ['[1]'], 'neither key=text'],
    ['NUL', ['a:="\\u0000"'], 'NUL'],
    ['a lone surrogate', ['a:="\\ud800"'], 'lone surrogate'],
  ])('%s is refused and nothing is recorded', async (_, words, message) => {
    const { run } = await shell()
    expect(await run(['append', 'e', 'Event', ...words])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(message),
    })
    expect(await run(['log'])).toMatchObject({ code: 0, stdout: '' })
  })
})

describe('events on stdin', () => {
  test('are one atomic unit', async () => {
    const { run } = await shell()
    const input = '\ufeff{"type":"A","data":{"a":1},"meta":{"by":"ann"}}\r\n\n{"type":"B","at":"2026-01-02"}'
    expect(await run(['append', 'e', '-', '--at', '2026-01-01'], { input })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^ok e v2 /),
    })
    expect(ndjson((await run(['log', 'e'])).stdout)).toMatchObject([
      { type: 'A', data: { a: 1 }, meta: { by: 'ann' }, at: Date.UTC(2026, 0, 1) },
      { type: 'B', data: {}, at: Date.UTC(2026, 0, 2) },
    ])
  })

  test.each([
    ['a line that is not JSON', '{"type":"A"}\n{"type"', 'line 2'],
    ['an unknown field', '{"type":"A","entity":"x"}', 'unknown field "entity"'],
    ['no type', '{"data":{}}', 'no type'],
    ['nothing', '\n', 'no event on stdin'],
    ['times out of order', '{"type":"A","at":"2026-01-02"}\n{"type":"B","at":"2026-01-01"}', 'earlier'],
  ])('%s: none is recorded', async (_, input, message) => {
    const { run } = await shell()
    expect(await run(['append', 'e', '-'], { input })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(message),
    })
    expect((await run(['log'])).stdout).toBe('')
  })

  test('have no place beside DATA', async () => {
    const { run } = await shell()
    expect(await run(['append', 'e', '-', 'a=1'])).toMatchObject({ code: 2 })
  })
})

test('--expect-version refuses with exit code 4 and says which version it found', async () => {
  const { run } = await shell()
  expect(await run(['append', 'e', 'A', '--expect-version', '1'])).toMatchObject({ code: 4 })
  expect(await run(['append', 'e', 'A', '--expect-version', '0'])).toMatchObject({ code: 0 })
  const { code, stderr } = await run(['append', 'e', 'A', '--expect-version', '0', '--json'])
  expect(code).toBe(4)
  expect(JSON.parse(stderr)).toEqual({
    error: { code: 'KUMA_CONFLICT', message: 'e is at version 1, not 0', hint: expect.any(String) },
  })
})

test('--request-key gives the first answer again, and refuses other data', async () => {
  const { run } = await shell()
  const first = await run(['append', 'e', 'A', 'n:=1', '--request-key', 'k'])
  await run(['append', 'e', 'B'])
  expect(await run(['append', 'e', 'A', 'n:=1', '--request-key', 'k'])).toMatchObject({
    code: 0,
    stdout: first.stdout,
    stderr: expect.stringContaining('used before'),
  })
  expect(await run(['append', 'e', 'A', 'n:=2', '--request-key', 'k'])).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('with other events'),
  })
  expect(ndjson((await run(['log', 'e'])).stdout)).toHaveLength(2)
})

test('--at records a historical event; one ahead of now or before the last is refused', async () => {
  const { run } = await shell()
  expect(await run(['append', 'e', 'A', '--at', '2026-01-01T00:00Z'])).toMatchObject({ code: 0 })
  expect(await run(['append', 'e', 'A', '--at', '2025-12-31'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('earlier'),
  })
  expect(await run(['append', 'e', 'A', '--at', '2999-01-01'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('ahead of now'),
  })
  expect(await run(['append', 'e', 'A', '--at', '2026-02-30'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no such date'),
  })
  expect(ndjson((await run(['log', 'e'])).stdout)).toMatchObject([{ at: Date.UTC(2026, 0, 1) }])
})

test('--meta may be repeated between the data, --as and --reason fill their fields, KUMA_AS too', async () => {
  const { run } = await shell()
  await run([
    'append',
    'e',
    'Moved',
    '--meta',
    'actor=ann',
    'city=Oslo',
    '--meta',
    'n:=1',
    '--as',
    'bob',
    '--reason',
    'asked',
  ])
  await run(['append', 'e', 'Moved'], { env: { KUMA_AS: 'eve' } })
  expect(ndjson((await run(['log', 'e'])).stdout)).toMatchObject([
    { data: { city: 'Oslo' }, meta: { actor: 'ann', n: 1, by: 'bob', reason: 'asked' } },
    { data: {}, meta: { by: 'eve' } },
  ])
})

test('who and why are not given twice', async () => {
  const { run } = await shell()
  expect(await run(['append', 'e', 'A', '--as', 'ann', '--meta', 'by=bob'])).toMatchObject({ code: 2 })
})

test('--type is the type of a new entity, and must be that of an old one', async () => {
  const { run } = await shell()
  expect(await run(['append', 'e', 'A', '--type', 'document'])).toMatchObject({ code: 0 })
  expect(await run(['append', 'e', 'A', '--type', 'account'])).toMatchObject({ code: 4 })
  expect(await run(['append', 'new', 'A', '--type', 'account'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('"account"'),
  })
})

test.each([
  ['empty', ''],
  ['too long', 'x'.repeat(513)],
  ['with a control character', 'a\u0007b'],
])('an id that is %s is refused', async (_, id) => {
  const { run } = await shell()
  expect(await run(['append', id, 'A'])).toMatchObject({ code: 2, stdout: '' })
})

test('a loop that reads a list on stdin keeps its list', async () => {
  const { cwd, run } = await shell()
  const script = `printf 'a\\nb\\nc\\n' | while read id; do "${process.execPath}" "${BINARY}" append "$id" Seen; done`
  const { status } = spawnSync('sh', ['-c', script], { cwd, env: environment() })
  expect(status).toBe(0)
  expect(ndjson((await run(['ls'])).stdout).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
})

test.each([
  ['1700000000', /looks like seconds since 1970/],
  ['"2h ago"', /another time whenever it is read/],
])('a time of an event on stdin is the same whenever it is read: not %s', async (at, problem) => {
  const { run } = await shell()
  const input = `{"type":"A"}\n{"type":"A","at":${at}}`
  expect(await run(['append', 'e', '-'], { input })).toMatchObject({ code: 2, stderr: expect.stringMatching(problem) })
  expect((await run(['read', 'e'])).code).toBe(3)
})
