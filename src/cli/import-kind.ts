/**
 * What an import is given: lines, exported documents, or something else that looks like data. That is told by its first
 * bytes, before anything is recorded: else each of a million lines of CSV would be an error of its own.
 */
import { KumaError } from '../errors.ts'

const TEXT = '"(?:[^"\\\\]|\\\\.)*"'
/**
 * A document, whatever the order of its keys: after those that a line may have as well, one that no line has. (What
 * CloudEvents calls an extension has a lower-case name, and neither an object nor a list as its value.)
 */
const BEGINS_DOCUMENT = new RegExp(
  `^\\s*\\{(?:\\s*"(?:(?:id|type|sha256)"\\s*:\\s*${TEXT}|version"\\s*:\\s*\\d+)\\s*,)*` +
    `\\s*"(?:format"\\s*:\\s*"kuma-export/|createdAt"|updatedAt"|readModels"|state"\\s*:\\s*[{[]|events"\\s*:\\s*\\[)`,
)
/** Of a value that goes on in the next line. */
const GOES_ON = /[{[:,]$/
const SEPARATOR = /[,;\t]/

export function isDocument(first: string): boolean {
  return BEGINS_DOCUMENT.test(first)
}

/**
 * A first line that is wrong beside others that are right is an error of that line only.
 * @param first bytes, of which the last line may be cut off @param name of the file, or - @throws KUMA_INVALID_DATA
 */
export function checkLines(first: string, name: string): void {
  const [line = '', next = ''] = first
    .split('\n')
    .map((one) => one.trim())
    .filter((one) => one !== '')
  if (line.startsWith('[')) {
    if (isList(line) || !next.startsWith('{') || GOES_ON.test(line)) throw other('a JSON array', jq("'.[]'", name))
  } else if (next.startsWith('{') || isJson(line)) return
  else if (line.startsWith('{')) {
    if (next !== '' && GOES_ON.test(line)) throw other('pretty-printed JSON', jq('.', name))
  } else if (SEPARATOR.test(line)) {
    const hint = 'make lines of it as {"entity":"user_1","type":"SignedUp","data":{"plan":"pro"}}'
    throw other('CSV', hint)
  }
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}

/** Of objects. */
function isList(line: string): boolean {
  return /^\[\s*\{/.test(line)
}

function jq(filter: string, name: string): string {
  const source = name === '-' ? '' : ` '${name.replaceAll("'", "'\\''")}'`
  return `jq -c ${filter}${source} | kuma import -`
}

function other(what: string, hint: string): KumaError<'KUMA_INVALID_DATA'> {
  const message = `an import is one JSON object a line: this looks like ${what}`
  return new KumaError('KUMA_INVALID_DATA', message, { path: '' }, { hint })
}
