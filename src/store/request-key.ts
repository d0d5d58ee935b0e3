/**
 * A request key belongs to one entity. Its text stands on the first event of its group, in `meta`, where it comes
 * first, so that an index which was not yet written can be found again by a prefix:
 *
 *     {"$kuma":{"key":"...","count":2,"digest":"..."}, ...}
 *
 * The digest is of the request and not of its result: the same key with other data is an error and not an answer.
 */
import { hash } from 'node:crypto'
import { KumaError } from '../errors.ts'

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
export function requestDigest(request: unknown): string {
  return hash('sha256', textOf(request), 'base64url').slice(0, 22)
}

function textOf(request: unknown): string {
  try {
    return JSON.stringify(request)
  } catch (cause) {
    const message = `the request is not JSON: ${(cause as Error).message}`
    throw new KumaError('KUMA_INVALID_DATA', message, { path: '' }, { cause })
  }
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
