import type { Batch } from '../src/commit/batch.ts'
import { COLUMNS } from '../src/store/commit.ts'

/** A batch of `count` events, each the first of an entity of its own whose key is the event's seq. */
export function batchOf(shard: number, firstSeq: number, count: number): Batch {
  const numbers = new Float64Array(count * COLUMNS)
  let text = ''
  const created = []
  for (let i = 0; i < count; i++) {
    const key = firstSeq + i
    const data = JSON.stringify({ key })
    numbers.set([key, 1, 0, 1_000, 3, data.length, -1], i * COLUMNS)
    text += `Set${data}`
    created.push({ key, idHash: 0, id: `e${key}`, type: 'document', createdAt: 1_000 })
  }
  return {
    shard,
    firstSeq,
    events: { count, numbers, text },
    created,
    keys: [],
    snapshots: [],
    erasures: [],
    sweep: false,
  }
}
