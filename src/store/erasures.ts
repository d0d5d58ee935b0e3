/** The erasure records of shards: the chains of their entities 0. */
import { linksFrom } from './chain.ts'
import { ENGINE, type Erasure, recordOf } from './erasure.ts'
import type { Manifest } from './manifest.ts'
import { Readers } from './readers.ts'
import type { ShardReader } from './shard-reader.ts'
import { breathe } from './slices.ts'

/** The newest first. @throws KUMA_CORRUPT */
export function* erasuresOf(reader: ShardReader): Generator<Erasure> {
  const head = reader.head(ENGINE)
  if (head === null) return
  for (const links of linksFrom(reader, head)) {
    for (const row of reader.rows(links.map(({ seq }) => seq))) {
      yield { ...recordOf(row), shard: reader.shard, seq: row.seq, at: row.at }
    }
  }
}

/** Those of a whole store, whose writers go on meanwhile. @throws what opening its shards throws */
export async function erasuresIn(path: string, manifest: Manifest): Promise<Erasure[]> {
  const readers = new Readers(path, manifest)
  const found: Erasure[] = []
  try {
    for (const reader of readers.all()) {
      found.push(...erasuresOf(reader))
      await breathe()
    }
    return found
  } finally {
    readers.close()
  }
}
