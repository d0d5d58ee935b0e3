/**
 * A place in the store is one place in each shard, as a token:
 *
 *     SSS:seq[,SSS:seq...][@TIMELINE]     shard and seq of the last event before it
 *
 * A shard that is not named is at its beginning. The timeline says of which history it is (timeline.ts): without one, of the
 * store's first. The position of one event is the token of its shard alone, in the timeline in which it was recorded.
 */
import { KumaError, quoted, shortened } from '../errors.ts'
import { formatPosition, type Position } from './event.ts'
import { newestOf, sharedWith, type Timeline } from './timeline.ts'

/** Of one that names each of 999 shards: nothing longer is looked at. */
const CHARS_MAX = 999 * '000:9007199254740991,'.length + 8
const TOKEN = /^\d{3}:\d{1,16}(?:,\d{3}:\d{1,16})*(?:@[0-9a-f]{8})?$/

/** A place as it was written down. */
export interface Place {
  /** by shard, 0 where none is named */
  readonly seqs: number[]
  /** null: the first */
  readonly timeline: string | null
}

/** What a place is looked up in: a store's manifest has these. */
export interface Histories {
  readonly shards: number
  readonly timelines?: readonly Timeline[] | undefined
}

/** Does it look like one? */
export function isPosition(text: string): boolean {
  return text.length <= CHARS_MAX && TOKEN.test(text)
}

/** As it stands there, whatever has become of its timeline. @throws KUMA_INVALID_POSITION */
export function parsePosition(token: Position, shards: number): Place {
  if (!isPosition(token)) throw invalidPosition(token, 'is not a position')
  const seqs = new Array<number>(shards).fill(0)
  const named = new Set<number>()
  const [parts = '', timeline = null] = token.split('@')
  for (const part of parts.split(',')) {
    const [shard, seq] = part.split(':').map(Number) as [number, number]
    if (!Number.isSafeInteger(seq)) throw invalidPosition(token, 'is not a position')
    if (shard >= shards) throw invalidPosition(token, `names shard ${shard}, and there are ${shards}, from 0 on`)
    if (named.has(shard)) throw invalidPosition(token, `names shard ${shard} twice`)
    named.add(shard)
    seqs[shard] = seq
  }
  return { seqs, timeline }
}

/**
 * Where in a store a token is.
 * @returns seqs by shard
 * @throws KUMA_INVALID_POSITION also if it lies in a history that is no more, or of which nothing is known
 */
export function placeIn({ shards, timelines }: Histories, token: Position): number[] {
  const { seqs, timeline } = parsePosition(token, shards)
  const newest = newestOf(timelines)
  if (timeline === newest) return seqs
  const end = sharedWith(timelines, timeline)
  if (end === null) throw unknownHistory(token)
  const shared = seqs.map((seq, shard) => Math.min(seq, end(shard)))
  if (seqs.some((seq, shard) => seq > shared[shard]!)) throw lostHistory(token, formatPlace(shared, newest))
  return seqs
}

/** Also of the beginning of all shards. */
function formatPlace(seqs: readonly number[], timeline: string | null): Position {
  const first = Math.max(
    0,
    seqs.findIndex((seq) => seq > 0),
  )
  const [before, after] = around(seqs, first, timeline)
  return `${before}${formatPosition(first, seqs[first]!)}${after}`
}

/** What stands before and after the part of one shard in the token of a place. */
export function around(
  seqs: readonly number[],
  shard: number,
  timeline: string | null,
): readonly [before: string, after: string] {
  const parts = (from: number, to: number) =>
    seqs.slice(from, to).flatMap((seq, i) => (seq === 0 ? [] : [formatPosition(from + i, seq)]))
  const [before, after] = [parts(0, shard), parts(shard + 1, seqs.length)]
  return [before.map((part) => `${part},`).join(''), inTimeline(after.map((part) => `,${part}`).join(''), timeline)]
}

/** @param position without one. @param timeline null: the first */
export function inTimeline(position: Position, timeline: string | null): Position {
  return timeline === null ? position : `${position}@${timeline}`
}

export function invalidPosition(position: Position, problem: string): KumaError<'KUMA_INVALID_POSITION'> {
  const hint = 'a position is SSS:seq, or several of them: 003:1284,007:12; each line of `kuma tail` has one'
  return refused(position, problem, null, hint)
}

function lostHistory(position: Position, shared: Position): KumaError<'KUMA_INVALID_POSITION'> {
  const problem = 'is of a history that is no more: the store was restored or forked, and parted from it before that'
  const hint = `the last place that both share is ${shared}: go on from there; a cursor file is removed first`
  return refused(position, problem, shared, hint)
}

function unknownHistory(position: Position): KumaError<'KUMA_INVALID_POSITION'> {
  const hint = 'is it of another store, or of one that was restored in between? Begin anew, or from a time'
  return refused(position, 'is of a history that this store knows nothing of', null, hint)
}

/** @param at its part of the shard in which that was found */
export function otherEvent(position: Position, at: Position): KumaError<'KUMA_INVALID_POSITION'> {
  const problem = `was kept when another event stood at ${at}: the store was set back, by a copy of its folder or of the machine, and written on`
  const hint = 'begin anew, or from a time before that; a cursor file is removed first'
  return refused(position, problem, null, hint)
}

function refused(position: Position, problem: string, shared: Position | null, hint: string) {
  return new KumaError(
    'KUMA_INVALID_POSITION',
    `${quoted(position)} ${problem}`,
    { position: isPosition(position) ? position : shortened(position), shared },
    { hint },
  )
}
