import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../cli/base-command.ts'
import { note, print, visible } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'
import { repairSnapshots } from '../kuma.ts'

export default class Repair extends BaseCommand {
  static override summary = 'Make what is derived anew.'
  static override description =
    'Snapshots are states along the history that spare the reader most of the folding. They are made from the events by the models in the config, and can be made again at any time: after an evolve was changed without a new version, or when verify finds a wrong one. Events are not touched.'
  static override examples = ['<%= config.bin %> repair --snapshots']
  static override flags = {
    snapshots: Flags.boolean({ description: 'make all snapshots anew', required: true }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Repair)
    const { config } = await this.locate(flags)
    const bar = progressBar('snapshots')
    try {
      const report = await repairSnapshots(config, { onProgress: (done, part) => bar.update(done, part) })
      bar.stop()
      const { entities, snapshots, unknownTypes } = report
      await print(flags.json ? JSON.stringify(report) : `ok snapshots ${snapshots}, entities ${entities}`)
      if (flags.json || unknownTypes.length === 0) return
      note(visible(`no model of ${unknownTypes.join(', ')} here: their snapshots come back when they are written to`))
    } finally {
      bar.stop()
    }
  }
}
