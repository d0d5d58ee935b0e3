import * as Args from '@oclif/core/args'
import type { Blame as BlamedField } from '../api.ts'
import { BaseCommand } from '../cli/base-command.ts'
import { iso, timed } from '../cli/output.ts'
import { pointerOf } from '../cli/pointer.ts'
import { type Column, list } from '../cli/table.ts'
import { told } from '../cli/told.ts'

const COLUMNS: readonly Column<BlamedField>[] = [
  { head: 'path', text: ({ path }) => path || '/' },
  { head: 'value', text: ({ value }) => shortened(JSON.stringify(value)) },
  { head: 'version', text: ({ event }) => (event === null ? '' : `v${event.version}`), align: 'right' },
  { head: 'time', text: ({ event }) => (event === null ? '' : iso(event.at)) },
  { head: 'event', text: ({ event }) => (event === null ? '(initial)' : event.type) },
  { head: 'by', text: ({ event }) => (event === null ? '' : told(event.meta)) },
]

const VALUE_MAX = 40

export default class Blame extends BaseCommand {
  static override summary = "Show for each field of an entity's state which event last set it, and who did that."
  static override description =
    'The last event after which something else stood at that path than before. PATH is a JSON Pointer, /address/city, or address.city and lines[0].sku.'
  static override examples = ['<%= config.bin %> blame user_1', '<%= config.bin %> blame user_1 plan']
  static override args = {
    entity: Args.string({ description: 'the id', required: true, ignoreStdin: true }),
    path: Args.string({ description: 'only this part of the state', ignoreStdin: true }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Blame)
    await this.withEngine(flags, { access: 'read' }, async (engine) => {
      const fields = await engine.blame(args.entity, pointerOf(args.path ?? ''))
      const told = ({ event, ...field }: BlamedField) => ({ ...field, event: event && timed(event) })
      await list(flags.json ? fields.map(told) : fields, COLUMNS, flags.json)
    })
  }
}

function shortened(text: string): string {
  return text.length > VALUE_MAX ? `${text.slice(0, VALUE_MAX - 1).toWellFormed()}…` : text
}
