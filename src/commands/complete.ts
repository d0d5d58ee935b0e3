import * as Args from '@oclif/core/args'
import { BaseCommand, type GlobalFlags } from '../cli/base-command.ts'
import { complete, idsLike } from '../cli/completion.ts'
import { print } from '../cli/output.ts'

const NAMING = ['dir', 'url', 'config', 'token-file'] as const

export default class Complete extends BaseCommand {
  static override hidden = true
  static override summary = 'What a line may become: for the scripts of `kuma completion`.'
  static override description =
    'Prints = and the word that is being typed, then each word that it may become, a line each.'
  static override examples = ['<%= config.bin %> complete -- "read us"']
  static override args = {
    line: Args.string({ description: 'what follows `kuma`, up to the cursor', default: '', ignoreStdin: true }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Complete)
    const ids = (prefix: string, words: readonly string[]) => this.idsIn(named(words, flags), prefix)
    const { word, candidates } = await complete(args.line, this.config, ids)
    await print([`=${word}`, ...candidates].join('\n'))
  }

  /** None if there is no store. */
  private async idsIn(flags: GlobalFlags, prefix: string): Promise<string[]> {
    return this.withEngine(flags, { access: 'read' }, (engine) => idsLike(engine, prefix)).catch(() => [])
  }
}

/** The store that the line names. */
function named(words: readonly string[], flags: GlobalFlags): GlobalFlags {
  const given = NAMING.flatMap((name) => {
    const at = words.lastIndexOf(`--${name}`)
    return at === -1 || words[at + 1] === undefined ? [] : [[name, words[at + 1]!] as const]
  })
  return { ...flags, ...Object.fromEntries(given) }
}
