/**
 * One encoding of an event's row, under its crc and its seal alike:
 *
 *     u64 seq, entity, version, prev, at     little-endian
 *     u32 bytes of type, data, meta          0xffffffff for a meta that is absent
 *     type, data, meta                       UTF-8
 *
 * It never changes within a format version: every crc and leaf on disk was made from it.
 */
import { crc32 } from 'node:zlib'

/** A row of `events`. */
export interface Row {
  readonly seq: number
  readonly entity: number
  readonly version: number
  readonly prev: number
  readonly at: number
  readonly type: string
  readonly data: string
  readonly meta: string | null
  readonly crc: number
}

export const ROW_HEAD_BYTES = 52
export const ABSENT = 0xffffffff

/** Writes the fixed part at `offset`. An `at` before 1970 is negative, and written in two's complement. */
export function writeRowHead(
  view: DataView,
  offset: number,
  seq: number,
  entity: number,
  version: number,
  prev: number,
  at: number,
  typeBytes: number,
  dataBytes: number,
  metaBytes: number,
): void {
  writeU64(view, offset, seq)
  writeU64(view, offset + 8, entity)
  writeU64(view, offset + 16, version)
  writeU64(view, offset + 24, prev)
  writeU64(view, offset + 32, at)
  view.setUint32(offset + 40, typeBytes, true)
  view.setUint32(offset + 44, dataBytes, true)
  view.setUint32(offset + 48, metaBytes, true)
}

/** Two halves, since setBigUint64 would allocate a bigint for each field. */
export function writeU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true)
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000) >>> 0, true)
}

/** The whole encoding of a row that was read. */
export function encodeRow(row: Omit<Row, 'crc'>): Buffer {
  const { type, data, meta } = row
  const [typeBytes, dataBytes] = [Buffer.byteLength(type), Buffer.byteLength(data)]
  const metaBytes = meta === null ? 0 : Buffer.byteLength(meta)
  const buffer = Buffer.allocUnsafe(ROW_HEAD_BYTES + typeBytes + dataBytes + metaBytes)
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  const metaField = meta === null ? ABSENT : metaBytes
  writeRowHead(view, 0, row.seq, row.entity, row.version, row.prev, row.at, typeBytes, dataBytes, metaField)
  buffer.write(meta === null ? type + data : type + data + meta, ROW_HEAD_BYTES)
  return buffer
}

/** Rows are read by the million, so one buffer serves all that fit. */
const scratch = Buffer.allocUnsafe(16 * 1024)
const scratchView = new DataView(scratch.buffer, scratch.byteOffset, scratch.byteLength)
const UTF8_BYTES_MAX = 3 // of a UTF-16 unit

export function rowCrc(row: Omit<Row, 'crc'>): number {
  const { type, data, meta } = row
  const text = meta === null ? type + data : type + data + meta
  if (ROW_HEAD_BYTES + text.length * UTF8_BYTES_MAX > scratch.length) return crc32(encodeRow(row))
  const bytes = scratch.write(text, ROW_HEAD_BYTES)
  if (bytes !== text.length) return crc32(encodeRow(row)) // lengths in bytes are not those in units
  const metaBytes = meta === null ? ABSENT : meta.length
  const { seq, entity, version, prev, at } = row
  writeRowHead(scratchView, 0, seq, entity, version, prev, at, type.length, data.length, metaBytes)
  return crc32(scratch.subarray(0, ROW_HEAD_BYTES + bytes))
}
