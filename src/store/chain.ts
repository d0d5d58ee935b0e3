/**
 * An entity's events, oldest first: back along the pointers for their places, then forward for their content. The way
 * into the chain is its head, or a snapshot that lies nearer to what is asked for.
 */
import type { ResolvedPoint } from '../entity/time.ts'
import { KumaError } from '../errors.ts'
import { isTombstone } from './erasure.ts'
import { corrupt } from './manifest.ts'
import type { Row } from './row.ts'
import type { Head, Link, ShardReader } from './shard-reader.ts'

const LINKS = 500
/** Of up to 1 MiB each, so a page with large rows is followed by a shorter one. */
const ROWS_MAX = 64
const ROWS_BYTES = 512 * 1024

/** Where to enter an entity's chain for all its events up to a point. */
export function entryTo(reader: ShardReader, entity: number, head: Head, to: ResolvedPoint | undefined): Entry {
  return (to && reader.entryAfter(entity, to)) ?? head
}

export type Entry = Pick<Link, 'seq' | 'version'>

/** Pages of an entity's links, newest first, from an entry on down to the version after `after`. */
export function* linksFrom(reader: ShardReader, entry: Entry, after = 0): Generator<readonly Link[], void> {
  for (let { seq, version } = entry; version > after; ) {
    const links = reader.links(seq, Math.min(LINKS, version - after))
    const last = links.at(-1)
    if (last === undefined) throw corrupt(reader.path, `event ${seq}, to which a pointer leads, is missing`)
    if (links[0]!.version === 0) throw erasedMeanwhile(reader.path)
    if (links[0]!.version !== version)
      throw corrupt(reader.path, `event ${seq} is not version ${version} of its entity`)
    yield links
    seq = last.prev
    version = last.version - 1
  }
}

/**
 * Pages of rows at these places, whose versions go up from `version` by `step`.
 * @throws KUMA_CORRUPT if a row is not the entity's, or not of the version it should be
 */
export function* rowsAt(
  reader: ShardReader,
  entity: number,
  seqs: readonly number[],
  version: number,
  step: 1 | -1 = 1,
): Generator<readonly Row[], void> {
  let size = ROWS_MAX / 4
  for (let start = 0; start < seqs.length; ) {
    const rows = reader.rows(seqs.slice(start, start + size))
    let bytes = 0
    for (const [i, row] of rows.entries()) {
      bytes += row.data.length
      const due = version + (start + i) * step
      if (row.entity === entity && row.version === due) continue
      if (isTombstone(row)) throw erasedMeanwhile(reader.path)
      throw corrupt(reader.path, `event ${row.seq} is not version ${due} of its entity`)
    }
    yield rows
    start += rows.length
    size = bytes > ROWS_BYTES ? Math.max(1, size >> 1) : Math.min(ROWS_MAX, size * 2)
  }
}

/**
 * The seqs of events up to a bound, oldest first; the first is that of the version after `after`. Yields now and then,
 * for `inSlices`.
 * @param keep is true of a prefix of the history: versions and times only rise
 */
export function* seqsUntil(
  reader: ShardReader,
  entry: Entry,
  after: number,
  keep: (link: Link) => boolean,
): Generator<void, number[]> {
  const seqs: number[] = []
  for (const links of linksFrom(reader, entry, after)) {
    for (const link of links) if (keep(link)) seqs.push(link.seq)
    yield
  }
  return seqs.reverse()
}

function erasedMeanwhile(path: string): KumaError<'KUMA_ERASED'> {
  return new KumaError('KUMA_ERASED', `${path}: the entity was erased while it was read`, { entity: null })
}
