/** An error as its user sees it: what happened, and the next step. */
import { isKumaError } from '../errors.ts'
import { isUsage } from './exit-codes.ts'
import { colors, note, visible } from './output.ts'

interface Told {
  readonly code: string
  readonly message: string
  readonly hint: string | null
}

export function reportError(error: unknown, json: boolean): void {
  const told = tell(error)
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

function tell(error: unknown): Told {
  if (isKumaError(error)) return { code: error.code, message: error.message, hint: error.hint }
  const message = error instanceof Error ? error.message : String(error)
  if (isUsage(error)) {
    // oclif's own errors: the last line is the hint
    const lines = message.split('\n').filter((line) => line !== '' && !/^see more help/i.test(line))
    return { code: 'KUMA_USAGE', message: lines.join('\n'), hint: 'add --help to see what the command takes' }
  }
  const stack = error instanceof Error ? (error.stack ?? message) : message
  return { code: 'KUMA_INTERNAL', message: stack, hint: 'this is a defect of Kuma: please report it' }
}
