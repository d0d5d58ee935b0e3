/**
 * Turns a batch into a commit: everything that is random or read from a clock is decided here (salts, the time of
 * recording), and everything is encoded, summed and sealed. Applying the commit is then the same wherever it is done.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { COLUMNS, type Commit, type EntityRow, type EventColumns } from '../store/commit.ts'
import { entityCrc } from '../store/entity-row.ts'
import { ABSENT, ROW_HEAD_BYTES, writeRowHead } from '../store/row.ts'
import { contentOf, headOf, leafOf, SALT_BYTES } from '../store/seal.ts'
import type { ShardWriter } from '../store/shard-writer.ts'
import type { Batch } from './batch.ts'

const NO_EXTRA = new Uint8Array(0)

export function prepare(batch: Batch, writer: ShardWriter): Commit {
  const { tip, shard } = writer
  const { firstSeq, events } = batch
  const salts = randomBytes(SALT_BYTES * batch.created.length)
  const entities = batch.created.map((entity, i): EntityRow => {
    const salted = { ...entity, salt: salts.subarray(i * SALT_BYTES, (i + 1) * SALT_BYTES) }
    return { ...salted, crc: entityCrc(salted) }
  })
  const rows = encodeRows(events, firstSeq)
  const content = contentOf(leavesOf(rows, events, entities, writer))
  const sealed = {
    id: tip.commitId + 1,
    firstSeq,
    lastSeq: firstSeq + events.count - 1,
    at: Math.max(Date.now(), tip.at),
    extra: NO_EXTRA,
  }
  const head = headOf(tip.head, content, sealed)
  return {
    ...sealed,
    shard,
    epoch: tip.epoch,
    previous: tip.head,
    events,
    crcs: crcsOf(rows),
    entities,
    keys: batch.keys,
    content,
    head,
  }
}

/** All rows of a batch in one buffer: row i lies between ends[i - 1] and ends[i]. */
interface EncodedRows {
  readonly bytes: Buffer
  readonly ends: Uint32Array
}

function encodeRows({ count, numbers, text }: EventColumns, firstSeq: number): EncodedRows {
  const textBytes = Buffer.byteLength(text)
  const ascii = textBytes === text.length // then lengths in bytes are those in characters
  const bytes = Buffer.allocUnsafe(count * ROW_HEAD_BYTES + textBytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const ends = new Uint32Array(count)
  const size = (start: number, end: number) => (ascii ? end - start : Buffer.byteLength(text.slice(start, end)))
  let [offset, start] = [0, 0]
  for (let i = 0; i < count; i++) {
    const c = i * COLUMNS
    const dataStart = start + numbers[c + 4]!
    const metaStart = dataStart + numbers[c + 5]!
    const absent = numbers[c + 6]! < 0
    const end = absent ? metaStart : metaStart + numbers[c + 6]!
    writeRowHead(
      view,
      offset,
      firstSeq + i,
      numbers[c]!,
      numbers[c + 1]!,
      numbers[c + 2]!,
      numbers[c + 3]!,
      size(start, dataStart),
      size(dataStart, metaStart),
      absent ? ABSENT : size(metaStart, end),
    )
    offset += ROW_HEAD_BYTES
    offset += bytes.write(text.slice(start, end), offset, ascii ? 'latin1' : 'utf8')
    ends[i] = offset
    start = end
  }
  return { bytes, ends }
}

function crcsOf({ bytes, ends }: EncodedRows): Uint32Array {
  const crcs = new Uint32Array(ends.length)
  let start = 0
  for (let i = 0; i < ends.length; i++) {
    crcs[i] = crc32(bytes.subarray(start, ends[i]))
    start = ends[i]!
  }
  return crcs
}

/** One leaf for each entity, in the order of their first rows. */
function leavesOf(
  { bytes, ends }: EncodedRows,
  { count, numbers }: EventColumns,
  created: readonly EntityRow[],
  writer: ShardWriter,
): string[] {
  const parts = new Map<number, Uint8Array[]>()
  let start = 0
  for (let i = 0; i < count; ) {
    const entity = numbers[i * COLUMNS]!
    while (++i < count && numbers[i * COLUMNS] === entity); // rows that follow on each other are one part
    const end = ends[i - 1]!
    const part = bytes.subarray(start, end)
    const known = parts.get(entity)
    if (known === undefined) parts.set(entity, [part])
    else known.push(part)
    start = end
  }
  const fresh = new Map(created.map((entity) => [entity.key, entity]))
  return Array.from(parts, ([entity, rows]) => {
    const row = fresh.get(entity)
    return row === undefined ? leafOf(writer.salts.of(entity), rows, null) : leafOf(row.salt, rows, row)
  })
}
