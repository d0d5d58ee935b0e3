import * as Args from '@oclif/core/args'
import { BaseCommand } from '../../cli/base-command.ts'
import { note } from '../../cli/output.ts'

export default class Resume extends BaseCommand {
  static override summary = 'Let a projection go on: one that is paused, or one that failed.'
  static override description = 'One that failed tries the same event again.'
  static override examples = ['<%= config.bin %> projections resume accounts']
  static override args = { name: Args.string({ description: 'the projection', required: true, ignoreStdin: true }) }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Resume)
    await this.withEngine(flags, { access: 'read' }, ({ readModels }) => readModels.resume(args.name))
    note(`${args.name} goes on`)
  }
}
