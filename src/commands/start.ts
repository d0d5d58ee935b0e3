import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../cli/base-command.ts'
import { detach } from '../cli/detach.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { note } from '../cli/output.ts'
import { serve } from '../cli/serve.ts'

export default class Start extends BaseCommand {
  static override summary = 'Run the engine for many programs and commands at once, until it is stopped.'
  static override description =
    'It listens on kuma.sock in the store, which only you may open. Other commands use it while it runs, so that many may write at once. It ends with `kuma stop`, SIGTERM or Ctrl-C: what was accepted is answered first.'
  static override examples = ['<%= config.bin %> start', '<%= config.bin %> start --detach --dir /var/lib/kuma']
  static override flags = {
    detach: Flags.boolean({
      description: 'return when it is ready, and let it go on; it writes to kuma.log in the store',
    }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Start)
    const { config, path } = await this.locate(flags)
    if (flags.detach) {
      const words = this.argv.filter((word) => word !== '--detach')
      const pid = await detach(path, this.config.root, ['start', ...words])
      return note(`listening: ${path}, process ${pid}`)
    }
    const daemon = await serve(config, path, this.config.version)
    note(`listening: ${path}, process ${process.pid}`)
    const stop = () => daemon.stop()
    process.once('SIGINT', stop).once('SIGTERM', stop)
    const { poisonedShards } = await daemon.stopped
    process.off('SIGINT', stop).off('SIGTERM', stop)
    note('stopped')
    if (poisonedShards.length > 0) process.exitCode = EXIT.error
  }
}
