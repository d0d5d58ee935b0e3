/**
 * How a snapshot says who made it: `definition` is `VERSION:CRC`, the version of the entity definition, and the crc32 of
 * place and state in hexadecimal. A snapshot that a flipped bit has changed is not used, as one of another version.
 */
import { crc32 } from 'node:zlib'
import type { SnapshotRow } from './commit.ts'

export function snapshotRow(
  place: Pick<SnapshotRow, 'entity' | 'version' | 'at' | 'seq'>,
  definitionVersion: number,
  state: string,
): SnapshotRow {
  const { entity, version, at, seq } = place
  return { entity, version, at, seq, definition: markOf(place, definitionVersion, state), state }
}

/** Was it made by a definition of this version, and is it whole? */
export function isUsable(row: SnapshotRow, definitionVersion: number): boolean {
  return row.definition === markOf(row, definitionVersion, row.state)
}

/** Is it as it was written, whoever made it? One that was emptied is. */
export function isWhole(row: SnapshotRow): boolean {
  return row.definition === '' ? row.state === '' : isUsable(row, definitionVersionOf(row))
}

export function definitionVersionOf({ definition }: SnapshotRow): number {
  return Number.parseInt(definition, 10)
}

function markOf(
  { entity, version, at, seq }: Pick<SnapshotRow, 'entity' | 'version' | 'at' | 'seq'>,
  definitionVersion: number,
  state: string,
): string {
  const crc = crc32(state, crc32(`${entity} ${version} ${at} ${seq} ${definitionVersion}`))
  return `${definitionVersion}:${crc.toString(16)}`
}
