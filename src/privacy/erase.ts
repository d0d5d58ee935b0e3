/**
 * Erases entities, in steps that can be gone on with after a crash at any point:
 *
 *     job        what is asked for, on disk, by keys and not by ids
 *     record     one commit for each shard: from here on nobody can read them (store/erasure.ts)
 *     scrub      their rows are emptied, indexes built anew, and the WAL emptied (store/scrub.ts)
 *     rows       read models lose what they have of them, in every generation
 *     backups    those within reach are rewritten without them
 *     proof      the shards' files are looked through, byte by byte (store/remnants.ts)
 *     receipt    what was done; then the job goes
 *
 * A job that is found when a store is opened was cut off, and goes on before anything else happens. One that failed is
 * told to whoever asked, and tried again then, or at the next erasure.
 */
import { randomUUID } from 'node:crypto'
import { relative } from 'node:path'
import type { Router } from '../actor/router.ts'
import type { Receipt } from '../api.ts'
import { BUSY, eraseInBackups } from '../backup/erase-in-backups.ts'
import { forksWith } from '../backup/forks.ts'
import { rqlitesOf } from '../backup/places.ts'
import type { GroupCommit } from '../commit/group-commit.ts'
import type { EraseOptions } from '../engine.ts'
import { internal, isKumaError, KumaError } from '../errors.ts'
import type { StoreReadModels } from '../projection/read-models.ts'
import { rqliteAt } from '../projection/rqlite-url.ts'
import { type Erasure, HIDDEN } from '../store/erasure.ts'
import { erasuresOf } from '../store/erasures.ts'
import { corrupt } from '../store/manifest.ts'
import type { Readers } from '../store/readers.ts'
import { findRemnantsIn, keysLeft } from './proof.ts'
import { type Job, jobsOf, RECEIPT_FORMAT, readJob, removeJob, sealed, writeJob, writeReceipt } from './receipt.ts'

/** Of a writing engine. */
export interface EraseParts {
  readonly readers: Readers
  readonly router: Router
  readonly commits: GroupCommit
  readonly readModels: StoreReadModels
  /** receipts of the jobs that are being worked on */
  readonly underWay: Set<string>
  /** paths of jobs that failed */
  readonly failed: Set<string>
}

/** How many erasures are on their way to the disk at once. */
const GROUP = 1_000
/** How long to wait for readers in other programs to let go of the WAL. */
const WAL_WAIT_MS = 5_000

/** @throws what `Engine.erase` throws */
export async function erase(
  parts: EraseParts,
  ids: readonly string[],
  { reason = '', by = '' }: EraseOptions = {},
): Promise<Receipt> {
  const unique = [...new Set(ids)]
  for (const id of unique) {
    if (!reason.includes(id) && !by.includes(id)) continue
    const hint = 'both stay in the receipt, from which the id must be gone'
    throw new KumaError('KUMA_USAGE', `neither the reason nor who asks may contain the id ${id}`, {}, { hint })
  }
  const entities: Job['entities'][number][] = []
  for (const id of unique) entities.push(await parts.router.keyOf(id))
  const requestedAt = new Date().toISOString()
  const forks = forksWith(parts.readers.path, unique)
  parts.readers.assertHeld()
  const job: Job = { receipt: randomUUID(), requestedAt, by: by || null, reason: reason || null, entities, forks }
  await resume(parts, [...parts.failed])
  const path = writeJob(parts.readers.path, job)
  try {
    return await run(parts, job, WAL_WAIT_MS)
  } catch (error) {
    parts.failed.add(path)
    throw unfinished(error)
  }
}

/** Goes on with what was cut off. What fails again stays for the next time, and is told as a warning: never thrown. */
export async function resumeErasures(parts: EraseParts): Promise<void> {
  try {
    parts.readers.assertHeld()
    await resume(parts, jobsOf(parts.readers.path))
  } catch (error) {
    process.emitWarning(`erasures could not be looked for: ${(error as Error).message}`, 'KumaWarning')
  }
}

async function resume(parts: EraseParts, jobs: readonly string[]): Promise<void> {
  for (const path of jobs) {
    try {
      parts.readers.assertHeld()
      const job = readJob(path)
      if (!parts.underWay.has(job.receipt)) await run(parts, job, 0)
      parts.failed.delete(path)
    } catch (error) {
      parts.failed.add(path)
      process.emitWarning(`the erasure ${path} could not be finished: ${(error as Error).message}`, 'KumaWarning')
    }
  }
}

function unfinished(error: unknown): KumaError {
  const { code, message, details, hint } = isKumaError(error) ? error : internal(error)
  const next = 'the erasure has begun, and goes on at the next one, or when the store is opened to write'
  return new KumaError(code, message, details, { cause: error, hint: hint === null ? next : `${hint}; ${next}` })
}

async function run(parts: EraseParts, job: Job, walWaitMs: number): Promise<Receipt> {
  parts.underWay.add(job.receipt)
  try {
    return await runSteps(parts, job, walWaitMs)
  } finally {
    parts.underWay.delete(job.receipt)
  }
}

async function runSteps(parts: EraseParts, job: Job, walWaitMs: number): Promise<Receipt> {
  const { path } = parts.readers
  const erasures = await record(parts, job)
  const shards = [...new Set(erasures.map(({ shard }) => shard))]
  const notReached: Receipt['notReached'][number][] = []
  for (const shard of shards) {
    const keys = erasures.filter((erasure) => erasure.shard === shard).map(({ entity }) => entity)
    if ((await parts.commits.scrub(shard, keys, walWaitMs)) === 'wal') notReached.push(wal(parts, shard))
  }
  const rows = await eraseRows(parts, erasures)
  parts.readers.assertHeld()
  const backups = await eraseInBackups(path, erasures)
  notReached.push(...rows.notReached, ...formerSinks(parts), ...backups.notReached, ...(job.forks ?? []).map(fork))
  parts.readers.assertHeld()
  const files = await findRemnantsIn(shards.map((shard) => parts.readers.at(shard).path))
  for (const { file, dirty } of files) if (dirty.length > 0) notReached.push(remnants(path, file))
  const receipt = sealed({
    format: RECEIPT_FORMAT,
    receipt: job.receipt,
    store: parts.readers.manifest.store,
    requestedAt: job.requestedAt,
    completedAt: new Date().toISOString(),
    by: job.by,
    reason: job.reason,
    erased: erasures.reduce((sum, { events }) => sum + events, 0),
    entities: erasures.map(({ shard, entity, seq, events, witness }) => {
      return { shard, entity, position: parts.readers.at(shard).positionOf(seq), events, witness }
    }),
    seals: shards.map((shard) => sealOf(parts.readers, shard)),
    ...(parts.readers.manifest.encryption && {
      keysDestroyed: erasures.length - keysLeft(parts.readers, erasures).length,
    }),
    files: files.map(({ file, pages, dirty }) => ({ file: relative(path, file), pages, dirty })),
    reached: [...rows.reached, ...backups.reached],
    notReached,
  })
  parts.readers.assertHeld()
  writeReceipt(path, receipt)
  // what waits for others is tried again by whoever opens the store next, and when a sink answers again
  if (!rows.isOpen && !notReached.some(({ what }) => what.endsWith('-wal') || what === BUSY))
    removeJob(path, job.receipt)
  return receipt
}

/** A sink that does not answer leaves the job open. */
async function eraseRows({ readModels }: EraseParts, erasures: readonly Erasure[]) {
  try {
    return { ...(await readModels.erase(erasures)), isOpen: false }
  } catch (error) {
    if (isKumaError(error, 'KUMA_CLOSED')) throw error
    const remedy = `it is done as soon as they can be written to: ${(error as Error).message}`
    return { reached: [], notReached: [{ what: 'read models', remedy }], isOpen: true }
  }
}

/** What went to an rqlite that the config names no more, nobody here can take out. */
function formerSinks({ readers, readModels }: EraseParts): Receipt['notReached'][number][] {
  const former = rqlitesOf(readers.path).filter((nodes) => !nodes.some((node) => readModels.nodes.includes(node)))
  const remedy =
    'read models went there once, and the config names it no more: delete that database, then its line in backup-places.ndjson'
  return former.map((nodes) => ({ what: rqliteAt(nodes), remedy }))
}

/** Records what is not recorded yet. @returns the records of all of them */
async function record({ readers, router }: EraseParts, job: Job): Promise<Erasure[]> {
  const due = job.entities.filter(({ shard, entity }) => readers.at(shard).entity(entity)?.idHash !== HIDDEN)
  for (let i = 0; i < due.length; i += GROUP) {
    await Promise.all(
      due.slice(i, i + GROUP).map(async ({ shard, entity }) => {
        const name = readers.at(shard).name(entity)
        if (name !== null) await router.erase(name.id, entity)
      }),
    )
  }
  return recordsOf(readers, job)
}

function recordsOf(readers: Readers, { entities }: Job): Erasure[] {
  const found: Erasure[] = []
  for (const shard of new Set(entities.map((one) => one.shard))) {
    const missing = new Set(entities.filter((one) => one.shard === shard).map(({ entity }) => entity))
    for (const erasure of erasuresOf(readers.at(shard))) {
      if (missing.delete(erasure.entity)) found.push(erasure)
      if (missing.size === 0) break
    }
    if (missing.size > 0)
      throw corrupt(readers.at(shard).path, `no record says that entity ${[...missing][0]} was erased`)
  }
  return found
}

function sealOf(readers: Readers, shard: number): Receipt['seals'][number] {
  const { id, head } = readers.at(shard).lastCommit()!
  return { shard, commit: id, head: Buffer.from(head).toString('hex') }
}

function wal({ readers }: EraseParts, shard: number): Receipt['notReached'][number] {
  const what = `${relative(readers.path, readers.at(shard).path)}-wal`
  const remedy =
    'another program reads the store, and has kept pages as they were: end it, then open the store to write'
  return { what, remedy }
}

function fork(path: string): Receipt['notReached'][number] {
  return {
    what: path,
    remedy: 'a fork is a store of its own, and still has it: delete it there too, or the whole fork',
  }
}

function remnants(path: string, file: string): Receipt['notReached'][number] {
  return { what: relative(path, file), remedy: 'bytes were found where none should be: run `kuma compact`' }
}
