/** Where the command line begins. */
import type { Config } from '@oclif/core/config'
import { run } from '@oclif/core/run'
import { nearest } from '../nearest.ts'
import { PACKAGE_FOLDER } from '../store/bundled.ts'
import { hasFlag } from './base-command.ts'
import { endSoon } from './end-soon.ts'
import { usage } from './event-data.ts'
import { exitCodeOf } from './exit-codes.ts'
import { receiveKey } from './key-pipe.ts'
import { oclifConfig } from './oclif-config.ts'
import { asData, print, watchOutput, watchWarnings } from './output.ts'
import { reportError } from './report-error.ts'

export async function main(given: readonly string[]): Promise<void> {
  watchOutput()
  watchWarnings()
  try {
    receiveKey()
    await runWords(given, await oclifConfig(PACKAGE_FOLDER))
  } catch (error) {
    fail(error, given)
  }
  await endSoon()
}

/** Runs what somebody has typed after `kuma`. Whatever becomes of it, `process.exitCode` tells. */
export async function runWords(given: readonly string[], config: Config): Promise<void> {
  try {
    const argv = arrange(given, (id) => config.findCommand(id) !== undefined)
    const [id, ...rest] = argv
    if (id === undefined || (id.startsWith('-') && hasFlag(argv, '--help'))) await printHelp(config)
    else if (id.startsWith('-') || hasFlag(rest, '--help')) await asData(() => run(argv, config))
    else if (config.findCommand(id) === undefined) throw unknownCommand(id, config)
    else if (isMistyped(id, rest[0], config)) throw unknownCommand(`${id} ${rest[0]}`, config)
    else await config.runCommand(id, rest) // oclif's own way would take a word too many for a part of the name
  } catch (error) {
    fail(error, given)
  }
}

async function printHelp(config: Config): Promise<void> {
  const { rootHelp } = await import('./root-help.ts')
  for (const line of rootHelp(config, process.stdout.columns)) await print(line)
}

function fail(error: unknown, words: readonly string[]): void {
  process.exitCode = exitCodeOf(error)
  reportError(error, hasFlag(words, '--json'))
}

/**
 * Flags that stand before the command go behind it, `help X` becomes `X --help`, -h and -v are what one expects, and a
 * command of two words (`backup ls`) becomes one (`backup:ls`).
 */
export function arrange(words: readonly string[], isCommand: (id: string) => boolean = () => false): string[] {
  const end = words.indexOf('--')
  const given = words.map((word, i) => (end === -1 || i < end ? SHORT.get(word) : undefined) ?? word)
  const at = given.findIndex((word, i) => !word.startsWith('-') && !takesValue(given[i - 1]))
  if (at === -1) return [...given]
  const [leading, command, rest] = [given.slice(0, at), given[at]!, given.slice(at + 1)]
  if (command === 'help') return rest.length === 0 ? ['--help'] : [...rest, ...leading, '--help']
  const longer = `${command}:${rest[0]}`
  if (isCommand(longer)) return [longer, ...leading, ...rest.slice(1)]
  return [command, ...leading, ...rest]
}

const SHORT = new Map([
  ['-h', '--help'],
  ['-v', '--version'],
])
const VALUED = ['--dir', '--config', '--lock-timeout', '--master-key-file', '--url', '--token-file']

function takesValue(word: string | undefined): boolean {
  return word !== undefined && VALUED.includes(word)
}

/** Is a word that follows a command with others below it meant for one of those? It takes no words itself. */
function isMistyped(id: string, word: string | undefined, { commandIDs }: Config): boolean {
  return word !== undefined && !word.startsWith('-') && commandIDs.some((each) => each.startsWith(`${id}:`))
}

function unknownCommand(id: string, config: Config) {
  const names = config.commandIDs.map((each) => each.replaceAll(':', ' '))
  const suggestion = nearest(id, names)
  return usage(
    `there is no command ${JSON.stringify(id)}`,
    suggestion ? `did you mean \`kuma ${suggestion}\`?` : 'kuma --help lists them',
  )
}
