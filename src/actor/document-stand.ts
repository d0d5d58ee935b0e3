/**
 * Where a document stands. To merge each event into a copy of the state would cost as much as the state is large; so it is
 * merged into the state itself, and that not before it is on disk. Until then readers see the state without it, and should
 * its commit fail there is nothing to undo: the event is forgotten.
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
import { Shown } from './shown.ts'

type Place = Omit<Stand, 'state'>

export class DocumentStand implements Stand {
  readonly version: number
  readonly seq: number
  readonly at: number
  readonly bytes: number
  private merged: unknown
  /** What readers have of the state; null while there were none. */
  private shown: Shown | null = null

  /** @param before what it follows on, and @param data the event that it is still without; null when it is on disk */
  private constructor(
    { version, seq, at, bytes }: Place,
    private before: Stand | null,
    private data: JsonObject | null,
    state: unknown,
  ) {
    this.version = version
    this.seq = seq
    this.at = at
    this.bytes = bytes
    this.merged = state
  }

  static onDisk(stand: Stand): DocumentStand {
    return new DocumentStand(stand, null, null, stand.state)
  }

  static after(before: Stand, place: Place, data: JsonObject): DocumentStand {
    return new DocumentStand(place, before, data, null)
  }

  /** The same, its state weighed. */
  weighing(bytes: number): DocumentStand {
    const { version, seq, at } = this
    return new DocumentStand({ version, seq, at, bytes }, this.before, this.data, this.merged)
  }

  /** To be looked at. While it is on its way each look makes one of its own, since readers see what it follows on. */
  get state(): unknown {
    if (this.before === null) return this.merged
    const { stand, events } = this.unmerged()
    const merge = mergingInPlace()
    return events.reduce((state, data) => merge(state, data), stand.state)
  }

  /** For readers, frozen, once it is on disk. */
  get readable(): unknown {
    this.shown ??= new Shown()
    return this.shown.of(this.merged)
  }

  /** It is on disk, and so is what it follows on. */
  settle(): void {
    if (this.before === null) return
    const { stand, events } = this.unmerged()
    let { state } = stand
    const shown = stand instanceof DocumentStand ? stand.shown : null
    for (const data of events) {
      shown?.forget(state, data)
      state = mergeInPlace(state, data)
    }
    this.merged = state
    this.shown = shown
    this.before = null
    this.data = null
  }

  /** The events that are not merged, oldest first, and what they follow on. */
  private unmerged(): { readonly stand: Stand; readonly events: readonly JsonObject[] } {
    const events: JsonObject[] = []
    let stand: Stand = this
    for (; stand instanceof DocumentStand && stand.before !== null; stand = stand.before) events.push(stand.data!)
    return { stand, events: events.reverse() }
  }
}

/** The state of a stand on disk, frozen. */
export function readableState(stand: Stand): unknown {
  return stand instanceof DocumentStand ? stand.readable : deepFreeze(stand.state)
}
