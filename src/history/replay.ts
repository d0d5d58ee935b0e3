/** Every event of an entity with the state after it, oldest first. */
import { startBefore } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import { bytesOf, Scale } from '../actor/readable.ts'
import type { EngineReplayRange, RecordedStep } from '../engine.ts'
import { deepFreeze } from '../entity/fold.ts'
import { evolveRecorded } from '../entity/fold-check.ts'
import type { JsonObject } from '../entity/json.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { upcast } from '../entity/upcast.ts'
import { entryTo, rowsBetween } from '../store/chain.ts'
import type { Readers } from '../store/readers.ts'
import { isSpent, pagesInSlices } from '../store/slices.ts'
import { locate } from './locate.ts'
import { rangeOf } from './range.ts'

/** The states before `range.from` are folded too, and not given. @throws KUMA_NOT_FOUND, KUMA_MODEL_FAILED, KUMA_CORRUPT */
export async function* replay(
  readers: Readers,
  definitions: Definitions,
  id: string,
  range: EngineReplayRange = {},
): AsyncGenerator<RecordedStep> {
  // spelled out: an async generator takes twice as long with `yield*`
  for await (const steps of pagesInSlices(pages(readers, definitions, id, range), range.signal))
    for (const step of steps) yield step
}

function* pages(
  readers: Readers,
  definitions: Definitions,
  id: string,
  range: EngineReplayRange,
): Generator<readonly RecordedStep[], void> {
  const located = locate(readers, id)
  const { reader, entity, head } = located
  const definition = definitions.of(entity.type)
  const { begun, notEnded } = rangeOf(range)
  const start = startBefore(located, definition, justBefore(range.from))
  const end = entryTo(reader, entity.key, head, range.to)
  let { state } = start
  const scale = new Scale(entity.id, start.bytes)
  for (const rows of rowsBetween(reader, entity.key, start, end, notEnded)) {
    let steps: RecordedStep[] = []
    for (const row of rows) {
      const event = upcast(definition, reader.recorded(row, entity))
      state = evolveRecorded(definition, state, event)
      scale.add(bytesOf(row), state)
      const isWanted = begun(row)
      if (isWanted) steps.push({ event, state: deepFreeze(state) as JsonObject })
      const isLast = isWanted && event.type === range.untilEvent
      if (isLast || isSpent()) {
        yield steps
        steps = []
      }
      if (isLast) return
    }
    yield steps
  }
}

/** Every event after this point lies in a range from `from` on, or is folded on the way there. */
function justBefore(from: ResolvedPoint | undefined): ResolvedPoint {
  if (from === undefined) return { version: 0 }
  return from.version === undefined ? { at: from.at - 1 } : { version: from.version - 1 }
}
