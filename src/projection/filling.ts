/** A generation as a projector fills it: its table, and its places. */
import type { Position } from '../entity/event.ts'
import { formatPosition } from '../entity/event.ts'
import { inTimeline } from '../entity/position.ts'
import type { Catalogued, Generation, LeftOut } from './catalog.ts'
import type { ProjectionDefinition } from './define-projection.ts'
import { GenerationTable } from './generation-table.ts'

export class Filling {
  readonly table: GenerationTable
  /** by shard: the seq up to which it is written */
  readonly positions: number[]
  readonly fences: readonly number[]
  /** entities whose states are too large, as `_entity` names them */
  readonly leftOut: Map<string, LeftOut>
  private readonly skips: ReadonlySet<Position>
  private readonly types: ReadonlySet<string> | null
  /** events a second, of late */
  rate = new Rate()

  constructor(
    readonly definition: ProjectionDefinition,
    readonly of: Generation,
    { skips }: Catalogued,
  ) {
    this.table = new GenerationTable(definition, of.generation)
    const checkpoints = [...of.checkpoints].sort(([a], [b]) => a - b).map(([, checkpoint]) => checkpoint)
    this.positions = checkpoints.map(({ position }) => position)
    this.fences = checkpoints.map(({ fence }) => fence)
    this.leftOut = new Map(of.leftOut.map((one) => [one.entity, one]))
    this.skips = new Set(skips.map(({ shard, seq, timeline }) => inTimeline(formatPosition(shard, seq), timeline)))
    this.types = definition.of && new Set(definition.of.map(({ type }) => type))
  }

  get name(): string {
    return this.definition.name
  }

  get generation(): number {
    return this.of.generation
  }

  wants(entityType: string): boolean {
    return this.types === null || this.types.has(entityType)
  }

  isSkipped(position: Position): boolean {
    return this.skips.size > 0 && this.skips.has(position)
  }

  /** Is it at these places, or further? */
  isAt(seqs: readonly number[]): boolean {
    return seqs.every((seq, shard) => this.positions[shard]! >= seq)
  }
}

const WINDOW_MS = 5_000

/** How often something happens, with more weight on what was just now. */
export class Rate {
  private value = 0
  private at = performance.now()

  add(count: number): void {
    this.value = this.now() + (count * 1_000) / WINDOW_MS
  }

  /** a second */
  now(): number {
    const at = performance.now()
    this.value *= Math.exp((this.at - at) / WINDOW_MS)
    this.at = at
    return this.value
  }
}
