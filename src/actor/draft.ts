/** Makes events ready to be recorded: validated, timed, encoded and folded. Nothing of the actor is changed by it. */
import type { Draft } from '../commit/batch.ts'
import type { UncheckedEvent } from '../engine.ts'
import { checkEvent } from '../entity/check-event.ts'
import type { Definition } from '../entity/define-entity.ts'
import { DOCUMENT } from '../entity/document.ts'
import { EMPTY_META, type Meta, mergeMeta, type RecordedEvent } from '../entity/event.ts'
import type { evolveNew, evolveRecorded } from '../entity/fold-check.ts'
import { jsonText } from '../entity/json.ts'
import { leastSizeOf, sizeOf, wouldBeTooLarge } from '../entity/state-size.ts'
import { KumaError } from '../errors.ts'
import type { SnapshotRow } from '../store/commit.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import { beginning, type Stand } from './activate.ts'
import type { Definitions } from './definitions.ts'
import { DocumentStand } from './document-stand.ts'
import { bytesOf } from './readable.ts'
import { isSnapshotDue, sized, stateRow } from './snapshot.ts'

/** Events of one entity recorded as one unit: so many at most, and of 4 MiB together. */
export const GROUP_EVENTS_MAX = 4_096
const GROUP_BYTES_MAX = 4 * 1024 * 1024
/** The clocks of machines differ: a historical event may lie so far ahead of this one's. */
const AHEAD_MAX_MS = 5_000

type Fold = typeof evolveNew | typeof evolveRecorded

export interface Drafted {
  readonly drafts: Draft[]
  /** if the caller wants them back */
  readonly events: readonly RecordedEvent[] | null
  readonly stand: Stand
  readonly snapshots: readonly SnapshotRow[]
}

/** Where the events will stand. */
export interface Place {
  readonly id: string
  /** the entity's key */
  readonly key: number
  readonly seq: number
  /** what they follow on */
  readonly before: Stand
}

/**
 * @param recorded elsewhere, by another clock than the one here
 * @throws KUMA_INVALID_EVENT, KUMA_INVALID_DATA, KUMA_INVALID_TIME, KUMA_MODEL_FAILED, KUMA_STATE_TOO_LARGE
 */
export function draft(
  { reader, definitions }: { readonly reader: Pick<ShardReader, 'positionOf'>; readonly definitions: Definitions },
  { id, key, seq: firstSeq, before }: Place,
  definition: Definition,
  events: readonly UncheckedEvent[],
  meta: Meta | undefined,
  wanted: boolean,
  fold: Fold,
  recorded = false,
): Drafted {
  if (events.length < 1 || events.length > GROUP_EVENTS_MAX) {
    throw tooLarge(
      `has ${events.length} events: 1 to ${GROUP_EVENTS_MAX.toLocaleString('en')} are recorded as one unit`,
    )
  }
  const now = Date.now()
  let stand = before.version > 0 ? before : beginning(definition, id)
  let bytes = 0
  let seq = firstSeq
  const drafts: Draft[] = []
  const snapshots: SnapshotRow[] = []
  const made: RecordedEvent[] | null = wanted ? [] : null
  for (const given of events) {
    const { type } = given
    const version = stand.version + 1
    const at = timeOf(id, given, version === 1 ? null : stand.at, now, recorded)
    const data = checkEvent(definition, given, version)
    const merged = meta === undefined && given.meta === undefined ? null : mergeMeta(meta, given.meta)
    const text = jsonText(data, `data of ${type}`)
    const metaText = merged === null ? null : jsonText(merged, 'meta')
    bytes += text.length + (metaText?.length ?? 0)
    if (bytes > GROUP_BYTES_MAX) throw tooLarge('is larger than 4 MiB')
    const row = { type, data: text, meta: metaText, at }
    drafts.push(row)
    const event = {
      type,
      data,
      entity: id,
      entityType: definition.type,
      version,
      position: reader.positionOf(seq),
      at,
      meta: merged ?? EMPTY_META,
    }
    made?.push(event)
    stand = standAfter(definition, stand, event, seq++, stand.bytes + bytesOf(row), fold)
    if (!isSnapshotDue(stand, definition)) continue
    const size = sizeOf(stand.state, definitions.stateBytesMax)
    stand = sized(stand, size)
    const snapshot = stateRow(key, stand, size, definition, definitions)
    if (snapshot !== null) snapshots.push(snapshot)
  }
  const isSized = isSnapshotDue(stand, definition)
  return {
    drafts,
    events: made,
    stand: withinBounds(id, before, stand, isSized, definitions.stateBytesMax),
    snapshots,
  }
}

function standAfter(
  definition: Definition,
  before: Stand,
  event: RecordedEvent,
  seq: number,
  bytes: number,
  fold: Fold,
): Stand {
  const { version, at, data } = event
  if (definition.type === DOCUMENT) return DocumentStand.after(before, { version, seq, at, bytes }, data)
  return { version, seq, at, state: fold(definition, before.state, event), bytes }
}

/**
 * A stand that may be recorded. Its state is looked at through and through only when it may be too large by what its events
 * brought; and, in case they make more of it than they are, at each version that is a power of two, as at each snapshot.
 * Those of a document do not.
 * @throws KUMA_STATE_TOO_LARGE
 */
function withinBounds(id: string, before: Stand, stand: Stand, isSized: boolean, bytesMax: number): Stand {
  let bounded = stand
  if (stand.bytes > bytesMax && !isSized) bounded = sized(stand, sizeOf(stand.state, bytesMax))
  else if (!(stand instanceof DocumentStand) && Math.clz32(before.version) !== Math.clz32(stand.version)) {
    const least = leastSizeOf(stand.state, bytesMax)
    if (least.isDeep || least.bytes > stand.bytes) bounded = sized(stand, { ...least, text: null })
  }
  if (bounded.bytes > bytesMax) throw wouldBeTooLarge(id, bounded.bytes, bytesMax)
  return bounded
}

/** Never before the entity's last event, so that its time order is its version order whatever the clock does. */
function timeOf(id: string, { at }: UncheckedEvent, last: number | null, now: number, recorded: boolean): number {
  if (at === undefined) return last === null ? now : Math.max(now, last)
  const isAhead = !recorded && at > now + AHEAD_MAX_MS
  if (Number.isSafeInteger(at) && !isAhead && (last === null || at >= last)) return at
  const problem = !Number.isSafeInteger(at)
    ? 'is not a whole number of milliseconds'
    : isAhead
      ? `lies ahead of now (${iso(now)})`
      : `is earlier than its last event (${iso(last!)})`
  const shown = Number.isFinite(at) ? iso(at) : String(at)
  const hint = "a historical event comes after the entity's last one and before now; import in order of time"
  const message = `the time ${shown} of an event of ${id} ${problem}`
  throw new KumaError('KUMA_INVALID_TIME', message, { entity: id, at }, { hint })
}

function iso(at: number): string {
  return Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at)
}

function tooLarge(problem: string): KumaError<'KUMA_INVALID_DATA'> {
  const hint = 'split it into several appends'
  return new KumaError('KUMA_INVALID_DATA', `the append ${problem}`, { path: '' }, { hint })
}
