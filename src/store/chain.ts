/** An entity's events, oldest first: back along the pointers for their places, then forward for their content. */
import { corrupt } from './manifest.ts'
import type { Row } from './row.ts'
import type { Link, ShardReader } from './shard-reader.ts'

const LINKS = 1_000
/** Of up to 1 MiB each. */
const ROWS = 64
const SLICE_MS = 5

/** Pages of an entity's links, newest first, from its head on. */
export function* linksFrom(reader: ShardReader, head: number): Generator<readonly Link[], void> {
  for (let next = head; next > 0; ) {
    const links = reader.links(next, LINKS)
    const last = links.at(-1)
    if (last === undefined) throw corrupt(reader.path, `event ${next}, to which a pointer leads, is missing`)
    yield links
    next = last.prev
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
  for (let start = 0; start < seqs.length; start += ROWS) {
    const rows = reader.rows(seqs.slice(start, start + ROWS))
    for (const [i, row] of rows.entries()) {
      const due = version + (start + i) * step
      if (row.entity === entity && row.version === due) continue
      throw corrupt(reader.path, `event ${row.seq} is not version ${due} of its entity`)
    }
    yield rows
  }
}

/**
 * The seqs of all events up to a bound, oldest first; the first is version 1. Yields now and then, for `inSlices`.
 * @param keep is true of a prefix of the history: versions and times only rise
 */
export function* seqsUntil(
  reader: ShardReader,
  head: number,
  keep: (link: Link) => boolean,
): Generator<void, number[]> {
  const seqs: number[] = []
  for (const links of linksFrom(reader, head)) {
    for (const link of links) if (keep(link)) seqs.push(link.seq)
    yield
  }
  return seqs.reverse()
}

/**
 * Runs work that yields now and then, so that no turn of the event loop takes long. What fits into one slice is done
 * when this returns.
 */
export function inSlices<T>(work: Generator<unknown, T>): T | Promise<T> {
  const first = slice(work)
  return first.done ? first.value : later(work)
}

function slice<T>(work: Generator<unknown, T>): IteratorResult<unknown, T> {
  const end = performance.now() + SLICE_MS
  for (;;) {
    const step = work.next()
    if (step.done || performance.now() >= end) return step
  }
}

async function later<T>(work: Generator<unknown, T>): Promise<T> {
  for (;;) {
    await breathe()
    const step = slice(work)
    if (step.done) return step.value
  }
}

/** Lets the event loop turn once. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
