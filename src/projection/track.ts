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
import type { Source, SourceItem } from './source.ts'

const STATES_MAX = 100_000
const STATES_CHARS_MAX = 64 * 1024 * 1024

/** An entity where the track has come to. */
export interface Known {
  version: number
  state: unknown
  readonly createdAt: number
  /** about how many characters its rows take */
  chars: number
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
  private readonly states = new Map<string, Known>()
  private chars = 0
  private readonly fromState: readonly Filling[]

  constructor(
    private readonly source: Source,
    readonly fillings: readonly Filling[],
  ) {
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
      if (item.event === null) this.erased(shard, item.key, batch)
      else await this.event(shard, item, part.touched, batch)
    }
    part.to = page.to
    batch.events += page.to - from
    this.seqs[shard] = page.to
    return true
  }

  private erased(shard: number, key: number, batch: Batch): void {
    const entity = formatPosition(shard, key)
    this.forget(entity)
    batch.parts.get(this)?.get(shard)?.touched.delete(entity)
    for (const filling of this.fillings)
      batch.add(filling, null, [clear(filling.definition.name, filling.generation, entity)])
  }

  private async event(
    shard: number,
    { key, event, bytes }: Extract<SourceItem, { readonly event: RecordedEvent }>,
    touched: Map<string, Touched>,
    batch: Batch,
  ): Promise<void> {
    const entity = formatPosition(shard, key)
    for (const filling of this.fillings) {
      const handler = filling.definition.handler(event.entityType, event.type)
      if (handler === undefined || filling.isSkipped(event.position)) continue
      batch.add(filling, event.position, handled(filling, entity, event, handler))
    }
    const wanting = this.fromState.filter((filling) => filling.wants(event.entityType))
    if (wanting.length === 0) return
    const known = await this.folded(shard, key, entity, event, wanting)
    if (known === null) return
    known.chars += bytes
    this.chars += bytes
    if (!touched.has(entity)) batch.chars += known.chars
    batch.chars += bytes
    touched.set(entity, { known, event })
  }

  /** The entity after an event. Null if it is erased meanwhile. */
  private async folded(
    shard: number,
    key: number,
    entity: string,
    event: RecordedEvent,
    wanting: readonly Filling[],
  ): Promise<Known | null> {
    let known = this.states.get(entity)
    try {
      if (known?.version !== event.version - 1) {
        const before = await this.source.before(shard, key, event)
        if (before === null) return null
        const chars = event.version === 1 ? 0 : (JSON.stringify(before.state)?.length ?? 0)
        known = { version: event.version - 1, ...before, chars }
        this.remember(entity, known)
      }
      const definition: Definition = this.source.definitions.of(event.entityType)
      known.state = evolve(definition, known.state, event)
      known.version = event.version
      return known
    } catch (error) {
      throw new Stopped(wanting, event.position, error)
    }
  }

  private remember(entity: string, known: Known): void {
    this.forget(entity)
    this.states.set(entity, known)
    this.chars += known.chars
    for (const [oldest, { chars }] of this.states) {
      if (this.states.size <= STATES_MAX && this.chars <= STATES_CHARS_MAX) break
      this.states.delete(oldest)
      this.chars -= chars
    }
  }

  private forget(entity: string): void {
    this.chars -= this.states.get(entity)?.chars ?? 0
    this.states.delete(entity)
  }

  /** The rows of the entities that a batch touched. @throws Stopped */
  rows(touched: ReadonlyMap<string, Touched>, batch: Batch): void {
    for (const filling of this.fromState) {
      for (const [entity, { known, event }] of touched) {
        if (!filling.wants(event.entityType) || filling.isSkipped(event.position)) continue
        batch.add(filling, event.position, rowsOf(filling, entity, known, event))
      }
    }
  }
}

/** An entity that a batch changes, and the last event of it there. */
export interface Touched {
  readonly known: Known
  readonly event: RecordedEvent
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

function rowsOf(filling: Filling, entity: string, known: Known, event: RecordedEvent): Statement[] {
  const { version, at: updatedAt, entity: id, entityType } = event
  const { definition, table } = filling
  try {
    const about = { id, version, createdAt: known.createdAt, updatedAt }
    return table.rows({ entity, version }, definition.rows!(deepFreeze(known.state), about, entityType))
  } catch (error) {
    throw new Stopped([filling], event.position, error)
  }
}
