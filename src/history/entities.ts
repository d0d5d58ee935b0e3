/** Which entities are there, or were there then? Shard by shard, in each in order of their creation. */
import type { Located } from '../actor/activate.ts'
import type { EntitiesQuery, EntitySummary } from '../api.ts'
import { resolvePoint } from '../entity/time.ts'
import { headsAt } from '../store/heads-at.ts'
import type { Readers } from '../store/readers.ts'
import type { Head, ListedEntity, ShardReader } from '../store/shard-reader.ts'
import { breathe } from '../store/slices.ts'

const PAGE = 1_000

export async function* entities(readers: Readers, query: EntitiesQuery = {}): AsyncGenerator<EntitySummary> {
  for await (const { entity, head } of listed(readers, query)) {
    yield { id: entity.id, type: entity.type, version: head.version, updatedAt: head.at }
  }
}

/** With their newest event, of all or up to a time. @throws KUMA_INVALID_POINT */
export async function* listed(readers: Readers, query: EntitiesQuery): AsyncGenerator<Located> {
  let left = query.limit ?? Number.POSITIVE_INFINITY
  const at = query.at === undefined ? undefined : resolvePoint({ at: query.at }).at
  const type = typeof query.type === 'object' ? query.type.type : query.type
  if (left <= 0) return
  for (const reader of readers.all()) {
    for await (const located of listedIn(reader, at, query.signal)) {
      const { entity } = located
      if (type !== undefined && entity.type !== type) continue
      if (query.prefix !== undefined && !entity.id.startsWith(query.prefix)) continue
      yield located
      if (--left === 0) return
    }
  }
}

/** Those that exist when the shard's turn comes. */
async function* listedIn(
  reader: ShardReader,
  at: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Located> {
  const headOf = at === undefined ? headsNow(reader) : await headsThen(reader, at, signal)
  for (let after = 0; ; ) {
    const page = reader.entitiesAfter(after, PAGE)
    for (const entity of page) {
      if (entity.id === '') continue // erased since the page was read
      const head = headOf(entity)
      if (head !== null) yield { reader, entity, head }
    }
    signal?.throwIfAborted()
    if (page.length < PAGE) return
    after = page.at(-1)!.key
    await breathe()
  }
}

/** Heads that are not on disk yet are laid over those that are. */
function headsNow(reader: ShardReader): (entity: ListedEntity) => Head | null {
  const newer = reader.unflushedHeads()
  return ({ key, version = 0, seq = 0, at = 0 }) => {
    const other = newer.get(key)
    if (other !== undefined && other.version > (version ?? 0)) return other
    return version ? { version, seq, at } : null
  }
}

async function headsThen(reader: ShardReader, at: number, signal: AbortSignal | undefined) {
  const heads = await headsAt(reader, at, signal)
  return ({ key }: ListedEntity) => heads.of(key)
}
