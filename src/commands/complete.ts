import * as Args from '@oclif/core/args'
import { BaseCommand, type GlobalFlags } from '../cli/base-command.ts'
import { complete } from '../cli/completion.ts'
import { print } from '../cli/output.ts'

/** Ids that are offered, and how long they are looked for: nobody waits longer for a key. */
const IDS_MAX = 50
const LOOK_MS = 500
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
    const ids = (prefix: string, words: readonly string[]) => this.idsLike(prefix, named(words, flags))
    const { word, candidates } = await complete(args.line, this.config, ids)
    await print([`=${word}`, ...candidates].join('\n'))
  }

  /** None if there is no store, or it cannot be read: a line can be completed without them. */
  private async idsLike(prefix: string, flags: GlobalFlags): Promise<string[]> {
    const found: string[] = []
    try {
      await this.withEngine(flags, { access: 'read' }, async (engine) => {
        const signal = AbortSignal.timeout(LOOK_MS)
        for await (const { id } of engine.entities({ prefix, limit: IDS_MAX, signal })) found.push(id)
      })
    } catch {}
    return found.filter((id) => !id.includes('\n'))
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
