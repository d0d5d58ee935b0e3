/**
 * What was recorded is never taken back: an entity is reverted by an event more, which brings an earlier state back.
 * Which event that is only its definition can say. It is decided like a command, on the state as it stands then.
 */
import { KumaError } from '../errors.ts'
import type { CheckedCommand } from './decide.ts'
import type { Definition } from './define-entity.ts'
import { deepFreeze } from './fold.ts'
import { malformed } from './model.ts'

export type Reverter = (from: unknown, to: unknown) => unknown

/** @throws KUMA_INVALID_CONFIG */
export function withReverter(definition: Definition, reverter: unknown): Definition {
  if (typeof reverter === 'function') return { ...definition, reverter: reverter as Reverter }
  throw malformed(definition.type, 'has something that is not a function as its .revert(...)')
}

/** The command that brings a state back. @throws KUMA_CANNOT_REVERT if the definition does not say how */
export function revertTo(definition: Definition, to: unknown): CheckedCommand {
  const { type, reverter } = definition
  if (reverter !== undefined) return { type: 'revert', data: deepFreeze(to), decider: reverter }
  const message = `entities of type ${JSON.stringify(type)} cannot be reverted: their definition does not say by which event`
  const hint = 'add it: defineEntity({...}).evolve({...}).revert((from, to) => event)'
  throw new KumaError('KUMA_CANNOT_REVERT', message, { type }, { hint })
}
