/** An error as its user sees it: what happened, and the next step. */
import { isKumaError } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { isUsage } from './exit-codes.ts'
import { colors, note, visible } from './output.ts'

interface Told {
  readonly code: string
  readonly message: string
  readonly hint: string | null
}

/** @param flags of the command, for a mistyped one */
export function reportError(error: unknown, json: boolean, flags: readonly string[] = []): void {
  const told = tell(error, flags)
  if (json) {
    note(JSON.stringify({ error: told }))
    return
  }
  const { red, dim } = colors(process.stderr)
  // a message may quote the user's stack, so its line breaks stay
  const message = told.message.split('\n').map(visible).join('\n')
  note(`${red('Error')}: ${message}`)
  if (told.hint !== null) note(dim(`  ${told.hint.split('\n').map(visible).join('\n  ')}`))
}

function tell(error: unknown, flags: readonly string[]): Told {
  if (isKumaError(error)) return { code: error.code, message: withoutFrame(error.message), hint: error.hint }
  const message = error instanceof Error ? error.message : String(error)
  if (isUsage(error)) return tellUsage(message, flags)
  const stack = error instanceof Error ? (error.stack ?? message) : message
  return { code: 'KUMA_INTERNAL', message: stack, hint: 'this is a defect of Kuma: please report it' }
}

/** What oclif puts around an error of a flag's value, ours too. */
function withoutFrame(message: string): string {
  return message.startsWith('Parsing --') ? said(message) : message
}

/** oclif's own errors come with a last line that repeats how to ask for help, and with notes about flags not given. */
function said(message: string): string {
  const lines = message
    .replaceAll(/\s*\n\t/g, ': ')
    .replaceAll('\t', ' ')
    .split('\n')
  return lines.filter((line) => line.trim() !== '' && !/^(see more help|note: |alternatively, )/i.test(line)).join('\n')
}

function tellUsage(message: string, flags: readonly string[]): Told {
  const [, unknown] = /^Nonexistent flags?: --([\w-]+)/.exec(message) ?? []
  const meant = unknown && nearest(unknown, flags)
  const hint = meant ? `did you mean --${meant}?` : 'add --help to see what the command takes'
  return { code: 'KUMA_USAGE', message: said(message), hint }
}
