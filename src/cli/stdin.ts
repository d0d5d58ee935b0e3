import { buffer } from 'node:stream/consumers'
import { decodeUtf8, TO_UTF8 } from '../entity/utf8.ts'
import { KumaError } from '../errors.ts'

/** All of stdin as text, without a BOM. @param what names it in the message @throws KUMA_INVALID_DATA if it is not UTF-8 */
export async function readStdin(what: string): Promise<string> {
  const text = decodeUtf8(await buffer(process.stdin), (problem) => {
    return new KumaError('KUMA_INVALID_DATA', `${what} ${problem}`, { path: '' }, { hint: TO_UTF8 })
  })
  return text.startsWith('\ufeff') ? text.slice(1) : text
}
