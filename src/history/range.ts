/** A range of an entity's history: both ends are inclusive, and each may be a version or a time. */
import { reached } from '../actor/activate.ts'
import type { Range } from '../engine.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { KumaError } from '../errors.ts'
import type { Link } from '../store/shard-reader.ts'

type Place = Pick<Link, 'version' | 'at'>

export interface Bounds {
  readonly begun: (place: Place) => boolean
  readonly notEnded: (place: Place) => boolean
}

/** @throws KUMA_INVALID_POINT if the range ends before it begins */
export function rangeOf({ from, to }: Range): Bounds {
  const isReversed =
    (from?.version !== undefined && to?.version !== undefined && from.version > to.version) ||
    (from?.at !== undefined && to?.at !== undefined && from.at > to.at)
  if (isReversed) throw reversed(from)
  return {
    begun: ({ version, at }) =>
      from === undefined ? true : from.version === undefined ? at >= from.at : version >= from.version,
    notEnded: to === undefined ? () => true : reached(to),
  }
}

export function reversed(from: ResolvedPoint): KumaError<'KUMA_INVALID_POINT'> {
  const point = from.version === undefined ? new Date(from.at).toISOString() : `v${from.version}`
  const message = `the range ends before it begins, at ${point}`
  return new KumaError('KUMA_INVALID_POINT', message, { point }, { hint: 'swap from and to' })
}
