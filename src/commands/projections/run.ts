import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../../cli/base-command.ts'
import { usage } from '../../cli/event-data.ts'
import { interruptible } from '../../cli/interrupted.ts'
import { note } from '../../cli/output.ts'
import { progressBar } from '../../cli/progress.ts'
import { assertNoneFailed, followLag } from '../../cli/projecting.ts'

export default class Run extends BaseCommand {
  static override summary = 'Bring read models up to date, once or for as long as it runs.'
  static override description =
    'Several may run at once, also beside a daemon, which does the same by itself: they do no harm to each other.'
  static override examples = ['<%= config.bin %> projections run --once', '<%= config.bin %> projections run --follow']
  static override flags = {
    once: Flags.boolean({ description: 'end when the tables are where the log ends now', exclusive: ['follow'] }),
    follow: Flags.boolean({ description: 'go on until it is interrupted', exclusive: ['once'] }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Run)
    if (!flags.once && !flags.follow) throw usage('say --once or --follow')
    const bar = progressBar('events')
    const run = (signal: AbortSignal) =>
      this.withEngine(flags, { access: 'read', projects: true }, async ({ readModels }) => {
        let most = 0
        await readModels
          .catchUp((left) => {
            most = Math.max(most, left)
            if (most > 0) bar.update(most - left, 1 - left / most)
          }, signal)
          .finally(() => bar.stop())
        const all = await readModels.list()
        assertNoneFailed(all)
        note(`up to date: ${all.map(({ name }) => name).join(', ')}`)
        if (flags.follow) await followLag(readModels, signal)
      })
    await interruptible(run, flags.follow ? null : 'what is projected stays; run it again for the rest').finally(() =>
      bar.stop(),
    )
  }
}
