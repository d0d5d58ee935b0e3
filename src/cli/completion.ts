/** What may come next on a command line: names of commands, flags and their values, and ids of entities. */
import type { Config } from '@oclif/core/config'
import { split } from 'shlex'
import type { Engine } from '../engine.ts'

/** Ids that are offered, and how long they are looked for: nobody waits longer for a key. */
const IDS_MAX = 50
const LOOK_MS = 500
/** Arguments that are ids. */
const IDS = ['entity', 'entities', 'other', 'prefix']
export const SHELLS = ['bash', 'zsh', 'fish'] as const

export interface Completion {
  /** the word that is being typed */
  readonly word: string
  /** whole words that it may become */
  readonly candidates: readonly string[]
}

/**
 * @param line up to the cursor, from the word after `kuma` on
 * @param findIds finds ids that begin like this, in the store that `words` name
 */
export async function complete(
  line: string,
  config: Config,
  findIds: (prefix: string, words: readonly string[]) => Promise<readonly string[]>,
): Promise<Completion> {
  const words = wordsOf(line)
  const word = words.pop() ?? ''
  const found = (texts: readonly string[]) => ({ word, candidates: texts.filter((text) => text.startsWith(word)) })
  const names = config.commands.filter(({ hidden }) => !hidden).map(({ id }) => id.split(':'))
  const plain = words.filter((each, i) => !each.startsWith('-') && !isValue(words[i - 1]))
  const deeper = names.filter((name) => plain.length < name.length && plain.every((each, i) => each === name[i]))
  const next = [...new Set(deeper.map((name) => name[plain.length]!))]
  const command = config.commands.find(({ id }) => id === plain.slice(0, 2).join(':') || id === plain[0])
  if (command === undefined) return found(next)
  const flags = Object.values(command.flags).filter(({ hidden }) => !hidden)
  const asked = flags.find(({ name, type }) => type === 'option' && words.at(-1) === `--${name}`)
  if (asked !== undefined) return found(('options' in asked && asked.options) || [])
  if (word.startsWith('-')) return found(flags.map(({ name }) => `--${name}`))
  const place = plain.length - command.id.split(':').length
  const args = Object.values(command.args)
  const arg = args[Math.min(place, args.length - 1)]
  if (arg?.options !== undefined) return found(arg.options)
  if (arg === undefined || !IDS.includes(arg.name) || (place >= args.length && !('multiple' in arg && arg.multiple)))
    return found(next)
  return { word, candidates: [...found(next).candidates, ...(await findIds(word, words))] }

  function isValue(before: string | undefined): boolean {
    return config.commands.some(({ flags }) =>
      Object.values(flags).some(({ name, type }) => type === 'option' && before === `--${name}`),
    )
  }
}

/** Those found in time; none if the store cannot be read: a line can be completed without them. */
export async function idsLike(engine: Engine, prefix: string): Promise<string[]> {
  const found: string[] = []
  try {
    const signal = AbortSignal.timeout(LOOK_MS)
    for await (const { id } of engine.entities({ prefix, limit: IDS_MAX, signal })) found.push(id)
  } catch {}
  return found
}

/** As a shell would see them; the last one may be empty, or have a quote that is still open. */
function wordsOf(line: string): string[] {
  const ended = /\s$/.test(line) || line === '' ? [''] : []
  for (const close of ['', '"', "'"]) {
    try {
      return [...split(line + close), ...ended]
    } catch {
      // that quote was not the one that is open
    }
  }
  return ended
}

/** What a shell runs at its start to know how to complete `kuma`. */
export const SCRIPTS: { readonly [shell: string]: string } = {
  bash: `# eval "$(kuma completion bash)", in ~/.bashrc
_kuma() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" line="\${COMP_LINE:0:COMP_POINT}" IFS=$'\\n' found=() candidate
  line="\${line#"\${COMP_WORDS[0]}"}"
  found=($(kuma complete -- "\${line# }" 2>/dev/null))
  # the first line is the word so far: bash wants only what comes after its last : or =
  local word="\${found[0]#=}"
  case "$cur" in :|=) cur='' ;; esac
  local skip=$(( \${#word} - \${#cur} ))
  COMPREPLY=()
  for candidate in "\${found[@]:1}"; do
    case "$cur" in
      \\"*|\\'*) COMPREPLY+=("$candidate") ;;
      *) COMPREPLY+=("$(printf %q "\${candidate:skip}")") ;;
    esac
  done
}
complete -o bashdefault -o default -F _kuma kuma
`,
  zsh: `#compdef kuma
# eval "$(kuma completion zsh)", in ~/.zshrc after compinit
_kuma() {
  local -a found
  found=("\${(@f)$(kuma complete -- "\${(j: :)\${(@q)words[2,CURRENT]}}" 2>/dev/null)}")
  shift found
  if (( $#found )); then compadd -- $found; else _files; fi
}
compdef _kuma kuma
`,
  fish: `# kuma completion fish | source, in ~/.config/fish/config.fish
function __kuma_complete
    kuma complete -- (commandline -cp | string replace -r '^\\s*\\S+\\s?' '') 2>/dev/null | tail -n +2
end
complete -c kuma -a '(__kuma_complete)'
`,
}
