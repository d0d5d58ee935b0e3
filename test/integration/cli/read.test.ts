/** read, replay, log, ls and verify: what they print, for programs and for people. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDatabase } from '../../../src/store/driver.ts'
import { ndjson, shell } from '../../cli.ts'
import { hasTerminal, onTerminal } from '../../terminal.ts'

/** One user with three versions, on three days, and a second one. */
async function story() {
  const made = await shell()
  const { run } = made
  const input = [
    { type: 'SignedUp', data: { plan: 'free', name: 'Ann' }, at: '2026-01-01T10:00Z' },
    { type: 'PlanChanged', data: { plan: 'pro' }, at: '2026-02-01T10:00Z', meta: { by: 'bob' } },
    { type: 'PlanChanged', data: { plan: null }, at: '2026-03-01T10:00Z' },
  ]
  await run(['append', 'user_1', '-'], { input: input.map((event) => JSON.stringify(event)).join('\n') })
  await run(['append', 'user_2', 'SignedUp', 'plan=free', '--at', '2026-02-15'])
  return made
}

describe('read', () => {
  test('prints the bare state, or with --json its envelope', async () => {
    const { run } = await story()
    expect(await run(['read', 'user_1'])).toEqual({ code: 0, stdout: '{"name":"Ann"}\n', stderr: '' })
    expect(JSON.parse((await run(['read', 'user_1', '--json'])).stdout)).toEqual({
      id: 'user_1',
      type: 'document',
      version: 3,
      at: Date.UTC(2026, 2, 1, 10),
      time: '2026-03-01T10:00:00.000Z',
      state: { name: 'Ann' },
    })
  })

  test.each([
    ['v2', '{"plan":"pro","name":"Ann"}\n'],
    ['2026-02', '{"plan":"free","name":"Ann"}\n'],
    ['1m', '{"name":"Ann"}\n'],
  ])('--at %s prints what it was then', async (point, stdout) => {
    const { run } = await story()
    expect(await run(['read', 'user_1', '--at', point])).toEqual({ code: 0, stdout, stderr: '' })
  })

  test('says which entity is not there, with exit code 3', async () => {
    const { run } = await story()
    expect(await run(['read', 'user_3'])).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('"user_3"'),
    })
  })
})

test('a filter by a name that nothing has tells which one may be meant', async () => {
  const { run } = await story()
  for (const [words, told] of [
    [
      ['log', '--event', 'SignedUp', '--event', 'PlanChange'],
      'no event has the type "PlanChange": did you mean PlanChanged?',
    ],
    [['log', 'user_2', '--event', 'Moved'], 'no event has the type "Moved": there are SignedUp'],
    [['tail', '--event', 'SingedUp'], 'no event has the type "SingedUp": did you mean SignedUp?'],
    [['ls', '--type', 'documnet'], 'no entity has the type "documnet": did you mean document?'],
    [['replay', '--all', '--type', 'documents'], 'no entity has the type "documents": did you mean document?'],
    [['export', '--type', 'user'], 'no entity has the type "user": there are document\nexported 0 entities, 0 events'],
    // there is such an event, but not then
    [['log', '--event', 'PlanChanged', '--to', '2026-01-15'], ''],
    [['tail', '--event', 'Awaited'], ''],
  ] as const)
    expect({ words, ...(await run(words)) }).toMatchObject({ words, code: 0, stderr: told === '' ? '' : `${told}\n` })
})

test('with --json each line of a time has it for people too, and such a log is imported', async () => {
  const { run } = await story()
  const { stdout: log } = await run(['log', '--json'])
  const first = { at: Date.UTC(2026, 0, 1, 10), time: '2026-01-01T10:00:00.000Z' }
  expect(ndjson(log)[0]).toMatchObject(first)
  expect(ndjson((await run(['replay', 'user_1', '--json'])).stdout)[0]).toMatchObject(first)
  expect(ndjson((await run(['blame', 'user_1', 'name', '--json'])).stdout)[0]).toMatchObject({ event: first })
  await run(['init', 'other'])
  await run(['import', '-', '--dir', 'other'], { input: log })
  const times = ndjson((await run(['log', '--dir', 'other'])).stdout).map(({ at }) => at)
  expect(times).toEqual(ndjson(log).map(({ at }) => at))
})

describe('replay', () => {
  test('gives every event with the state after it', async () => {
    const { run } = await story()
    expect(ndjson((await run(['replay', 'user_1'])).stdout)).toMatchObject([
      { version: 1, type: 'SignedUp', state: { plan: 'free', name: 'Ann' } },
      { version: 2, type: 'PlanChanged', state: { plan: 'pro', name: 'Ann' }, meta: { by: 'bob' } },
      { version: 3, type: 'PlanChanged', state: { name: 'Ann' } },
    ])
  })

  test.each([
    ['v1', 'free'],
    ['v2', 'pro'],
    ['2026-01-01T10:00Z', 'free'],
    ['2026-01-31', 'free'],
    ['2026-02-01T11:00+01:00', 'pro'],
    [String(Date.UTC(2026, 1, 1, 10)), 'pro'],
    ['now', undefined],
    ['1s ago', undefined],
  ])('--at %s', async (point, plan) => {
    const { run } = await story()
    const { stdout } = await run(['replay', 'user_1', '--at', point])
    expect(JSON.parse(stdout)).toEqual(plan === undefined ? { name: 'Ann' } : { name: 'Ann', plan })
  })

  test('--at before the first event says when it began; a version not yet there, which is the last', async () => {
    const { run } = await story()
    expect(await run(['replay', 'user_1', '--at', '2025-06-01'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('2026-01-01T10:00:00.000Z'),
    })
    expect(await run(['replay', 'user_1', '--at', 'v4'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('its last is 3'),
    })
  })

  test('--from and --to are inclusive', async () => {
    const { run } = await story()
    const versions = async (...range: string[]) =>
      ndjson((await run(['replay', 'user_1', ...range])).stdout).map(({ version }) => version)
    expect(await versions('--from', 'v2')).toEqual([2, 3])
    expect(await versions('--to', '2026-02-01T10:00Z')).toEqual([1, 2])
    expect(await versions('--from', '2026-01-02', '--to', 'v2')).toEqual([2])
    expect(await run(['replay', 'user_1', '--from', 'v3', '--to', 'v1'])).toMatchObject({ code: 2, stdout: '' })
    expect(await run(['replay', 'user_1', '--from', 'v3', '--at', 'v1'])).toMatchObject({ code: 2, stdout: '' })
  })

  test.each(['3', 'tomorrow', '2026-13-01', ''])('the point %j cannot be read', async (point) => {
    const { run } = await story()
    const { code, stderr } = await run(['replay', 'user_1', '--at', point])
    expect(code).toBe(2)
    expect(stderr).toContain(point === '3' ? 'did you mean v3' : 'cannot read the point')
  })
})

describe('log', () => {
  test('of all entities is in order of time', async () => {
    const { run } = await story()
    const entities = async (...flags: string[]) =>
      ndjson((await run(['log', ...flags])).stdout).map(({ entity, version }) => `${entity} v${version}`)
    const all = ['user_1 v1', 'user_1 v2', 'user_2 v1', 'user_1 v3']
    expect(await entities()).toEqual(all)
    expect(await entities('--reverse')).toEqual(all.toReversed())
    expect(await entities('-n', '2')).toEqual(all.slice(0, 2))
    expect(await entities('--reverse', '--limit', '1')).toEqual(['user_1 v3'])
    expect(await entities('--from', '2026-02-01T10:00Z', '--to', '2026-02-15')).toEqual(all.slice(1, 3))
    expect(await entities('--event', 'PlanChanged')).toEqual(['user_1 v2', 'user_1 v3'])
    expect(await entities('--event', 'PlanChanged', '--event', 'SignedUp')).toEqual(all)
    expect(await entities('--by', 'bob')).toEqual(['user_1 v2'])
    expect(await entities('--limit', '0')).toEqual([])
  })

  test('of one entity is in order of its versions', async () => {
    const { run } = await story()
    const versions = async (...flags: string[]) =>
      ndjson((await run(['log', 'user_1', ...flags])).stdout).map(({ version }) => version)
    expect(await versions()).toEqual([1, 2, 3])
    expect(await versions('--reverse', '--limit', '2')).toEqual([3, 2])
    expect(await versions('--from', 'v2')).toEqual([2, 3])
    expect(await versions('--event', 'SignedUp')).toEqual([1])
  })

  test('has no versions without an entity', async () => {
    const { run } = await story()
    expect(await run(['log', '--from', 'v2'])).toMatchObject({ code: 2, stderr: expect.stringContaining('v2') })
  })

  test('prints the whole of an event', async () => {
    const { run } = await story()
    const [, second] = ndjson((await run(['log', 'user_1'])).stdout)
    expect(second).toEqual({
      entity: 'user_1',
      entityType: 'document',
      version: 2,
      type: 'PlanChanged',
      at: Date.UTC(2026, 1, 1, 10),
      position: expect.stringMatching(/^00[01]:\d+$/),
      data: { plan: 'pro' },
      meta: { by: 'bob' },
    })
  })
})

test('ls lists by prefix, type, and in an order', async () => {
  const { run } = await story()
  await run(['append', 'other', 'A', '--at', '2026-01-02'])
  const ids = async (...flags: string[]) => ndjson((await run(['ls', ...flags])).stdout).map(({ id }) => id)
  expect(await ids()).toEqual(['other', 'user_1', 'user_2'])
  expect(await ids('user_')).toEqual(['user_1', 'user_2'])
  expect(await ids('--type', 'account')).toEqual([])
  expect(await ids('--sort', 'version', '--limit', '1')).toEqual(['user_1'])
  expect(await ids('--sort', 'updated')).toEqual(['user_1', 'user_2', 'other'])
  expect(await run(['ls', '--sort', 'size'])).toMatchObject({ code: 2 })
})

describe('verify', () => {
  test('of a sound store says what was checked', async () => {
    const { run } = await story()
    expect(await run(['verify'])).toEqual({
      code: 0,
      stdout: 'verified: 2 shards, entities 2, events 4, commits 2\n',
      stderr: '',
    })
    expect(ndjson((await run(['verify', '--json'])).stdout)).toMatchObject([
      { shard: 0, problems: [] },
      { shard: 1, problems: [] },
    ])
  })

  test('of a changed event names it, with exit code 6, and so does reading it', async () => {
    const { cwd, run } = await story()
    for (const name of ['000.db', '001.db']) {
      const db = openDatabase(join(cwd, 'kuma-data/shards', name), 'write')
      db.prepare(`UPDATE events SET data = replace(data, 'Ann', 'Eve')`).run()
      db.close()
    }
    const { code, stdout, stderr } = await run(['verify'])
    expect({ code, stdout }).toMatchObject({ code: 6, stdout: expect.stringContaining('NOT verified') })
    expect(stderr).toMatch(/shard [01]: .*crc/)
    expect(await run(['read', 'user_1'])).toMatchObject({ code: 6, stdout: '' })
  })
})

describe.skipIf(!hasTerminal)('on a terminal', () => {
  test('lists are tables, and a state is laid out', async () => {
    const { cwd } = await story()
    const log = onTerminal(['log', 'user_1'], { cwd, env: { NO_COLOR: '1' } })
    expect(log).toContain('│ 2026-02-01T10:00:00.000Z │      v2 │')
    expect(log).toContain('bob')
    expect(onTerminal(['read', 'user_1'], { cwd })).toContain('{\r\n  "name": "Ann"\r\n}')
    expect(onTerminal(['replay', 'user_1'], { cwd })).toContain('v2  2026-02-01T10:00:00.000Z  PlanChanged')
    expect(onTerminal(['ls', '--json'], { cwd })).toMatch(/^\{"id":"user_1"/)
  })

  test('colours are shown unless NO_COLOR is set', async () => {
    const { cwd } = await story()
    expect(onTerminal(['ls'], { cwd })).toContain('\u001b[')
    expect(onTerminal(['ls'], { cwd, env: { NO_COLOR: '1' } })).not.toContain('\u001b[')
    expect(onTerminal(['read', 'x'], { cwd, env: { NO_COLOR: '1' } })).not.toContain('\u001b[')
  })

  test("control characters of someone's data are shown and not obeyed", async () => {
    const { cwd, run } = await shell()
    await run(['append', 'e', 'A', 'text:="\\u001b[2J\\u0085"'])
    for (const command of ['log', 'read', 'replay']) {
      const shown = onTerminal([command, 'e'], { cwd, env: { NO_COLOR: '1' } })
      expect(shown).toContain('\\u001b[2J')
      expect(shown).not.toContain('\u001b')
      expect(shown).not.toContain('\u0085')
    }
  })

  test('append echoes the event, so that a number given as a text is seen', async () => {
    const { cwd } = await shell()
    expect(onTerminal(['append', 'e', 'Paid', 'amount=50'], { cwd })).toContain('Paid {"amount":"50"}')
  })

  test('a list too wide for it is cut and not wrapped', async () => {
    const { cwd, run } = await shell()
    await run(['append', 'e', 'A', `text=${'x'.repeat(500)}`])
    const lines = onTerminal(['log'], { cwd, env: { NO_COLOR: '1' } })
      .trimEnd()
      .split('\r\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100)
  })
})

test('the manifest of the store is plain JSON', async () => {
  const { cwd, run } = await shell()
  const file = join(cwd, 'kuma-data/kuma.json')
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ format: 2, shards: 2 })
  writeFileSync(file, '{')
  expect(await run(['ls'])).toMatchObject({ code: 6, stderr: expect.stringContaining('kuma.json') })
})
