/**
 * A command is what somebody wants to happen; the events that `decide` answers with are what does. Whoever runs one
 * first checks it (`checkCommand`, which needs no state) and then decides it on a state (`decide`).
 */
import { KumaError } from '../errors.ts'
import type { Definition } from './define-entity.ts'
import type { Meta, NewEvent } from './event.ts'
import type { DeepReadonly, Facts, ReadonlyInput } from './facts.ts'
import { deepFreeze } from './fold.ts'
import { checkId } from './id.ts'
import { describe, isThenable, malformed, modelFailed } from './model.ts'
import { undeclared, validate } from './schema.ts'

// biome-ignore lint/suspicious/noExplicitAny: a command to any entity
export type Command<F extends Facts = any> = {
  // biome-ignore lint/complexity/noBannedTypes: {} is what a command without required data extends
  [K in keyof F['commands'] & string]: {} extends F['commands'][K]
    ? { readonly type: K; readonly data?: F['commands'][K] }
    : { readonly type: K; readonly data: F['commands'][K] }
}[keyof F['commands'] & string]

/** What a command leads to: an event, several as one unit, or nothing. */
export type Decision<F extends Facts> = Decided<NewEvent<ReadonlyInput<F>>>
// biome-ignore lint/suspicious/noConfusingVoidType: a handler may end without a `return`
type Decided<E> = E | readonly E[] | undefined | void

/** What a handler knows besides the state and the command. */
export interface Deciding {
  /** of the entity */
  readonly id: string
  /** of the state that it decides on; 0 if there is no event yet */
  readonly version: number
  /** milliseconds since 1970 */
  readonly now: number
  /** of the command: who gives it, why and from where */
  readonly meta: Meta
}

export type DecideHandlers<F extends Facts, C> = {
  [K in keyof C]: (state: DeepReadonly<F['state']>, data: C[K], about: Deciding) => Decision<F> | Promise<Decision<F>>
}

export type Decider = (state: unknown, data: unknown, about: Deciding) => unknown

/** A command as it is handed in: nothing of it has been checked. */
export interface UncheckedCommand {
  readonly type: string
  readonly data?: unknown
}

/** A declared command, its data as its schema gives it. */
export interface CheckedCommand {
  readonly type: string
  readonly data: unknown
  readonly decider: Decider
}

/** An event that was decided: neither its type nor its data have been checked. */
export interface DecidedEvent {
  readonly type: string
  readonly data?: unknown
  readonly meta?: Meta | undefined
  readonly at?: number | undefined
}

/** The definition with a handler for each of its commands. @throws KUMA_INVALID_CONFIG, KUMA_INVALID_ID */
export function withDeciders(definition: Definition, given: { readonly [command: string]: unknown }): Definition {
  const { type, commands, command } = definition
  const deciders = new Map(Object.entries((given ?? {}) as Record<string, Decider>))
  for (const name of commands) {
    if (typeof deciders.get(name) !== 'function') throw malformed(type, `has no decide handler for ${name}`)
  }
  for (const [name, decider] of deciders) {
    checkId(name, 'a command')
    if (command(name) === undefined) {
      const hint = 'declare it among the `commands` of defineEntity({...})'
      throw malformed(type, `has a decide handler for ${name}, but no such command`, hint)
    }
    if (typeof decider !== 'function') throw malformed(type, `decides ${name} by something that is not a function`)
  }
  return {
    ...definition,
    commands: [...deciders.keys()],
    // the commands of `kuma.union` have no schema at run time: from now on those with a handler are declared
    command: (name) => (deciders.has(name) ? command(name) : undefined),
    decider: (name) => deciders.get(name),
  }
}

/** @throws KUMA_INVALID_COMMAND, KUMA_INVALID_ID */
export function checkCommand(definition: Definition, { type, data = {} }: UncheckedCommand): CheckedCommand {
  checkId(type, 'a command')
  const schema = definition.command(type)
  if (schema === undefined) throw undeclared('command', definition.type, type, definition.commands)
  const decider = definition.decider(type)
  if (decider === undefined) throw undecided(definition, type)
  return { type, data: validate(schema, type, data, 'command'), decider }
}

function undecided(definition: Definition, command: string): KumaError<'KUMA_INVALID_COMMAND'> {
  const message = `${JSON.stringify(definition.type)} declares the command ${command}, but does not decide it`
  const hint = 'say what comes of it: defineEntity({...}).evolve({...}).decide({...})'
  return new KumaError('KUMA_INVALID_COMMAND', message, { command, issues: [{ message }] }, { hint })
}

/**
 * What comes of the command in this state. The answer comes at once if the handler gave it at once, so that nobody has
 * to wait a turn for it. The state is frozen first: deciding changes nothing.
 * @throws (or rejects with) KUMA_REJECTED if the handler throws, KUMA_MODEL_FAILED if it returns anything but events
 */
export function decide(
  definition: Definition,
  command: CheckedCommand,
  state: unknown,
  about: Deciding,
): readonly DecidedEvent[] | Promise<readonly DecidedEvent[]> {
  let decision: unknown
  try {
    decision = command.decider(deepFreeze(state), command.data, about)
  } catch (cause) {
    throw rejected(command.type, about, cause)
  }
  const events = (decided: unknown) => eventsOf(definition, command, decided, about)
  if (!isThenable(decision)) return events(decision)
  return Promise.resolve(decision).then(events, (cause) => {
    throw rejected(command.type, about, cause)
  })
}

/** A decision as a list. @throws KUMA_MODEL_FAILED */
export function eventsOf(
  definition: Definition,
  { type }: CheckedCommand,
  decision: unknown,
  { id, version }: Deciding,
): readonly DecidedEvent[] {
  if (decision === undefined) return []
  const events: unknown[] = Array.isArray(decision) ? decision : [decision]
  const wrong = events.findIndex((event) => typeof (event as DecidedEvent | null | undefined)?.type !== 'string')
  if (wrong === -1) return events as DecidedEvent[]
  const value = describeEvent(events[wrong])
  const problem = Array.isArray(decision) ? `decided on a list with ${value} at [${wrong}]` : `decided on ${value}`
  throw modelFailed(definition, 'decide', { entity: id, type, version }, `${problem}, which is no event`)
}

function describeEvent(value: unknown): string {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? 'an object without a `type`'
    : describe(value)
}

function rejected(command: string, { id }: Deciding, cause: unknown): KumaError<'KUMA_REJECTED'> {
  const reason = cause instanceof Error ? cause.message || cause.name : String(cause)
  return new KumaError(
    'KUMA_REJECTED',
    `${command} on ${id} was rejected: ${reason}`,
    { command, reason },
    { cause, hint: 'nothing was recorded: the entity does not allow it as it stands' },
  )
}
