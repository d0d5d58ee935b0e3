/** What was it then? The state of an entity at a point in the past. */
import { type Located, type Stand, standAt } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import type { Inspected } from '../api.ts'
import { deepFreeze } from '../entity/fold.ts'
import type { JsonObject } from '../entity/json.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { KumaError } from '../errors.ts'
import type { Readers } from '../store/readers.ts'
import { inSlices, PAST } from '../store/slices.ts'
import { locate } from './locate.ts'

/** @throws KUMA_NOT_FOUND also if the point lies before the first event; KUMA_INVALID_POINT for a version not yet reached */
export async function inspectAt(
  readers: Readers,
  definitions: Definitions,
  id: string,
  point?: ResolvedPoint,
  signal?: AbortSignal,
): Promise<Inspected> {
  const located = locate(readers, id)
  checkPoint(located, point)
  const stand = await inSlices(standAt(located, definitions.of(located.entity.type), point), PAST, signal)
  if (stand === null) throw before(located)
  return inspected(located, stand)
}

export function inspected({ reader, entity: { id, type } }: Located, { version, seq, at, state }: Stand): Inspected {
  const position = reader.positionOf(seq)
  return { id, type, version, at, position, state: deepFreeze(state) as JsonObject }
}

/** @throws KUMA_INVALID_POINT for a version not yet reached */
export function checkPoint({ entity, head }: Located, point: ResolvedPoint | undefined): void {
  if (point?.version === undefined || point.version <= head.version) return
  const message = `${entity.id} has no version ${point.version}: its last is ${head.version}`
  throw new KumaError('KUMA_INVALID_POINT', message, { point: `v${point.version}` })
}

export function before({ entity }: Located): KumaError<'KUMA_NOT_FOUND'> {
  const began = new Date(entity.createdAt).toISOString()
  const hint = `it began at ${began} (${entity.createdAt}), with version 1`
  return new KumaError('KUMA_NOT_FOUND', `${entity.id} did not exist then`, { entity: entity.id }, { hint })
}
