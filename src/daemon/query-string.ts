/**
 * The query of a URL, as forms and `curl -G --data-urlencode` write it: `name=value&name=value`, `+` or `%20` for a space,
 * `%` and two digits for any other byte. Nothing is guessed at, as URLSearchParams does it: a `%` that stands for no byte
 * and bytes that are not UTF-8 are refused.
 */
import { decodeUtf8 } from '../entity/utf8.ts'
import { shortened } from '../errors.ts'

type Refuse = (problem: string) => Error

/** The values of each name, in their order. @param search what stands behind the first `?` */
export function parseQueryString(search: string, refuse: Refuse): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const pair of search.split('&')) {
    if (pair === '') continue
    const [written, ...rest] = pair.replaceAll('+', ' ').split('=') as [string, ...string[]]
    const name = percentDecoded(written, (problem) => refuse(`a name in the query ${problem}`))
    const value = percentDecoded(rest.join('='), (problem) => refuse(`${shortened(name)} ${problem}`))
    const values = found.get(name)
    if (values === undefined) found.set(name, [value])
    else values.push(value)
  }
  return found
}

/** What a part of a URL stands for. */
export function percentDecoded(text: string, refuse: Refuse): string {
  if (/%(?![0-9a-f]{2})/i.test(text)) throw refuse('has a % without two hexadecimal digits behind it: write %25')
  const bytes = text.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
  return decodeUtf8(Buffer.from(bytes, 'latin1'), refuse)
}
