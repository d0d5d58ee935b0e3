import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import * as Args from '@oclif/core/args'
import { BaseCommand } from '../cli/base-command.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { guard, passSignals } from '../cli/program.ts'
import { serve } from '../cli/serve.ts'
import { KumaError } from '../errors.ts'
import { withoutMasterKey } from '../store/master-key.ts'

export default class Run extends BaseCommand {
  static override summary = 'Run a program with a daemon beside it, which ends when the program does.'
  static override description =
    'The program finds the store in KUMA_DIR: kuma.connect(process.env.KUMA_DIR), or any command. Exit code: that of the program, or 125 if the daemon could not run.'
  static override examples = ['<%= config.bin %> run -- node server.js', '<%= config.bin %> run --dir data -- npm test']
  static override args = {
    command: Args.string({
      description: 'the program and its words',
      required: true,
      multiple: true,
      ignoreStdin: true,
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Run)
    const located = await this.locate(flags)
    const { path } = located
    const daemon = await serve(located, {}, { version: this.config.version, logLevel: 'warn' })
    const [program, ...words] = args.command as unknown as [string, ...string[]]
    const child = spawn(program, words, { stdio: 'inherit', env: { ...withoutMasterKey(), KUMA_DIR: path } })
    const stopPassing = passSignals(child)
    const stopGuarding = guard(child)
    try {
      const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
      process.exitCode = code ?? 128 + constants.signals[signal!]
    } catch (cause) {
      throw new KumaError('KUMA_USAGE', `cannot run ${program}: ${(cause as Error).message}`, {}, { cause })
    } finally {
      stopGuarding()
      daemon.stop()
      await daemon.stopped
      stopPassing()
    }
  }

  protected override async catch(error: unknown): Promise<void> {
    await super.catch(error)
    process.exitCode = EXIT.notRun
  }
}
