import * as Args from '@oclif/core/args'
import { BaseCommand } from '../../cli/base-command.ts'
import { note } from '../../cli/output.ts'

export default class Pause extends BaseCommand {
  static override summary = 'Let a projection rest where it is.'
  static override description = 'Its table stays as it is, and can be asked.'
  static override examples = ['<%= config.bin %> projections pause accounts']
  static override args = { name: Args.string({ description: 'the projection', required: true, ignoreStdin: true }) }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Pause)
    await this.withEngine(flags, { access: 'read' }, ({ readModels }) => readModels.pause(args.name))
    note(`${args.name} is paused`)
  }
}
