/**
 * `kuma.json` says that a directory is a store, and fixes what can never change: how many shards there are and the seed
 * of the hash that places entities in them.
 *
 *     { "format": 2, "requires": [], "store": "<uuid>", "shards": 16, "seed": 3405691582,
 *       "created_at": "2026-11-01T09:30:00.000Z", "sha256": "<of the canonical JSON (RFC 8785) of the rest>" }
 *
 * and `"encryption": "entity-keys"` if contents are encrypted (cipher.ts), `"timelines": [..]` if the store was restored or
 * forked (timeline.ts). Fields that are not known are kept.
 *
 * `requires` names what is in the store beside what every store of its format has. Who does not know one of the names
 * must not open it, not even to read: so a name is on disk before the first thing of it, and is never taken away. Each
 * shard has such a list too (shard-file.ts), of names that are all in this one.
 *
 * Format 1 had neither `requires` nor a sum. It is read as it is; who comes to write makes it format 2 (upgrade.ts).
 */
import { hash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { canonicalJson } from '../entity/canonical-json.ts'
import { areTimelines, type Timeline, withTimeline } from '../entity/timeline.ts'
import { KumaError } from '../errors.ts'
import { ioError, notAStore, writeDurably } from './directory.ts'

/** The newest format of a store's directory and its shards. Those before it are read too. */
export const FORMAT = 2
/**
 * The names of `requires` that this code knows:
 *
 *     codec-2         contents are encrypted with all that an event is as additional data (cipher.ts)
 *     empty-answers   request keys of commands that decided on nothing are kept
 *     timelines       the store was restored or forked: positions name the history that they are of
 */
const KNOWN: readonly string[] = ['codec-2', 'empty-answers', 'timelines']
export const SHARDS_DEFAULT = 16
export const SHARDS_MAX = 999

export interface Manifest {
  readonly format: number
  /** Names of what is in the store; none in format 1. */
  readonly requires: readonly string[]
  readonly store: string
  readonly shards: number
  readonly seed: number
  readonly created_at: string
  readonly encryption?: 'entity-keys' | undefined
  readonly timelines?: readonly Timeline[] | undefined
}

const NAME = 'kuma.json'
/** Of a daemon, in the store's folder. */
export const SOCKET = 'kuma.sock'

export function shardPath(directory: string, shard: number): string {
  return join(directory, 'shards', `${String(shard).padStart(3, '0')}.db`)
}

/** Names of what this code writes to a store, sooner or later. */
export function requiredIn({ encryption, timelines }: Pick<Manifest, 'encryption' | 'timelines'>): readonly string[] {
  return [
    ...(encryption === undefined ? [] : ['codec-2']),
    'empty-answers',
    ...(timelines === undefined ? [] : ['timelines']),
  ]
}

/** A new timeline, for a store that is made of this one. */
export function partedFrom({ timelines }: Manifest, parted: Timeline['parted']): readonly Timeline[] {
  return withTimeline(timelines, randomBytes(4).toString('hex'), parted)
}

/** In its own format: that of an old backup stays what it is. */
export function writeManifest(directory: string, { requires, ...rest }: Manifest): void {
  const content = rest.format === 1 ? rest : withSum({ ...rest, requires })
  writeDurably(join(directory, NAME), `${JSON.stringify(content, null, 2)}\n`)
}

function withSum({ format, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return { format, ...rest, sha256: sumOf({ format, ...rest }) }
}

function sumOf(content: Record<string, unknown>): string {
  return hash('sha256', canonicalJson(content), 'hex')
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
  return parse(text, path)
}

function parse(text: string, path: string): Manifest {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (cause) {
    throw corrupt(path, `it is not JSON: ${(cause as Error).message}`)
  }
  const { sha256, ...content } = (found ?? {}) as Record<string, unknown>
  const { format, requires = [], store, shards, seed, created_at, encryption, timelines } = content
  if (!isInteger(format, 1, Number.MAX_SAFE_INTEGER)) throw corrupt(path, 'it names no format')
  // a newer format may hold other things: its number is all that is asked of it
  if (format > FORMAT) throw newerFormat(path, format, FORMAT)
  if (format > 1) {
    if (sha256 !== sumOf(content)) throw corrupt(path, 'its SHA-256 is not that of its content')
    assertKnown(path, format, requires)
  }
  if (typeof store !== 'string' || typeof created_at !== 'string') throw corrupt(path, 'it names no store')
  if (!isInteger(shards, 1, SHARDS_MAX)) throw corrupt(path, `shards is ${JSON.stringify(shards)}`)
  if (!isInteger(seed, 0, 0xffffffff)) throw corrupt(path, `seed is ${JSON.stringify(seed)}`)
  if (encryption !== undefined && encryption !== 'entity-keys')
    throw corrupt(path, `encryption is ${JSON.stringify(encryption)}`)
  if (timelines !== undefined && !areTimelines(timelines)) throw corrupt(path, 'its timelines are none')
  return { ...content, requires } as unknown as Manifest
}

/** @param requires of `kuma.json` or of a shard. @throws KUMA_NEWER_FORMAT if a name in it is not known, KUMA_CORRUPT */
export function assertKnown(path: string, format: number, requires: unknown): asserts requires is readonly string[] {
  if (!Array.isArray(requires) || !requires.every((name) => typeof name === 'string'))
    throw corrupt(path, 'what it requires is not a list of names')
  const unknown = requires.filter((name) => !KNOWN.includes(name))
  if (unknown.length === 0) return
  const message = `${path} requires ${unknown.join(', ')}, which this version of Kuma does not know`
  throw new KumaError('KUMA_NEWER_FORMAT', message, { path, format }, { hint: NEWER })
}

function isInteger(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
}

const NEWER = 'use a newer version of Kuma'

/** @param newest that is known of such files */
export function newerFormat(path: string, format: number, newest: number): KumaError<'KUMA_NEWER_FORMAT'> {
  const message = `${path} has format ${format}; this version of Kuma reads up to ${newest}`
  return new KumaError('KUMA_NEWER_FORMAT', message, { path, format }, { hint: NEWER })
}

export function corrupt(path: string, problem: string): KumaError<'KUMA_CORRUPT'> {
  const hint = 'run `kuma verify` to see how much is affected; restore the file from a backup'
  return new KumaError('KUMA_CORRUPT', `${path} is damaged: ${problem}`, { path }, { hint })
}
