/**
 * A command under a request key that decides on nothing has an answer all the same, and that answer is the first one for
 * good: the message may come again when the entity would decide otherwise. It is kept as a row of the log that is no
 * event:
 *
 *     entity    minus the key of its entity. Beside an entity's chain there may be a second one, of its empty answers,
 *               with versions, pointers, times and a head of its own: what the entity is does not change
 *     type      Answered
 *     data      { "after": seq }: the entity's newest event then, of which the answer told
 *     meta      the request key, as on a group's first event (request-key.ts), of 0 events
 *
 * So it has a crc, a seal and a place in the index of request keys as every row has. Its leaf has the salt of its entity,
 * its contents are encrypted under its entity's key, and an erasure empties both chains. Entities have keys above 0: who
 * looks for events passes it over. A store that may hold such rows requires `empty-answers` (manifest.ts).
 */
import type { Row } from './row.ts'

const ANSWERED = 'Answered'

/** As what entity the empty answers of an entity are kept. */
export function answersOf(key: number): number {
  return -key
}

export function isEmptyAnswer({ entity }: Pick<Row, 'entity'>): boolean {
  return entity < 0
}

/** The key of the entity that a row is of, be it an event or an answer. */
export function ownerOf(entity: number): number {
  return Math.abs(entity)
}

/** @param after seq of the entity's newest event. What else the row needs is what the last answer gives, and the key. */
export function emptyAnswer(after: number): { readonly type: string; readonly data: string } {
  return { type: ANSWERED, data: JSON.stringify({ after }) }
}

/** The seq of the event after which an empty answer was given. */
export function afterOf({ data }: Pick<Row, 'data'>): number {
  return (JSON.parse(data) as { after: number }).after
}
