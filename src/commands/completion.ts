import * as Args from '@oclif/core/args'
import { BaseCommand } from '../cli/base-command.ts'
import { SCRIPTS, SHELLS } from '../cli/completion.ts'
import { print } from '../cli/output.ts'

export default class Completion extends BaseCommand {
  static override summary = 'Print what a shell runs to complete kuma: commands, flags, and ids of entities.'
  static override description =
    'bash: eval "$(kuma completion bash)" in ~/.bashrc. zsh: eval "$(kuma completion zsh)" in ~/.zshrc, after compinit. fish: kuma completion fish | source, in ~/.config/fish/config.fish.'
  static override examples = [
    'eval "$(<%= config.bin %> completion bash)"',
    '<%= config.bin %> completion fish | source',
  ]
  static override args = {
    shell: Args.string({ description: 'the shell', options: [...SHELLS], required: true, ignoreStdin: true }),
  }

  // it needs no store
  static override baseFlags = {} as never

  async run(): Promise<void> {
    const { args } = await this.parse(Completion)
    await print(SCRIPTS[args.shell]!.trimEnd())
  }
}
