/**
 * The request keys that a backup has of an entity: they go with its events, so that a message which comes again after they
 * were brought back is known, under another id of the entity too. (What is digested of a request names no entity.)
 */
import { reached } from '../actor/activate.ts'
import type { CopiedRequest } from '../engine.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { locate } from '../history/locate.ts'
import { entryTo, linksFrom, rowsBetween } from '../store/chain.ts'
import { afterOf, answersOf } from '../store/empty-answer.ts'
import type { Readers } from '../store/readers.ts'
import { cutTo, keyOf, type RequestKey } from '../store/request-key.ts'
import type { Row } from '../store/row.ts'
import type { ShardReader } from '../store/shard-reader.ts'

const NOWHERE = { version: 0, seq: 0 }

/**
 * In order of their versions: those whose events come after a version and up to a point, and those that were answered
 * without an event from that version on. Of one that the point cuts, what is there of it.
 */
export function* copiedRequests(
  readers: Readers,
  id: string,
  after: number,
  to: ResolvedPoint | undefined,
): Generator<CopiedRequest, void> {
  const { reader, entity, head } = locate(readers, id)
  const isKept = to === undefined ? () => true : reached(to)
  const expired = reader.expiredKeys()
  const answers = answersIn(reader, entity.key, expired)
  let next = 0
  let group: { readonly key: RequestKey; count: number } | null = null
  let last = NOWHERE as Pick<Row, 'version' | 'seq'>
  const ended = function* (): Generator<CopiedRequest, void> {
    if (group === null) return
    const { key, count, digest } = cutTo(group.key, group.count)
    yield { requestKey: key, digest, version: last.version, count, at: 0 }
    group = null
  }
  for (const rows of rowsBetween(reader, entity.key, NOWHERE, entryTo(reader, entity.key, head, to), isKept)) {
    for (const row of rows) {
      const key = row.version > after && row.seq > expired ? keyOf(row.meta) : undefined
      if (key !== undefined) group = { key, count: 0 }
      last = row
      if (group !== null && ++group.count === group.key.count) yield* ended()
      for (; answers[next]?.after === row.seq; next++) {
        const { after: _, ...answer } = answers[next]!
        const { version } = row
        const isThen = to?.at === undefined || answer.at <= to.at
        if (version >= after && isThen) yield { ...answer, version, count: 0 }
      }
    }
  }
  yield* ended()
}

interface Answer extends Pick<CopiedRequest, 'requestKey' | 'digest' | 'at'> {
  /** seq of the newest event then */
  readonly after: number
}

/** The oldest first. */
function answersIn(reader: ShardReader, entity: number, expired: number): Answer[] {
  const head = reader.head(answersOf(entity))
  if (head === null) return []
  const found: Answer[] = []
  for (const links of linksFrom(reader, head)) {
    for (const row of reader.rows(links.map(({ seq }) => seq))) {
      const key = row.seq > expired ? keyOf(row.meta) : undefined
      if (key !== undefined) found.push({ requestKey: key.key, digest: key.digest, at: row.at, after: afterOf(row) })
    }
  }
  return found.reverse()
}
