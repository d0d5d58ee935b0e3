/** What one client may take of a daemon, so that all others are served. `daemon` in kuma.config.ts sets other ones. */
import type { DaemonBounds } from '../api.ts'

/** `kuma status` tells them. */
export type Bounds = { readonly [name in keyof DaemonBounds]-?: number }

export const BOUNDS: Bounds = {
  clientsMax: 10_000,
  unauthorizedMax: 64,
  callsMax: 20_000,
  unreadBytesMax: 64 * 1024 * 1024,
  logBytesMax: 16 * 1024 * 1024,
}

/** @param given where a bound is undefined, the default counts */
export function boundsOf(given: DaemonBounds = {}): Bounds {
  return { ...BOUNDS, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
}
