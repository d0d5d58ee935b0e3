/**
 * Names that are longer are not compared, nor more than so many: it takes time by the product of the lengths, and may be
 * asked for by anybody.
 */
const CHARS_MAX = 64
const KNOWN_MAX = 1_000

/** The known name that a mistyped one probably means. Imports nothing. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > CHARS_MAX || known.length > KNOWN_MAX) return undefined
  let found: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const most = Math.max(1, Math.ceil(candidate.length / 3))
    if (candidate.length > CHARS_MAX || Math.abs(candidate.length - name.length) > most) continue
    const distance = editDistance(name, candidate)
    if (distance > most || distance >= least) continue
    found = candidate
    least = distance
  }
  return found
}

/** What somebody probably meant by a name that is not known, or else what is known: a hint. */
export function meantBy(name: string, known: readonly string[]): string {
  const found = nearest(name, known)
  return found === undefined ? `it knows ${known.join(', ') || 'none'}` : `did you mean ${found}?`
}

/** Insertions, deletions and replacements from `a` to `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
