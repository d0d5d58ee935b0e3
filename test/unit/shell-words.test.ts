/** Random words, held against what the shells themselves make of them. */
import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { replacement, type Shell, wordsOf } from '../../src/cli/shell-words.ts'

const has = (program: string) => spawnSync(program, ['--version']).error === undefined
const HARD = [...'abé日 \'"\\$`!*?[]{}~#=<>|&;()^%@:,+-']
const text = fc.string({ unit: fc.constantFrom(...HARD), minLength: 1, maxLength: 8 })
const COMMANDS = {
  bash: (script: string) => ({ args: ['--norc', '--noprofile', '-i'], input: script }),
  zsh: (script: string) => ({ args: ['-fc', script] }),
  fish: (script: string) => ({ args: ['--no-config', '-c', script] }),
}

/** The words that a shell gets for each line. An interactive bash also looks into its history. */
function heard(shell: keyof typeof COMMANDS, lines: readonly string[]): string[][] {
  const script = lines.map((line) => `printf '%s\\0' ${line} END\n`).join('')
  const { args, ...input } = COMMANDS[shell](script)
  const { stdout } = spawnSync(shell, args, { ...input, encoding: 'utf8', env: { ...process.env, LC_ALL: 'C.UTF-8' } })
  const found = stdout.split('END\0').slice(0, -1)
  return found.map((words) => words.split('\0').slice(0, -1))
}

describe.each(['bash', 'zsh', 'fish'] as const)('%s', (shell) => {
  test.skipIf(!has(shell))(
    `takes a line apart as wordsOf does${has(shell) ? '' : ' (skipped: it is not installed)'}`,
    () => {
      const inSingle = text.map(
        (each) => `'${shell === 'fish' ? each.replace(/['\\]/g, '\\$&') : each.replaceAll("'", '')}'`,
      )
      const inDouble = text.map(
        (each) => `"${each.replace(/["\\$`]/g, shell === 'fish' ? '' : '\\$&').replaceAll('!', '')}"`,
      )
      const escaped = text.map((each) => [...each].map((char) => (/[\wé日]/.test(char) ? char : `\\${char}`)).join(''))
      const line = fc.array(fc.array(fc.oneof(inSingle, inDouble, escaped), { minLength: 1, maxLength: 3 }), {
        minLength: 1,
        maxLength: 3,
      })
      const lines = fc.sample(line, 200).map((words) => words.map((parts) => parts.join('')).join(' '))
      const values = lines.map((each) =>
        wordsOf(`${each} `, shell)
          .map(({ value }) => value)
          .slice(0, -1),
      )
      expect(values).toEqual(heard(shell, lines))
    },
  )
})

const QUOTES = ['', '"', "'"] as const

test.skipIf(!has('bash'))('bash gets the text that was to be put in, in each state', () => {
  const cases = fc.sample(fc.tuple(text, fc.constantFrom(...QUOTES)), 500)
  const lines = cases.map(([wanted, quote]) => `${quote}${replacement(quote, '', wanted, 'bash')}${quote}`)
  expect(heard('bash', lines)).toEqual(cases.map(([wanted]) => [wanted]))
})

test.each<Shell>(['bash', 'kuma'])('what was put in for %s is read as that word', (shell) => {
  const any = fc.tuple(text, text, fc.constantFrom(...QUOTES))
  fc.assert(
    fc.property(any, ([before, after, quote]) => {
      const begun = `${quote}${replacement(quote, '', before, shell as 'bash')}`
      const typed = `${begun}${replacement(begun, '', before + after, shell as 'bash')}`
      expect(wordsOf(typed, shell).at(-1)).toMatchObject({ value: before + after, isExpanded: false })
    }),
  )
})
