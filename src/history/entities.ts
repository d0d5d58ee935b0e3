/** Which entities are there? Shard by shard, in each in order of their creation. */
import type { EntitiesQuery, EntitySummary } from '../api.ts'
import type { Readers } from '../store/readers.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import { breathe } from '../store/slices.ts'

const PAGE = 1_000

export async function* entities(readers: Readers, query: EntitiesQuery = {}): AsyncGenerator<EntitySummary> {
  let left = query.limit ?? Number.POSITIVE_INFINITY
  const type = typeof query.type === 'object' ? query.type.type : query.type
  if (left <= 0) return
  for (const reader of readers.all()) {
    for await (const summary of entitiesOf(reader, query.signal)) {
      if (type !== undefined && summary.type !== type) continue
      if (query.prefix !== undefined && !summary.id.startsWith(query.prefix)) continue
      yield summary
      if (--left === 0) return
    }
  }
}

/** Those that exist when the shard's turn comes. Heads that are not on disk yet are laid over those that are. */
async function* entitiesOf(reader: ShardReader, signal: AbortSignal | undefined): AsyncGenerator<EntitySummary> {
  const newer = reader.unflushedHeads()
  for (let after = 0; ; ) {
    const page = reader.entitiesAfter(after, PAGE)
    for (const { key, id, type, version = 0, at = 0 } of page) {
      if (id === '') continue // erased since the page was read
      const other = newer.get(key)
      if (other !== undefined && other.version > (version ?? 0))
        yield { id, type, version: other.version, updatedAt: other.at }
      else if (version) yield { id, type, version, updatedAt: at }
    }
    signal?.throwIfAborted()
    if (page.length < PAGE) return
    after = page.at(-1)!.key
    await breathe()
  }
}
