/**
 * A timeline is one history of a store. The first one, of a store as it was made, has no id and stands nowhere. A restore
 * begins another: it shares with the one that it came from what was restored, and what either records after that is the
 * other's no more. A fork begins one that shares nothing, since its events are recorded anew.
 *
 *     { "id": "9f3a01c4", "from": null, "parted": { "0": 1284, "3": 7 } }
 *
 * `id` is random, `from` that of the timeline it came from (null: the first), `parted` the seq of the last event that both
 * have, by shard; a shard that is not named parted at its beginning. The newest timeline is the last of a store's list.
 */

export interface Timeline {
  readonly id: string
  readonly from: string | null
  readonly parted: { readonly [shard: string]: number }
}

const ID = /^[0-9a-f]{8}$/

/** The list with a timeline more, which came from the newest. */
export function withTimeline(
  timelines: readonly Timeline[] = [],
  id: string,
  parted: Timeline['parted'],
): readonly Timeline[] {
  return [...timelines, { id, from: newestOf(timelines), parted }]
}

/** The one that is recorded in; null: the first. */
export function newestOf(timelines: readonly Timeline[] = []): string | null {
  return timelines.at(-1)?.id ?? null
}

/** Is this a list of them, each of which came from one before it? */
export function areTimelines(value: unknown): value is readonly Timeline[] {
  const known = new Set<unknown>([null])
  return (
    Array.isArray(value) &&
    value.every((one: Partial<Timeline> | null) => {
      const { id, from, parted } = one ?? {}
      if (typeof id !== 'string' || !ID.test(id) || known.has(id) || !known.has(from)) return false
      known.add(id)
      return typeof parted === 'object' && parted !== null && Object.values(parted).every(isSeq)
    })
  )
}

function isSeq(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Events with a higher seq were recorded in this timeline, unless it is so of one before it in the list. */
export interface Stretch {
  readonly after: number
  readonly timeline: string
}

/** In which timeline the events of a shard were recorded: the newest first, and what is before all of them in the first. */
export function stretchesOf(timelines: readonly Timeline[] = [], shard: number): readonly Stretch[] {
  return lineOf(timelines, newestOf(timelines)).map(({ id, parted }) => ({ after: parted[shard] ?? 0, timeline: id }))
}

/** @returns null: the first */
export function timelineAt(stretches: readonly Stretch[], seq: number): string | null {
  for (const { after, timeline } of stretches) if (seq > after) return timeline
  return null
}

/**
 * Up to which seq of each shard a timeline shares its events with the newest one. Null if the list does not know it.
 * @param id null: the first
 */
export function sharedWith(timelines: readonly Timeline[] = [], id: string | null): ((shard: number) => number) | null {
  if (id !== null && !timelines.some((one) => one.id === id)) return null
  const [ours, theirs] = [lineOf(timelines, newestOf(timelines)), lineOf(timelines, id)]
  // those that only one of both came through: each of them left the other behind where it parted
  const between = [...ours.filter((one) => !theirs.includes(one)), ...theirs.filter((one) => !ours.includes(one))]
  return (shard) => Math.min(Number.POSITIVE_INFINITY, ...between.map(({ parted }) => parted[shard] ?? 0))
}

/** A timeline and those it came from, up to the first, which is not among them. */
function lineOf(timelines: readonly Timeline[], id: string | null): readonly Timeline[] {
  const line: Timeline[] = []
  for (let next = id; next !== null; ) {
    const found = timelines.find((one) => one.id === next)!
    line.push(found)
    next = found.from
  }
  return line
}
