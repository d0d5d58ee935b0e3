/** diff, blame, revert, fork, tail, and the past of everything: what they print and what they refuse. */
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ended, launch, ndjson, shell } from '../../cli.ts'
import { hasTerminal, onTerminal } from '../../terminal.ts'

/** One user with four versions by different people, and a second one who came in between. */
async function story() {
  const made = await shell()
  const { run } = made
  const input = [
    {
      type: 'SignedUp',
      data: { plan: 'free', tags: ['a'] },
      at: '2026-01-01T10:00Z',
      meta: { by: 'ann', ip: '10.0.0.1' },
    },
    { type: 'PlanChanged', data: { plan: 'pro' }, at: '2026-02-01T10:00Z', meta: { by: 'bob', reason: 'sale' } },
    {
      type: 'Tagged',
      data: { tags: ['a', 'b'] },
      at: '2026-03-01T10:00Z',
      meta: { correlationId: 'c1', causationId: 'e7' },
    },
    { type: 'Moved', data: { address: { city: 'Bern' } }, at: '2026-04-01T10:00Z', meta: { by: 'ann' } },
  ]
  await run(['append', 'user_1', '-'], { input: input.map((event) => JSON.stringify(event)).join('\n') })
  await run(['append', 'user_2', 'SignedUp', 'plan=free', '--at', '2026-02-15', '--as', 'ann'])
  return made
}

describe('diff', () => {
  test('shows the last change, or one between two points, and the events', async () => {
    const { run } = await story()
    expect(
      (await run(['diff', 'user_1'])).stdout,
    ).toBe(`user_1 v3 2026-03-01T10:00:00.000Z -> user_1 v4 2026-04-01T10:00:00.000Z
+ /address  {"city":"Bern"}

v4  2026-04-01T10:00:00.000Z  Moved {"address":{"city":"Bern"}}  by ann
`)
    const { stdout } = await run(['diff', 'user_1', '--from', 'v1', '--to', '2026-03-02'])
    expect(stdout.split('\n').slice(1, 3)).toEqual(['~ /plan  "free" -> "pro"', '+ /tags/-  "b"'])
    expect(stdout).toContain('PlanChanged {"plan":"pro"}  by bob, "sale"')
    expect(stdout).toContain('Tagged {"tags":["a","b"]}  by correlation c1, caused by e7')
  })

  test('--json is a JSON Patch', async () => {
    const { run } = await story()
    const { stdout } = await run(['diff', 'user_1', '--from', 'v1', '--to', 'v2', '--json'])
    expect(JSON.parse(stdout)).toEqual([{ op: 'replace', path: '/plan', value: 'pro' }])
  })

  test('of two entities', async () => {
    const { run } = await story()
    const { stdout } = await run(['diff', 'user_1', 'user_2', '--from', 'v1', '--json'])
    expect(JSON.parse(stdout)).toEqual([{ op: 'remove', path: '/tags' }])
  })

  test('of the first event, and of nothing', async () => {
    const { run } = await story()
    expect((await run(['diff', 'user_2'])).stdout).toMatch(/^user_2 before its first event -> user_2 v1 /)
    expect(await run(['diff', 'user_1', '--from', 'v4'])).toMatchObject({ code: 0, stderr: 'nothing is different\n' })
  })

  test('only counts events when they are many', async () => {
    const { run } = await shell()
    const input = Array.from({ length: 30 }, (_, n) => JSON.stringify({ type: 'Set', data: { n } })).join('\n')
    await run(['append', 'x', '-'], { input })
    const { stderr } = await run(['diff', 'x', '--from', 'v1'])
    expect(stderr).toBe('29 events: kuma log x --from v2 --to v30\n')
  })

  test.skipIf(!hasTerminal)('is coloured on a terminal, unless NO_COLOR is set', async () => {
    const { cwd } = await story()
    expect(onTerminal(['diff', 'user_1'], { cwd })).toContain('\x1b[32m+ /address')
    expect(onTerminal(['diff', 'user_1'], { cwd, env: { NO_COLOR: '1' } })).not.toContain('\x1b[32m')
  })
})

describe('blame', () => {
  test('names the event, and who did it, for each field', async () => {
    const { run } = await story()
    const { stdout } = await run(['blame', 'user_1'])
    const found = ndjson(stdout) as { path: string; value: unknown; event: { version: number; meta: object } }[]
    expect(found.map(({ path, value, event }) => [path, value, event.version])).toEqual([
      ['/plan', 'pro', 2],
      ['/tags/0', 'a', 1],
      ['/tags/1', 'b', 3],
      ['/address/city', 'Bern', 4],
    ])
    expect(found[0]!.event).toMatchObject({
      type: 'PlanChanged',
      position: expect.stringMatching(/^\d{3}:2$/),
      meta: { by: 'bob', reason: 'sale' },
    })
  })

  test.each([
    [['/address'], ['/address/city']],
    [['address.city'], ['/address/city']],
    [['tags[1]'], ['/tags/1']],
    [['tags'], ['/tags/0', '/tags/1']],
  ])('of %j', async (words, paths) => {
    const { run } = await story()
    expect(ndjson((await run(['blame', 'user_1', ...words])).stdout).map(({ path }) => path)).toEqual(paths)
  })

  test.each([
    ['pln', 'did you mean /plan?'],
    ['address.town', 'has no /address/town'],
    ['plan.x', 'has no /plan/x'],
    ['tags.length', 'has no /tags/length'],
  ])('of %s, which is not there', async (path, text) => {
    const { run } = await story()
    const { code, stderr } = await run(['blame', 'user_1', path])
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining(text) })
  })

  test.skipIf(!hasTerminal)('is a table on a terminal', async () => {
    const { cwd } = await story()
    expect(onTerminal(['blame', 'user_1', 'plan'], { cwd, env: { NO_COLOR: '1' } })).toMatch(
      /│ \/plan │ "pro" │ +v2 │ 2026-02-01/,
    )
  })
})

describe('log', () => {
  test.each([
    [
      ['--by', 'ann'],
      ['user_1 v1', 'user_2 v1', 'user_1 v4'],
    ],
    [['user_1', '--by', 'ann', '--from', '2026-02-01'], ['user_1 v4']],
    [['--ip', '10.0.0.1'], ['user_1 v1']],
    [['--reason', 'sale'], ['user_1 v2']],
    [['--correlation-id', 'c1'], ['user_1 v3']],
    [['user_1', '--causation-id', 'e7'], ['user_1 v3']],
    [['--by', 'ann', '--ip', '10.0.0.2'], []],
  ])('%j', async (words, expected) => {
    const { run } = await story()
    const found = ndjson((await run(['log', ...words])).stdout)
    expect(found.map(({ entity, version }) => `${entity} v${version}`)).toEqual(expected)
  })
})

describe('revert', () => {
  test('brings a document back, by an event more', async () => {
    const { run } = await story()
    const dry = await run(['revert', 'user_1', '--to', 'v1', '--dry-run'])
    expect(dry.stdout).toBe('- /address  {"city":"Bern"}\n~ /plan  "pro" -> "free"\n- /tags/1  "b"\n')
    expect(dry.stderr).toBe('would record Reverted {"address":null,"plan":"free","tags":["a"]}\n')
    expect((await run(['read', 'user_1', '--json'])).stdout).toContain('"version":4')
    expect((await run(['revert', 'user_1', '--to', 'v1', '--as', 'zoe', '--reason', 'spam'])).stdout).toMatch(
      /^ok user_1 v5 \d{3}:\d+\n$/,
    )
    expect((await run(['read', 'user_1'])).stdout).toBe('{"plan":"free","tags":["a"]}\n')
    expect(ndjson((await run(['log', 'user_1', '--from', 'v5'])).stdout)).toMatchObject([
      { type: 'Reverted', meta: { by: 'zoe', reason: 'spam' } },
    ])
    expect((await run(['revert', 'user_1', '--to', 'v4'])).code).toBe(0)
    expect((await run(['read', 'user_1'])).stdout).toContain('"Bern"')
    expect(ndjson((await run(['log', 'user_1', '--from', 'v6'])).stdout)).toMatchObject([
      { meta: { reason: 'reverted to v4' } },
    ])
  })

  test('records nothing where nothing is to be changed', async () => {
    const { run } = await story()
    const { code, stdout, stderr } = await run(['revert', 'user_1', '--to', 'v4'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'nothing to record: the state is what it was at v4\n' })
    expect(stdout).toMatch(/^ok user_1 v4 /)
  })

  test('happens once for a request key, and only to the version that was seen', async () => {
    const { run } = await story()
    const words = ['revert', 'user_1', '--to', 'v2', '--request-key', 'k']
    const first = await run(words)
    expect((await run(words)).stdout).toBe(first.stdout)
    expect((await run(['revert', 'user_1', '--to', 'v1', '--expect-version', '4'])).code).toBe(4)
  })

  test('of a typed entity is what its definition says, or is refused', async () => {
    const { cwd, run } = await shell()
    const model = (revert: string) => `
      import * as kuma from 'kuma'
      const Door = kuma.defineEntity({ type: 'door', initial: { open: false, moves: 0 }, events: { Moved: kuma.type<{ open: boolean }>() } })
        .evolve({ Moved: ({ moves }, { open }) => ({ open, moves: moves + 1 }) })${revert}
      export default kuma.defineConfig({ path: './kuma-data', entities: [Door], ids: { 'door_*': Door } })`
    const config = (revert: string) => writeFileSync(join(cwd, 'kuma.config.ts'), model(revert))
    config('')
    await run(['append', 'door_1', 'Moved', 'open:=true'])
    await run(['append', 'door_1', 'Moved', 'open:=false'])
    expect(await run(['revert', 'door_1', '--to', 'v1'])).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/"door" cannot be reverted.*\n.*\.revert\(/),
    })
    config(".revert((_, { open }) => ({ type: 'Moved', data: { open } }))")
    const { code, stderr } = await run(['revert', 'door_1', '--to', 'v1'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('not quite what it was at v1') })
    expect((await run(['read', 'door_1'])).stdout).toBe('{"open":true,"moves":3}\n')
    config(".revert(() => { throw new Error('too late') })")
    expect(await run(['revert', 'door_1', '--to', 'v1'])).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('too late'),
    })
    config(".revert(() => ({ type: 'Gone', data: {} }))")
    expect((await run(['revert', 'door_1', '--to', 'v1'])).stderr).toContain('Gone')
    writeFileSync(join(cwd, 'kuma.config.ts'), 'export default {}')
    expect(await run(['revert', 'door_1', '--to', 'v1'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no definition'),
    })
    expect((await run(['log', 'door_1'])).stdout.trimEnd().split('\n')).toHaveLength(3)
  })
})

describe('a point that is not there is told, by diff and revert:', () => {
  test.each([
    [['--from', '2025-01-01'], 3, 'it began at 2026-01-01T10:00:00.000Z'],
    [['--from', 'v9'], 2, 'has no version 9: its last is 4'],
    [['--to', 'v9'], 2, 'has no version 9: its last is 4'],
    [['--from', 'v3', '--to', 'v2'], 2, 'ends before it begins'],
    [['--from', 'v3', '--to', '2026-01-02'], 2, 'ends before it begins'],
    [['--from', '2026-03-02', '--to', 'v2'], 2, 'ends before it begins'],
    [['--from', '5'], 2, 'did you mean v5?'],
  ])('%j', async (words, code, text) => {
    const { run } = await story()
    expect(await run(['diff', 'user_1', ...words])).toMatchObject({
      code,
      stdout: '',
      stderr: expect.stringContaining(text),
    })
  })

  test('and one after the last event is the state as it is', async () => {
    const { run } = await story()
    expect((await run(['diff', 'user_1', '--from', 'v4', '--to', 'now', '--json'])).stdout).toBe('[]\n')
    expect((await run(['revert', 'user_1', '--to', 'now', '--dry-run'])).stderr).toContain('nothing to record')
    expect((await run(['revert', 'user_1', '--to', '2025-01-01'])).code).toBe(3)
    expect((await run(['revert', 'user_1', '--to', 'v9'])).code).toBe(2)
    expect((await run(['revert', 'user_3', '--to', 'v1'])).code).toBe(3)
  })
})

describe('the past of everything', () => {
  test('ls --at lists who was there, as they were', async () => {
    const { run } = await story()
    const rows = async (at: string) => ndjson((await run(['ls', '--at', at])).stdout)
    expect((await rows('2026-02-10')).map(({ id, version }) => [id, version])).toEqual([['user_1', 2]])
    expect((await rows('2026-03-10')).map(({ id, version }) => [id, version])).toEqual([
      ['user_1', 3],
      ['user_2', 1],
    ])
    expect(await rows('2025-01-01')).toEqual([])
    expect(await run(['ls', '--at', 'v2'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('v2 is a version of one entity'),
    })
  })

  test('replay --all prints every state, now or at a time', async () => {
    const { run } = await story()
    const rows = async (words: string[]) => ndjson((await run(['replay', '--all', ...words])).stdout)
    expect(await rows(['--at', '2026-02-10'])).toEqual([
      { id: 'user_1', type: 'document', version: 2, at: Date.UTC(2026, 1, 1, 10), state: { plan: 'pro', tags: ['a'] } },
    ])
    expect((await rows([])).map(({ id, version }) => `${id} v${version}`).sort()).toEqual(['user_1 v4', 'user_2 v1'])
    expect((await rows(['--prefix', 'user_2'])).map(({ id }) => id)).toEqual(['user_2'])
    expect(await rows(['--type', 'account'])).toEqual([])
    for (const words of [['--from', 'v1'], ['--step'], ['--at', 'v1'], ['user_1'], ['--until-event', 'X']])
      expect((await run(['replay', '--all', ...words])).code).toBe(2)
    expect((await run(['replay'])).code).toBe(2)
  })

  test('replay --until-event ends with the first of them', async () => {
    const { run } = await story()
    const steps = ndjson((await run(['replay', 'user_1', '--until-event', 'Tagged'])).stdout)
    expect(steps.map(({ version }) => version)).toEqual([1, 2, 3])
    expect(await run(['replay', 'user_1', '--until-event', 'Moovd'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('did you mean Moved?'),
    })
  })

  test.skipIf(!hasTerminal)('replay --step walks with arrow keys', async () => {
    const { cwd, run } = await story()
    const env = { NO_COLOR: '1' }
    const shown = onTerminal(['replay', 'user_1', '--step'], { cwd, env, input: '\x1b[C\x1b[C\x1b[D\x1b[Fq' })
    const versions = [...shown.matchAll(/user_1 {2}v(\d) of 4/g)].map(([, version]) => version)
    expect(versions).toEqual(['1', '2', '3', '2', '4'])
    expect(shown).toContain('~ /plan  "free" -> "pro"')
    expect(shown).toContain('"city": "Bern"')
    expect(shown).toContain('\x1b[?1049h')
    expect(shown.trimEnd().endsWith('\x1b[?1049l')).toBe(true)
    expect((await run(['replay', 'user_1', '--step'])).code).toBe(2)
  })
})

describe('fork', () => {
  test('makes another store of the history up to then', async () => {
    const { cwd, run } = await story()
    const { code, stdout, stderr } = await run(['fork', 'try', '--at', '2026-02-20'])
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining('what is erased in this one stays in it'),
    })
    expect(JSON.parse(stdout)).toMatchObject({ path: join(cwd, 'try'), entities: 2, events: 3 })
    expect((await run(['read', 'user_1', '--dir', 'try'])).stdout).toBe('{"plan":"pro","tags":["a"]}\n')
    expect((await run(['verify', '--dir', 'try'])).code).toBe(0)
    await run(['append', 'user_1', 'Tried', 'x=1', '--dir', 'try'])
    expect((await run(['read', 'user_1'])).stdout).not.toContain('"x"')
    const log = async (words: string[]) => ndjson((await run(['log', 'user_1', ...words])).stdout)
    const past = (await log([])).slice(0, 2)
    expect((await log(['--dir', 'try', '--to', 'v2'])).map(({ position: _, ...event }) => event)).toEqual(
      past.map(({ position: _, ...event }) => event),
    )
  })

  test.each([
    [['--entity', 'user_2'], ['user_2']],
    [['--prefix', 'user_1'], ['user_1']],
    [
      ['--type', 'document'],
      ['user_1', 'user_2'],
    ],
  ])('of %j', async (words, ids) => {
    const { run } = await story()
    expect((await run(['fork', 'try', ...words])).code).toBe(0)
    expect(ndjson((await run(['ls', '--dir', 'try'])).stdout).map(({ id }) => id)).toEqual(ids)
  })

  test.each([
    [['try', '--at', '2025-01-01'], 3, 'nothing to fork yet'],
    [['try', '--entity', 'user_3'], 3, 'no entity "user_3"'],
    [['try', '--entity', 'user_1', '--type', 'document'], 2, 'either --entity'],
    [['try', '--at', 'v2'], 2, 'v2 is a version'],
    [['full'], 3, 'not empty'],
    [['kuma-data/inside'], 2, 'is in the store'],
    [['kuma-data'], 2, 'is in the store'],
  ])('%j is refused, and nothing is left behind', async (words, code, text) => {
    const { cwd, run } = await story()
    mkdirSync(join(cwd, 'full'))
    writeFileSync(join(cwd, 'full', 'notes.txt'), 'mine')
    const before = readdirSync(cwd).sort()
    expect(await run(['fork', ...words])).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(text) })
    expect(readdirSync(cwd).sort()).toEqual(before)
    expect(readdirSync(join(cwd, 'full'))).toEqual(['notes.txt'])
  })

  test('that still has what is erased is named in the receipt', async () => {
    const { cwd, run } = await story()
    await run(['fork', 'try', '--entity', 'user_1'])
    expect(JSON.parse((await run(['delete', 'user_2', '--yes'])).stdout).notReached).toEqual([])
    const { code, stdout } = await run(['delete', 'user_1', '--yes'])
    expect(code).toBe(1)
    const { notReached } = JSON.parse(stdout)
    expect(notReached).toEqual([{ what: join(cwd, 'try'), remedy: expect.stringContaining('delete it there too') }])
    expect((await run(['delete', 'user_1', '--yes', '--dir', 'try'])).code).toBe(0)
    await run(['append', 'user_1', 'SignedUp'])
    expect((await run(['delete', 'user_1', '--yes'])).code).toBe(0)
  })

  test.each([
    ['SIGINT', 130],
    ['SIGKILL', null],
  ] as const)('ended by %s leaves no store under the name, and the next one goes through', async (signal, code) => {
    const { cwd, run } = await shell()
    const event = JSON.stringify({ type: 'Noted', data: { text: 'x'.repeat(100) } })
    for (const id of ['a', 'b']) await run(['append', id, '-'], { input: Array(4_000).fill(event).join('\n') })
    const forking = launch(['fork', 'try'], { cwd })
    const end = ended(forking)
    while (!readdirSync(cwd).some((name) => name.startsWith('.try.building-'))) await new Promise(setImmediate)
    forking.kill(signal)
    const { code: actual, stderr } = await end
    expect(actual).toBe(code)
    if (signal === 'SIGINT') expect(stderr).toBe('interrupted: there is no fork\n')
    expect(existsSync(join(cwd, 'try'))).toBe(false)
    expect((await run(['fork', 'try'])).code).toBe(0)
    expect(readdirSync(cwd).filter((name) => name.startsWith('.try'))).toEqual([])
    expect((await run(['verify', '--dir', 'try'])).code).toBe(0)
  })
})

describe('tail', () => {
  const positions = (text: string) => ndjson(text).map(({ event }) => (event as { position: string }).position)

  test('prints what is there, and ends', async () => {
    const { run } = await story()
    const items = ndjson((await run(['tail'])).stdout)
    expect(items).toHaveLength(5)
    expect(items[0]).toMatchObject({ kind: 'event', event: { version: 1 } })
    const rest = await run(['tail', '--from', items[2]!['position'] as string])
    expect(positions(rest.stdout)).toHaveLength(2)
    expect(ndjson((await run(['tail', 'user_1', '--from', 'v3'])).stdout)).toHaveLength(2)
    expect(ndjson((await run(['tail', '--event', 'Tagged', '--event', 'Moved'])).stdout)).toHaveLength(2)
    expect((await run(['tail', '--type', 'account'])).stdout).toBe('')
    expect((await run(['tail', '--from', 'today'])).stdout.trimEnd().split('\n')).toHaveLength(5)
  })

  test('tells of an erasure', async () => {
    const { run } = await story()
    const [first] = ndjson((await run(['tail', 'user_1'])).stdout)
    await run(['delete', 'user_1', '--yes'])
    const items = ndjson((await run(['tail'])).stdout)
    expect(items.map(({ kind }) => kind).sort()).toEqual(['erased', 'event'])
    expect(items.find(({ kind }) => kind === 'erased')).toMatchObject({
      entityKey: first!['entityKey'],
      entityType: 'document',
    })
  })

  test('--cursor goes on where it ended', async () => {
    const { cwd, run } = await story()
    expect(ndjson((await run(['tail', '--cursor-on', 'write', '--cursor', 'c'])).stdout)).toHaveLength(5)
    expect((await run(['tail', '--cursor-on', 'write', '--cursor', 'c'])).stdout).toBe('')
    await run(['append', 'user_2', 'Noted', 'x=1'])
    expect(ndjson((await run(['tail', '--cursor-on', 'write', '--cursor', 'c'])).stdout)).toMatchObject([
      { event: { type: 'Noted' } },
    ])
    // also past what did not pass the filter
    await run(['tail', '--cursor-on', 'write', '--cursor', 'd', '--event', 'Nothing'])
    expect(readFileSync(join(cwd, 'd'), 'utf8')).toBe(readFileSync(join(cwd, 'c'), 'utf8'))
  })

  test('a cursor of another store is refused, and a file that is none', async () => {
    const { cwd, run } = await story()
    await run(['tail', '--cursor-on', 'write', '--cursor', 'c'])
    await run(['fork', 'try'])
    expect(await run(['tail', '--cursor-on', 'write', '--cursor', 'c', '--dir', 'try'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('of another store'),
    })
    writeFileSync(join(cwd, 'notes'), 'mine')
    expect(await run(['tail', '--cursor-on', 'write', '--cursor', 'notes'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('not a cursor'),
    })
    expect(readFileSync(join(cwd, 'notes'), 'utf8')).toBe('mine')
    expect((await run(['tail', '--from', '000:99'])).code).toBe(2)
  })

  test('-f waits for what comes, also from another process, and ends with the signal', async () => {
    const { cwd, run } = await story()
    const tail = launch(['tail', '-f', '--cursor', 'c', '--cursor-on', 'write'], { cwd })
    let text = ''
    tail.stdout!.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    const lines = async (count: number) => {
      while (text.split('\n').length <= count) await once(tail.stdout!, 'data')
    }
    await lines(5)
    await run(['append', 'user_2', 'Noted', 'x=1'])
    await lines(6)
    expect(ndjson(text).at(-1)).toMatchObject({ event: { type: 'Noted', entity: 'user_2' } })
    const { position } = ndjson(text).at(-1) as { position: string }
    // kept also while nothing comes
    const kept = () => existsSync(join(cwd, 'c')) && readFileSync(join(cwd, 'c'), 'utf8').includes(position)
    while (!kept()) await new Promise(setImmediate)
    tail.kill('SIGINT')
    const [code] = await once(tail, 'close')
    expect(code).toBe(130)
    expect((await run(['tail', '--cursor-on', 'write', '--cursor', 'c'])).stdout).toBe('')
  })

  test('ends cleanly when nobody reads any more', async () => {
    const { cwd, run } = await shell()
    const input = Array.from({ length: 4_000 }, (_, n) => JSON.stringify({ type: 'Set', data: { n } })).join('\n')
    await run(['append', 'x', '-'], { input })
    for (const words of [['tail'], ['tail', '-f'], ['replay', 'x'], ['log', 'x']]) {
      const child = launch(words, { cwd })
      let stderr = ''
      child.stderr!.on('data', (chunk) => (stderr += chunk))
      child.stdout!.once('data', () => child.stdout!.destroy())
      const end = once(child, 'close')
      await once(child.stdout!, 'close')
      await run(['append', 'x', 'Set', 'n=1']) // who follows sees it when there is more to say
      const [code] = await end
      expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: '' })
    }
  })
})
