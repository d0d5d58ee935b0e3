import { KumaError } from '../errors.ts'

export const ID_BYTES_MAX = 512

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

/**
 * Checks an entity's id (or a type's name): 1 to 512 bytes of well-formed UTF-8 without control characters. It is taken
 * as it is, without normalisation: two ids that look alike may be two entities.
 * @param what names the text in messages
 * @throws KUMA_INVALID_ID
 */
export function checkId(id: unknown, what = 'an entity id'): asserts id is string {
  const problem = problemOf(id)
  if (problem === null) return
  // cut first: the cut may split a pair of surrogates
  const shown = typeof id === 'string' ? id.slice(0, 64).toWellFormed() : typeof id
  throw new KumaError('KUMA_INVALID_ID', `${what} ${problem}: ${JSON.stringify(shown)}`, { id: shown })
}

function problemOf(id: unknown): string | null {
  if (typeof id !== 'string') return 'must be a string'
  if (id === '') return 'must not be empty'
  if (id.length > ID_BYTES_MAX) return `is longer than ${ID_BYTES_MAX} bytes`
  if (!id.isWellFormed()) return 'has a lone surrogate, which UTF-8 cannot hold'
  if (CONTROL.test(id)) return 'has a control character'
  if (id.length * 3 > ID_BYTES_MAX && Buffer.byteLength(id) > ID_BYTES_MAX) {
    return `is longer than ${ID_BYTES_MAX} bytes`
  }
  return null
}
