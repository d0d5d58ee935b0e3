import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../../cli/base-command.ts'
import { interruptible } from '../../cli/interrupted.ts'
import { note, print, visible } from '../../cli/output.ts'
import { rebuilt } from '../../cli/projecting.ts'
import type { Rebuilt } from '../../engine.ts'

export default class Rebuild extends BaseCommand {
  static override summary = 'Make the table of a projection anew from the log.'
  static override description =
    'A new generation is filled beside the one that serves, and takes its place when it has caught up. With --dry-run it is only compared: how many rows there are, and some that differ.'
  static override examples = [
    '<%= config.bin %> projections rebuild accounts',
    '<%= config.bin %> projections rebuild accounts --dry-run',
  ]
  static override args = { name: Args.string({ description: 'the projection', required: true, ignoreStdin: true }) }
  static override flags = {
    'dry-run': Flags.boolean({ description: 'tell what would change, and change nothing', default: false }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Rebuild)
    const run = (signal: AbortSignal) =>
      this.withEngine(flags, { access: 'read', projects: true }, ({ readModels }) =>
        rebuilt(readModels, args.name, { dryRun: flags['dry-run'], signal }),
      )
    const instead = flags['dry-run']
      ? 'what serves stays as it is'
      : 'what serves stays as it is, unless the new table was finished just then: `kuma projections` tells'
    const done = await interruptible(run, instead)
    if (done === null) return
    if (flags.json) await print(JSON.stringify(done))
    else if (done.difference === null) note(`${args.name} is served by generation ${done.generation}`)
    else for (const line of lines(done.difference)) await print(line)
  }
}

function lines(difference: NonNullable<Rebuilt['difference']>): string[] {
  const { rowsBefore, rowsAfter, onlyBefore, onlyAfter, samplesBefore, samplesAfter } = difference
  const rows = (sign: string, samples: readonly object[]) =>
    samples.map((row) => visible(`${sign} ${JSON.stringify(row)}`))
  return [
    `rows: ${rowsBefore} now, ${rowsAfter} after`,
    `${onlyBefore} would go, ${onlyAfter} would come`,
    ...rows('-', samplesBefore),
    ...rows('+', samplesAfter),
  ]
}
