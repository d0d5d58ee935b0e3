import { BaseCommand } from '../cli/base-command.ts'
import { print } from '../cli/output.ts'
import { Client } from '../daemon/client.ts'

export default class Stop extends BaseCommand {
  static override summary = "End the store's daemon, once all that it accepted is answered."
  static override description =
    'Returns when it has ended and others may write. Exit code 3 if none runs. A program that serves its own store is not ended.'
  static override examples = ['<%= config.bin %> stop']

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { flags } = await this.parse(Stop)
    const client = await Client.connect(await this.target(flags), { reconnect: false })
    const { pid } = await client.call<{ pid: number }>('stop').catch(async (error) => {
      await client.close()
      throw error
    })
    await client.ended
    await print(flags.json ? JSON.stringify({ pid }) : `stopped: process ${pid}`)
  }
}
