import * as Args from '@oclif/core/args'
import { BaseCommand } from '../cli/base-command.ts'
import { printState } from '../cli/print-state.ts'

export default class Read extends BaseCommand {
  static override summary = "Print an entity's state."
  static override description = 'Only what is on disk. --json adds id, type, version and time.'
  static override examples = ['<%= config.bin %> read user_1', '<%= config.bin %> read user_1 --json']
  static override args = { entity: Args.string({ description: 'the id', required: true, ignoreStdin: true }) }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Read)
    await this.withEngine(flags, { access: 'read' }, async (engine) =>
      printState(await engine.inspect(args.entity), flags.json),
    )
  }
}
