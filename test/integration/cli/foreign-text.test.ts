/** What somebody else wrote: a terminal shows it and does not obey, a spreadsheet does not run it, a program gets it as it is. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BINARY, ndjson, shell } from '../../cli.ts'
import { folder } from '../../folder.ts'
import { PseudoTerminal } from '../../pseudo-terminal.ts'
import { hasTerminal } from '../../terminal.ts'

/** Turns what follows around, looks like nothing, breaks the line. No control character: it may be an id. */
const ID = 'a\u202eb\u2066c\u061cd\u200ee\u2028f\u200bg\ufeffh\u00adi\u{e0041}'
const SHOWN = String.raw`a\u202eb\u2066c\u061cd\u200ee\u2028f\u200bg\ufeffh\u00adi\udb40\udc41`
/** Sets the title of the terminal, in both ways to begin that; clears it; hides what follows. */
const TEXT = '\u001b]0;owned\u0007\u009d0;owned\u009c\u001b[2J\u202e\r\b\u007f'
/** But for the line breaks of a terminal. */
const OBEYED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  /(?!\r\n|\n)[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0041}]/u

// biome-ignore lint/suspicious/noControlCharactersInRegex: a colour begins with one
const COLOUR = /\u001b\[[\d;]*m/g

/** A store in which somebody wrote that wherever he could, and a file of commands that show it. */
async function written() {
  const { cwd, run } = await shell()
  const meta = { by: TEXT, reason: TEXT }
  const lines = [
    { entity: ID, type: `T${ID}`, entityType: 'document', data: { [TEXT]: TEXT, cell: `=1+1${TEXT}` }, meta },
    { entity: ID, type: 'B', data: { more: TEXT }, meta },
  ]
  const input = lines.map((line) => JSON.stringify(line)).join('\n')
  expect((await run(['import', '-'], { input })).code).toBe(0)
  const commands = [
    'ls',
    'log',
    `log "${ID}" --reverse`,
    `read "${ID}"`,
    `replay "${ID}"`,
    `diff "${ID}"`,
    `diff "${ID}" --from v1`,
    `blame "${ID}"`,
    'tail',
    `export "${ID}"`,
    `append "${ID}" C`,
    `revert "${ID}" --to v1 --dry-run`,
    `revert "${ID}" --to v1`,
    `delete "${ID}" --dry-run`,
    `query "select id, type, '${TEXT}' as \`${TEXT}\` from entities"`,
    `query "select id, '${TEXT}' as \`${TEXT}\` from entities" --csv`,
    // errors, and their hints
    `read "no${ID}"`,
    `read "no${ID}" --json`,
    `query "select \`${TEXT}\`"`,
    `blame "${ID}" "/no${ID}"`,
    `log "${ID}" --from "${ID}"`,
    `tail --from "${ID}"`,
    `replay "${ID}" --until-event "T${ID}x"`,
    `diff "no${ID}"`,
    `projections pause "no${ID}"`,
    `delete --prefix "no${ID}" --yes`,
    `"${ID}"`,
  ]
  writeFileSync(join(cwd, 'commands'), commands.join('\n'))
  return { cwd, run, commands }
}

test.runIf(hasTerminal)('on a terminal no command lets it through', { timeout: 60_000 }, async () => {
  const { cwd } = await written()
  const command = `"${process.execPath}" "${BINARY}" shell < commands`
  const terminal = new PseudoTerminal(command, { columns: 4_000, rows: 24 }, { cwd, env: { NO_COLOR: '1' } })
  onTestFinished(() => terminal.kill())
  await terminal.ended
  const told = terminal.output
  expect(
    OBEYED.exec(told)?.index,
    JSON.stringify(told.slice((OBEYED.exec(told)?.index ?? 0) - 200).slice(0, 300)),
  ).toBe(undefined)
  expect(told).not.toContain('KUMA_INTERNAL')
  expect(told).toContain(`ok ${SHOWN} v3`)
  expect(told).toContain(`there is no entity "no${SHOWN}"`)
  expect(told).toContain(String.raw`"more": "\u001b]0;owned\u0007\u009d0;owned\u009c\u001b[2J\u202e\r\b\u007f"`)
})

test('in a pipe JSON and CSV are what was written, and what is said beside it is not obeyed', async () => {
  const { run } = await written()
  expect(ndjson((await run(['ls'])).stdout)).toMatchObject([{ id: ID }])
  const { stdout } = await run(['log', ID])
  expect(stdout).toContain(ID)
  expect(ndjson(stdout)[0]).toMatchObject({ entity: ID, data: { [TEXT]: TEXT }, meta: { by: TEXT, reason: TEXT } })
  const csv = await run(['query', `select id, '${TEXT}' as text from entities`, '--csv'])
  expect(csv.stdout).toBe(`id,text\n${ID},"${TEXT}"\n`)
  const failed = await run(['read', `no${ID}`])
  expect(failed.stderr).toBe(`Error: there is no entity "no${SHOWN}"\n`)
  const { stderr } = await run(['read', `no${ID}`, '--json'])
  expect(JSON.parse(stderr)).toMatchObject({ error: { message: expect.stringContaining(`"no${ID}"`) } })
  expect((await run(['append', ID, 'C'])).stdout).toContain(`ok ${SHOWN} v3`)
})

test.runIf(hasTerminal)('the log of a daemon on a terminal, and the cockpit', { timeout: 60_000 }, async () => {
  const cwd = folder()
  const name = `x\u001b]0;owned\u0007\u202ey`
  const command = `"${process.execPath}" "${BINARY}"`
  const run = (words: string) => {
    const terminal = new PseudoTerminal(`${command} ${words}`, { columns: 200, rows: 24 }, { cwd })
    onTestFinished(() => terminal.kill())
    return terminal
  }
  await run(`init '${name}'`).ended
  const daemon = run(`start --dir '${name}' --log-level debug`)
  await daemon.sees('listening')
  const look = run(`top --once --dir '${name}'`)
  await look.ended
  const status = run(`status --dir '${name}'`)
  await status.ended
  await run(`stop --dir '${name}'`).ended
  await daemon.ended
  for (const { output } of [daemon, look, status]) {
    const bare = output.replaceAll(COLOUR, '')
    expect(OBEYED.exec(bare)?.index, JSON.stringify(bare)).toBe(undefined)
  }
  expect(daemon.output).toContain(String.raw`x\u001b]0;owned\u0007\u202ey`)
  expect(daemon.output).toContain('stopped')
  expect(look.output).toContain(String.raw`x\u001b]0;owned\u0007\u202ey`)
})

describe('query --csv', () => {
  const TEXTS = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '＝1+1', "it's", 'a=b', ' =1', '=a,"b"']
  const SQL = `select value, -1 as "-n", -1.5 as x, -9007199254740993 as large, null as none, '' as empty from json_each('${JSON.stringify(TEXTS).replaceAll("'", "''")}') order by key`

  test('marks what a spreadsheet would run, where it is a text', async () => {
    const { run } = await shell()
    const { stdout } = await run(['query', SQL, '--csv'])
    const rest = '-1,-1.5,-9007199254740993,,""\n'
    const cells = [
      "'=1+1",
      "'+1",
      "'-1",
      "'@SUM(A1)",
      "'\t=1",
      `"'\r=1"`,
      "'＝1+1",
      "it's",
      'a=b',
      ' =1',
      `"'=a,""b"""`,
    ]
    expect(stdout).toBe(`value,'-n,x,large,none,empty\n${cells.map((cell) => `${cell},${rest}`).join('')}`)
  })

  test('--raw leaves them as they are, and goes with --csv only', async () => {
    const { run } = await shell()
    const { stdout } = await run(['query', SQL, '--csv', '--raw'])
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'value,-n,x,large,none,empty',
      '=1+1,-1,-1.5,-9007199254740993,,""',
      '+1,-1,-1.5,-9007199254740993,,""',
    ])
    expect(await run(['query', SQL, '--raw'])).toMatchObject({ code: 2, stdout: '' })
  })
})
