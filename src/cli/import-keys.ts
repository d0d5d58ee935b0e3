/**
 * Request keys for lines that have none, so that an import can be run again: made of the file's name, the number of the line
 * and what stands in it. The same line in the same place of the same file is the same request.
 */
import { hash } from 'node:crypto'
import { basename } from 'node:path'
import { checkWord, usage } from './event-data.ts'

const KIND = 'line'
const DIGEST_CHARS = 22

/**
 * @param keys `line`, or `line:NAME` for a file whose name changes @param file its name, or - for stdin
 * @throws KUMA_USAGE
 */
export function lineKeys(keys: string, file: string): (text: string, number: number) => string {
  checkWord(keys, 'the name in --keys')
  const [kind, ...rest] = keys.split(':')
  const given = rest.length === 0 ? undefined : rest.join(':')
  if (kind !== KIND || given === '') throw usage(`--keys is line, or line:NAME, and not ${JSON.stringify(keys)}`)
  if (given === undefined && file === '-')
    throw usage('what comes on stdin has no name: give it one, as --keys line:NAME')
  const name = given ?? basename(file).replace(/\.gz$/, '')
  return (text, number) => `${KIND} ${number} ${digestOf(name, number, text)}`
}

function digestOf(name: string, number: number, text: string): string {
  return hash('sha256', JSON.stringify([name, number, text]), 'base64url').slice(0, DIGEST_CHARS)
}
