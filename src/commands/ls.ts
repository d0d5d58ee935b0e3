import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type { EntitySummary } from '../api.ts'
import { BaseCommand, timeIn } from '../cli/base-command.ts'
import { checkWord } from '../cli/event-data.ts'
import { tellMistypedTypes } from '../cli/mistyped.ts'
import { iso } from '../cli/output.ts'
import { counted } from '../cli/progress.ts'
import { type Order, sorted } from '../cli/sorted.ts'
import { type Column, list } from '../cli/table.ts'

const COLUMNS: readonly Column<EntitySummary>[] = [
  { head: 'id', text: ({ id }) => id },
  { head: 'type', text: ({ type }) => type },
  { head: 'version', text: ({ version }) => `v${version}`, align: 'right' },
  { head: 'updated', text: ({ updatedAt }) => iso(updatedAt) },
]

export default class Ls extends BaseCommand {
  static override summary = 'List entities.'
  static override description =
    'By id, or with --sort by time of the last event or by version, the newest or highest first.'
  static override examples = [
    '<%= config.bin %> ls',
    '<%= config.bin %> ls user_ --limit 20',
    '<%= config.bin %> ls --type account --sort updated',
    '<%= config.bin %> ls --at 2026-11-01',
  ]
  static override args = { prefix: Args.string({ description: 'only ids that begin like this', ignoreStdin: true }) }
  static override flags = {
    type: Flags.string({ description: 'only entities of this type' }),
    at: Flags.string({ description: 'those there were at this time, as they were', helpValue: 'TIME' }),
    limit: Flags.integer({ char: 'n', description: 'at most so many', min: 0, helpValue: 'N' }),
    sort: Flags.string({ description: 'the order', options: ['updated', 'version', 'id'], default: 'id' }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Ls)
    const { type, limit } = flags
    checkWord(args.prefix, 'the prefix')
    const at = timeIn(flags.at, 'a list')
    await this.withEngine(flags, { access: 'read' }, async (engine, { config }) => {
      const entities = counted(engine.entities({ prefix: args.prefix, type, at }), 'entities')
      const shown = await list(sorted(entities, flags.sort as Order, limit), COLUMNS, flags.json)
      if (shown === 0 && type !== undefined) await tellMistypedTypes([type], { engine, config })
    })
  }
}
