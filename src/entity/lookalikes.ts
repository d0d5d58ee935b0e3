/**
 * Ids are compared byte by byte, and people compare what they see: an accent composed with its letter or behind it, a space at
 * an end and a control that turns text around make another id that looks the same.
 */
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Other ids that look like this one, as far as they can be made of it: eight at most. */
export function lookalikesOf(id: string): readonly string[] {
  const found = new Set<string>()
  for (const text of [id, id.replace(BIDI, '')])
    for (const trimmed of [text, text.trim()])
      for (const form of ['NFC', 'NFD'] as const) found.add(trimmed.normalize(form))
  found.delete(id)
  found.delete('')
  return [...found]
}
