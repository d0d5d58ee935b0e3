import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { code, paragraphs, table } from './markdown.js'

export function commands() {
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'oclif.manifest.json'), 'utf8'))
  const all = Object.values(manifest.commands).filter(({ hidden }) => !hidden)
  const global = Object.values(all.find(({ id }) => id === 'append').flags).filter(isGlobal)
  return paragraphs(
    '# Commands',
    'What `kuma --help` and `kuma COMMAND --help` tell. [Exit codes](errors.md#exit-codes) are the same for all of them.',
    '## Flags of every command',
    flagTable(global),
    ...all.map(page),
  )
}

const isGlobal = ({ helpGroup }) => helpGroup === 'GLOBAL'
const shown = (text = '') => text.replaceAll('<%= config.bin %>', 'kuma')

function page({ id, summary, description, args, flags, examples = [] }) {
  const words = Object.values(args).map(({ name, required }) =>
    required ? name.toUpperCase() : `[${name.toUpperCase()}]`,
  )
  const own = Object.values(flags).filter((flag) => !isGlobal(flag))
  return paragraphs(
    `## kuma ${id.replaceAll(':', ' ')}`,
    paragraphs(shown(summary), shown(description)),
    code([`kuma ${id.replaceAll(':', ' ')}`, ...words, ...(own.length > 0 ? ['[FLAGS]'] : [])].join(' ')),
    words.length > 0 &&
      table(
        ['Argument', ''],
        Object.values(args).map(({ name, description }) => [`\`${name.toUpperCase()}\``, shown(description)]),
      ),
    own.length > 0 && flagTable(own),
    examples.length > 0 && code(examples.map((line) => shown(line)).join('\n')),
  )
}

function flagTable(flags) {
  return table(
    ['Flag', 'Environment', ''],
    flags.map(({ name, char, type, helpValue, env, description, default: given, options, required }) => {
      const value = type === 'boolean' ? '' : ` ${helpValue ?? 'VALUE'}`
      const more = [
        ...(required ? ['has to be given'] : []),
        ...(options ? [`one of ${options.join(', ')}`] : []),
        ...(given === undefined || given === false ? [] : [`default: ${given}`]),
      ]
      const about = [shown(description), ...more].join('; ')
      return [`\`${char ? `-${char}, ` : ''}--${name}${value}\``, env ? `\`${env}\`` : '', about]
    }),
  )
}
