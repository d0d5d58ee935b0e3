/** What was everything then? Every entity with its state, now or at a time. */
import { standAt } from '../actor/activate.ts'
import type { Definitions } from '../actor/definitions.ts'
import type { Inspected } from '../api.ts'
import type { ListQuery } from '../engine.ts'
import { isKumaError } from '../errors.ts'
import type { Readers } from '../store/readers.ts'
import { inSlices, LISTS } from '../store/slices.ts'
import { listed } from './entities.ts'
import { inspected } from './inspect-at.ts'

/** One that is erased before its turn comes is left out. @throws KUMA_UNKNOWN_TYPE, KUMA_MODEL_FAILED, KUMA_INVALID_POINT */
export async function* inspectAll(
  readers: Readers,
  definitions: Definitions,
  query: ListQuery = {},
): AsyncGenerator<Inspected> {
  for await (const located of listed(readers, query)) {
    const definition = definitions.of(located.entity.type)
    try {
      yield inspected(located, (await inSlices(standAt(located, definition), LISTS, query.signal))!)
    } catch (error) {
      if (!isKumaError(error, 'KUMA_ERASED')) throw error
    }
  }
}
