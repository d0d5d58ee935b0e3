/**
 * `kuma.json` says that a directory is a store, and fixes what can never change: how many shards there are and the seed
 * of the hash that places entities in them.
 *
 *     { "format": 1, "store": "<uuid>", "shards": 16, "seed": 3405691582, "created_at": "2026-11-01T09:30:00.000Z" }
 *
 * and `"encryption": "entity-keys"` if contents are encrypted (cipher.ts).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { KumaError } from '../errors.ts'
import { ioError, notAStore, writeDurably } from './directory.ts'

/** The format of everything on disk that this code reads and writes. */
export const FORMAT = 1
export const SHARDS_DEFAULT = 16
export const SHARDS_MAX = 999

export interface Manifest {
  readonly format: number
  readonly store: string
  readonly shards: number
  readonly seed: number
  readonly created_at: string
  readonly encryption?: 'entity-keys' | undefined
}

const NAME = 'kuma.json'
/** Of a daemon, in the store's folder. */
export const SOCKET = 'kuma.sock'

export function shardPath(directory: string, shard: number): string {
  return join(directory, 'shards', `${String(shard).padStart(3, '0')}.db`)
}

export function writeManifest(directory: string, manifest: Manifest): void {
  writeDurably(join(directory, NAME), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** @throws KUMA_NOT_A_STORE, KUMA_NEWER_FORMAT, KUMA_CORRUPT, KUMA_IO */
export function readManifest(directory: string): Manifest {
  const path = join(directory, NAME)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw notAStore(directory, `it has no ${NAME}`)
    throw ioError(cause, path)
  }
  const manifest = parse(text, path)
  if (manifest.format > FORMAT) throw newerFormat(path, manifest.format)
  return manifest
}

function parse(text: string, path: string): Manifest {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (cause) {
    throw corrupt(path, `it is not JSON: ${(cause as Error).message}`)
  }
  const { format, store, shards, seed, created_at, encryption } = (found ?? {}) as Record<string, unknown>
  if (!isInteger(format, 1, Number.MAX_SAFE_INTEGER)) throw corrupt(path, 'it names no format')
  // a newer format may hold other things: its number is all that is asked of it
  if (format <= FORMAT) {
    if (typeof store !== 'string' || typeof created_at !== 'string') throw corrupt(path, 'it names no store')
    if (!isInteger(shards, 1, SHARDS_MAX)) throw corrupt(path, `shards is ${JSON.stringify(shards)}`)
    if (!isInteger(seed, 0, 0xffffffff)) throw corrupt(path, `seed is ${JSON.stringify(seed)}`)
    if (encryption !== undefined && encryption !== 'entity-keys')
      throw corrupt(path, `encryption is ${JSON.stringify(encryption)}`)
  }
  return { format, store, shards, seed, created_at, ...(encryption === undefined ? {} : { encryption }) } as Manifest
}

function isInteger(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
}

export function newerFormat(path: string, format: number): KumaError<'KUMA_NEWER_FORMAT'> {
  const message = `${path} has format ${format}; this version of Kuma reads up to ${FORMAT}`
  return new KumaError('KUMA_NEWER_FORMAT', message, { path, format }, { hint: 'use a newer version of Kuma' })
}

export function corrupt(path: string, problem: string): KumaError<'KUMA_CORRUPT'> {
  const hint = 'run `kuma verify` to see how much is affected; restore the file from a backup'
  return new KumaError('KUMA_CORRUPT', `${path} is damaged: ${problem}`, { path }, { hint })
}
