/** What `npm pack` gives away: a tarball that, in an empty folder, is a library and a command. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeFolder } from '../folder.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const work = makeFolder()
const app = join(work, 'app')
let packed: string[]

const run = (command: string, args: string[], cwd = app) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

beforeAll(() => {
  // --ignore-scripts: what is built already is what is packed
  const [{ filename, files }] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work], root),
  ) as [{ filename: string; files: { path: string }[] }]
  packed = files.map(({ path }) => path)
  mkdirSync(app)
  writeFileSync(join(app, 'package.json'), '{"name":"app","version":"1.0.0","type":"module","private":true}')
  run('npm', ['install', '--no-audit', '--no-fund', join(work, filename)])
}, 600_000)

afterAll(() => rmSync(work, { recursive: true, force: true }))

test('it holds what a user needs, and nothing else', () => {
  const folders = new Set(packed.map((path) => (path.includes('/') ? `${path.split('/')[0]}/` : path)))
  expect([...folders].sort()).toEqual(
    [
      'ARCHITECTURE.md',
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'bin/',
      'dist/',
      'docs/',
      'fixtures/',
      'oclif.manifest.json',
      'package.json',
    ].sort(),
  )
  expect(packed.filter((path) => path.startsWith('fixtures/')).sort()).toEqual([
    'fixtures/examples/emmett/cart.ts',
    'fixtures/examples/emmett/event-store.ts',
    'fixtures/export.schema.json',
    'fixtures/flights.LICENSE',
    'fixtures/flights.ndjson.gz',
    'fixtures/kuma.service',
    'fixtures/models/airport.ts',
    'fixtures/models/kuma.config.ts',
    'fixtures/rqlite.compose.yaml',
    'fixtures/top.svg',
  ])
  expect(packed.filter((path) => /\.test\.|\.map$|node_modules|\.db$/.test(path))).toEqual([])
})

test('it needs no package beside its declared ones', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object }
  const top = readdirSync(join(app, 'node_modules')).filter((name) => !name.startsWith('.'))
  for (const name of Object.keys(dependencies)) expect(top).toContain(name.split('/')[0])
})

test('the library works', () => {
  writeFileSync(
    join(app, 'app.js'),
    `import * as kuma from 'kuma'
     const ctx = await kuma.start({ path: 'data' })
     const user = await ctx.spawn(kuma.document, 'user_1', { plan: 'free' })
     await user.append({ type: 'PlanChanged', data: { plan: 'pro' } })
     console.log(JSON.stringify([await user.read(), await user.read({ version: 1 })]))
     await ctx.close()`,
  )
  expect(JSON.parse(run(process.execPath, ['app.js']))).toEqual([{ plan: 'pro' }, { plan: 'free' }])
})

test('the command works, with a model in TypeScript that imports the package', () => {
  const kuma = (...args: string[]) => run('npx', ['--no', 'kuma', ...args])
  kuma('init', '--sample')
  kuma('append', 'acc_1', 'Deposited', 'amount:=5')
  expect(kuma('read', 'acc_1')).toBe('{"balance":5,"owner":""}\n')
  expect(kuma('verify')).toContain('verified: 16 shards, entities 1, events 1')
})

test('it says whose code it contains', () => {
  const notices = readFileSync(join(app, 'node_modules/kuma/dist/THIRD-PARTY-NOTICES.txt'), 'utf8')
  for (const name of ['@oclif/core', 'chalk', 'cli-table3', 'xxhashjs']) expect(notices).toContain(`\n${name} `)
})
