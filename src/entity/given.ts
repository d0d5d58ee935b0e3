/** Tests of the pure logic: given these events, when that command comes, then what? No store, no clock, no file. */
import { checkBeginning, checkEvent } from './check-event.ts'
import { type Command, checkCommand, type DecidedEvent, type Deciding, eventsOf } from './decide.ts'
import type { Definition } from './define-entity.ts'
import { EMPTY_META, formatPosition, type Meta, mergeMeta, type NewEvent, type RecordedEvent } from './event.ts'
import type { Facts } from './facts.ts'
import { deepFreeze, initialState } from './fold.ts'
import { checkInitial, evolveStrictly } from './fold-check.ts'
import { cleanJson } from './json.ts'
import { upcast } from './upcast.ts'

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

/** An event as an earlier definition recorded it: of a type that has an upcaster. */
export type EarlierEvent<Stored extends string> = Stored extends unknown
  ? {
      readonly type: Stored
      // biome-ignore lint/suspicious/noExplicitAny: what an earlier definition recorded, today's cannot say
      readonly data?: any
      readonly meta?: Meta | undefined
      /** when it was recorded, in milliseconds since 1970 */
      readonly at?: number | undefined
    }
  : never

/** An event given, of which nothing has been checked. */
export interface GivenEvent extends DecidedEvent {
  readonly at?: number | undefined
}

const ID = 'given'

/** @throws what appending these events to a new entity would throw, and what reading those of earlier forms would */
export function given<F extends Facts>(definition: Definition, events: readonly GivenEvent[]): Given<F> {
  let [before, at] = [firstState(definition, ID), 0]
  for (const [i, event] of events.entries()) {
    at = event.at ?? at
    before = evolveStrictly(definition, before, happened(definition, event, { id: ID, version: i + 1, at }))
  }
  deepFreeze(before)
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

/** Before any event. @throws KUMA_MODEL_FAILED */
export function firstState(definition: Definition, id: string): unknown {
  const state = initialState(definition, id)
  checkInitial(definition, state, id)
  return state
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
    const data = checkEvent(definition, event, version)
    state = evolveStrictly(definition, state, recorded(definition, event, data, { id, version, at }))
  }
  return deepFreeze(state)
}

interface Where {
  readonly id: string
  readonly version: number
  readonly at: number
}

/**
 * An event as it is read. One whose type has an upcaster is taken as it was stored, so no schema looks at it: which form it
 * has the upcaster knows. All others are new ones.
 */
export function happened(definition: Definition, event: GivenEvent, where: Where): RecordedEvent {
  if (definition.upcaster(event.type) === undefined)
    return recorded(definition, event, checkEvent(definition, event, where.version), where)
  const data = cleanJson(event.data ?? {}, `data of ${event.type}`)
  return upcast(definition, recorded(definition, event, data, where))
}

function recorded(
  definition: Definition,
  { type, meta }: DecidedEvent,
  data: RecordedEvent['data'],
  { id, version, at }: Where,
): RecordedEvent {
  return {
    type,
    data,
    entity: id,
    entityType: definition.type,
    version,
    position: formatPosition(0, version),
    at,
    meta: mergeMeta(meta) ?? EMPTY_META,
  }
}
