/** Makes a new store. The manifest comes last: without it a directory is not a store, so a half-made one never opens. */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { KumaError } from '../errors.ts'
import { checkDirectory, ioError, makeDirectory, makeNewDirectory, notAStore, syncDirectory } from './directory.ts'
import { createKeys } from './keys.ts'
import { createLock } from './lock.ts'
import { FORMAT, type Manifest, requiredIn, SHARDS_DEFAULT, SHARDS_MAX, writeManifest } from './manifest.ts'
import { noMasterKey } from './master-key.ts'
import { createShard } from './shard-file.ts'

const BUILDING = '.creating-'
/** In the order in which they come to their place. */
const PARTS = ['shards', 'lock.db', 'entity-keys', 'kuma.json']

export interface CreateStoreOptions {
  readonly shards?: number | undefined
  readonly encryption?: 'entity-keys' | undefined
  /** needed for encryption */
  readonly masterKey?: Uint8Array | null | undefined
}

/**
 * Makes a store in a directory that does not exist or is empty.
 * @throws KUMA_STORE_EXISTS, KUMA_NOT_A_STORE if something else is there, KUMA_UNSAFE_DIRECTORY, KUMA_INVALID_CONFIG,
 * KUMA_MASTER_KEY, KUMA_IO, KUMA_DISK_FULL
 */
export async function createStore(path: string, options: CreateStoreOptions = {}): Promise<void> {
  const directory = resolve(path)
  const shards = checkShards(options.shards ?? SHARDS_DEFAULT)
  checkPlace(directory)
  const { encryption, masterKey = null } = options
  if (encryption !== undefined && masterKey === null) throw noMasterKey(directory)
  const building = join(directory, `${BUILDING}${randomBytes(6).toString('hex')}`)
  try {
    makeDirectory(directory)
    checkDirectory(directory) // somebody else may have been faster
    makeNewDirectory(building)
    makeDirectory(join(building, 'shards'))
    build(building, shards, encryption === undefined ? null : masterKey)
    moveIn(building, directory)
  } catch (error) {
    throw asCreateError(error, directory)
  } finally {
    rmSync(building, { recursive: true, force: true })
  }
}

function checkShards(shards: number): number {
  if (Number.isSafeInteger(shards) && shards >= 1 && shards <= SHARDS_MAX) return shards
  throw new KumaError('KUMA_INVALID_CONFIG', `a store has 1 to ${SHARDS_MAX} shards, not ${shards}`, { path: null })
}

/**
 * Can a store be made there? A directory that is there already must be one in which a store is opened later.
 * @throws KUMA_UNSAFE_DIRECTORY, and what `checkFree` throws
 */
export function checkPlace(directory: string): void {
  checkFree(directory)
  if (existsSync(directory)) checkDirectory(directory)
}

/** @throws KUMA_STORE_EXISTS, KUMA_NOT_A_STORE if something else is there, KUMA_IO */
export function checkFree(directory: string): void {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    if (code === 'ENOTDIR') throw notAStore(directory, 'it is a file')
    throw ioError(cause, directory)
  }
  if (names.includes('kuma.json')) throw storeExists(directory)
  const other = names.find((name) => !name.startsWith(BUILDING))
  if (other === undefined) return
  if (names.every((name) => PARTS.includes(name) || name.startsWith(BUILDING))) throw unfinished(directory)
  const hint = 'a new store needs an empty directory, or one that does not exist yet'
  const message = `${directory} is not empty (it has ${JSON.stringify(other)}), and not a Kuma store`
  throw new KumaError('KUMA_NOT_A_STORE', message, { path: directory }, { hint })
}

function storeExists(directory: string): KumaError<'KUMA_STORE_EXISTS'> {
  return new KumaError('KUMA_STORE_EXISTS', `${directory} is a store already`, { path: directory })
}

function unfinished(directory: string): KumaError<'KUMA_STORE_EXISTS'> {
  const hint =
    'is it being made right now? If not, its making was given up, or kuma.json is lost: look into shards first'
  return new KumaError(
    'KUMA_STORE_EXISTS',
    `${directory} is a store without its kuma.json`,
    { path: directory },
    { hint },
  )
}

function build(building: string, shards: number, masterKey: Uint8Array | null): void {
  const encryption = masterKey && ({ encryption: 'entity-keys' } as const)
  const manifest = newManifest({ shards, seed: randomBytes(4).readUInt32LE(), ...encryption })
  createLock(building)
  createParts(building, manifest, masterKey)
  writeManifest(building, manifest)
}

/** Of a store that comes to be now. */
export function newManifest(fixed: Pick<Manifest, 'shards' | 'seed' | 'encryption' | 'timelines'>): Manifest {
  return {
    format: FORMAT,
    requires: requiredIn(fixed),
    store: randomUUID(),
    ...fixed,
    created_at: new Date().toISOString(),
  }
}

/** All that a store needs besides its lock and its manifest, in a directory that has a folder `shards`. */
export function createParts(directory: string, manifest: Manifest, masterKey: Uint8Array | null): void {
  for (let shard = 0; shard < manifest.shards; shard++) createShard(directory, shard, manifest)
  syncDirectory(join(directory, 'shards'))
  if (masterKey !== null) createKeys(directory, manifest, masterKey)
}

/** `shards` first: of two that make the same store at once, the second fails there, on a directory that is not empty. */
function moveIn(building: string, directory: string): void {
  const names = readdirSync(building)
  for (const name of PARTS) if (names.includes(name)) renameSync(join(building, name), join(directory, name))
  syncDirectory(directory)
  syncDirectory(dirname(directory))
}

function asCreateError(error: unknown, directory: string): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (code === 'ENOTEMPTY' || code === 'EEXIST') return storeExists(directory)
  if (code === 'ENOSPC') return new KumaError('KUMA_DISK_FULL', `${directory}: no space left`, { path: directory })
  return error instanceof KumaError ? error : ioError(error, directory)
}
