/** How long something is, as a person types it. */
import { usage } from './event-data.ts'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** @returns milliseconds @throws KUMA_USAGE */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d|w)?$/.exec(text)
  if (!match)
    throw usage(`cannot read the time ${JSON.stringify(text)}`, 'write 500ms, 5s, 1m, 12h, 30d, 4w, or milliseconds')
  return Number(match[1]) * UNITS[(match[2] ?? 'ms') as keyof typeof UNITS]
}
