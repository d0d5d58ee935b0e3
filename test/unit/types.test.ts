// What the package declares, as a program that installs it sees it: test/types (and the example models) are compiled against the declarations
// that the build emits, from a folder that has nothing but the package and its own dependencies.
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const modules = join(repository, 'node_modules')
/** The package's own dependencies that declarations may need, and the validators that the program uses. */
const LINKED = ['@standard-schema/spec', '@types/node', 'arktype', 'valibot', 'zod']
const COMPILERS = ['typescript', 'typescript-5.9']

/** `types` is left out on purpose: the declarations bring what they need. */
const OPTIONS = {
  target: 'es2022',
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  allowImportingTsExtensions: true,
  noEmit: true,
}

let program: string

beforeAll(() => {
  // the real path, since a compiler resolves links and may print either
  program = mkdtempSync(join(realpathSync(tmpdir()), 'kuma-types-'))
  const kuma = join(program, 'node_modules/kuma')
  mkdirSync(kuma, { recursive: true })
  cpSync(join(repository, 'package.json'), join(kuma, 'package.json'))
  const emit = ['-p', join(repository, 'tsconfig.build.json'), '--outDir', join(kuma, 'dist/types')]
  execFileSync(process.execPath, [tsc('typescript'), ...emit], { stdio: ['ignore', 'inherit', 'inherit'] })
  for (const name of LINKED) {
    mkdirSync(dirname(join(program, 'node_modules', name)), { recursive: true })
    symlinkSync(join(modules, name), join(program, 'node_modules', name), 'dir')
  }
  cpSync(join(repository, 'test/types'), join(program, 'src'), { recursive: true })
  cpSync(join(repository, 'fixtures/models'), join(program, 'src/models'), { recursive: true })
  writeFileSync(join(program, 'package.json'), '{ "type": "module" }')
}, 60_000)

afterAll(() => rmSync(program, { recursive: true, force: true }))

describe.each(COMPILERS)('test/types under %s', (compiler) => {
  test.each([
    ['compiles, with every declaration that it reaches checked', { skipLibCheck: false }],
    ['compiles without the DOM', { skipLibCheck: true, lib: ['es2022'] }],
  ])('%s', { timeout: 120_000 }, (name, options) => {
    const config = `${compiler} ${name}.json`
    const compilerOptions = { ...OPTIONS, ...options }
    writeFileSync(join(program, config), JSON.stringify({ compilerOptions, include: ['src'] }))
    const arguments_ = [tsc(compiler), '-p', config]
    const { stdout, stderr, status } = spawnSync(process.execPath, arguments_, { cwd: program, encoding: 'utf8' })
    expect(stdout + stderr).toBe('')
    expect(status).toBe(0)
  })
})

function tsc(compiler: string): string {
  const folder = join(modules, compiler)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { bin: { tsc: string } }
  return join(folder, bin.tsc)
}
