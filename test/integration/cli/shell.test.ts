/** A shell of Kuma's own. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { BINARY, shell } from '../../cli.ts'
import { started } from '../../daemon.ts'
import { KEYS, PseudoTerminal } from '../../pseudo-terminal.ts'
import { hasTerminal } from '../../terminal.ts'

/** A folder with a store that holds these. */
async function withIds(...ids: string[]) {
  const made = await shell()
  for (const id of ids) await made.run(['append', id, 'Set', `id=${id}`])
  return made
}

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
  test.skipIf(!hasTerminal)('on a terminal: an id is put in so that it is that id, in quotes or not', async () => {
    const typed = {
      'v$(touch x)': ['v', 'v\\$\\(touch\\ x\\)', '"v', '"v$(touch x)"', "'v", "'v$(touch x)'"],
      "it's": ['it', "it\\'s", '"it', '"it\'s"', "'it", "'it'\\''s'"],
      'say "x"': ['say', 'say\\ \\"x\\"', '"say', '"say \\"x\\""', "'say", '\'say "x"\''],
      '*': ['*', '\\*', '"*', '"*"', "'*", "'*'"],
      'a b': ['a', 'a\\ b', '"a', '"a b"', "'a", "'a b'"],
      'back\\slash': ['b', 'back\\\\slash', '"b', '"back\\\\slash"', "'b", "'back\\slash'"],
    }
    const { cwd } = await withIds(...Object.keys(typed))
    const command = `exec '${process.execPath}' '${BINARY}' shell`
    const terminal = new PseudoTerminal(command, { columns: 100, rows: 30 }, { cwd })
    onTestFinished(() => terminal.kill())
    for (const [id, pairs] of Object.entries(typed)) {
      for (let i = 0; i < pairs.length; i += 2) {
        await terminal.sees(/kuma-data>\s*$/)
        terminal.screen.clear()
        terminal.type(`read ${pairs[i]}\t`)
        await terminal.sees(`read ${pairs[i + 1]}`)
        terminal.type(KEYS.enter)
        await terminal.sees(`"id": ${JSON.stringify(id)}`)
      }
    }
  })
})
