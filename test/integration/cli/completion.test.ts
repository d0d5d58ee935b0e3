/** Completion in people's shells, as they see it: on a terminal, with ids that others chose. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { BINARY, kuma } from '../../cli.ts'
import { makeFolder } from '../../folder.ts'
import { KEYS, PseudoTerminal } from '../../pseudo-terminal.ts'
import { hasTerminal } from '../../terminal.ts'

const has = (program: string) => spawnSync(program, ['--version']).error === undefined

const root = makeFolder()
/** where commands are typed: what is in it must never be offered as an id */
const here = join(root, 'here')
const bin = join(root, 'bin')
const FILES = ['secret.txt', 'value.txt']
const env = {
  PATH: `${bin}:${process.env['PATH']}`,
  HOME: root,
  ZDOTDIR: root,
  LC_ALL: 'C.UTF-8',
  KUMA_DIR: join(root, 'kuma-data'),
}

const IDS = ['v$(touch x)', "it's", 'say "x"', '*', '-x', 'a b', 'ten!10@x:1=2', 'user_1', 'user_2', 'a:b:1', 'a:b:2']

beforeAll(async () => {
  mkdirSync(here)
  for (const file of FILES) writeFileSync(join(here, file), '')
  mkdirSync(bin)
  writeFileSync(join(bin, 'kuma'), `#!/bin/sh\nexec '${process.execPath}' '${BINARY}' "$@"\n`, { mode: 0o755 })
  // else fish reads all manual pages at its first start
  mkdirSync(join(root, '.local/share/fish/generated_completions'), { recursive: true })
  const lines = IDS.map((entity, n) => JSON.stringify({ entity, type: 'Set', data: { n } }))
  expect(await kuma(['init', '--shards', '2'], { cwd: root, env })).toMatchObject({ code: 0 })
  expect(await kuma(['import', '-'], { cwd: root, env, input: lines.join('\n') })).toMatchObject({ code: 0 })
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** How they are started, and asked to show READY as their prompt. */
const SHELLS = {
  bash: {
    file: '.bashrc',
    text: `PS1='READY '\neval "$(kuma completion bash)"`,
    command: `bash --rcfile ${root}/.bashrc`,
  },
  zsh: {
    file: '.zshrc',
    text: `PS1='READY '\nautoload -Uz compinit; compinit -u -D\neval "$(kuma completion zsh)"`,
    command: 'zsh -i',
  },
  fish: {
    file: '.config/fish/config.fish',
    text: `set -g fish_greeting\nset -g fish_autosuggestion_enabled 0
function fish_prompt; echo -n 'READY '; end\nkuma completion fish | source`,
    command: 'fish -i',
  },
}

/** What is typed before TAB, with the quote that is open there, and the id that it should become. */
const TYPED: readonly (readonly [none: string, double: string, single: string, id: string])[] = [
  ['v', '"v', "'v", 'v$(touch x)'],
  ['it', '"it', "'it", "it's"],
  ['say', '"say', "'say", 'say "x"'],
  ['\\*', '"*', "'*", '*'],
  ['-- -', '-- "-', "-- '-", '-x'],
  ['a\\ ', '"a ', "'a ", 'a b'],
  ['ten\\!10@x:', '"ten', "'ten", 'ten!10@x:1=2'],
]

describe.each(Object.entries(SHELLS))('%s', (name, { file, text, command }) => {
  const missing = !has(name) ? `${name} is not installed` : !hasTerminal ? 'script(1) is not installed' : null

  test.skipIf(missing !== null)(
    `an id is put in so that the command gets that id, in quotes or not${missing === null ? '' : ` (skipped: ${missing})`}`,
    { timeout: 240_000 },
    async () => {
      mkdirSync(join(root, file, '..'), { recursive: true })
      writeFileSync(join(root, file), text)
      const terminal = new PseudoTerminal(`exec ${command}`, { columns: 120, rows: 40 }, { cwd: here, env })
      onTestFinished(() => terminal.kill())
      const read: { readonly typed: string; readonly n: number }[] = []
      for (const [none, double, single, id] of TYPED) {
        for (const typed of [none, double, single]) {
          await terminal.sees(/READY\s*$/)
          terminal.screen.clear()
          terminal.type(`kuma read ${typed}${KEYS.tab}${KEYS.enter}`)
          await terminal.sees(/"n": \d+|Error/)
          read.push({ typed, n: Number(/"n": (\d+)/.exec(terminal.text)?.[1] ?? -1) })
          expect(read.at(-1)).toEqual({ typed, n: IDS.indexOf(id) })
        }
      }
      // no files where an id stands, and files where they do
      await terminal.sees(/READY\s*$/)
      terminal.type(`kuma read ${KEYS.tab}${name === 'bash' ? KEYS.tab : ''}`)
      await terminal.sees('user_2')
      expect(terminal.output).not.toContain('.txt')
      terminal.type(`${KEYS.killLine}kuma import se${KEYS.tab}`)
      await terminal.sees('kuma import secret.txt')
      expect(readdirSync(here)).toEqual(FILES)
    },
  )
})

describe('kuma complete', () => {
  const complete = async (line: string, ...more: string[]) => {
    const { code, stdout, stderr } = await kuma(['complete', ...more, '--', line], { cwd: here, env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [kind, ...candidates] = stdout.trimEnd().split('\n')
    return [kind, ...candidates.sort()].join(' ')
  }

  test('finds the ids of the store that the line names', async () => {
    expect(await complete('read us', '--shell', 'zsh')).toBe('words user_1 user_2')
    expect(await complete('--dir ../kuma-data read us')).toBe('words er_1 er_2')
    expect(await complete('read --dir=../kuma-data us')).toBe('words er_1 er_2')
    expect(await complete('read --dir nowhere us')).toBe('words')
  })

  test('for bash: what takes the place of the part that bash will replace', async () => {
    expect(await complete('read a:b:', '--part=')).toBe('words 1 2')
    expect(await complete('read a:', '--part=a:')).toBe('words a:b:1 a:b:2')
    expect(await complete('read "a ', '--part=a ')).toBe('words a b')
    // what it says is not what was typed: it sees the line in another way
    expect(await complete('read "v', '--part=w')).toBe('words')
  })

  test('what would make a line look other than it is is not offered', async () => {
    const store = join(root, 'misleading')
    const lines = ['w_\u202etxt', 'w_1'].map((entity) => JSON.stringify({ entity, type: 'Set' }))
    await kuma(['init', store, '--shards', '1'], { env })
    await kuma(['import', '-', '--dir', store], { env, input: lines.join('\n') })
    expect(await complete(`read --dir ${store} w`)).toBe('words _1')
  })

  test('loads no config: not one here, not one that is named', async () => {
    const cwd = join(root, 'with-config')
    mkdirSync(cwd)
    const file = join(cwd, 'kuma.config.mjs')
    writeFileSync(file, `import { writeFileSync } from 'node:fs'\nwriteFileSync('ran', '')\nexport default {}`)
    const named = { ...env, KUMA_CONFIG: file }
    for (const line of ['read us', `read --config ${file} us`]) {
      const { stdout } = await kuma(['complete', '--shell', 'fish', '--', line], { cwd, env: named })
      expect(stdout).toMatch(/^words\nuser_1\nuser_2\n$/)
    }
    expect(readdirSync(cwd)).toEqual(['kuma.config.mjs'])
  })

  test('without a store there are no ids, and no error', async () => {
    const { KUMA_DIR: _, ...none } = env
    expect(await kuma(['complete', '--', 'read us'], { env: none })).toEqual({ code: 0, stdout: 'words\n', stderr: '' })
  })
})

test('every shell has a script, and no other', async () => {
  for (const name of Object.keys(SHELLS))
    expect((await kuma(['completion', name])).stdout).toContain(`kuma complete --shell ${name} `)
  expect(await kuma(['completion', 'tcsh'])).toMatchObject({ code: 2 })
  expect((await kuma(['--help'])).stdout).not.toMatch(/^ +complete /m)
})
