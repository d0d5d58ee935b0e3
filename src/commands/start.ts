import { BaseCommand } from '../cli/base-command.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { note } from '../cli/output.ts'
import { Client } from '../daemon/client.ts'
import { runDaemon } from '../daemon/daemon.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { openEngine } from '../kuma.ts'

export default class Start extends BaseCommand {
  static override summary = 'Run the engine for many programs and commands at once, until it is stopped.'
  static override description =
    'It listens on kuma.sock in the store, which only you may open. Other commands use it while it runs, so that many may write at once. It ends with `kuma stop`, SIGTERM or Ctrl-C: what was accepted is answered first.'
  static override examples = ['<%= config.bin %> start', '<%= config.bin %> start --dir /var/lib/kuma &']

  async run(): Promise<void> {
    const { flags } = await this.parse(Start)
    const { config, path } = await this.locate(flags)
    await refuseSecond(path)
    const engine = await openEngine(config, { access: 'write' })
    const daemon = await runDaemon(engine, this.config.version).catch(async (error) => {
      await engine.close()
      throw error
    })
    note(`listening: ${path}, process ${process.pid}`)
    const stop = () => daemon.stop()
    process.once('SIGINT', stop).once('SIGTERM', stop)
    const { poisonedShards } = await daemon.stopped
    process.off('SIGINT', stop).off('SIGTERM', stop)
    note('stopped')
    if (poisonedShards.length > 0) process.exitCode = EXIT.error
  }
}

/** @throws KUMA_LOCKED */
async function refuseSecond(path: string): Promise<void> {
  let client: Client
  try {
    client = await Client.connect(path)
  } catch (error) {
    if (isKumaError(error, 'KUMA_NOT_RUNNING')) return
    throw error
  }
  const { pid } = client.greeting
  await client.close()
  const hint = '`kuma status` tells how it does, `kuma stop` ends it'
  throw new KumaError('KUMA_LOCKED', `a daemon runs for ${path} already: process ${pid}`, { path, pid }, { hint })
}
