/**
 * Turns a batch into a commit: everything that is random or read from a clock is decided here (salts, the time of
 * recording), and everything is encoded, summed and sealed. Applying the commit is then the same wherever it is done.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { KumaError } from '../errors.ts'
import { COLUMNS, type Commit, type EntityRow, type EventColumns } from '../store/commit.ts'
import { ownerOf } from '../store/empty-answer.ts'
import { entityCrc } from '../store/entity-row.ts'
import { ENGINE, ERASED, type ErasureRecord, HIDDEN, witnessOf } from '../store/erasure.ts'
import { ABSENT, ROW_HEAD_BYTES, writeRowHead } from '../store/row.ts'
import { contentOf, headOf, leafOf, leafOfBytes, SALT_BYTES } from '../store/seal.ts'
import type { ShardWriter } from '../store/shard-writer.ts'
import { type Batch, type NewErasure, OpenBatch } from './batch.ts'

const NO_EXTRA = new Uint8Array(0)
/** The engine's own events hide nothing. */
const NO_SALT = new Uint8Array(0)

export function prepare(batch: Batch, writer: ShardWriter): Commit {
  const { tip, shard } = writer
  const { firstSeq } = batch
  const erasures = batch.erasures.map((one) => erasing(writer, one))
  const records = erasures.map(({ record }) => record)
  const { created, keys, snapshots, ...stored } = asStored(batch, writer)
  const events = records.length === 0 ? stored.events : recordsOf(records, writer)
  const salts = randomBytes(SALT_BYTES * created.length)
  const entities = created.map((entity, i): EntityRow => {
    const salted = { ...entity, salt: salts.subarray(i * SALT_BYTES, (i + 1) * SALT_BYTES) }
    return { ...salted, crc: entityCrc(salted) }
  })
  const rows = encodeRows(events, firstSeq)
  const content = contentOf(leavesOf(rows, entities, writer))
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
    crcs: rows.crcs,
    entities,
    keys,
    snapshots,
    hidden: erasures.flatMap(({ row }) => row ?? []),
    content,
    head,
  }
}

/** In an encrypted store, what is personal is sealed before anything is made of it; the keys of new entities come first. */
function asStored(batch: Batch, { cipher }: ShardWriter): Batch {
  if (cipher === null || batch.erasures.length > 0) return batch // records say nothing of anybody
  cipher.createKeys(batch.created)
  const keys = batch.keys.map((row) => cipher.key(row))
  return {
    ...batch,
    keys,
    created: batch.created.map((entity) => cipher.entity(entity)),
    events: cipher.events(batch.events, batch.firstSeq, keys),
    snapshots: cipher.snapshots(batch.snapshots),
  }
}

/** The record of an erasure, and the row to hide if it is not hidden. */
interface Erasing {
  readonly record: ErasureRecord
  readonly row: EntityRow | null
}

function erasing(writer: ShardWriter, { entity: key, record }: NewErasure): Erasing {
  const entity = writer.entity(key)
  const isHidden = entity?.idHash === HIDDEN
  if (record !== null && isHidden) return { record, row: null }
  if (entity === undefined || isHidden)
    throw new KumaError('KUMA_INTERNAL', `entity ${key} of shard ${writer.shard} is erased already`, {})
  const { version: events } = writer.headOf(key)
  const { type, salt } = entity
  return { record: { entity: key, type, events, witness: witnessOf(salt) }, row: hidden(entity) }
}

function hidden(entity: EntityRow): EntityRow {
  const row = { ...entity, idHash: HIDDEN }
  return { ...row, crc: entityCrc(row) }
}

/** The records, as events of entity 0 that follow on its last. */
function recordsOf(records: readonly ErasureRecord[], writer: ShardWriter): EventColumns {
  const { shard, tip } = writer
  const at = Math.max(Date.now(), tip.at)
  const drafts = records.map((record) => ({ type: ERASED, data: JSON.stringify(record), meta: null, at }))
  const { version, seq } = writer.headOf(ENGINE)
  const batch = new OpenBatch(shard, tip.lastSeq + 1)
  batch.add({ entity: ENGINE, created: null, version: version + 1, prev: seq, drafts, keys: [] })
  return batch.close(false).events
}

/** Rows of one entity that follow on each other. */
interface Run {
  readonly entity: number
  readonly start: number
  end: number
}

/** All rows of a batch in one buffer. Before each run there is room for a salt, so that most leaves are one piece. */
interface EncodedRows {
  readonly bytes: Buffer
  readonly crcs: Uint32Array
  readonly runs: readonly Run[]
}

function encodeRows({ count, numbers, text }: EventColumns, firstSeq: number): EncodedRows {
  const textBytes = Buffer.byteLength(text)
  const ascii = textBytes === text.length // then lengths in bytes are those in characters
  const bytes = Buffer.allocUnsafe(count * (SALT_BYTES + ROW_HEAD_BYTES) + textBytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const crcs = new Uint32Array(count)
  const runs: Run[] = []
  const size = (start: number, end: number) => (ascii ? end - start : Buffer.byteLength(text.slice(start, end)))
  let run: Run | undefined
  let [offset, start] = [0, 0]
  for (let i = 0; i < count; i++) {
    const c = i * COLUMNS
    const entity = numbers[c]!
    if (run?.entity !== entity) {
      offset += SALT_BYTES
      run = { entity, start: offset, end: offset }
      runs.push(run)
    }
    const dataStart = start + numbers[c + 4]!
    const metaStart = dataStart + numbers[c + 5]!
    const absent = numbers[c + 6]! < 0
    const end = absent ? metaStart : metaStart + numbers[c + 6]!
    writeRowHead(
      view,
      offset,
      firstSeq + i,
      entity,
      numbers[c + 1]!,
      numbers[c + 2]!,
      numbers[c + 3]!,
      size(start, dataStart),
      size(dataStart, metaStart),
      absent ? ABSENT : size(metaStart, end),
    )
    const rowStart = offset
    offset += ROW_HEAD_BYTES
    offset += bytes.write(text.slice(start, end), offset, ascii ? 'latin1' : 'utf8')
    crcs[i] = crc32(bytes.subarray(rowStart, offset))
    run.end = offset
    start = end
  }
  return { bytes, crcs, runs }
}

/** One leaf for each entity, in the order of their first rows. */
function leavesOf({ bytes, runs }: EncodedRows, created: readonly EntityRow[], writer: ShardWriter): string[] {
  const fresh = new Map(created.map((entity) => [entity.key, entity]))
  const runsOf = new Map<number, Run | Run[]>()
  for (const run of runs) {
    const known = runsOf.get(run.entity)
    if (known === undefined) runsOf.set(run.entity, run)
    else if (Array.isArray(known)) known.push(run)
    else runsOf.set(run.entity, [known, run])
  }
  return Array.from(runsOf, ([entity, known]) => {
    const row = fresh.get(entity) ?? null
    const salt = entity === ENGINE ? NO_SALT : (fresh.get(ownerOf(entity))?.salt ?? writer.salts.of(ownerOf(entity)))
    if (row === null && entity !== ENGINE && !Array.isArray(known)) {
      const start = known.start - SALT_BYTES
      bytes.set(salt, start)
      return leafOfBytes(bytes.subarray(start, known.end))
    }
    const rows = Array.isArray(known) ? known : [known]
    return leafOf(
      salt,
      rows.map(({ start, end }) => bytes.subarray(start, end)),
      row,
    )
  })
}
