/** Who did it, from where, why, and in what connection, as one line for people; '' if nothing is known. */
import type { Meta } from '../entity/event.ts'

export function told({ by, ip, reason, correlationId, causationId }: Meta): string {
  const who = [by, ip && `from ${ip}`].filter(Boolean).join(' ')
  const ids = [correlationId && `correlation ${correlationId}`, causationId && `caused by ${causationId}`]
  return [who, reason && `"${reason}"`, ...ids].filter(Boolean).join(', ')
}
