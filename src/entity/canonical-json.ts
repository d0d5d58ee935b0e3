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
  return reordered(value) ?? text ?? JSON.stringify(value)
}

/** The canonical text of what JSON.stringify writes in another order; null where it does not. Each part is looked at once. */
function reordered(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return null
  if (Array.isArray(value)) return reorderedArray(value)
  if (!('toJSON' in value)) return reorderedObject(value as Record<string, unknown>)
  // what it will be is not known before it is written
  const written = JSON.parse(JSON.stringify(value)) as unknown
  return reordered(written) ?? JSON.stringify(written)
}

function reorderedArray(items: readonly unknown[]): string | null {
  const texts = partsOf(items)
  return texts && `[${Array.from(items, (item, i) => texts[i] ?? JSON.stringify(item) ?? 'null').join()}]`
}

/** As JSON.stringify does it, what JSON does not know is left out of an object, and null in an array. */
function reorderedObject(object: Record<string, unknown>): string | null {
  const keys = Object.keys(object)
  const isSorted = keys.every((key, i) => i === 0 || keys[i - 1]! <= key)
  if (!isSorted) keys.sort()
  const values = keys.map((key) => object[key])
  const texts = partsOf(values)
  if (texts === null && isSorted) return null
  let fields = ''
  for (const [i, key] of keys.entries()) {
    const text = texts?.[i] ?? JSON.stringify(values[i])
    if (text !== undefined) fields += `${fields === '' ? '' : ','}${JSON.stringify(key)}:${text}`
  }
  return `{${fields}}`
}

/** Null if none of them is reordered. */
function partsOf(values: readonly unknown[]): (string | null)[] | null {
  let texts: (string | null)[] | null = null
  for (let i = 0; i < values.length; i++) {
    const text = reordered(values[i])
    if (text === null) continue
    texts ??= new Array<string | null>(values.length).fill(null)
    texts[i] = text
  }
  return texts
}
