// Codes narrow details, one at a time, several at once, and in a switch.
import * as kuma from 'kuma'
import { Thermostat } from './thermostat.ts'

export async function warmer(store: kuma.Context): Promise<string> {
  try {
    const thermostat = await store.entity(Thermostat, 'hall')
    await thermostat.append({ type: 'TargetSet', data: { celsius: 23 } }, { expectedVersion: 9 })
    return 'done'
  } catch (error) {
    if (kuma.isKumaError(error, 'KUMA_CONFLICT')) return `${error.details.entity} is at ${error.details.actual}`
    if (kuma.isKumaError(error, 'KUMA_ALREADY_EXISTS', 'KUMA_NOT_FOUND')) {
      error.code satisfies 'KUMA_ALREADY_EXISTS' | 'KUMA_NOT_FOUND'
      return error.code === 'KUMA_NOT_FOUND' ? error.details.entity : `${error.details.version satisfies number}`
    }
    if (kuma.isKumaError(error)) return advice(error)
    throw error
  }
}

function advice(error: kuma.KumaErrorOf<kuma.KumaErrorCode>): string {
  switch (error.code) {
    case 'KUMA_OVERLOADED':
      return `again in ${error.details.retryAfterMs} ms`
    case 'KUMA_INVALID_EVENT':
      return error.details.issues.map(({ message, path }) => `${path?.join('.') ?? ''}: ${message}`).join('; ')
    case 'KUMA_LOCKED':
      return `process ${error.details.pid ?? 'unknown'} has ${error.details.path}`
    default:
      return error.hint ?? error.message
  }
}

export const isOurs = (error: unknown): boolean => error instanceof kuma.KumaError && error.name === 'KumaError'
