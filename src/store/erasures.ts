/** The erasure records of a shard, newest first: the chain of entity 0. */
import { linksFrom } from './chain.ts'
import { ENGINE, type Erasure, recordOf } from './erasure.ts'
import type { ShardReader } from './shard-reader.ts'

/** @throws KUMA_CORRUPT */
export function* erasuresOf(reader: ShardReader): Generator<Erasure> {
  const head = reader.head(ENGINE)
  if (head === null) return
  for (const links of linksFrom(reader, head)) {
    for (const row of reader.rows(links.map(({ seq }) => seq))) {
      yield { ...recordOf(row), shard: reader.shard, seq: row.seq, at: row.at }
    }
  }
}
