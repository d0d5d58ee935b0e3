/** A kuma.config.ts as applications have them: it imports their modules, which print, keep something open, or are broken. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createStore } from '../../../src/store/create.ts'
import { ended, kuma, launch, ndjson, type Options } from '../../cli.ts'
import { startDaemon } from '../../daemon.ts'
import { folder } from '../../folder.ts'

const BROKEN = `import './no-such-module.ts'\nexport default {}\n`

async function store() {
  const cwd = folder()
  await createStore(join(cwd, 'kuma-data'), { shards: 1 })
  return { cwd, run: (args: readonly string[], options: Options = {}) => kuma(args, { cwd, ...options }) }
}

/** A store, and a config beside it. */
async function configured(text: string) {
  const made = await store()
  writeFileSync(join(made.cwd, 'kuma.config.ts'), text)
  return made
}

function counter(type: string, more = ''): string {
  return `
import * as kuma from 'kuma'
${more}
const Counter = kuma
  .defineEntity({ type: '${type}', initial: { n: 0 }, events: { Add: kuma.type<{ n: number }>() } })
  .evolve({ Add: (state, { n }) => { ${more === '' ? '' : 'told()'}; return { n: state.n + n } } })
export default kuma.defineConfig({ path: './kuma-data', entities: [Counter], ids: { '${type}_*': Counter } })
`
}

/** A command that would be ended with its test. */
function running(args: readonly string[], options: Options) {
  const child = launch(args, options)
  onTestFinished(() => void child.kill('SIGKILL'))
  child.stdin!.end()
  return ended(child)
}

describe('one that does not load', () => {
  test('stops nothing that does without: a line says so', async () => {
    const { cwd, run } = await store()
    await run(['append', 'note_1', 'Written', 'text=hi'])
    writeFileSync(join(cwd, 'kuma.config.ts'), BROKEN)
    const path = join(cwd, 'kuma-data')
    const said = new RegExp(`kuma\\.config\\.ts does not load: .*no-such-module.*\\n.*goes on with ${path}\\n`)
    for (const [args, printed] of [
      [['log'], '"type":"Written"'],
      [['ls'], '"id":"note_1"'],
      [['export', 'note_1'], '"state":{"text":"hi"}'],
      [['verify'], 'verified: '],
      [['backup'], 'backups'],
    ] as const) {
      const { code, stdout, stderr } = await run(args)
      expect({ args, code }).toEqual({ args, code: 0 })
      expect(stdout).toContain(printed)
      expect(stderr).toMatch(said)
    }
    for (const args of [
      ['read', 'note_1'],
      ['delete', 'note_1', '--yes'],
    ])
      expect(await run(args)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('does not load') })
  })

  test('a daemon is asked and ended all the same', async () => {
    const { cwd, run } = await store()
    const { output } = await startDaemon(cwd)
    writeFileSync(join(cwd, 'kuma.config.ts'), BROKEN)
    for (const args of [['status'], ['top', '--once'], ['stop']]) {
      const { code, stderr } = await run(args)
      expect({ args, code }).toEqual({ args, code: 0 })
      expect(stderr).toContain('does not load')
    }
    expect((await output).code).toBe(0)
  })

  test('the store that it would name is not guessed', async () => {
    const { cwd, run } = await configured(BROKEN)
    rmSync(join(cwd, 'kuma-data'), { recursive: true })
    expect(await run(['log'])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^Error: .*load/) })
  })
})

describe('one that keeps something open', () => {
  const KEEPS = `setInterval(() => {}, 1_000)\nexport default { path: './kuma-data' }\n`

  test.each([
    [['append', 'a', 'A', 'n:=1'], 0],
    [['read', 'nothing'], 3],
    [['run', '--', process.execPath, '-e', 'process.exitCode = 9'], 9],
  ])('%j ends when its work is done', async (args, code) => {
    const { cwd } = await configured(KEEPS)
    expect((await running(args, { cwd })).code).toBe(code)
  })

  test('a daemon ends', async () => {
    const { cwd } = await configured(KEEPS)
    const { daemon, output } = await startDaemon(cwd)
    daemon.kill('SIGTERM')
    expect((await output).code).toBe(0)
  })
})

test('one that prints, by whatever way, and a model that does: stdout is the data alone', async () => {
  const { run } = await configured(
    counter(
      'acc',
      `
import { writeSync } from 'node:fs'
const told = () => { console.log('by console'); process.stdout.write('by stream\\n'); writeSync(1, 'by number\\n') }
told()`,
    ),
  )
  expect((await run(['append', 'acc_1', 'Add', 'n:=1'])).stdout).toMatch(/^ok acc_1 v1 \S+\n$/)
  const { stdout, stderr } = await run(['read', 'acc_1'])
  expect(stdout).toBe('{"n":1}\n')
  for (const way of ['console', 'stream', 'number']) expect(stderr).toContain(`by ${way}\n`)
  for (const args of [['log'], ['ls'], ['query', 'select id from entities']])
    expect(ndjson((await run(args)).stdout)).toHaveLength(1)
})

describe('tsconfig.json', () => {
  const aliases = (more = {}) => JSON.stringify({ ...more, compilerOptions: { paths: { '@/*': ['./src/*'] } } })

  /** An application in a folder below `top`, whose config uses an alias. */
  async function application() {
    const top = folder()
    const cwd = join(top, 'app')
    mkdirSync(join(top, 'src'), { recursive: true })
    mkdirSync(cwd)
    writeFileSync(join(top, 'src/name.ts'), `export const path: string = './by-alias'\n`)
    writeFileSync(join(cwd, 'kuma.config.ts'), `import { path } from '@/name'\nexport default { path }\n`)
    return { top, cwd }
  }

  test('aliases of imports are what it says', async () => {
    const { top, cwd } = await application()
    writeFileSync(join(top, 'tsconfig.json'), `// as tsc reads it\n${aliases()}`)
    expect(await kuma(['init'], { cwd })).toMatchObject({ code: 0, stdout: `ok ${join(cwd, 'by-alias')}\n` })
  })

  test('one that somebody else could have written is not gone by', async () => {
    const { top, cwd } = await application()
    writeFileSync(join(top, 'tsconfig.json'), aliases())
    chmodSync(top, 0o777)
    expect(await kuma(['init'], { cwd })).toMatchObject({ code: 1, stderr: expect.stringContaining('@/name') })
  })

  test('one that extends what is not there stops nobody who uses no alias, and the others are told', async () => {
    const { top, cwd } = await application()
    writeFileSync(join(top, 'tsconfig.json'), aliases({ extends: '@nowhere/tsconfig' }))
    expect(await kuma(['init'], { cwd })).toMatchObject({ code: 1, stderr: expect.stringContaining('@nowhere') })
    writeFileSync(join(cwd, 'kuma.config.ts'), `export default { path: './plain' }\n`)
    expect(await kuma(['init'], { cwd })).toMatchObject({ code: 0 })
  })
})

describe('a type that was taken out', () => {
  async function without() {
    const made = await configured(counter('trial'))
    await made.run(['append', 'trial_1', 'Add', 'n:=1'])
    writeFileSync(join(made.cwd, 'kuma.config.ts'), counter('order'))
    await made.run(['append', 'order_1', 'Add', 'n:=2'])
    return made
  }

  test('its entities are exported with a state that nobody can tell, logged, and erased', async () => {
    const { run } = await without()
    const { code, stdout, stderr } = await run(['export', 'trial_1'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      type: 'trial',
      version: 1,
      state: null,
      events: [{ type: 'Add', data: { n: 1 } }],
    })
    expect(stderr).toBe('the entity type "trial" is not defined here: the events are there, the state is null\n')
    expect(ndjson((await run(['log', 'trial_1'])).stdout)).toHaveLength(1)
    expect((await run(['export', '--type', 'order'])).stderr).toBe('exported 1 entities, 1 events\n')
    expect((await run(['delete', 'trial_1', '--yes'])).code).toBe(0)
    expect((await run(['log', 'trial_1'])).code).toBe(3)
  })

  test('what was exported is imported where the type is known', async () => {
    const { cwd, run } = await without()
    const { stdout: input } = await run(['export', 'trial_1'])
    await createStore(join(cwd, 'other'), { shards: 1 })
    writeFileSync(join(cwd, 'kuma.config.ts'), counter('trial'))
    expect((await run(['import', '-', '--dir', 'other'], { input })).code).toBe(0)
    expect((await run(['read', 'trial_1', '--dir', 'other'])).stdout).toBe('{"n":1}\n')
  })

  test('questions about others are answered, and it is listed without a state', async () => {
    const { run } = await without()
    const sql = 'select id, state from entities order by id'
    const rows = ndjson((await run(['query', sql])).stdout)
    expect(rows).toEqual([
      { id: 'order_1', state: { n: 2 } },
      { id: 'trial_1', state: null },
    ])
  })
})
