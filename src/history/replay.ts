/** Every event of an entity with the state after it, oldest first. */
import type { Definitions } from '../actor/definitions.ts'
import type { Range, RecordedStep } from '../engine.ts'
import { deepFreeze, evolve, initialState } from '../entity/fold.ts'
import type { JsonObject } from '../entity/json.ts'
import { breathe, inSlices, rowsAt, seqsUntil } from '../store/chain.ts'
import type { Readers } from '../store/readers.ts'
import { recorded } from '../store/shard-reader.ts'
import { locate } from './locate.ts'
import { rangeOf } from './range.ts'

/** The states before `range.from` are folded too, and not given. @throws KUMA_NOT_FOUND, KUMA_MODEL_FAILED, KUMA_CORRUPT */
export async function* replay(
  readers: Readers,
  definitions: Definitions,
  id: string,
  range: Range = {},
): AsyncGenerator<RecordedStep> {
  const { reader, entity, head } = locate(readers, id)
  const definition = definitions.of(entity.type)
  const { begun, notEnded } = rangeOf(range)
  const seqs = await inSlices(seqsUntil(reader, head.seq, notEnded))
  let state = initialState(definition, id)
  for (const rows of rowsAt(reader, entity.key, seqs, 1)) {
    for (const row of rows) {
      const event = recorded(row, entity, reader.shard)
      state = evolve(definition, state, event)
      if (begun(row)) yield { event, state: deepFreeze(state) as JsonObject }
    }
    range.signal?.throwIfAborted()
    await breathe()
  }
}
