/**
 * The canonical form of JSON (RFC 8785, JCS): no white space, keys in order of their UTF-16 code units, and texts and
 * numbers as JSON.stringify writes them. So anyone can hash a document again, however it was laid out on its way.
 *
 * Most values have their keys in order already: then JSON.stringify's text is the canonical one.
 */

/**
 * What JSON.stringify takes, in canonical form.
 * @param text JSON.stringify(value), for those who have it
 */
export function canonicalJson(value: NonNullable<unknown> | null, text?: string): string {
  return isSorted(value) ? (text ?? JSON.stringify(value)) : sorted(value)!
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

/** As JSON.stringify does it, what JSON does not know is left out of an object, and null in an array. */
function sorted(value: unknown): string | undefined {
  if (isSorted(value)) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item) => sorted(item) ?? 'null').join()}]`
  const object = value as Record<string, unknown>
  if ('toJSON' in object) return sorted(JSON.parse(JSON.stringify(object)))
  let fields = ''
  for (const key of Object.keys(object).sort()) {
    const text = sorted(object[key])
    if (text !== undefined) fields += `${fields === '' ? '' : ','}${JSON.stringify(key)}:${text}`
  }
  return `{${fields}}`
}
