/**
 * Generations that stand at the same places advance together: each event is read and folded once for all of them. A track
 * keeps the states of entities that it has met, so that the next event of an entity needs no look into its history.
 */
import type { Definition } from '../entity/define-entity.ts'
import { formatPosition, type Position, type RecordedEvent } from '../entity/event.ts'
import { deepFreeze, evolve } from '../entity/fold.ts'
import type { Batch } from './batch.ts'
import type { Filling } from './filling.ts'
import { clear } from './generation-table.ts'
import type { Statement } from './sink.ts'
import type { Source, SourceEvent } from './source.ts'

const STATES_MAX = 100_000
const STATES_CHARS_MAX = 64 * 1024 * 1024
/** A state is measured again when its events since may have doubled it, and brought so many characters more. */
const UNMEASURED_CHARS = 256

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
    for (const filling of this.fillings)
      batch.add(filling, null, [clear(filling.definition.name, filling.generation, entity)])
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
    return known?.version === event.version - 1 ? known : undefined
  }

  /** The entity before an event, from its history. Null if it is erased meanwhile. */
  private async look(shard: number, { key, event }: SourceEvent): Promise<Known | null> {
    try {
      const before = await this.source.before(shard, key, event)
      if (before === null) return null
      const chars = charsOf(before.state)
      const entity = formatPosition(shard, key)
      const { entity: id, entityType: type, at: updatedAt, position } = event
      const version = event.version - 1
      const known = { entity, id, type, version, updatedAt, position, ...before, chars, measured: chars }
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
      const definition: Definition = this.source.definitions.of(event.entityType)
      known.state = evolve(definition, known.state, event)
      known.version = event.version
      known.updatedAt = event.at
      known.position = event.position
    } catch (error) {
      throw this.stopped(event, error)
    }
    this.grow(this.placeOf(shard, key), known, bytes)
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
    if (known.chars > 2 * known.measured + UNMEASURED_CHARS) known.chars = known.measured = charsOf(known.state)
    if (this.states.get(place) !== known) return
    this.chars += known.chars - before
    this.bound()
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
        batch.add(filling, known.position, rowsOf(filling, known))
      }
    }
  }
}

function charsOf(state: unknown): number {
  try {
    return JSON.stringify(state)?.length ?? 0
  } catch {
    return 0 // a table that wants it as JSON will say what is wrong with it
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

function rowsOf(filling: Filling, known: Known): Statement[] {
  const { entity, id, type, version, createdAt, updatedAt, position, state } = known
  try {
    const made = filling.definition.rows!(deepFreeze(state), { id, version, createdAt, updatedAt }, type)
    return filling.table.rows({ entity, version }, made)
  } catch (error) {
    throw new Stopped([filling], position, error)
  }
}
