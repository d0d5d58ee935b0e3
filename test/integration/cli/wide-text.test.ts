/** Texts whose characters take two columns of a terminal, in tables and pictures. */
import { join } from 'node:path'
import stringWidth from 'string-width'
import { expect, onTestFinished, test } from 'vitest'
import { createStore } from '../../../src/store/create.ts'
import { BINARY, kuma } from '../../cli.ts'
import { folder } from '../../folder.ts'
import { PseudoTerminal } from '../../pseudo-terminal.ts'

const ID = '顧客番号一'

async function store() {
  const cwd = folder()
  await createStore(join(cwd, 'kuma-data'), { shards: 1 })
  await kuma(['append', ID, '登録済み', `名前=${'山田'.repeat(20)}`], { cwd })
  return cwd
}

function terminal(cwd: string, words: string, columns: number): PseudoTerminal {
  const made = new PseudoTerminal(`"${process.execPath}" "${BINARY}" ${words}`, { columns, rows: 20 }, { cwd })
  onTestFinished(() => made.kill())
  return made
}

test('a table shows them whole where there is room, and ends where the terminal does', async () => {
  const cwd = await store()
  const seen = terminal(cwd, 'log', 120)
  await seen.sees(/└.*┘/)
  expect(seen.text).toContain(`│ ${ID} │`)
  expect(seen.text).toContain('│ 登録済み │')
  const table = seen.lines.filter((line) => /^[┌│└├]/.test(line))
  expect(table.map((line) => stringWidth(line))).toEqual(table.map(() => 120))
})

test('a picture of a step is cut where the terminal ends', async () => {
  const seen = terminal(await store(), `replay ${ID} --step`, 60)
  await seen.sees('"名前"')
  const first = seen.lines.findIndex((line) => line.startsWith('v1 '))
  expect(seen.lines[first]).toContain('登録済み')
  expect(seen.lines[first + 1]).toMatch(/^ {2}\+ \/名前/)
})
