/** Tests of the pure logic: given these events, when that command comes, then what? No store, no clock, no file. */
import { checkBeginning, checkEvent } from './check-event.ts'
import { type Command, checkCommand, type DecidedEvent, type Deciding, eventsOf } from './decide.ts'
import type { Definition } from './define-entity.ts'
import { EMPTY_META, formatPosition, mergeMeta, type NewEvent } from './event.ts'
import type { Facts } from './facts.ts'
import { deepFreeze, evolve, initialState } from './fold.ts'

export interface Given<F extends Facts> {
  /** after the events given. Frozen. */
  readonly state: F['state']
  /**
   * Decides a command on that state: the events as the handler returned them, and the state with them. Rejects with
   * what the handler throws, as it is.
   */
  when(
    command: Command<F>,
    about?: Partial<Deciding>,
  ): Promise<{ readonly events: readonly NewEvent<F>[]; readonly state: F['state'] }>
}

const ID = 'given'

/** @throws what appending these events to a new entity would throw */
export function given<F extends Facts>(definition: Definition, events: readonly NewEvent<F>[]): Given<F> {
  const before = foldNew(definition, initialState(definition, ID), events, { id: ID, version: 0, now: 0 })
  return {
    state: before,
    when: async (command, { id = ID, version = events.length, now = Date.now(), meta = EMPTY_META } = {}) => {
      const about = { id, version, now, meta }
      const checked = checkCommand(definition, command)
      const decision = await checked.decider(before, checked.data, about)
      const decided = eventsOf(definition, checked, decision, about)
      if (version === 0) checkBeginning(definition, decided)
      return { events: decided as readonly NewEvent<F>[], state: foldNew(definition, before, decided, about) }
    },
  }
}

/** Folds new events as if they were recorded now, one after the other. @throws what appending them would throw */
export function foldNew(
  definition: Definition,
  before: unknown,
  events: readonly DecidedEvent[],
  { id, version: last, now }: Pick<Deciding, 'id' | 'version' | 'now'>,
): unknown {
  let [state, version, at] = [before, last, now]
  for (const event of events) {
    version++
    at = event.at ?? Math.max(at, now)
    state = evolve(definition, state, {
      type: event.type,
      data: checkEvent(definition, event, version),
      entity: id,
      entityType: definition.type,
      version,
      position: formatPosition(0, version),
      at,
      meta: mergeMeta(event.meta) ?? EMPTY_META,
    })
  }
  return deepFreeze(state)
}
