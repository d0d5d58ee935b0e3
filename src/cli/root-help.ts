/** What `kuma --help` prints: where somebody new begins, and the commands by what one wants to do. */
import type { Config } from '@oclif/core/config'
import { colors } from './output.ts'

const START = [
  ['kuma demo', 'see it at work on real data'],
  ['kuma init', 'make a store here, in ./kuma-data'],
  ['kuma append user_1 SignedUp plan=free', 'record an event'],
  ['kuma read user_1', 'what its events add up to'],
  ['kuma log user_1', 'the events'],
] as const

export const GROUPS: { readonly [title: string]: readonly string[] } = {
  'WRITE AND READ': ['append', 'execute', 'import', 'read', 'ls', 'log', 'query', 'tail', 'export'],
  'LOOK INTO THE PAST': ['replay', 'diff', 'blame', 'revert', 'fork'],
  'RUN IT FOR MANY': ['start', 'stop', 'status', 'top', 'run', 'shell'],
  'KEEP IT SAFE': ['backup', 'restore', 'verify', 'check', 'compact', 'repair'],
  'FORGET SOMEBODY': ['delete', 'erasures'],
  'TABLES TO QUERY': ['projections'],
  'SET UP': ['init', 'demo', 'completion'],
}

const MORE = '`kuma COMMAND --help` tells the rest, also of the flags that all commands have: --dir, --config, --json.'
const WIDTH_MAX = 100
const WIDTH_MIN = 60

/** @param columns of the terminal; undefined where there is none */
export function rootHelp(config: Config, columns: number | undefined): string[] {
  const { bold } = colors(process.stdout)
  const width = Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, columns || 80))
  const commands = Object.entries(GROUPS).flatMap(([title, names]) => [
    '',
    bold(title),
    ...table(
      names.flatMap((name) => rowOf(config, name)),
      width,
    ),
  ])
  return [
    ...wrapped(config.pjson.description ?? '', width),
    '',
    bold('START HERE'),
    ...START.map(([command, about]) => `  $ ${command.padEnd(38)} ${about}`),
    ...commands,
    '',
    ...wrapped(MORE, width),
    config.userAgent,
  ]
}

/** None of a command that is not there. */
function rowOf(config: Config, name: string): [name: string, about: string][] {
  const command = config.findCommand(name)
  if (command === undefined) return []
  const below = config.commandIDs.filter((id) => id.startsWith(`${name}:`)).map((id) => id.slice(name.length + 1))
  const more = below.length === 0 ? '' : ` Also: ${name} ${below.join(', ')}.`
  return [[name, `${command.summary}${more}`]]
}

function table(rows: readonly (readonly [name: string, about: string])[], width: number): string[] {
  const indent = 14
  return rows.flatMap(([name, about]) =>
    wrapped(about, width - indent).map((line, i) => `${(i === 0 ? `  ${name}` : '').padEnd(indent)}${line}`),
  )
}

/** Lines that are no longer, broken between words. */
function wrapped(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}
