/**
 * The newest event of every entity of a shard up to a moment: one pass over the shard, of which a number or three are
 * kept for each entity. Yields now and then: run it with `inSlices`.
 */
import type { Head, ShardReader } from './shard-reader.ts'

const SCAN = 5_000

export interface HeadsAt {
  /** Null if the entity came later, or was never there. */
  of(key: number): Head | null
}

/** @param at in milliseconds since 1970, inclusive */
export function* headsAt(reader: ShardReader, at: number): Generator<void, HeadsAt> {
  const keys = reader.lastKey() + 1
  const [seqs, versions, ats] = [new Float64Array(keys), new Float64Array(keys), new Float64Array(keys)]
  for (let after = 0; ; ) {
    const page = reader.placesUntil(at, after, SCAN)
    for (const [seq, key, version, happened] of page) {
      if (key >= keys) continue // created meanwhile
      seqs[key] = seq
      versions[key] = version
      ats[key] = happened
    }
    if (page.length < SCAN) break
    after = page.at(-1)![0]
    yield
  }
  return {
    of: (key) => (versions[key] ? { seq: seqs[key]!, version: versions[key], at: ats[key]! } : null),
  }
}
