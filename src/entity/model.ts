/** The model is the user's code: how it is called, and what is said when it does not keep its side of the bargain. */
import { isKumaError, KumaError } from '../errors.ts'
import type { Definition } from './define-entity.ts'

/** The functions a model consists of. */
export type Part = 'initial' | 'evolve' | 'upcast' | 'decide'

/** What the model was working on: an event, or a command. */
export interface About {
  readonly entity: string
  readonly type: string
  readonly version: number
}

/**
 * Calls a synchronous part of the model.
 * @throws KUMA_MODEL_FAILED if it throws or answers with a promise
 */
export function callModel(definition: Definition, part: Part, about: About, run: () => unknown): unknown {
  let answer: unknown
  try {
    answer = run()
  } catch (cause) {
    if (isKumaError(cause)) throw cause
    const said = cause instanceof Error ? cause.message : String(cause)
    if (part !== 'evolve' || !isOfFrozen(cause)) throw modelFailed(definition, part, about, `threw: ${said}`, { cause })
    const hint = 'the state that evolve is given is frozen: return a new one, as { ...state, field: value }'
    throw modelFailed(definition, part, about, `changed what it was given: ${said}`, { cause, hint })
  }
  if (!isThenable(answer)) return answer
  answer.then(undefined, () => {}) // its outcome must not end the process
  throw modelFailed(definition, part, about, `returned a promise: ${part} is synchronous`)
}

/** What V8 throws where something frozen is to be changed. */
function isOfFrozen(cause: unknown): boolean {
  const says = /read only property|object is not extensible|Cannot (?:delete|redefine) property/
  return cause instanceof TypeError && says.test(cause.message)
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

export function modelFailed(
  definition: Definition,
  part: Part,
  { entity, type, version }: About,
  problem: string,
  {
    cause,
    hint = `mend the ${part} function; the recorded events are as they were`,
    path,
  }: { readonly cause?: unknown; readonly hint?: string; readonly path?: string } = {},
): KumaError<'KUMA_MODEL_FAILED'> {
  return new KumaError(
    'KUMA_MODEL_FAILED',
    `the model of ${JSON.stringify(definition.type)} failed on ${type} (version ${version} of ${entity}): it ${problem}`,
    { entity, type, version, ...(path === undefined ? {} : { path }) },
    { cause, hint },
  )
}

/** A value in a sentence about what a function returned. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? 'an array' : typeof value
}

/** A definition that cannot work, whatever it will be used for. */
export function malformed(type: string, problem: string, hint?: string): KumaError<'KUMA_INVALID_CONFIG'> {
  const message = `the definition of ${JSON.stringify(type)} ${problem}`
  return new KumaError('KUMA_INVALID_CONFIG', message, { path: null }, { hint })
}
