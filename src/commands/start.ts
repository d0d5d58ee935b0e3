import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../cli/base-command.ts'
import { detach } from '../cli/detach.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { exitCodeFor, onEnding } from '../cli/interrupted.ts'
import { note } from '../cli/output.ts'
import { serve, tcpOf } from '../cli/serve.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { LOG_LEVELS } from '../daemon/log-levels.ts'

export default class Start extends BaseCommand {
  static override summary = 'Run the engine for many programs and commands at once, until it is stopped.'
  static override description =
    'It listens on kuma.sock in the store, which only you may open. Other commands use it while it runs, so that many may write at once. It ends with `kuma stop`, SIGTERM, SIGHUP or Ctrl-C: what was accepted is answered first.'
  static override examples = [
    '<%= config.bin %> start',
    '<%= config.bin %> start --detach --dir /var/lib/kuma',
    '<%= config.bin %> start --listen 127.0.0.1:7070 --token-file kuma.token',
  ]
  static override flags = {
    detach: Flags.boolean({
      description: 'return when it is ready, and let it go on; it writes to kuma.log in the store',
    }),
    listen: Flags.string({
      description: 'listen over TCP too, for those who show the token: 127.0.0.1:7070; port 0 takes a free one',
      env: 'KUMA_LISTEN',
      helpValue: 'HOST:PORT',
    }),
    'insecure-bind': Flags.boolean({
      description: 'let --listen be an address that others can reach, though nothing is encrypted',
    }),
    'log-level': Flags.option({
      description: 'what is logged: debug tells of every connection and request',
      options: LOG_LEVELS,
      default: 'info' as const,
      env: 'KUMA_LOG_LEVEL',
    })(),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Start)
    const located = await this.locate(flags)
    if (flags.detach) {
      tcpOf(flags) // what is wrong with it is told here
      const words = this.argv.filter((word) => word !== '--detach' && word !== '--json')
      const { pid, address } = await detach(located.path, this.config.root, ['start', ...words])
      return note(`listening: ${located.path}, ${address === null ? '' : `${address}, `}process ${pid}`)
    }
    let daemon: Daemon | null = null
    // from the beginning: whoever reads that it listens may end it at once
    const off = onEnding((signal) => (daemon === null ? process.exit(exitCodeFor(signal)) : daemon.stop()))
    daemon = await serve(located, flags, { version: this.config.version, logLevel: flags['log-level'] })
    const { poisonedShards, isWhole } = await daemon.stopped
    off()
    if (poisonedShards.length > 0 || !isWhole) process.exitCode = EXIT.error
  }
}
