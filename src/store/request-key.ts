/**
 * A request key belongs to one entity. Its text stands on the first event of its group, in `meta`, where it comes
 * first, so that an index which was not yet written can be found again by a prefix:
 *
 *     {"$kuma":{"key":"...","count":2,"digest":"..."}, ...}
 *
 * The digest is of the request and not of its result: the same key with other data is an error and not an answer. It is
 * made of the canonical form, since the keys of JSON come in another order from another client, from `jq -S` or from a
 * database. The first versions made it of the request as it came: such a digest is still known.
 */
import { hash } from 'node:crypto'
import { canonicalJson } from '../entity/canonical-json.ts'
import { KumaError } from '../errors.ts'
import type { KeyRow } from './commit.ts'

export interface RequestKey {
  readonly key: string
  /** events in the group */
  readonly count: number
  readonly digest: string
}

export const KEY_PREFIX = '{"$kuma":'

/** 48 bits, which a JavaScript number and an SQLite integer hold alike. A match is compared by its text. */
export function keyHash(id: string, key: string): number {
  return Number.parseInt(hash('sha256', `${id}\0${key}`, 'hex').slice(0, 12), 16)
}

/** 132 bits of what was asked for, in base64url. @throws KUMA_INVALID_DATA when it cannot be JSON (a cycle, a bigint) */
export function requestDigest(request: readonly unknown[]): string {
  return digestOf(textOf(request, (text) => canonicalJson(request, text)))
}

/** Does a stored digest stand for this request? @param digest of the request */
export function isDigestOf(stored: string, request: readonly unknown[], digest: string): boolean {
  return stored === digest || stored === digestOf(textOf(request, (text) => text))
}

function digestOf(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, 22)
}

/** @param form makes the text to digest of that of JSON.stringify */
function textOf(request: readonly unknown[], form: (text: string) => string): string {
  try {
    return form(JSON.stringify(request))
  } catch (cause) {
    const message = `the request is not JSON: ${(cause as Error).message}`
    throw new KumaError('KUMA_INVALID_DATA', message, { path: '' }, { cause })
  }
}

/** Of a copy that ends within a group: no request has this digest. */
export const CUT = ''

/** The request key of a group of which a copy has so many events. */
export function cutTo(key: RequestKey, count: number): RequestKey {
  return count === key.count ? key : { ...key, count, digest: CUT }
}

/** The text of `meta` with the engine's own part in front. */
export function withKey(meta: string | null, key: RequestKey): string {
  const own = `${KEY_PREFIX}${JSON.stringify(key)}`
  return meta === null || meta === '{}' ? `${own}}` : `${own},${meta.slice(1)}`
}

/** The request key in a stored meta, if there is one. */
export function keyOf(meta: string | null): RequestKey | undefined {
  return meta?.startsWith(KEY_PREFIX) ? (JSON.parse(meta) as { $kuma: RequestKey }).$kuma : undefined
}

/** The text of `meta` without the engine's own part. */
export function withoutKey(meta: string | null): string | null {
  if (!meta?.startsWith(KEY_PREFIX)) return meta
  const { $kuma: _, ...own } = JSON.parse(meta) as { $kuma: RequestKey }
  return Object.keys(own).length === 0 ? null : JSON.stringify(own)
}

/** In an encrypted store, what the index has of a key stands before the meta: see cipher.ts. */
export const MARK = '$'

export function markStored(meta: string, key: Pick<KeyRow, 'hash' | 'count'> | undefined): string {
  return key === undefined ? meta : `${MARK}${key.hash}:${key.count}:${meta}`
}

export function withoutMark(meta: string): string {
  return meta.startsWith(MARK) ? meta.slice(meta.lastIndexOf(':') + 1) : meta
}

/** What the index has to say of a stored meta, if it has a key. @param idOf asked for in a store that is not encrypted */
export function indexedKeyOf(meta: string | null, idOf: () => string): Omit<KeyRow, 'seq'> | undefined {
  if (meta?.startsWith(MARK)) {
    const [hash, count] = meta.slice(MARK.length).split(':', 2).map(Number)
    return { hash: hash!, count: count!, digest: '' }
  }
  const key = keyOf(meta)
  return key && { hash: keyHash(idOf(), key.key), count: key.count, digest: key.digest }
}
