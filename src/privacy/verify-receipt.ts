/** Is what a receipt says true of the store as it is now? */
import { readFileSync } from 'node:fs'
import { basename, relative } from 'node:path'
import type { ErasedEntity, Receipt } from '../api.ts'
import { isKumaError } from '../errors.ts'
import { checkDirectory, ioError } from '../store/directory.ts'
import { type Erasure, isEntityTombstone } from '../store/erasure.ts'
import { erasuresOf } from '../store/erasures.ts'
import { readManifest } from '../store/manifest.ts'
import { Readers } from '../store/readers.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import { breathe } from '../store/slices.ts'
import { findRemnantsIn, keysLeft } from './proof.ts'
import { parseReceipt, receiptsOf } from './receipt.ts'

/** One of the receipts that a store keeps, held against its shards. */
export interface HeldReceipt {
  readonly receipt: string
  readonly entities: number
  /** in words; none if the receipt holds */
  readonly problems: readonly string[]
}

export interface ReceiptReport extends HeldReceipt {
  readonly files: Receipt['files']
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
      problems: [ofAnotherStore(receipt)],
    }
  }
  const readers = new Readers(path, manifest)
  try {
    const shards = [...new Set(entities.map(({ shard }) => shard))]
    const problems: string[] = []
    for (const shard of shards) {
      const reader = readers.at(shard)
      problems.push(...problemsIn(reader, receipt, recordsIn(reader)), ...remainsIn(reader, receipt))
    }
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

/**
 * Every receipt that a store keeps. This finds a shard that was set back behind an erasure, with its keys or without: the
 * record that the receipt names is not there. Only what is of the receipts: that nothing is left of who was erased is for
 * `kuma verify` to see in the shards, and byte by byte for `verifyReceipt`.
 * @throws what opening a store for reading throws, but not what is wrong with a shard
 */
export async function verifyReceipts(path: string, signal?: AbortSignal): Promise<HeldReceipt[]> {
  checkDirectory(path)
  const manifest = readManifest(path)
  const kept = receiptsOf(path).map((file) => readKept(file, manifest.store))
  if (kept.length === 0) return []
  const readers = new Readers(path, manifest)
  try {
    for (let shard = 0; shard < manifest.shards; shard++) {
      signal?.throwIfAborted()
      const here = kept.filter(({ receipt }) => receipt?.entities.some((one) => one.shard === shard))
      if (here.length > 0) hold(here, readers, shard)
      await breathe()
    }
  } finally {
    readers.close()
  }
  return kept.map(({ name, receipt, problems }) => {
    return { receipt: name, entities: receipt?.entities.length ?? 0, problems }
  })
}

interface Kept {
  readonly name: string
  /** null if it tells nothing of this store */
  readonly receipt: Receipt | null
  readonly problems: string[]
}

function readKept(file: string, store: string): Kept {
  const name = basename(file, '.json')
  try {
    const receipt = parseReceipt(readFileSync(file, 'utf8'), file)
    return receipt.store === store
      ? { name, receipt, problems: [] }
      : { name, receipt: null, problems: [ofAnotherStore(receipt)] }
  } catch (error) {
    if (isKumaError(error, 'KUMA_CORRUPT')) return { name, receipt: null, problems: [error.message] }
    throw ioError(error, file)
  }
}

/** One shard that is damaged, as `kuma verify` tells, does not keep the others from being looked at. */
function hold(kept: readonly Kept[], readers: Readers, shard: number): void {
  try {
    const reader = readers.at(shard)
    const records = recordsIn(reader)
    for (const { receipt, problems } of kept) problems.push(...problemsIn(reader, receipt!, records))
  } catch (error) {
    if (!isKumaError(error, 'KUMA_CORRUPT')) throw error
    for (const { problems } of kept) problems.push(`shard ${shard}: it cannot be looked at: ${error.message}`)
  }
}

/** By the keys of the entities. */
function recordsIn(reader: ShardReader): ReadonlyMap<number, Erasure> {
  const records = new Map<number, Erasure>()
  for (const record of erasuresOf(reader)) if (!records.has(record.entity)) records.set(record.entity, record)
  return records
}

function problemsIn(reader: ShardReader, receipt: Receipt, records: ReadonlyMap<number, Erasure>): string[] {
  const { shard } = reader
  const problems: string[] = []
  for (const said of erasedIn(shard, receipt)) {
    const { entity } = said
    const record = records.get(entity)
    if (record === undefined) problems.push(`shard ${shard}: no record says that entity ${entity} was erased`)
    else {
      const { seq, events, witness } = record
      const same = said.position === reader.positionOf(seq) && said.events === events && said.witness === witness
      if (!same) problems.push(`shard ${shard}: the record of entity ${entity} says something else`)
    }
    const row = reader.entity(entity)
    if (row === null || !isEntityTombstone(row)) problems.push(`shard ${shard}: entity ${entity} is still there`)
  }
  const seal = receipt.seals.find((one) => one.shard === shard)
  if (seal === undefined || Buffer.from(reader.sealOf(seal.commit) ?? []).toString('hex') !== seal.head)
    problems.push(`shard ${shard}: the seal is not that of the receipt`)
  return problems
}

function remainsIn(reader: ShardReader, receipt: Receipt): string[] {
  const { shard } = reader
  const left = reader.remains(erasedIn(shard, receipt).map(({ entity }) => entity))
  return left === 0 ? [] : [`shard ${shard}: ${left} rows of them are still there`]
}

function erasedIn(shard: number, { entities }: Receipt): ErasedEntity[] {
  return entities.filter((one) => one.shard === shard)
}

function ofAnotherStore({ store }: Receipt): string {
  return `it is of another store, ${store}`
}
