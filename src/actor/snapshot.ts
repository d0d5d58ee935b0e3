/** Which stands of an entity are kept as snapshots: every `snapshotEvery`th, if JSON can give the state back. */
import type { Definition } from '../entity/define-entity.ts'
import { type Size, sizeOf } from '../entity/state-size.ts'
import type { SnapshotRow } from '../store/commit.ts'
import { snapshotRow } from '../store/snapshot.ts'
import type { Stand } from './activate.ts'
import type { Definitions } from './definitions.ts'
import { DocumentStand } from './document-stand.ts'

export function isSnapshotDue({ version }: Stand, { snapshotEvery }: Definition): boolean {
  return version % snapshotEvery === 0
}

/** A stand whose state was just looked at through and through. */
export function sized(stand: Stand, size: Size): Stand {
  const bytes = size.isDeep ? Number.POSITIVE_INFINITY : size.bytes
  return stand instanceof DocumentStand ? stand.weighing(bytes) : { ...stand, bytes }
}

/** Null if none is due, or none can be made. */
export function snapshotOf(
  entity: number,
  stand: Stand,
  definition: Definition,
  definitions: Definitions,
): SnapshotRow | null {
  if (!isSnapshotDue(stand, definition)) return null
  return stateRow(entity, stand, sizeOf(stand.state, definitions.stateBytesMax), definition, definitions)
}

/** Null if JSON cannot give the state back, or it is larger than is allowed. */
export function stateRow(
  entity: number,
  { version, seq, at }: Stand,
  { bytes, isDeep, text }: Size,
  definition: Definition,
  { unfit, stateBytesMax }: Definitions,
): SnapshotRow | null {
  if (isDeep || bytes > stateBytesMax) return null
  if (text !== null) return snapshotRow({ entity, version, at, seq }, definition.version, text)
  unfit.add(definition.type)
  return null
}
