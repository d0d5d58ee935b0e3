/**
 * What may come next on a command line: names of commands, flags and their values, and ids of entities. An id may be any
 * text that somebody chose, so what is put into a line is quoted for where it goes. zsh and fish do that themselves; bash
 * puts in what it is given, and so does the reader of `kuma shell`.
 */
import type { Config } from '@oclif/core/config'
import type { Engine } from '../engine.ts'
import { replacement, type Shell, type Word, wordsOf } from './shell-words.ts'

/** Ids that are offered, and how long they are looked for: nobody waits longer for a key. */
const IDS_MAX = 50
const LOOK_MS = 500
/** Arguments that are ids. */
const IDS = ['entity', 'entities', 'other', 'prefix']
/** Arguments, and values of flags, that the shell itself knows how to complete. */
const FILES = ['file', 'dir', 'store', 'backup', 'receipt', 'command', 'FILE', 'DIR', 'CMD']
export const SHELLS = ['bash', 'zsh', 'fish'] as const
/** They would let a line look other than it is: what has one is not offered. */
const MISLEADING = /[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/

export interface Completion {
  /** the word that is being typed */
  readonly word: Word
  /** whole words that it may become, as the command would get them */
  readonly candidates: readonly string[]
  /** Is it for the shell itself to offer something if these are none: names of files, its variables? */
  readonly isLeft: boolean
}

/** Finds ids that begin like this, in the store that `words` name. */
export type FindIds = (prefix: string, words: readonly string[]) => Promise<readonly string[]>

/** @param line up to the cursor, from the word after `kuma` on */
export async function complete(line: string, shell: Shell, config: Config, findIds: FindIds): Promise<Completion> {
  const all = wordsOf(line, shell)
  const word = all.pop()!
  const isVariable = word.isExpanded && /^"?\$\{?\w*$/.test(word.raw)
  if (word.isRedirection || isVariable) return { word, candidates: [], isLeft: true }
  const place = placeOf(
    all.map(({ value }) => value),
    word.value,
    config,
  )
  if (word.isExpanded) return { word, candidates: [], isLeft: place.isFile }
  const ids = place.isId ? await idsAt(place, word.value, findIds) : []
  const candidates = [...place.texts.filter((text) => text.startsWith(word.value)), ...ids]
  return { word, candidates, isLeft: place.isFile }
}

interface ValuedFlag {
  readonly name: string
  readonly options?: readonly string[]
  readonly helpValue?: string
}

/** What may stand where the cursor is. */
interface Place {
  readonly words: readonly string[]
  /** Has a `--` ended the flags? */
  readonly isAfterFlags: boolean
  readonly texts: readonly string[]
  readonly isId: boolean
  readonly isFile: boolean
}

function placeOf(words: readonly string[], word: string, config: Config): Place {
  const end = words.indexOf('--')
  const isAfterFlags = end !== -1
  const isPlain = (each: string, i: number) => !each.startsWith('-') && !takesValue(words[i - 1], config)
  const plain = words.filter((each, i) => (isAfterFlags && i >= end ? i > end : isPlain(each, i)))
  const names = config.commands.filter(({ hidden }) => !hidden).map(({ id }) => id.split(':'))
  const deeper = names.filter((name) => plain.length < name.length && plain.every((each, i) => each === name[i]))
  const next = [...new Set(deeper.map((name) => name[plain.length]!))]
  const place = { words, isAfterFlags, texts: next, isId: false, isFile: false }
  const command = config.commands.find(({ id }) => id === plain.slice(0, 2).join(':') || id === plain[0])
  const flags = (command === undefined ? config.commands : [command])
    .flatMap((each) => Object.values(each.flags))
    .filter(({ hidden }) => !hidden)
  if (!isAfterFlags) {
    const valued = flags.filter(({ type }) => type === 'option') as ValuedFlag[]
    const asked = valued.find((flag) => isCalled(words.at(-1), flag))
    if (asked !== undefined) return { ...place, ...valuesOf(asked, '') }
    const begun = valued.find(({ name }) => word.startsWith(`--${name}=`))
    if (begun !== undefined) return { ...place, ...valuesOf(begun, `--${begun.name}=`) }
  }
  if (command === undefined) return place
  const at = plain.length - command.id.split(':').length
  const args = Object.values(command.args)
  const last = args.at(-1)
  const arg = args[at] ?? (last !== undefined && 'multiple' in last && last.multiple ? last : undefined)
  const isId = arg !== undefined && IDS.includes(arg.name)
  if (word.startsWith('-') && !isAfterFlags) return { ...place, texts: flags.map(({ name }) => `--${name}`), isId }
  if (arg?.options !== undefined) return { ...place, texts: arg.options }
  return { ...place, isId, isFile: arg !== undefined && FILES.includes(arg.name) }
}

/** An id that begins with - stands after a `--`, which is offered where there is such an id. */
async function idsAt({ words, isAfterFlags }: Place, word: string, findIds: FindIds): Promise<string[]> {
  const found = (await findIds(word, words)).filter((id) => !MISLEADING.test(id))
  if (isAfterFlags) return found
  const ids = found.filter((id) => !id.startsWith('-'))
  const isDue = '--'.startsWith(word) && (await findIds('-', words)).length > 0
  return isDue ? [...ids, '--'] : ids
}

function valuesOf({ options = [], helpValue = '' }: ValuedFlag, before: string): Pick<Place, 'texts' | 'isFile'> {
  return { texts: options.map((option) => before + option), isFile: FILES.includes(helpValue) }
}

function takesValue(word: string | undefined, { commands }: Config): boolean {
  return commands.some(({ flags }) =>
    Object.values(flags).some((flag) => flag.type === 'option' && isCalled(word, flag)),
  )
}

function isCalled(word: string | undefined, { name, char }: { name: string; char?: string }): boolean {
  return word === `--${name}` || (char !== undefined && word === `-${char}`)
}

/**
 * What bash, and the reader of `kuma shell`, are to put in the place of a part of the word.
 * @param part bash has its own idea of where a word begins
 */
export function insertions({ word, candidates }: Completion, shell: 'bash' | 'kuma', part: string): string[] {
  const texts = candidates.flatMap((each) => replacement(word.raw, part, each, shell) ?? [])
  // bash closes the quote itself, unless it takes the last character for the end of it; the other never does
  const isOpen = (text: string) => (shell === 'bash' ? text.endsWith(word.quote) : texts.length === 1)
  return word.quote === '' ? texts : texts.map((text) => (isOpen(text) ? text + word.quote : text))
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

/** What a shell runs at its start to know how to complete `kuma`. Nothing that they get is ever looked at as code or as a pattern. */
export const SCRIPTS: { readonly [shell: string]: string } = {
  bash: `# eval "$(kuma completion bash)", in ~/.bashrc
_kuma() {
  local line="\${COMP_LINE:0:COMP_POINT}" kind='' candidate
  line="\${line#"\${COMP_WORDS[0]}"}"
  COMPREPLY=()
  # the first line says whether files may stand there, the others are quoted for the word that is being typed
  {
    IFS= read -r kind
    while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done
  } < <(kuma complete --shell bash --part="\${2-}" -- "\${line# }" </dev/null 2>/dev/null)
  [ "$kind" = files ] || compopt +o default +o bashdefault 2>/dev/null
}
complete -o bashdefault -o default -F _kuma kuma
`,
  zsh: `#compdef kuma
# eval "$(kuma completion zsh)", in ~/.zshrc after compinit
_kuma() {
  local line="\${(j: :)words[2,CURRENT-1]} $QIPREFIX$IPREFIX$PREFIX" kind
  local -a found
  found=("\${(@f)$(kuma complete --shell zsh -- "$line" </dev/null 2>/dev/null)}")
  # the first line says whether files may stand there; the others are quoted by compadd
  kind="$found[1]"
  shift found
  if (( $#found )); then compadd -a found
  elif [[ "$kind" == files ]]; then compset -P '--*='; _files
  else return 1
  fi
}
compdef _kuma kuma
`,
  fish: `# kuma completion fish | source, in ~/.config/fish/config.fish
function __kuma_complete
    set -l line (commandline -cp | string collect)
    set line (string replace -r '^(.*?[\\s/])??kuma\\s|^\\s*\\S+\\s?' '' -- $line | string collect)
    set -l found (kuma complete --shell fish -- "$line" </dev/null 2>/dev/null)
    # the first line says whether files may stand there; the others are quoted by fish
    if set -q found[2]
        printf '%s\\n' $found[2..]
    else if test "$found[1]" = files
        __fish_complete_path (commandline -ct)
    end
end
complete -c kuma -f -a '(__kuma_complete)'
`,
}
