/** What changed? The states at two points, or of two entities, and what makes one of the other. */
import { type Located, NOWHERE, reached, type Stand, standAt } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import type { Diff, Inspected } from '../api.ts'
import type { DiffRequest } from '../engine.ts'
import type { Definition } from '../entity/define-entity.ts'
import { deepFreeze, initialState } from '../entity/fold.ts'
import { asJson } from '../entity/json.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import type { Readers } from '../store/readers.ts'
import { inSlices, PAST } from '../store/slices.ts'
import { before, checkPoint, inspectAt, inspected } from './inspect-at.ts'
import { patchOf } from './json-patch.ts'
import { locate } from './locate.ts'
import { rangeOf, reversed } from './range.ts'

/** @throws what `inspectAt` throws; KUMA_INVALID_POINT if `from` comes after `to` */
export async function diff(
  readers: Readers,
  definitions: Definitions,
  request: DiffRequest,
  signal?: AbortSignal,
): Promise<Diff> {
  const { id, other, from, to } = request
  if (other !== undefined) {
    const at = (one: string, point: ResolvedPoint | undefined) => inspectAt(readers, definitions, one, point, signal)
    const ends = [at(id, from), at(other, to)] as const
    return between(...(await Promise.all(ends)))
  }
  rangeOf({ from, to })
  const located = locate(readers, id)
  checkPoint(located, from)
  checkPoint(located, to)
  const definition = definitions.of(located.entity.type)
  const [first, last] = await inSlices(stands(located, definition, from, to), PAST, signal)
  return between(sideOf(located, first), sideOf(located, last))
}

/** @param from version 0: before the first event */
export function between(from: Inspected, to: Inspected): Diff {
  return { from, to, patch: patchOf(asJson(from.state, from.id), asJson(to.state, to.id)) }
}

function sideOf(located: Located, stand: Stand): Inspected {
  if (stand.version > 0) return inspected(located, stand)
  const { id, type } = located.entity
  return { id, type, version: 0, at: 0, position: '', state: deepFreeze(stand.state) as Inspected['state'] }
}

/** Of two points that lie near each other, the first is passed on the way to the second: then one fold may give both. */
function* stands(
  located: Located,
  definition: Definition,
  from: ResolvedPoint | undefined,
  to: ResolvedPoint | undefined,
): Generator<void, [Stand, Stand]> {
  const isBefore = from && reached(from)
  let first: Stand | null = null
  let previous: Stand | null = null
  const passed = (stand: Stand) => {
    if (isBefore === undefined) first = previous
    else if (isBefore(stand)) first = stand
    previous = stand
  }
  // where a state can be folded in place, to fold it twice costs less than to keep it at each event
  const last = yield* standAt(located, definition, to, definition.inPlace === undefined ? passed : undefined)
  if (last === null) throw before(located)
  // one that reaches beyond `last` was not passed: a time and a version can only be compared by where they lead
  if (first !== null && !isBefore?.(last)) return [first, last]
  const point = from ?? { version: last.version - 1 }
  if (point.version === 0) return [{ ...NOWHERE, state: initialState(definition, located.entity.id) }, last]
  const found = yield* standAt(located, definition, point)
  if (found === null) throw before(located)
  if (found.version > last.version) throw reversed(point)
  return [found, last]
}
