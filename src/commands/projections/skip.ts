import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../../cli/base-command.ts'
import { checkWord } from '../../cli/event-data.ts'
import { note } from '../../cli/output.ts'

export default class Skip extends BaseCommand {
  static override summary = 'Let a projection go on without an event that it cannot project.'
  static override description =
    'The event stays in the log. That it was skipped, when and why is kept, and shown by `projections`.'
  static override examples = [
    '<%= config.bin %> projections skip accounts 003:1284 --reason "amount was lost in the import"',
  ]
  static override args = {
    name: Args.string({ description: 'the projection', required: true, ignoreStdin: true }),
    position: Args.string({ description: "the event's position", required: true, ignoreStdin: true }),
  }
  static override flags = {
    reason: Flags.string({ description: 'why: kept with the read model', required: true, helpValue: 'TEXT' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Skip)
    const { name, position } = args
    checkWord(flags.reason, 'the reason')
    await this.withEngine(flags, { access: 'read' }, ({ readModels }) => readModels.skip(name, position, flags.reason))
    note(`${name} goes on without ${position}`)
  }
}
