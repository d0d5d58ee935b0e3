/** Brings an entity's state back: from the newest snapshot that helps, the events after it, oldest first, folded. */
import type { Definition } from '../entity/define-entity.ts'
import { initialState, inPlace } from '../entity/fold.ts'
import { evolveRecorded } from '../entity/fold-check.ts'
import { bytesAtMost, tooLargeToRead } from '../entity/state-size.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { upcast } from '../entity/upcast.ts'
import { entryTo, rowsBetween } from '../store/chain.ts'
import type { EntityRow } from '../store/commit.ts'
import type { Head, Link, ShardReader } from '../store/shard-reader.ts'
import { isSpent } from '../store/slices.ts'
import { bytesOf, READABLE_BYTES_MAX, Scale } from './readable.ts'

/** An entity at one of its versions. */
export interface Stand {
  /** 0: there is no such entity yet */
  readonly version: number
  readonly seq: number
  readonly at: number
  readonly state: unknown
  /**
   * At most how large the state is as JSON in UTF-8: as it was when it was last written as text, and the events since. So
   * long as its events do not make more of it than they are, which a look at it tells now and then. Infinite: it is nested too deep.
   */
  readonly bytes: number
}

export const NOWHERE: Stand = { version: 0, seq: 0, at: 0, state: undefined, bytes: 0 }

/** Before the first event. */
export function beginning(definition: Definition, id: string): Stand {
  return { ...NOWHERE, state: initialState(definition, id) }
}

/** An existing entity, as it was found on disk. */
export interface Located {
  readonly reader: ShardReader
  readonly entity: Pick<EntityRow, 'key' | 'id' | 'type' | 'createdAt'>
  readonly head: Head
}

/**
 * The newest stand up to a point that needs no folding: that of a snapshot, or of the beginning.
 * @throws KUMA_STATE_TOO_LARGE
 */
export function startBefore({ reader, entity }: Located, definition: Definition, to: ResolvedPoint): Stand {
  const snapshot = reader.snapshot(entity.key, to, definition.version)
  if (snapshot === null) return beginning(definition, entity.id)
  const { version, seq, at, state } = snapshot
  const bytes = bytesAtMost(state)
  if (state.length > READABLE_BYTES_MAX) throw tooLargeToRead(entity.id, bytes, READABLE_BYTES_MAX)
  return { version, seq, at, state: JSON.parse(state) as unknown, bytes }
}

/**
 * The entity as it stood at a point, or as it stands now; null if the point lies before its first event. Yields now and
 * then: run it with `inSlices`.
 * @param passed is told of every stand on the way; who does not keep their states gives a definition that is `inPlace`
 * @throws KUMA_CORRUPT, KUMA_MODEL_FAILED, KUMA_STATE_TOO_LARGE
 */
export function* standAt(
  located: Located,
  definition: Definition,
  to?: ResolvedPoint,
  passed?: (stand: Stand) => void,
): Generator<void, Stand | null> {
  const { reader, entity, head } = located
  let stand = startBefore(located, definition, to ?? { version: head.version })
  const end = entryTo(reader, entity.key, head, to)
  const scale = new Scale(entity.id, stand.bytes)
  const folding = passed === undefined ? inPlace(definition) : definition
  for (const rows of rowsBetween(reader, entity.key, stand, end, to ? reached(to) : ALL)) {
    for (const row of rows) {
      const { version, seq, at } = row
      const event = upcast(definition, reader.recorded(row, entity))
      const bytes = bytesOf(row)
      stand = { version, seq, at, state: evolveRecorded(folding, stand.state, event), bytes: stand.bytes + bytes }
      scale.add(bytes, stand.state)
      passed?.(stand)
      if (isSpent()) yield
    }
    yield
  }
  return stand.version === 0 ? null : stand
}

const ALL = () => true

/** Does an event lie at the point, or before it? */
export function reached({ version, at }: ResolvedPoint): (link: Pick<Link, 'version' | 'at'>) => boolean {
  return version === undefined ? (link) => link.at <= at : (link) => link.version <= version
}
