/** What helps people who type: completion in their shells, and a shell of Kuma's own. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BINARY, ended, environment, launch, shell } from '../../cli.ts'
import { started } from '../../daemon.ts'
import { KEYS, PseudoTerminal } from '../../pseudo-terminal.ts'
import { hasTerminal } from '../../terminal.ts'

const has = (program: string) => spawnSync(program, ['--version']).error === undefined

/** A folder with a store, and `kuma` on the PATH of what runs in it. */
async function withIds(...ids: string[]) {
  const made = await shell()
  for (const id of ids) await made.run(['append', id, 'Set'])
  const bin = join(made.cwd, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'kuma'), `#!/bin/sh\nexec '${process.execPath}' '${BINARY}' "$@"\n`, { mode: 0o755 })
  return { ...made, env: environment({ PATH: `${bin}:${process.env['PATH']}` }) }
}

describe('completion', () => {
  const IDS = ['user_1', 'user_2', 'we ird', 'a:b:1', 'a:b:2']

  test.skipIf(!has('bash'))('bash', async () => {
    const { cwd, env } = await withIds(...IDS)
    const script = `
      eval "$(kuma completion bash)"
      try() { COMP_LINE="$1" COMP_POINT=\${#1}; shift; COMP_WORDS=("$@") COMP_CWORD=$(( $# - 1 )); _kuma; echo "\${COMPREPLY[*]}"; }
      try 'kuma re' kuma re
      try 'kuma read us' kuma read us
      try 'kuma backup ' kuma backup ''
      try 'kuma read --js' kuma read --js
      try 'kuma ls --sort ' kuma ls --sort ''
      try 'kuma read a:b:' kuma read a : b :
      try 'kuma read we' kuma read we
      try 'kuma read "we' kuma read '"we'
      try 'kuma --dir kuma-data read we' kuma --dir kuma-data read we
      try 'kuma read --dir nowhere us' kuma read --dir nowhere us
      try 'kuma completion f' kuma completion f
      try '/some/kuma/kuma delete user_1 a' /some/kuma/kuma delete user_1 a
      try 'kuma read user_1 ' kuma read user_1 ''`
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { cwd, env, encoding: 'utf8' })
    const sorted = stdout.split('\n').map((line) => (line.includes('\\') ? line : line.split(' ').sort().join(' ')))
    expect({ stderr, lines: sorted }).toEqual({
      stderr: '',
      lines: [
        'read repair replay restore revert',
        'user_1 user_2',
        'ls verify',
        '--json',
        'id updated version',
        '1 2',
        'we\\ ird',
        'ird we',
        'we\\ ird',
        '',
        'fish',
        'a:b:1 a:b:2',
        '',
        '',
      ],
    })
  })

  test.skipIf(!has('zsh'))('zsh reads its script', async () => {
    const { cwd, env } = await withIds()
    const script = 'autoload -Uz compinit; compinit -u; eval "$(kuma completion zsh)"; print $_comps[kuma]'
    expect(spawnSync('zsh', ['-fc', script], { cwd, env, encoding: 'utf8' }).stdout.trim()).toBe('_kuma')
  })

  test.skipIf(!has('fish'))('fish', async () => {
    const { cwd, env } = await withIds(...IDS)
    const script = 'kuma completion fish | source; complete -C "kuma read us"'
    const { stdout } = spawnSync('fish', ['-c', script], { cwd, env, encoding: 'utf8' })
    expect(stdout.trim().split('\n').sort()).toEqual(['user_1', 'user_2'])
  })

  test('every shell has a script, and no other', async () => {
    const { run } = await shell()
    for (const name of ['bash', 'zsh', 'fish'])
      expect((await run(['completion', name])).stdout).toContain('kuma complete -- ')
    expect(await run(['completion', 'tcsh'])).toMatchObject({ code: 2 })
    expect((await run(['--help'])).stdout).not.toMatch(/^ +complete /m)
  })

  test('without a store there are no ids, and no error', async () => {
    const child = launch(['complete', '--', 'read us'])
    child.stdin!.end()
    expect(await ended(child)).toEqual({ code: 0, stdout: '=us\n', stderr: '' })
  })
})

describe('shell', () => {
  test('runs lines of stdin over one connection, and ends with the code of the last', async () => {
    const { run } = await started()
    const input = `append user_1 SignedUp "name=Ann Smith"
      # a comment

      as bob
      kuma append user_1 PlanChanged plan=pro
      read user_1
      read nobody`
    const { code, stdout, stderr } = await run(['shell', '--as', 'ann'], { input })
    expect({ code, stderr }).toEqual({ code: 3, stderr: 'Error: there is no entity "nobody"\n' })
    expect(stdout).toMatch(/^ok user_1 v1 .*\nok user_1 v2 .*\n\{"name":"Ann Smith","plan":"pro"\}\n$/)
    const log = (await run(['log', 'user_1', '--json'])).stdout
    expect(log).toMatch(/"by":"ann".*\n.*"by":"bob"/)
    expect(JSON.parse((await run(['top', '--once', '--json'])).stdout).status.clients).toBe(1)
    expect((await run(['shell'], { input: 'read "user_1\n' })).code).toBe(2)
    expect((await run(['shell'], { input: 'read nobody\nexit\nread user_1\n' })).stdout).toBe('')
  })

  test('without a daemon it has the store for itself', async () => {
    const { run } = await shell()
    const { code, stdout } = await run(['shell'], { input: 'append a Set n:=1\nread a\nverify --quick\nbackup\n' })
    expect(code).toBe(0)
    expect(stdout).toContain('{"n":1}')
    expect((await run(['read', 'a'])).stdout).toBe('{"n":1}\n')
    expect((await run(['shell', '--dir', 'nowhere'], { input: '' })).code).toBe(3)
  })

  test.skipIf(!hasTerminal)('on a terminal: a prompt with the name, history, completion, Ctrl-C, Ctrl-D', async () => {
    const { cwd } = await withIds('user_1', 'order_77')
    const command = `exec '${process.execPath}' '${BINARY}' shell --as ann`
    const terminal = new PseudoTerminal(command, { columns: 100, rows: 30 }, { cwd })
    onTestFinished(() => terminal.kill())
    await terminal.sees('ann@kuma-data>')
    terminal.type('append user_1 Renamed name=Bo\r')
    await terminal.sees(/^ok user_1 v2/m)
    terminal.type('read ord\t')
    await terminal.sees('read order_77')
    terminal.type(KEYS.ctrlC)
    await terminal.sees((text) => !text.includes('order_77'))
    terminal.type('read user_1\r')
    await terminal.sees('"name": "Bo"')
    terminal.type(`${KEYS.up}${KEYS.up}`)
    await terminal.sees(/> append user_1 Renamed name=Bo\n[\s\S]*> append user_1 Renamed name=Bo/)
    terminal.type('by=x\r')
    await terminal.sees(/^ok user_1 v3/m)
    terminal.type('as eve\r')
    await terminal.sees('eve@kuma-data>')
    terminal.type('delete user_1\r')
    await terminal.sees('type user_1 to')
    terminal.type('user_1\r')
    await terminal.sees(/erased/)
    terminal.type('tail -f\r')
    await terminal.sees('"erased"')
    terminal.type(KEYS.ctrlC)
    await terminal.sees(/eve@kuma-data>\s*$/)
    terminal.type('\x04')
    expect(await terminal.ended).toBe(130)
  })
})
