/**
 * What an erasure leaves behind for people: `<store>/erasures/<receipt>.json`, without the id. While one is under way,
 * its job stands beside it as `<receipt>.pending.json`, written before anything is recorded, so that whoever opens the
 * store next can go on with it.
 */
import { hash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Receipt } from '../api.ts'
import { canonicalJson } from '../entity/canonical-json.ts'
import { KumaError } from '../errors.ts'
import { ioError, syncDirectory, writeDurably } from '../store/directory.ts'

const FOLDER = 'erasures'
const PENDING = '.pending.json'
export const RECEIPT_FORMAT = 'kuma-receipt/1' as const

/** An erasure that was asked for. Entities are named by their keys: the job may outlive the ids. */
export interface Job {
  readonly receipt: string
  readonly requestedAt: string
  readonly by: string | null
  readonly reason: string | null
  readonly entities: readonly { readonly shard: number; readonly entity: number }[]
  /** folders of forks that have some of them: once the ids are gone, nobody can look */
  readonly forks?: readonly string[] | undefined
}

/** @returns its path */
export function writeJob(store: string, job: Job): string {
  const folder = join(store, FOLDER)
  if (!existsSync(folder)) {
    mkdirSync(folder, { mode: 0o700 })
    syncDirectory(store)
  }
  const path = jobPath(store, job.receipt)
  write(path, job)
  return path
}

/** The receipt is on disk before its job goes. */
export function writeReceipt(store: string, receipt: Receipt): void {
  write(receiptPath(store, receipt.receipt), receipt)
}

export function removeJob(store: string, receipt: string): void {
  rmSync(jobPath(store, receipt), { force: true })
  syncDirectory(join(store, FOLDER))
}

/** Paths of the jobs of a store. */
export function jobsOf(store: string): string[] {
  return namesIn(store)
    .filter((name) => name.endsWith(PENDING))
    .map((name) => join(store, FOLDER, name))
}

export function readJob(path: string): Job {
  return JSON.parse(readFileSync(path, 'utf8')) as Job
}

/** Paths of all receipts of a store. */
export function receiptsOf(store: string): string[] {
  return namesIn(store)
    .filter((name) => name.endsWith('.json') && !name.endsWith(PENDING))
    .map((name) => join(store, FOLDER, name))
}

export function sealed(receipt: Omit<Receipt, 'sha256'>): Receipt {
  return { ...receipt, sha256: hash('sha256', canonicalJson(receipt), 'hex') }
}

/** @throws KUMA_CORRUPT if it is not a receipt, or not the one that was written */
export function parseReceipt(text: string, path: string): Receipt {
  let found: Partial<Receipt> | null
  try {
    found = JSON.parse(text) as Partial<Receipt> | null
  } catch (cause) {
    throw altered(path, `it is not JSON: ${(cause as Error).message}`)
  }
  if (found?.format !== RECEIPT_FORMAT) throw altered(path, `it is not a receipt of the format ${RECEIPT_FORMAT}`)
  const { sha256, ...rest } = found as Receipt
  if (sealed(rest).sha256 !== sha256) throw altered(path, 'its SHA-256 is not that of its content')
  return found as Receipt
}

function altered(path: string, problem: string): KumaError<'KUMA_CORRUPT'> {
  const hint = 'receipts are kept in the folder `erasures` of the store; `kuma erasures` lists them'
  return new KumaError('KUMA_CORRUPT', `${path} is not a receipt as it was written: ${problem}`, { path }, { hint })
}

function jobPath(store: string, receipt: string): string {
  return join(store, FOLDER, `${receipt}${PENDING}`)
}

function receiptPath(store: string, receipt: string): string {
  return join(store, FOLDER, `${receipt}.json`)
}

function write(path: string, value: object): void {
  try {
    writeDurably(path, `${JSON.stringify(value, null, 2)}\n`)
  } catch (cause) {
    throw ioError(cause, path)
  }
}

function namesIn(store: string): string[] {
  try {
    return readdirSync(join(store, FOLDER)).sort()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw ioError(cause, join(store, FOLDER))
  }
}
