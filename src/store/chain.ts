/**
 * An entity's events, oldest first. Pointers lead back only, so a stretch of the chain is entered at its end: at the
 * head, or at a snapshot, which keeps the place of its event. A history is read stretch by stretch, from snapshot to
 * snapshot: back along the pointers for the places, then forward for the content. Where the events of a stretch lie close
 * together in the shard, it is read straight through instead, which is several times as fast.
 */
import type { ResolvedPoint } from '../entity/time.ts'
import { KumaError } from '../errors.ts'
import { isTombstone } from './erasure.ts'
import { corrupt } from './manifest.ts'
import type { Row } from './row.ts'
import type { Entry, Head, Link, ShardReader } from './shard-reader.ts'

const LINKS = 500
/** Of up to 1 MiB each, so a page with large rows is followed by a shorter one. */
const ROWS_MIN = 16
const ROWS_MAX = 128
const ROWS_BYTES = 512 * 1024
/** To pass over an event of another entity costs a tenth of what it costs to follow a pointer, or less. */
const DENSE = 8

/** Where to enter an entity's chain for all its events up to a point. */
export function entryTo(reader: ShardReader, entity: number, head: Head, to: ResolvedPoint | undefined): Entry {
  return (to && reader.entryAfter(entity, to)) ?? head
}

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
  const pages = new Pages()
  for (let start = 0; start < seqs.length; ) {
    const rows = reader.rows(seqs.slice(start, start + pages.size))
    check(reader, entity, rows, version + start * step, step)
    yield rows
    start += rows.length
    pages.saw(rows)
  }
}

/** How many rows to ask for next: rows may be of 1 MiB each. */
export class Pages {
  size = ROWS_MIN

  saw(rows: readonly Row[]): void {
    let bytes = 0
    for (const { data } of rows) bytes += data.length
    this.size = bytes > ROWS_BYTES ? Math.max(1, this.size >> 1) : Math.min(ROWS_MAX, this.size * 2)
  }
}

function check(reader: ShardReader, entity: number, rows: readonly Row[], version: number, step: 1 | -1): void {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    const due = version + i * step
    if (row.entity === entity && row.version === due) continue
    if (isTombstone(row)) throw erasedMeanwhile(reader.path)
    throw corrupt(reader.path, `event ${row.seq} is not version ${due} of its entity`)
  }
}

/**
 * Pages of an entity's rows after one event (version 0: from the first on) up to another, as long as they are kept. A
 * page may be empty: between two of them, and only there, is a good moment for others.
 * @param keep is true of a prefix of the history: versions and times only rise
 * @throws KUMA_CORRUPT, KUMA_ERASED if the entity is erased meanwhile
 */
export function* rowsBetween(
  reader: ShardReader,
  entity: number,
  after: Entry,
  end: Entry,
  keep: (link: Pick<Link, 'version' | 'at'>) => boolean,
): Generator<readonly Row[], void> {
  for (let last = after; last.version < end.version; ) {
    const snapshot = reader.entryAfter(entity, { version: last.version + 1 })
    const to = snapshot !== null && snapshot.version < end.version ? snapshot : end
    const isDense = last.version > 0 && to.seq - last.seq <= DENSE * (to.version - last.version)
    for (const rows of (isDense ? readThrough : followed)(reader, entity, last, to, keep)) {
      const last = rows.at(-1)
      const isKept = last === undefined || keep(last)
      yield isKept ? rows : rows.filter(keep)
      if (!isKept) return
    }
    last = to
  }
}

function* readThrough(reader: ShardReader, entity: number, after: Entry, to: Entry): Generator<readonly Row[], void> {
  const pages = new Pages()
  for (let { version, seq } = after; version < to.version; ) {
    const rows = reader.span(entity, seq, to.seq, pages.size)
    check(reader, entity, rows, version + 1, 1)
    const last = rows.at(-1)
    if (last === undefined) throw corrupt(reader.path, `event ${to.seq} is not version ${to.version} of its entity`)
    yield rows
    pages.saw(rows)
    version = last.version
    seq = last.seq
  }
}

function* followed(
  reader: ShardReader,
  entity: number,
  after: Entry,
  to: Entry,
  keep: (link: Link) => boolean,
): Generator<readonly Row[], void> {
  const seqs: number[] = []
  for (const links of linksFrom(reader, to, after.version)) {
    for (const link of links) if (keep(link)) seqs.push(link.seq)
    yield []
  }
  yield* rowsAt(reader, entity, seqs.reverse(), after.version + 1)
}

function erasedMeanwhile(path: string): KumaError<'KUMA_ERASED'> {
  return new KumaError('KUMA_ERASED', `${path}: the entity was erased while it was read`, { entity: null })
}
