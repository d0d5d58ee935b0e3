/** Is what a receipt says true of the store as it is now? */
import { relative } from 'node:path'
import type { ErasedEntity, Receipt } from '../api.ts'
import { checkDirectory } from '../store/directory.ts'
import { isEntityTombstone } from '../store/erasure.ts'
import { erasuresOf } from '../store/erasures.ts'
import { readManifest } from '../store/manifest.ts'
import { Readers } from '../store/readers.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import { findRemnantsIn, keysLeft } from './proof.ts'

export interface ReceiptReport {
  readonly receipt: string
  readonly entities: number
  readonly files: Receipt['files']
  /** in words; none if the receipt holds */
  readonly problems: readonly string[]
}

/**
 * Looks for the records, for the seals that cover them, for anything that is left of the entities, and then through the
 * files byte by byte once more. That the seals follow on each other is for `kuma verify` to say.
 * @param receipt as `parseReceipt` gives it: its own hash is right
 * @throws what opening a store for reading throws
 */
export async function verifyReceipt(path: string, receipt: Receipt): Promise<ReceiptReport> {
  checkDirectory(path)
  const manifest = readManifest(path)
  const { receipt: name, entities } = receipt
  if (receipt.store !== manifest.store) {
    return {
      receipt: name,
      entities: entities.length,
      files: [],
      problems: [`it is of another store, ${receipt.store}`],
    }
  }
  const readers = new Readers(path, manifest)
  try {
    const shards = [...new Set(entities.map(({ shard }) => shard))]
    const problems: string[] = []
    for (const shard of shards) problems.push(...problemsIn(readers.at(shard), receipt))
    for (const { shard, entity } of keysLeft(readers, entities))
      problems.push(`shard ${shard}: the key of entity ${entity} is still there`)
    const remnants = await findRemnantsIn(shards.map((shard) => readers.at(shard).path))
    const files = remnants.map(({ file, ...rest }) => ({ file: relative(path, file), ...rest }))
    for (const { file, dirty } of files) {
      if (dirty.length > 0)
        problems.push(`${file}: something stands where nothing should, on pages ${dirty.join(', ')}`)
    }
    return { receipt: name, entities: entities.length, files, problems }
  } finally {
    readers.close()
  }
}

function problemsIn(reader: ShardReader, { entities, seals }: Receipt): string[] {
  const { shard } = reader
  const here = entities.filter((one) => one.shard === shard)
  const records = new Map(here.map((one): [number, ErasedEntity] => [one.entity, one]))
  const problems: string[] = []
  for (const { entity, seq, events, witness } of erasuresOf(reader)) {
    const said = records.get(entity)
    if (said === undefined) continue
    records.delete(entity)
    const same = said.position === reader.positionOf(seq) && said.events === events && said.witness === witness
    if (!same) problems.push(`shard ${shard}: the record of entity ${entity} says something else`)
  }
  for (const entity of records.keys()) problems.push(`shard ${shard}: no record says that entity ${entity} was erased`)
  for (const { entity } of here) {
    const row = reader.entity(entity)
    if (row === null || !isEntityTombstone(row)) problems.push(`shard ${shard}: entity ${entity} is still there`)
  }
  const left = reader.remains(here.map(({ entity }) => entity))
  if (left > 0) problems.push(`shard ${shard}: ${left} rows of them are still there`)
  const seal = seals.find((one) => one.shard === shard)
  if (seal === undefined || Buffer.from(reader.sealOf(seal.commit) ?? []).toString('hex') !== seal.head)
    problems.push(`shard ${shard}: the seal is not that of the receipt`)
  return problems
}
