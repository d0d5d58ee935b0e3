/** The command line is a contract: what oclif does silently wrong unless told otherwise is looked for in every command. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Command } from '@oclif/core/command'
import { describe, expect, test } from 'vitest'
import { GROUPS } from '../../src/cli/root-help.ts'
import { folder } from '../folder.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const files = readdirSync(join(root, 'src/commands'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)
/** As a person types it: `backup ls`. */
const nameOf = (file: string) => file.slice(0, -'.ts'.length).replaceAll(sep, ' ')

/** Fields of a flag or an argument that oclif's types leave out. */
interface Input {
  readonly description?: string
  readonly multiple?: boolean
  readonly multipleNonGreedy?: boolean
  readonly ignoreStdin?: boolean
}

describe.each(files)('commands/%s', async (file) => {
  const { default: command } = (await import(pathToFileURL(join(root, 'src/commands', file)).href)) as {
    default: typeof Command
  }
  const flags = Object.entries({ ...command.baseFlags, ...command.flags }) as [string, Input][]
  const args = Object.entries(command.args) as [string, Input][]

  test('a repeatable flag takes one value each time', () => {
    expect(flags.filter(([, { multiple, multipleNonGreedy }]) => multiple && !multipleNonGreedy)).toEqual([])
  })

  test('no argument eats stdin, and words stay in their order', () => {
    expect(args.filter(([, { ignoreStdin }]) => !ignoreStdin)).toEqual([])
    expect(command.strict).toBe(true)
    expect(command.enableJsonFlag).toBe(false)
  })

  test('everything is described, with an example of each command', () => {
    expect([...flags, ...args].filter(([, { description }]) => !description)).toEqual([])
    expect(command.summary).toMatch(/\.$/)
    expect(command.description?.length).toBeGreaterThan(20)
    expect(command.examples.join('\n')).toContain(`<%= config.bin %> ${nameOf(file)}`)
  })
})

test('the help of the root has every command in one group', () => {
  const { commands } = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8'))
  const shown = Object.keys(commands).filter((id) => !id.includes(':') && !commands[id].hidden)
  expect(
    Object.values(GROUPS)
      .flat()
      .filter((name) => name in commands)
      .sort(),
  ).toEqual(shown)
})

test('oclif.manifest.json is what the commands say', () => {
  const path = join(folder(), 'oclif.manifest.json')
  execFileSync(process.execPath, [join(root, 'scripts/manifest.js'), path])
  expect(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')).toBe(readFileSync(path, 'utf8'))
})

test('the manifest has the version of the package, and every command', () => {
  const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'))
  expect(read('oclif.manifest.json').version).toBe(read('package.json').version)
  const ids = Object.keys(read('oclif.manifest.json').commands)
  expect(ids).toEqual(files.map((file) => nameOf(file).replaceAll(' ', ':')).sort())
})
