/**
 * The canonical form of JSON (RFC 8785, JCS): no white space, keys in order of their UTF-16 code units, and texts and
 * numbers as JSON.stringify writes them. So anyone can hash a document again, however it was laid out on its way.
 *
 * Most values have their keys in order already: then their text is the canonical one.
 */

/**
 * @param value what JSON gives back exactly, or at least what JSON.stringify takes
 * @param text JSON.stringify(value), for those who have it
 */
export function canonicalJson(value: unknown, text: string = JSON.stringify(value)): string {
  return isSorted(value) ? text : sorted(JSON.parse(text) as unknown)
}

function isSorted(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(isSorted)
  if ('toJSON' in value) return false // what it will be is not known before it is written
  let last = ''
  for (const key of Object.keys(value)) {
    if (key < last || !isSorted((value as Record<string, unknown>)[key])) return false
    last = key
  }
  return true
}

function sorted(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(sorted).join()}]`
  const fields = Object.keys(value).sort()
  return `{${fields.map((key) => `${JSON.stringify(key)}:${sorted((value as Record<string, unknown>)[key])}`).join()}}`
}
