/**
 * Where a document stands after an event. To merge the event into a copy of the state would cost as much as the state is
 * large; so it is merged into the state itself, and that not before it is on disk. Until then readers see the state
 * without it, and should its commit fail there is nothing to undo: the event is forgotten.
 *
 *     7, on disk: a state   <-   8, on its way: its event   <-   9, on its way: its event
 *
 * When 8 is on disk it takes the state of 7, merges its event into it, and nobody asks 7 for it any more.
 *
 * It is possible for documents since their events need no state to be checked on: any of them fits any state, and makes no
 * more of it than it is itself.
 */
import { mergeInPlace, mergingInPlace } from '../entity/document.ts'
import { deepFreeze } from '../entity/fold.ts'
import type { JsonObject } from '../entity/json.ts'
import type { Stand } from './activate.ts'

/** Of a state with more fields readers get a copy, which costs them no more than to freeze it. */
const FIELDS_SHARED_MAX = 64

export class Unfolded implements Stand {
  /** Null when its event is merged. */
  private before: Stand | null
  private data: JsonObject | null
  private merged: unknown = null
  /** What readers got of it. */
  private given: unknown = null

  constructor(
    before: Stand,
    readonly version: number,
    readonly seq: number,
    readonly at: number,
    readonly bytes: number,
    data: JsonObject,
  ) {
    this.before = before
    this.data = data
  }

  /** To be looked at. While it is on its way each look makes one of its own, since readers see what it follows on. */
  get state(): unknown {
    return this.before === null ? this.merged : this.mergedBy(mergingInPlace())
  }

  /** It is on disk, and so is what it follows on. */
  settle(): void {
    if (this.before === null) return
    this.merged = this.mergedBy(mergeInPlace)
    this.before = null
    this.data = null
  }

  private mergedBy(merge: (state: unknown, data: unknown) => unknown): unknown {
    const events: JsonObject[] = []
    let stand: Stand = this
    for (; stand instanceof Unfolded && stand.before !== null; stand = stand.before) events.push(stand.data!)
    let { state } = stand
    while (events.length > 0) state = merge(state, events.pop())
    return state
  }

  /** The state for readers, frozen, once it is on disk. What follows is merged into what they do not have. */
  get readable(): unknown {
    const { merged } = this
    this.given ??= deepFreeze(isLarge(merged) && Object.isExtensible(merged) ? { ...merged } : merged)
    return this.given
  }

  /** The same, its state weighed. */
  weighing(bytes: number): Unfolded {
    return new Unfolded(this.before!, this.version, this.seq, this.at, bytes, this.data!)
  }
}

function isLarge(state: unknown): state is object {
  return Object.keys(state as object).length > FIELDS_SHARED_MAX
}

/** The state of a stand on disk, frozen. */
export function readableState(stand: Stand): unknown {
  return stand instanceof Unfolded ? stand.readable : deepFreeze(stand.state)
}
