import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, type GlobalFlags } from '../cli/base-command.ts'
import { complete, idsLike, insertions, SHELLS } from '../cli/completion.ts'
import { print } from '../cli/output.ts'
import type { LoadedConfig } from '../config.ts'

const NAMING = ['dir', 'url', 'token-file', 'master-key-file'] as const

export default class Complete extends BaseCommand {
  static override hidden = true
  static override summary = 'What a line may become: for the scripts of `kuma completion`.'
  static override description =
    'Prints `files` if the shell may offer names of files where nothing else fits, or `words`; then each word that the last one may become, a line each: for bash quoted for what --part says is replaced, for the others as the command would get it. No config is loaded.'
  static override examples = ['<%= config.bin %> complete --shell zsh -- "read us"']
  static override args = {
    line: Args.string({ description: 'what follows `kuma`, up to the cursor', default: '', ignoreStdin: true }),
  }
  static override flags = {
    shell: Flags.string({ description: 'whose line it is', options: [...SHELLS], default: 'bash' }),
    part: Flags.string({ description: 'what bash will replace: the end of the line', default: '' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Complete)
    const shell = flags.shell as (typeof SHELLS)[number]
    const ids = (prefix: string, words: readonly string[]) => this.idsIn(named(words, flags), prefix)
    const found = await complete(args.line, shell, this.config, ids)
    const lines = shell === 'bash' ? insertions(found, shell, flags.part) : found.candidates
    await print([found.isLeft ? 'files' : 'words', ...lines].join('\n'))
  }

  /** Nobody who presses a key asks for code to be run. */
  protected override async loadConfig(): Promise<LoadedConfig> {
    return { config: {}, file: null, isStale: () => false }
  }

  /** None if there is no store. */
  private async idsIn(flags: GlobalFlags, prefix: string): Promise<string[]> {
    return this.withEngine(flags, { access: 'read' }, (engine) => idsLike(engine, prefix)).catch(() => [])
  }
}

/** The store that the line names: a --dir comes before a KUMA_URL. */
function named(words: readonly string[], flags: GlobalFlags): GlobalFlags {
  const typed = NAMING.flatMap((name) => {
    const value = lastValue(`--${name}`, words)
    return value === undefined ? [] : [[name, value] as const]
  })
  const given: Partial<GlobalFlags> = Object.fromEntries(typed)
  return { ...flags, ...(given.dir === undefined ? {} : { url: undefined }), ...given }
}

function lastValue(flag: string, words: readonly string[]): string | undefined {
  const at = words.findLastIndex((word) => word === flag || word.startsWith(`${flag}=`))
  if (at === -1) return undefined
  return words[at] === flag ? words[at + 1] : words[at]!.slice(flag.length + 1)
}
