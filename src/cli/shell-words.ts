/**
 * A line as a shell takes it apart, up to the cursor, and how a word is put into it. What is typed may end within a quote;
 * nothing is ever expanded or run here. The shells differ in what a backslash takes its meaning from:
 *
 *              within no quote    within "..."    within '...'
 *     bash     anything           $ ` " \         nothing
 *     zsh      anything           $ ` " \ !       nothing
 *     fish     anything           $ " \           ' \
 *     kuma     anything           " \             nothing
 *
 * `kuma` stands for `kuma shell`, which expands nothing and redirects nothing.
 */
export type Shell = 'bash' | 'zsh' | 'fish' | 'kuma'

type Quote = '' | '"' | "'"

export interface Word {
  /** as it was typed */
  readonly raw: string
  /** what the command would get, but for what the shell expands */
  readonly value: string
  /** the one that is open at its end */
  readonly quote: Quote
  /** where in `raw` the text within that begins; 0 if none is open */
  readonly within: number
  /** Does the shell put something else in the place of a part? Then nobody else knows what it becomes. */
  readonly isExpanded: boolean
  /** Is it the name of a file, after < or >? */
  readonly isRedirection: boolean
}

const ESCAPED: { readonly [shell in Shell]: { readonly '"': string; readonly "'": string } } = {
  bash: { '"': '$`"\\\n', "'": '' },
  zsh: { '"': '$`"\\\n!', "'": '' },
  fish: { '"': '$"\\\n', "'": "'\\" },
  kuma: { '"': '"\\', "'": '' },
}
/** What makes a shell put something else in the place of what was typed, or end the command. */
const EXPANDED: { readonly [shell in Shell]: { readonly '': string; readonly '"': string } } = {
  bash: { '': '$`()|&;', '"': '$`' },
  zsh: { '': '$`()|&;', '"': '$`' },
  fish: { '': '$()|&;', '"': '$' },
  kuma: { '': '', '"': '' },
}
/** What fish takes for something else after a backslash within no quote: \n, \x41. */
const FISH_CODES = /[abcefnrtvxXuU0-7]/

/** The last one is the word under the cursor; it may be empty. Where < and > lead is left out before it. */
export function wordsOf(line: string, shell: Shell): Word[] {
  const words: Word[] = []
  let isRedirection = false
  for (let at = 0; ; ) {
    at += /^[ \t\n]*/.exec(line.slice(at))![0].length
    const word = { ...readWord(line.slice(at), shell), isRedirection }
    at += word.raw.length
    if (at === line.length) return [...words, word]
    const [arrow] = (shell !== 'kuma' && /^[<>][<>&|!]*/.exec(line.slice(at))) || ['']
    at += arrow.length
    // 2> is no word
    if (word.raw !== '' && !isRedirection && !(arrow !== '' && /^\d+$/.test(word.raw))) words.push(word)
    isRedirection = arrow !== ''
  }
}

/** What stands at the beginning of a text, up to where the shell would end the word. */
function readWord(text: string, shell: Shell): Omit<Word, 'isRedirection'> {
  const ends = shell === 'kuma' ? ' \t\n' : ' \t\n<>'
  let [value, quote, within, isExpanded, at] = ['', '' as Quote, 0, false, 0]
  for (; at < text.length; at++) {
    const char = text[at]!
    const next = text[at + 1] ?? ''
    if (char === '\\' && escapes(next, quote, shell)) {
      isExpanded ||= shell === 'fish' && quote === '' && FISH_CODES.test(next)
      if (next !== '\n') value += next
      at++
    } else if (quote === '' && ends.includes(char)) break
    else if (char === quote) [quote, within] = ['', 0]
    else if (quote === '' && (char === '"' || char === "'")) [quote, within] = [char, at + 1]
    else {
      isExpanded ||= quote !== "'" && EXPANDED[shell][quote].includes(char)
      value += char
    }
  }
  return { raw: text.slice(0, at), value, quote, within, isExpanded }
}

/** Does a backslash take the meaning from that character? One that nothing follows yet will do so. */
function escapes(next: string, quote: Quote, shell: Shell): boolean {
  return quote === '' || (ESCAPED[shell][quote] !== '' && ESCAPED[shell][quote].includes(next))
}

/**
 * What has to stand in the place of the last part of a word, so that the command gets `wanted`; null if that cannot be
 * told. Of the shells only bash leaves it to others to quote.
 * @param part of what was typed: it is replaced, and what comes before it stays, with a quote that is open there
 */
export function replacement(raw: string, part: string, wanted: string, shell: 'bash' | 'kuma'): string | null {
  if (!raw.endsWith(part)) return null
  const kept = readWord(raw.slice(0, raw.length - part.length), shell)
  if (kept.isExpanded || !wanted.startsWith(kept.value)) return null
  return quoted(wanted.slice(kept.value.length), kept.quote, shell)
}

/** A text for where this quote is open, or none. */
function quoted(text: string, quote: Quote, shell: 'bash' | 'kuma'): string {
  // what is not ASCII means nothing to a shell
  if (quote === '') return text.replace(/[^\w%+,./:=@\u0080-\u{10ffff}-]/gu, '\\$&')
  if (quote === "'") return text.replaceAll("'", "'\\''")
  if (shell === 'kuma') return text.replace(/["\\]/g, '\\$&')
  // the history is looked into before a backslash within "..." counts, so the quote is left for a !
  return text.replace(/["$`\\]/g, '\\$&').replaceAll('!', '"\\!"')
}
