import * as Args from '@oclif/core/args'
import { BaseCommand } from '../../cli/base-command.ts'
import { note } from '../../cli/output.ts'

export default class Drop extends BaseCommand {
  static override summary = 'Take away the table of a projection that is in the config no more.'
  static override description = 'Its rows, all generations, and what it skipped.'
  static override examples = ['<%= config.bin %> projections drop accounts']
  static override args = { name: Args.string({ description: 'the projection', required: true, ignoreStdin: true }) }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Drop)
    await this.withEngine(flags, { access: 'read' }, ({ readModels }) => readModels.drop(args.name))
    note(`${args.name} is gone`)
  }
}
