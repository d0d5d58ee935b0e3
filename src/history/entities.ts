/** Which entities are there, or were there then? Shard by shard, in each in order of their creation. */
import type { Located } from '../actor/activate.ts'
import type { EntitySummary } from '../api.ts'
import type { ListQuery } from '../engine.ts'
import { formatPosition } from '../entity/event.ts'
import { invalidPosition } from '../entity/position.ts'
import { resolvePoint } from '../entity/time.ts'
import { headsAt } from '../store/heads-at.ts'
import type { Readers } from '../store/readers.ts'
import type { Head, ListedEntity, ShardReader } from '../store/shard-reader.ts'
import { inSlice, inSlices, LISTS } from '../store/slices.ts'

const PAGE = 1_000

export async function* entities(readers: Readers, query: ListQuery = {}): AsyncGenerator<EntitySummary> {
  for await (const { entity, head } of listed(readers, query)) {
    yield { id: entity.id, type: entity.type, version: head.version, createdAt: entity.createdAt, updatedAt: head.at }
  }
}

/** With their newest event, of all or up to a time. @throws KUMA_INVALID_POINT */
export async function* listed(readers: Readers, query: ListQuery): AsyncGenerator<Located> {
  let left = query.limit ?? Number.POSITIVE_INFINITY
  const at = query.at === undefined ? undefined : resolvePoint({ at: query.at }).at
  const type = typeof query.type === 'object' ? query.type.type : query.type
  const after = placeOf(query.after)
  if (left <= 0) return
  for (const reader of readers.all()) {
    if (reader.shard < after.shard) continue
    const first = reader.shard === after.shard ? after.key : 0
    for await (const located of listedIn(reader, at, first, query.signal)) {
      const { entity } = located
      if (type !== undefined && entity.type !== type) continue
      if (query.prefix !== undefined && !entity.id.startsWith(query.prefix)) continue
      query.reached?.(formatPosition(reader.shard, entity.key))
      yield located
      if (--left === 0) return
    }
  }
}

/** The key of an entity in its shard, or before all of them. @throws KUMA_INVALID_POSITION */
function placeOf(after: string | undefined): { shard: number; key: number } {
  const match = /^(\d{3}):(\d{1,15})$/.exec(after ?? '000:0')
  if (match === null) throw invalidPosition(after!, 'is no place in a list of entities')
  return { shard: Number(match[1]), key: Number(match[2]) }
}

/** Those that exist when the shard's turn comes. @param first the key before the first one */
async function* listedIn(
  reader: ShardReader,
  at: number | undefined,
  first: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Located> {
  const headOf = at === undefined ? headsNow(reader) : await headsThen(reader, at, signal)
  for (let after = first; ; ) {
    const page = await inSlice(() => reader.entitiesAfter(after, PAGE), LISTS, signal)
    for (const entity of page) {
      if (entity.id === '') continue // erased since the page was read
      const head = headOf(entity)
      if (head !== null) yield { reader, entity, head }
    }
    if (page.length < PAGE) return
    after = page.at(-1)!.key
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
  const heads = await inSlices(headsAt(reader, at), LISTS, signal)
  return ({ key }: ListedEntity) => heads.of(key)
}
