import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, pointOf } from '../cli/base-command.ts'
import { printState } from '../cli/print-state.ts'

export default class Read extends BaseCommand {
  static override summary = "Print an entity's state."
  static override description =
    'Only what is on disk. With --at as it was at a POINT: v3 (a version), 2026-11-01, 2h (ago); `kuma replay --help` has them all. --json adds id, type, version and time.'
  static override examples = [
    '<%= config.bin %> read user_1',
    '<%= config.bin %> read user_1 --json',
    '<%= config.bin %> read user_1 --at yesterday',
  ]
  static override args = { entity: Args.string({ description: 'the id', required: true, ignoreStdin: true }) }
  static override flags = { at: Flags.string({ description: 'as it was then', helpValue: 'POINT' }) }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Read)
    const at = pointOf(flags.at)
    await this.withEngine(flags, { access: 'read' }, async (engine) =>
      printState(await engine.inspect(args.entity, at), flags.json),
    )
  }
}
