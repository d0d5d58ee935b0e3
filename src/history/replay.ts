/** Every event of an entity with the state after it, oldest first. */
import { startBefore } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import { bytesOf, Scale } from '../actor/readable.ts'
import type { EngineReplayRange, RecordedStep } from '../engine.ts'
import { deepFreeze, evolve } from '../entity/fold.ts'
import type { JsonObject } from '../entity/json.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { upcast } from '../entity/upcast.ts'
import { entryTo, rowsBetween } from '../store/chain.ts'
import type { Readers } from '../store/readers.ts'
import { breathe } from '../store/slices.ts'
import { locate } from './locate.ts'
import { rangeOf } from './range.ts'

/** The states before `range.from` are folded too, and not given. @throws KUMA_NOT_FOUND, KUMA_MODEL_FAILED, KUMA_CORRUPT */
export async function* replay(
  readers: Readers,
  definitions: Definitions,
  id: string,
  range: EngineReplayRange = {},
): AsyncGenerator<RecordedStep> {
  const located = locate(readers, id)
  const { reader, entity, head } = located
  const definition = definitions.of(entity.type)
  const { begun, notEnded } = rangeOf(range)
  const start = startBefore(located, definition, justBefore(range.from))
  const end = entryTo(reader, entity.key, head, range.to)
  let { state } = start
  const scale = new Scale(entity.id, start.bytes)
  for (const rows of rowsBetween(reader, entity.key, start, end, notEnded)) {
    for (const row of rows) {
      const event = upcast(definition, reader.recorded(row, entity))
      state = evolve(definition, state, event)
      scale.add(bytesOf(row), state)
      if (!begun(row)) continue
      yield { event, state: deepFreeze(state) as JsonObject }
      if (event.type === range.untilEvent) return
    }
    range.signal?.throwIfAborted()
    await breathe()
  }
}

/** Every event after this point lies in a range from `from` on, or is folded on the way there. */
function justBefore(from: ResolvedPoint | undefined): ResolvedPoint {
  if (from === undefined) return { version: 0 }
  return from.version === undefined ? { at: from.at - 1 } : { version: from.version - 1 }
}
