/** Which stands of an entity are kept as snapshots: every `snapshotEvery`th, if JSON can give the state back. */
import type { Definition } from '../entity/define-entity.ts'
import { exactJson } from '../entity/exact-json.ts'
import type { SnapshotRow } from '../store/commit.ts'
import { snapshotRow } from '../store/snapshot.ts'
import type { Stand } from './activate.ts'
import type { Definitions } from './definitions.ts'

/** Null if none is due, or none can be made. */
export function snapshotOf(
  entity: number,
  stand: Stand,
  definition: Definition,
  definitions: Definitions,
): SnapshotRow | null {
  return stand.version % definition.snapshotEvery === 0 ? stateRow(entity, stand, definition, definitions) : null
}

/** Null if JSON cannot give the state back. */
export function stateRow(
  entity: number,
  { version, seq, at, state }: Stand,
  definition: Definition,
  definitions: Definitions,
): SnapshotRow | null {
  const text = exactJson(state)
  if (text !== null) return snapshotRow({ entity, version, at, seq }, definition.version, text)
  definitions.unfit.add(definition.type)
  return null
}
