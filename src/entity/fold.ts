/** State is the fold of an entity's events. Here is the one place that calls a user's `evolve` and judges its answer. */
import { isKumaError, KumaError } from '../errors.ts'
import type { Definition } from './define-entity.ts'
import type { RecordedEvent } from './event.ts'

export const CREATED = 'Created'

/** The state before the first event. */
export function initialState(definition: Definition, id: string): unknown {
  const { initial } = definition
  if (typeof initial !== 'function') return initial
  const about = { entity: id, type: 'initial', version: 0 }
  return checkState(
    definition,
    about,
    call(definition, about, () => initial(id) as unknown),
  )
}

/**
 * The state after `event`. The state given is not changed, as long as the model keeps its side of the bargain.
 * @throws KUMA_MODEL_FAILED if the handler is missing, throws, or returns a promise or anything but an object
 */
export function evolve(definition: Definition, state: unknown, event: RecordedEvent): unknown {
  const handler = definition.handler(event.type)
  if (handler !== undefined) {
    return checkState(
      definition,
      event,
      call(definition, event, () => handler(state, event.data, event)),
    )
  }
  if (event.type === CREATED) return { ...(state as object), ...event.data }
  throw failed(definition, event, `has no evolve handler for it`, undefined)
}

type About = Pick<RecordedEvent, 'entity' | 'type' | 'version'>

function call(definition: Definition, about: About, run: () => unknown): unknown {
  try {
    return run()
  } catch (cause) {
    if (isKumaError(cause)) throw cause
    throw failed(definition, about, `threw: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
}

function checkState(definition: Definition, about: About, state: unknown): unknown {
  if (typeof state === 'object' && state !== null) {
    if (typeof (state as { then?: unknown }).then !== 'function') return state
    if (state instanceof Promise) state.catch(() => {}) // its outcome must not end the process
    throw failed(definition, about, 'returned a promise: evolve is synchronous', undefined)
  }
  throw failed(definition, about, `returned ${state === null ? 'null' : typeof state} instead of a state`, undefined)
}

function failed(definition: Definition, about: About, problem: string, cause: unknown): KumaError<'KUMA_MODEL_FAILED'> {
  const { entity, type, version } = about
  return new KumaError(
    'KUMA_MODEL_FAILED',
    `the model of ${JSON.stringify(definition.type)} failed on ${type} (version ${version} of ${entity}): it ${problem}`,
    { entity, type, version },
    { cause, hint: 'mend the evolve function; the recorded events are as they were' },
  )
}

/**
 * Freezes a state through and through, so that a caller cannot change what the actor goes on folding. What is frozen
 * already is taken to be so throughout, which makes the next version cheap: only its new parts are walked. (A WeakSet of
 * what was walked would know for sure, but one of a million states is 20 times slower.)
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (ArrayBuffer.isView(value)) return value // cannot be frozen
  Object.freeze(value)
  for (const part of Object.values(value)) deepFreeze(part)
  return value
}
