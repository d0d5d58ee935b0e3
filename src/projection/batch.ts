/** What is written in one transaction: steps of checkpoints, each with its guard, and the rows that they stand for. */
import type { Position } from '../entity/event.ts'
import { guard, type Step } from './catalog.ts'
import type { Filling } from './filling.ts'
import type { Statement } from './sink.ts'
import type { Known, Track } from './track.ts'

const CHARS_MAX = 1024 * 1024
const EVENTS_MAX = 65_536

/** What a batch takes of one shard. */
interface Part {
  readonly from: number
  to: number
  /** of the event at `to` */
  crc: number
  /** the entities that it changes, by their keys */
  readonly touched: Map<number, Known>
}

/** Whose statement it is, and of which event. */
interface Origin {
  readonly filling: Filling
  /** null: of an erasure, or of the checkpoint */
  readonly position: Position | null
}

export class Batch {
  readonly parts = new Map<Track, Map<number, Part>>()
  events = 0
  /** about how long its rows are */
  chars = 0
  private readonly statements: Statement[] = []
  private readonly origins: Origin[] = []
  readonly steps: (Step & { readonly filling: Filling })[] = []

  get isEmpty(): boolean {
    return this.parts.size === 0
  }

  get isFull(): boolean {
    return this.chars >= CHARS_MAX || this.events >= EVENTS_MAX
  }

  part(track: Track, shard: number, from: number): Part {
    const parts = this.parts.get(track) ?? new Map<number, Part>()
    this.parts.set(track, parts)
    const part = parts.get(shard) ?? { from, to: from, crc: 0, touched: new Map() }
    parts.set(shard, part)
    return part
  }

  add(filling: Filling, position: Position | null, statements: readonly Statement[]): void {
    const origin = { filling, position }
    for (const statement of statements) {
      this.statements.push(statement)
      this.origins.push(origin)
      if (position === null) continue
      for (const param of statement) if (typeof param === 'string') this.chars += param.length
    }
  }

  /** Its statements, guards first. @throws Stopped */
  close(): readonly Statement[] {
    const now = Date.now()
    for (const [track, parts] of this.parts) {
      const { timeline } = track
      for (const [shard, { from, to, crc, touched }] of parts) {
        track.rows(touched, this)
        for (const filling of track.fillings) {
          const { name: projection, generation, fences } = filling
          this.steps.push({ projection, generation, shard, from, to, timeline, crc, fence: fences[shard]!, filling })
        }
      }
    }
    return [...this.steps.map((step) => guard(step, now)), ...this.statements]
  }

  /** @param index of a statement of `close` */
  originOf(index: number): Origin {
    const { steps, origins } = this
    return index < steps.length ? { filling: steps[index]!.filling, position: null } : origins[index - steps.length]!
  }
}
