/** What all commands share: help, mistakes, exit codes, which store, the config, pipes. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BINARY, ended, environment, kuma, launch, ndjson, shell } from '../../cli.ts'
import { folder } from '../../folder.ts'
import { hold } from '../../program.ts'

describe('help', () => {
  test.each([[['--help']], [['help']], [[]]])('kuma %j lists the commands', async (args) => {
    const { code, stdout, stderr } = await kuma(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const commands =
      'append backup blame compact delete demo diff erasures export fork import init log ls read repair replay restore revert run start status stop tail verify'
    for (const command of commands.split(' ')) expect(stdout).toMatch(new RegExp(`^ +${command} `, 'm'))
    expect(stdout).toContain('START HERE\n  $ kuma demo ')
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test.each([[['append', '--help']], [['help', 'append']], [['--help', 'append']]])('kuma %j', async (args) => {
    const { code, stdout } = await kuma(args)
    expect(code).toBe(0)
    expect(stdout).toContain('--expect-version')
    expect(stdout).toContain('$ kuma append')
  })

  test('--version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    expect((await kuma(['--version'])).stdout).toContain(`kuma/${version} `)
  })
})

describe('a mistake has exit code 2 and a next step:', () => {
  test.each([
    ['a mistyped command', ['raed', 'x'], 'did you mean `kuma read`'],
    ['a mistyped second word', ['erasures', 'verfy'], 'did you mean `kuma erasures verify`'],
    ['a mistyped flag', ['read', 'x', '--jsno'], 'did you mean --json?'],
    ['a word too many', ['verify', 'x'], 'Unexpected argument: x'],
    ['a missing argument', ['read'], 'entity'],
    ['an argument too many', ['read', 'a', 'b'], 'b'],
    ['a flag without its value', ['log', '--limit'], '--limit'],
    ['a number that is none', ['log', '--limit', 'many'], 'Parsing --limit: Expected an integer'],
    ['a timeout that is none', ['read', 'x', '--lock-timeout', 'soon'], 'cannot read the time "soon"'],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await kuma(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).not.toMatch(/^ +at /m)
  })

  test('in a value of a flag, told as one sentence', async () => {
    const { stderr } = await kuma(['read', 'x', '--lock-timeout', 'soon'])
    expect(stderr).toMatch(/^Error: Parsing --lock-timeout: cannot read the time "soon"\n {2}write 500ms, .*\n$/)
  })

  test('told as JSON with --json', async () => {
    for (const args of [
      ['raed', '--json'],
      ['read', '--json'],
      ['replay', 'x', '--at', '3', '--json'],
    ]) {
      const { stderr } = await kuma(args)
      expect(JSON.parse(stderr)).toEqual({
        error: { code: expect.stringMatching(/^KUMA_/), message: expect.any(String), hint: expect.any(String) },
      })
    }
  })
})

describe('which store', () => {
  test('--dir, before KUMA_DIR, before the config, before kuma-data upwards', async () => {
    const { cwd, run } = await shell()
    await run(['append', 'here', 'A'])
    for (const name of ['flag', 'env', 'config']) {
      await run(['init', name])
      await run(['append', name, 'A', '--dir', name])
    }
    const deep = join(cwd, 'a/b')
    mkdirSync(deep, { recursive: true })
    const first = async (args: string[], env = {}) =>
      ndjson((await kuma(['ls', ...args], { cwd: deep, env })).stdout)[0]!['id']
    expect(await first([])).toBe('here')
    writeFileSync(join(cwd, 'kuma.config.mjs'), `export default { path: './config' }`)
    expect(await first([])).toBe('config')
    expect(await first([], { KUMA_DIR: join(cwd, 'env') })).toBe('env')
    expect(await first(['--dir', '../../flag'], { KUMA_DIR: join(cwd, 'env') })).toBe('flag')
    expect(ndjson((await kuma(['--dir', '../../flag', 'ls'], { cwd: deep })).stdout)).toHaveLength(1)
  })

  test('that is not there: exit code 3, and how to make one', async () => {
    expect(await kuma(['read', 'x'])).toMatchObject({ code: 3, stderr: expect.stringContaining('kuma init') })
    expect(await kuma(['append', 'x', 'A'])).toMatchObject({ code: 3, stderr: expect.stringContaining('kuma init') })
  })

  test('that another process writes to: exit code 5, and who; reading goes on', async () => {
    const { cwd, run } = await shell()
    await run(['append', 'e', 'A', 'n:=1'])
    const holder = await hold(join(cwd, 'kuma-data'))
    try {
      const { code, stderr } = await run(['append', 'e', 'A', '--lock-timeout', '50ms'])
      expect(code).toBe(5)
      expect(stderr).toContain(`${holder.pid}`)
      expect(await run(['read', 'e'])).toMatchObject({ code: 0, stdout: '{"n":1}\n' })
      expect(await run(['verify'])).toMatchObject({ code: 0 })
    } finally {
      holder.kill('SIGKILL')
      await once(holder, 'close')
    }
    expect(await run(['append', 'e', 'A'])).toMatchObject({ code: 0 })
  })
})

describe('init', () => {
  test('makes a store of so many shards, once', async () => {
    const cwd = folder()
    expect(await kuma(['init', 'data', '--shards', '3'], { cwd })).toMatchObject({
      code: 0,
      stdout: `ok ${join(cwd, 'data')}\n`,
    })
    expect(readdirSync(join(cwd, 'data/shards')).filter((name) => name.endsWith('.db'))).toHaveLength(3)
    expect(await kuma(['init', 'data'], { cwd })).toMatchObject({ code: 4, stdout: '' })
    expect(await kuma(['init', 'other', '--shards', '0'], { cwd })).toMatchObject({ code: 2 })
    expect(existsSync(join(cwd, 'other'))).toBe(false)
  })

  test('leaves a folder alone that holds something else', async () => {
    const cwd = folder()
    writeFileSync(join(cwd, 'notes.txt'), 'mine')
    expect((await kuma(['init', '.'], { cwd })).code).not.toBe(0)
    expect(readdirSync(cwd)).toEqual(['notes.txt'])
  })

  test('--sample writes a config that works', async () => {
    const cwd = folder()
    expect((await kuma(['init', '--sample'], { cwd })).code).toBe(0)
    expect((await kuma(['append', 'acc_1', 'Deposited', 'amount:=50'], { cwd })).code).toBe(0)
    expect((await kuma(['read', 'acc_1', '--json'], { cwd })).stdout).toContain('"type":"account"')
    expect(await kuma(['append', 'acc_1', 'Withdrawn', 'amount:=50'], { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/"account" has no event "Withdrawn"\n {2}it has Opened, Deposited/),
    })
    expect((await kuma(['append', 'note_1', 'Written', 'text=hi'], { cwd })).code).toBe(0)
    expect((await kuma(['read', 'note_1'], { cwd })).stdout).toBe('{"text":"hi"}\n')
  })
})

describe('a config', () => {
  async function configured(text: string) {
    const made = await shell()
    writeFileSync(join(made.cwd, 'kuma.config.ts'), text)
    return made
  }

  test('that throws shows the line of the user', async () => {
    const { cwd, run } = await configured(`const a: number = 1\nconst b = 2\nthrow new Error('no ' + (a + b))\n`)
    const { code, stderr } = await run(['read', 'x'])
    expect(code).toBe(1)
    expect(stderr).toContain('no 3')
    expect(stderr).toContain(`${join(cwd, 'kuma.config.ts')}:3:`)
  })

  test.each([
    ['that is not TypeScript', 'export default {{', 'does not load'],
    ['that imports what is not there', `import 'nowhere'`, 'nowhere'],
    ['without a default export', 'export const config = {}', 'no config as its default export'],
    ['with a setting that is not known', 'export default { shard: 4 }', 'did you mean shards?'],
    ['with a wrong setting', 'export default { shards: 4000 }', '1 to 999'],
  ])('%s', async (_, text, message) => {
    const { run } = await configured(text)
    expect(await run(['read', 'x'])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(message) })
  })

  test('that --config names must be there', async () => {
    const { run } = await shell()
    expect(await run(['ls', '--config', 'nothing.ts'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nothing.ts'),
    })
  })

  test.each([
    ['throws', `() => { throw new Error('broken model') }`, 'broken model'],
    ['returns a promise', 'async (state: object) => state', 'promise'],
    ['returns undefined', '() => undefined', 'undefined'],
  ])('whose evolve %s: the append is refused, the history stays readable', async (_, evolve, message) => {
    const { cwd, run } = await configured(model('(state: object) => state'))
    expect((await run(['append', 'thing_1', 'Happened', 'n:=1'])).code).toBe(0)
    writeFileSync(join(cwd, 'kuma.config.ts'), model(evolve))
    for (const args of [
      ['append', 'thing_1', 'Happened'],
      ['append', 'thing_2', 'Happened'],
      ['read', 'thing_1'],
    ])
      expect(await run(args)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(message) })
    expect(ndjson((await run(['log'])).stdout)).toMatchObject([{ entity: 'thing_1', version: 1 }])
    expect((await run(['verify'])).code).toBe(0)
  })

  test('that is gone leaves entities of its types listed and logged, and says what is missing to read them', async () => {
    const { cwd, run } = await configured(model('(state: object) => state'))
    await run(['append', 'thing_1', 'Happened', 'n:=1'])
    writeFileSync(join(cwd, 'kuma.config.ts'), 'export default {}')
    expect(ndjson((await run(['ls'])).stdout)).toMatchObject([{ id: 'thing_1', type: 'thing' }])
    expect(ndjson((await run(['log', 'thing_1'])).stdout)).toHaveLength(1)
    expect(await run(['read', 'thing_1'])).toMatchObject({ code: 1, stderr: expect.stringContaining('"thing"') })
  })

  const model = (evolve: string) => `
    import * as kuma from 'kuma'
    const Thing = kuma
      .defineEntity({ type: 'thing', initial: {}, events: { Happened: kuma.type<{ n?: number }>() } })
      .evolve({ Happened: (${evolve}) as never })
    export default kuma.defineConfig({ path: './kuma-data', entities: [Thing], ids: { 'thing_*': Thing } })
  `
})

describe('pipes', () => {
  test('a reader that has heard enough ends the command quietly', async () => {
    const { cwd, run } = await shell()
    const lines = Array.from({ length: 5_000 }, (_, i) => JSON.stringify({ entity: `e${i}`, type: 'A', data: { i } }))
    await run(['import', '-'], { input: lines.join('\n') })
    for (const command of ['log', 'ls']) {
      const child = launch([command], { cwd })
      const end = ended(child)
      await once(child.stdout!, 'data')
      child.stdout!.destroy()
      expect(await end).toMatchObject({ code: 0, stderr: '' })
    }
  })

  test.runIf(existsSync('/dev/full'))('an output that cannot be written is an error, told once', async () => {
    const { cwd, run } = await shell()
    const command = `"${process.execPath}" "${BINARY}" append e A n:=1 > /dev/full`
    const { status, stderr } = spawnSync('sh', ['-c', command], { cwd, env: environment(), encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^Error: cannot write the output: ENOSPC.*\n.*what was recorded stays recorded\n$/)
    expect((await run(['read', 'e'])).stdout).toBe('{"n":1}\n')
  })

  test('a long output arrives whole', async () => {
    const { run } = await shell()
    const data = { text: 'x'.repeat(500_000) }
    await run(['append', 'e', 'A', '-'], { input: JSON.stringify(data) })
    expect(JSON.parse((await run(['read', 'e'])).stdout)).toEqual(data)
  })
})

test('the demo shows each command with its output, and leaves a store to go on with', async () => {
  const tmp = folder()
  const { code, stdout, stderr } = await kuma(['demo'], { env: { TMPDIR: tmp } })
  const beside =
    'it is a store of its own: what is erased in this one stays in it\nError: there is no entity "user_1"\n'
  expect({ code, stderr }).toEqual({ code: 0, stderr: beside })
  expect(stdout).toContain('"state":{"email":"ann@example.org"}')
  expect(stdout).toContain('"notReached": []')
  expect(stdout).toContain('$ grep -r ann@example.org kuma-data\n(nothing)')
  expect(stdout).toContain('$ kuma import flights.ndjson.gz\nimported 20000, duplicates 0, rejected 0\n')
  expect(stdout).toContain('$ kuma replay CAE --at 2001-02-01\n{"flights":8,')
  expect(stdout).toContain('verified: 16 shards, entities 220, events 20,002')
  expect(stdout).toContain('~ /byDestination/CLT  7 -> 8\n')
  expect(stdout).toMatch(/\$ kuma revert CAE --to 2001-12-31 --as you --reason "it never left"\nok CAE v20 /)
  expect(stdout).toContain('"entities":195,"events":6937}')
  const cwd = join(tmp, readdirSync(tmp).find((name) => name.startsWith('kuma-demo-'))!)
  expect(stdout).toContain(`cd ${cwd}\n`)
  expect(ndjson((await kuma(['log', 'SFO', '--from', '2001-03-01'], { cwd })).stdout).length).toBeGreaterThan(10)
})
