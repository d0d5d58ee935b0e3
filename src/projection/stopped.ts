/** What whoever needs a projection is told of one that does not go on. */
import { KumaError, type KumaErrorOf } from '../errors.ts'

export interface Failure {
  readonly code: string
  readonly message: string
  /** of the event at which it stopped */
  readonly position: string | null
}

type Stopped = KumaErrorOf<'KUMA_PROJECTION_FAILED' | 'KUMA_PROJECTION_CHANGED'>

/** @param instead one way more that is left */
export function stopped(projection: string, failure: Failure, instead?: string): Stopped {
  const { code, message, position } = failure
  const hint = [waysOn(projection, failure), ...(instead === undefined ? [] : [instead])].join('; ')
  if (code === 'KUMA_PROJECTION_CHANGED')
    return new KumaError(code, `${projection} stopped: ${message}`, { projection }, { hint })
  const at = position === null ? '' : ` at ${position}`
  const details = { projection, position }
  return new KumaError('KUMA_PROJECTION_FAILED', `${projection} stopped${at}: ${message}`, details, { hint })
}

export function waysOn(projection: string, { code, position }: Failure): string {
  const rebuild = `\`kuma projections rebuild ${projection}\``
  if (code === 'KUMA_PROJECTION_CHANGED')
    return `raise its version, and it is built anew beside the table that serves; or build it with this definition: ${rebuild}`
  if (position === null) return `make it anew: ${rebuild}; or try again: \`kuma projections resume ${projection}\``
  return `mend it, then \`kuma projections resume ${projection}\`; or go on without that event: \`kuma projections skip ${projection} ${position} --reason ...\``
}
