/**
 * Data as a person types it: pairs, or one JSON object.
 *
 *     plan=pro           a text
 *     seats:=5           JSON: a number, true, null, [..], {..}
 *     '{"plan":"pro"}'   the whole object
 *
 * Pairs are split at the first `=`. A key given twice, and pairs beside an object, are refused.
 */
import { type JsonObject, parseJson } from '../entity/json.ts'
import { REPLACEMENT } from '../entity/utf8.ts'
import { KumaError } from '../errors.ts'

/** @throws KUMA_USAGE, KUMA_INVALID_DATA */
export function parseData(words: readonly string[]): JsonObject {
  for (const word of words) checkWord(word, 'the data')
  const objects = words.filter((word) => word.trimStart().startsWith('{'))
  if (objects.length === 0) return parsePairs(words)
  if (words.length > 1) throw usage('give either pairs (key=text, key:=json) or one JSON object, not both')
  return parseObject(objects[0]!, 'the data')
}

export function parsePairs(pairs: readonly string[]): JsonObject {
  const data = new Map<string, unknown>()
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1 || pair.startsWith(':=')) throw usage(`${JSON.stringify(pair)} is neither key=text nor key:=json`)
    const isJson = pair[at - 1] === ':'
    const key = pair.slice(0, isJson ? at - 1 : at)
    const text = pair.slice(at + 1)
    if (data.has(key)) throw usage(`${JSON.stringify(key)} is given twice`)
    data.set(key, isJson ? parseJson(text, `the value of ${key}`) : text)
  }
  // as JSON.parse does it, so that a key called __proto__ is seen as a key, and refused
  const object = JSON.parse('{}') as Record<string, unknown>
  for (const [key, value] of data)
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  return object as JsonObject
}

export function parseObject(text: string, what: string): JsonObject {
  const value = parseJson(text, what)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw new KumaError('KUMA_INVALID_DATA', `${what} must be a JSON object`, { path: '' })
}

/**
 * Of an argument (or a variable) that is not UTF-8 Node gives U+FFFD for what it cannot read: what would be recorded is not
 * what was typed, and another word would be the same. @throws KUMA_USAGE
 */
export function checkWord(word: string | undefined, what: string): void {
  if (!word?.includes(REPLACEMENT)) return
  const hint = 'type it in UTF-8; a U+FFFD that is meant is taken from stdin (`kuma import -`), and in JSON as \\ufffd'
  throw usage(`${what} ${JSON.stringify(word)} has U+FFFD in it, which stands for bytes that are not UTF-8`, hint)
}

export function usage(message: string, hint?: string): KumaError<'KUMA_USAGE'> {
  return new KumaError('KUMA_USAGE', message, {}, { hint })
}
