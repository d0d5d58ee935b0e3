/**
 * Generations that stand at the same places advance together: each event is read and folded once for all of them. A track
 * keeps the states of entities that it has met, so that the next event of an entity needs no look into its history.
 *
 * An entity whose state is larger than is allowed (`stateBytesMax`: an earlier version recorded it, or the bound was raised
 * and lowered) is left out, and all others go on: the rows that were made of its state are taken away, and the catalog
 * keeps that it is so. Its events are not folded on from there. With the newest of them its state is looked at once more: if
 * it has become smaller, it is let in again.
 */
import { formatPosition, type Position, type RecordedEvent } from '../entity/event.ts'
import { deepFreeze, inPlace } from '../entity/fold.ts'
import { evolveRecorded } from '../entity/fold-check.ts'
import { leastSizeOf, sizeOf } from '../entity/state-size.ts'
import { isKumaError } from '../errors.ts'
import type { Batch } from './batch.ts'
import { leaveOut, letIn } from './catalog.ts'
import type { Filling } from './filling.ts'
import { clear } from './generation-table.ts'
import type { Statement } from './sink.ts'
import type { Source, SourceEvent } from './source.ts'

const STATES_MAX = 100_000
const STATES_CHARS_MAX = 64 * 1024 * 1024
/** A state is measured again when its events since may have doubled it, and brought so many characters more. */
const UNMEASURED_CHARS = 256
const UTF8_BYTES_MAX = 3 // of a UTF-16 unit

/** An entity where the track has come to. Nothing of the event that brought it there, whose data may be large. */
export interface Known {
  /** its key in the store: `_entity` */
  readonly entity: string
  readonly id: string
  readonly type: string
  readonly createdAt: number
  version: number
  updatedAt: number
  /** of its last event */
  position: Position
  state: unknown
  /** Its state is larger than is allowed, and not kept. */
  isLeftOut: boolean
  /** at most how large its state is, as JSON in UTF-8: as it was when that was counted, and the events since */
  bytes: number
  /** about how long its state is as JSON: as it was when it was measured, and the events since */
  chars: number
  measured: number
}

/** A generation cannot go on, at an event. */
export class Stopped extends Error {
  constructor(
    readonly fillings: readonly Filling[],
    readonly position: Position | null,
    override readonly cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause))
  }
}

export class Track {
  /** up to where each shard is read */
  private readonly seqs: number[]
  /** by `placeOf`: with texts as keys, making these would take as long as all else */
  private readonly states = new Map<number, Known>()
  private chars = 0
  private readonly fromState: readonly Filling[]
  /** that is read */
  readonly timeline: string | null

  constructor(
    private readonly source: Source,
    readonly fillings: readonly Filling[],
    /** told of an entity that is left out from now on */
    private readonly onLeftOut: (name: string, entity: Known) => void,
  ) {
    this.timeline = source.timeline
    this.seqs = [...fillings[0]!.positions]
    this.fromState = fillings.filter(({ definition }) => definition.rows !== null)
  }

  /** The next page of a shard, up to a place. False if there is none. @throws Stopped, and what reading throws */
  async read(shard: number, end: number, batch: Batch): Promise<boolean> {
    const from = this.seqs[shard]!
    const page = this.source.page(shard, from, end)
    if (page === null) return false
    const part = batch.part(this, shard, from)
    for (const item of page.items) {
      if (item.event === null) {
        this.erased(shard, item.key, batch)
        continue
      }
      this.handle(shard, item, batch)
      if (!this.fromState.some((filling) => filling.wants(item.event.entityType))) continue
      // awaited only where it must be: a turn of the promises for each event would cost more than to fold it
      const known = this.standing(shard, item) ?? (await this.look(shard, item))
      if (known !== null) this.fold(shard, known, item, part.touched, batch)
    }
    part.to = page.to
    part.crc = page.crc
    batch.events += page.to - from
    this.seqs[shard] = page.to
    return true
  }

  private placeOf(shard: number, key: number): number {
    return key * this.seqs.length + shard
  }

  private erased(shard: number, key: number, batch: Batch): void {
    const entity = formatPosition(shard, key)
    this.forget(this.placeOf(shard, key))
    batch.parts.get(this)?.get(shard)?.touched.delete(key)
    for (const filling of this.fillings) {
      batch.add(filling, null, [clear(filling.definition.name, filling.generation, entity)])
      this.letIn(filling, entity, batch)
    }
  }

  private handle(shard: number, { key, event }: SourceEvent, batch: Batch): void {
    for (const filling of this.fillings) {
      const handler = filling.definition.handler(event.entityType, event.type)
      if (handler === undefined || filling.isSkipped(event.position)) continue
      batch.add(filling, event.position, handled(filling, formatPosition(shard, key), event, handler))
    }
  }

  /** The entity before an event, if it was met before. */
  private standing(shard: number, { key, event }: SourceEvent): Known | undefined {
    const known = this.states.get(this.placeOf(shard, key))
    if (known?.version !== event.version - 1) return undefined
    return known.isLeftOut && this.source.isNewest(shard, key, event) ? undefined : known
  }

  /** The entity before an event, from its history. Null if it is erased meanwhile. */
  private async look(shard: number, { key, event }: SourceEvent): Promise<Known | null> {
    try {
      const before = await this.source.before(shard, key, event)
      if (before === null) return null
      const isLeftOut = before.bytes === Number.POSITIVE_INFINITY
      const chars = isLeftOut ? 0 : leastSizeOf(before.state, this.bytesMax).bytes
      const entity = formatPosition(shard, key)
      const { entity: id, entityType: type, at: updatedAt, position } = event
      const version = event.version - 1
      const known = { entity, id, type, version, updatedAt, position, ...before, isLeftOut, chars, measured: chars }
      this.remember(this.placeOf(shard, key), known)
      return known
    } catch (error) {
      throw this.stopped(event, error)
    }
  }

  private fold(
    shard: number,
    known: Known,
    { key, event, bytes }: SourceEvent,
    touched: Map<number, Known>,
    batch: Batch,
  ): void {
    try {
      const definition = this.source.definitions.find(event.entityType)
      if (!known.isLeftOut && definition !== undefined)
        known.state = evolveRecorded(inPlace(definition), known.state, event)
      known.version = event.version
      known.updatedAt = event.at
      known.position = event.position
    } catch (error) {
      throw this.stopped(event, error)
    }
    if (!known.isLeftOut) this.grow(this.placeOf(shard, key), known, bytes)
    if (!touched.has(key)) batch.chars += known.chars
    batch.chars += bytes
    touched.set(key, known)
  }

  /** All that wanted the state. */
  private stopped({ entityType, position }: RecordedEvent, cause: unknown): Stopped {
    const wanting = this.fromState.filter((filling) => filling.wants(entityType))
    return new Stopped(wanting, position, cause)
  }

  private remember(place: number, known: Known): void {
    this.forget(place)
    this.states.set(place, known)
    this.chars += known.chars
    this.bound()
  }

  private grow(place: number, known: Known, bytes: number): void {
    const before = known.chars
    known.chars += bytes
    known.bytes += bytes * UTF8_BYTES_MAX
    if (known.chars > 2 * known.measured + UNMEASURED_CHARS) this.measure(known)
    if (known.bytes > this.bytesMax) this.weigh(known)
    if (this.states.get(place) !== known) return
    this.chars += known.chars - before
    this.bound()
  }

  private get bytesMax(): number {
    return this.source.definitions.stateBytesMax
  }

  private measure(known: Known): void {
    const { bytes, isDeep } = leastSizeOf(known.state, this.bytesMax)
    known.chars = known.measured = bytes
    known.bytes = isDeep ? Number.POSITIVE_INFINITY : Math.max(known.bytes, bytes)
  }

  /** It may be larger than is allowed. */
  private weigh(known: Known): void {
    const { bytes, isDeep } = sizeOf(known.state, this.bytesMax)
    known.bytes = bytes
    if (!isDeep && bytes <= this.bytesMax) return
    known.isLeftOut = true
    known.state = undefined
    known.chars = known.measured = 0
  }

  /** Those that were met first go: their history tells their states when they are needed again. */
  private bound(): void {
    if (this.states.size <= STATES_MAX && this.chars <= STATES_CHARS_MAX) return
    for (const [oldest, { chars }] of this.states) {
      if (this.states.size <= STATES_MAX && this.chars <= STATES_CHARS_MAX) break
      this.states.delete(oldest)
      this.chars -= chars
    }
  }

  private forget(place: number): void {
    this.chars -= this.states.get(place)?.chars ?? 0
    this.states.delete(place)
  }

  /** The rows of the entities that a batch touched. @throws Stopped */
  rows(touched: ReadonlyMap<number, Known>, batch: Batch): void {
    for (const filling of this.fromState) {
      for (const known of touched.values()) {
        if (!filling.wants(known.type) || filling.isSkipped(known.position)) continue
        if (filling.definition.of !== null) this.checkDefined(filling, known)
        const rows = rowsOf(filling, known)
        if (rows === null) this.leaveOut(filling, known, batch)
        else {
          batch.add(filling, known.position, rows)
          this.letIn(filling, known.entity, batch)
        }
      }
    }
  }

  /** @throws Stopped if rows are to be made of a state that nobody here can tell */
  private checkDefined(filling: Filling, { type, position }: Known): void {
    try {
      this.source.definitions.of(type)
    } catch (error) {
      throw new Stopped([filling], position, error)
    }
  }

  private leaveOut(filling: Filling, known: Known, batch: Batch): void {
    const { name, generation, leftOut } = filling
    const { entity, position } = known
    const noted = { entity, position, at: Date.now() }
    batch.add(filling, null, [clear(name, generation, entity), leaveOut(name, generation, noted)])
    if (!leftOut.has(entity)) this.onLeftOut(name, known)
    leftOut.set(entity, noted)
  }

  private letIn(filling: Filling, entity: string, batch: Batch): void {
    const { name, generation, leftOut } = filling
    if (leftOut.delete(entity)) batch.add(filling, null, [letIn(name, generation, entity)])
  }
}

function handled(
  filling: Filling,
  entity: string,
  event: RecordedEvent,
  handler: (event: unknown, table: unknown) => unknown,
): Statement[] {
  const { table } = filling
  try {
    return table.statements(handler(event, table.of({ entity, version: event.version })))
  } catch (error) {
    throw new Stopped([filling], event.position, error)
  }
}

/** Null if its state is too large to make rows of it. */
function rowsOf(filling: Filling, known: Known): Statement[] | null {
  const { entity, id, type, version, createdAt, updatedAt, position, state, isLeftOut } = known
  if (isLeftOut) return null
  try {
    const made = filling.definition.rows!(deepFreeze(state), { id, version, createdAt, updatedAt }, type)
    return filling.table.rows({ entity, version }, made)
  } catch (error) {
    if (isKumaError(error, 'KUMA_STATE_TOO_LARGE')) return null
    throw new Stopped([filling], position, error)
  }
}
