/**
 * A definition says what an entity is: the events it knows and how each one changes its state, and the commands it
 * takes. It is pure, without I/O and safe to import anywhere.
 *
 * It is made in steps, `defineEntity({...}).evolve({...})`, because one call cannot infer a state that is a union
 * together with the events: TypeScript would need explicit generics, which lose the literal names.
 */
import { KumaError, quoted } from '../errors.ts'
import { meantBy } from '../nearest.ts'
import { type Command, type DecideHandlers, type Decider, withDeciders } from './decide.ts'
import type { Event, NewEvent } from './event.ts'
import type { AllIn, AllOut, DeepReadonly, EventsOut, Facts, JsonSafe, Out, ReadonlyInput } from './facts.ts'
import { type CheckedEvolve, deepFreeze, type EvolveHandlers } from './fold.ts'
import type { FoldSamples } from './fold-check.ts'
import { type EarlierEvent, type Given, type GivenEvent, given } from './given.ts'
import { checkId } from './id.ts'
import { malformed } from './model.ts'
import { type Reverter, withReverter } from './revert.ts'
import { anything, isUnion, type Schema, type Schemas } from './schema.ts'
import { type StoredEvent, type Upcasted, type Upcaster, withUpcasters } from './upcast.ts'

const SNAPSHOT_EVERY = 1_000
/** What `defineEntity` takes. */
const NAMES = ['type', 'version', 'initial', 'events', 'commands', 'snapshotEvery']

/** The first half of a definition: names and shapes. `.evolve()` makes it whole. */
export interface EntityShape<F extends Facts, Declared extends string, C> {
  readonly type: F['type']
  evolve<H extends { [K in Declared]: EvolveHandlers<F>[K] }>(handlers: H & CheckedEvolve<H, F>): EntityDefinition<F, C>
}

/**
 * A whole definition. It never changes: each step gives a new one. `Stored` are the types of earlier forms of its events.
 */
// biome-ignore lint/suspicious/noExplicitAny: a definition of any entity
export interface EntityDefinition<F extends Facts = any, C = any, Stored extends string = never> {
  readonly type: F['type']
  /**
   * The rules: a state and a command in, events out. A handler that throws rejects the command; it may be async, and
   * the entity waits for it.
   */
  decide(handlers: DecideHandlers<F, C>): EntityDefinition<F, C, Stored>
  /** Old events, by the type they are stored under, one new event for each. */
  upcast<S extends string>(
    handlers: {
      readonly [storedType in S]: (event: StoredEvent) => Upcasted<F>
    },
  ): EntityDefinition<F, C, S>
  /** The event, or the events, that bring `to` back. Without it an entity of this type cannot be reverted. */
  revert(
    handler: (
      from: DeepReadonly<F['state']>,
      to: DeepReadonly<F['state']>,
    ) => NewEvent<ReadonlyInput<F>> | readonly NewEvent<ReadonlyInput<F>>[],
  ): EntityDefinition<F, C, Stored>
  /**
   * Tests without I/O: `await Account.given([...]).when(command)`. Events are new ones, and checked as such; those of a type
   * that `.upcast` names are as they were stored, and turned into today's as when they are read. Each fold is looked at: one
   * that changes the state that it is given, or makes NaN or undefined in it, fails with KUMA_MODEL_FAILED.
   */
  given(events: readonly (NewEvent<F> | EarlierEvent<Stored>)[]): Given<F>
  readonly '~facts': F
}

// biome-ignore lint/suspicious/noExplicitAny: a definition of any entity
export type AnyEntityDefinition = EntityDefinition<any, any>
export type FactsFrom<D extends AnyEntityDefinition> = D['~facts']
export type StateOf<D extends AnyEntityDefinition> = FactsFrom<D>['state']
export type EventOf<D extends AnyEntityDefinition> = Event<FactsFrom<D>>
export type NewEventOf<D extends AnyEntityDefinition> = NewEvent<FactsFrom<D>>
export type CommandOf<D extends AnyEntityDefinition> = Command<FactsFrom<D>>

/** What a definition holds at run time, behind its public type. */
export interface Definition {
  readonly type: string
  /** Snapshots of another version are of no use. */
  readonly version: number
  readonly snapshotEvery: number
  /** a state, or a function from an id to one */
  readonly initial: unknown
  /** the schema of an event, undefined for an event that is not declared */
  schema(event: string): Schema | undefined
  handler(event: string): Handler | undefined
  /** The same, but its handlers change the states that they are given, except for what is frozen of them. */
  readonly inPlace?: Definition | undefined
  /** Which folds are looked at: of an engine. Those of built-in types keep to what a fold may do. */
  readonly samples?: FoldSamples | undefined
  /** those that are declared */
  readonly events: readonly string[]
  /** the schema of a command, undefined for a command that is not declared */
  command(name: string): Schema | undefined
  decider(command: string): Decider | undefined
  /** those that are declared */
  readonly commands: readonly string[]
  upcaster(storedType: string): Upcaster | undefined
  /** the stored types that have an upcaster */
  readonly upcasts: readonly string[]
  readonly reverter: Reverter | undefined
}

export type Handler = (state: unknown, data: unknown, event: unknown) => unknown

const parts = Symbol.for('kuma.definition')

/** The run-time side of a public definition, also of one made by another copy of the library. */
export function definitionOf(definition: AnyEntityDefinition): Definition {
  const found = (definition as { [parts]?: Definition } | null | undefined)?.[parts]
  if (found !== undefined) return found
  throw new KumaError(
    'KUMA_INVALID_CONFIG',
    'this is not an entity definition',
    { path: null },
    {
      hint: 'a definition is what defineEntity({...}).evolve({...}) returns; the first half alone is not enough',
    },
  )
}

type Step = 'decide' | 'upcast' | 'revert'

/** @param taken the steps that led to it, each of which is taken once */
export function asPublic<F extends Facts, C>(
  definition: Definition,
  taken: readonly Step[] = [],
): EntityDefinition<F, C> {
  const { type } = definition
  const take = (step: Step, next: (definition: Definition) => Definition) => {
    if (taken.includes(step)) throw malformed(type, `has its .${step}(...) already`, `say all of it in one .${step}`)
    return asPublic<F, C>(next(definition), [...taken, step])
  }
  const face: Omit<EntityDefinition<F, C>, '~facts'> & { readonly [parts]: Definition } = {
    type,
    decide: (handlers) => take('decide', (before) => withDeciders(before, handlers)),
    upcast: (handlers) => take('upcast', (before) => withUpcasters(before, handlers)),
    revert: (handler) => take('revert', (before) => withReverter(before, handler)),
    given: (events) => given<F>(definition, events as readonly GivenEvent[]),
    [parts]: definition,
  }
  return Object.freeze(face) as unknown as EntityDefinition<F, C>
}

/**
 * Names an entity type, its first state, its events and the commands it takes; `.evolve({...})` then says how each event
 * changes the state, and `.decide({...})` what comes of each command.
 *
 * `Created` is version 1 of every entity that `spawn` makes. Declare it among the events to give it data of its own;
 * otherwise its data is a part of the state, laid over `initial`, and it has none where there are commands.
 * @throws KUMA_INVALID_ID, KUMA_INVALID_CONFIG
 */
export function defineEntity<
  const T extends string,
  S extends object,
  E extends Schemas,
  C extends Schemas = Record<never, never>,
>(shape: {
  readonly type: T
  /** Raise it when `evolve` changes: snapshots of another version are ignored. Default: 1. */
  readonly version?: number | undefined
  readonly initial: S | ((id: string) => S)
  readonly events: E & {
    // biome-ignore lint/suspicious/noExplicitAny: whatever the schema takes
    [K in keyof E]: [Out<E[K]>] extends [JsonSafe<Out<E[K]>>] ? unknown : Schema<any, JsonSafe<Out<E[K]>>>
  }
  readonly commands?: C | undefined
  /** How many events lie between two snapshots at most. Default: 1,000. */
  readonly snapshotEvery?: number | undefined
}): EntityShape<
  { type: T; state: S; events: EventsOut<E, S>; input: AllIn<E>; commands: AllIn<C> },
  keyof E & string,
  AllOut<C>
> {
  const { type, version = 1, initial, events, commands = {}, snapshotEvery = SNAPSHOT_EVERY } = shape
  checkId(type, 'an entity type')
  checkNames(type, shape)
  checkCount(type, 'version', version)
  checkCount(type, 'snapshotEvery', snapshotEvery)
  if (typeof initial !== 'function' && !(typeof initial === 'object' && initial !== null)) {
    throw malformed(type, 'needs an `initial` state')
  }
  // all entities begin with this one object: an evolve that writes to it would change the others
  if (typeof initial === 'object') deepFreeze(initial)
  // Maps, since an event or a command may be called `constructor`
  const schemas = checkSchemas(type, events, 'events', 'an event type')
  const declared = checkSchemas(type, commands, 'commands', 'a command')
  return {
    type,
    evolve: (given) => {
      const handlers = new Map(Object.entries((given ?? {}) as Record<string, Handler>))
      for (const event of schemas.keys()) {
        if (typeof handlers.get(event) !== 'function') throw malformed(type, `has no evolve handler for ${event}`)
      }
      return asPublic({
        type,
        version,
        snapshotEvery,
        initial,
        // the events of `kuma.union` have no schema at run time: those with a handler are declared
        schema: (event) => schemas.get(event) ?? (handlers.has(event) ? anything : undefined),
        handler: (event) => handlers.get(event),
        events: [...handlers.keys()],
        // nor have its commands: which of them there are `.decide` tells
        command: (name) => declared.get(name) ?? (isUnion(commands) ? anything : undefined),
        decider: () => undefined,
        commands: [...declared.keys()],
        upcaster: () => undefined,
        upcasts: [],
        reverter: undefined,
      })
    },
  }
}

/** One that is passed over would be missed later on: with `snapshotsEvery` there are as many as without. */
function checkNames(type: string, shape: object): void {
  const other = Object.keys(shape).find((name) => !NAMES.includes(name))
  if (other === undefined) return
  throw malformed(type, `has a setting ${quoted(other)}, and there is no such one`, meantBy(other, NAMES))
}

function checkCount(type: string, name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return
  throw malformed(type, `has ${JSON.stringify(value)} as its \`${name}\`: it must be a whole number from 1 on`)
}

/** What is declared, by name. */
function checkSchemas(type: string, schemas: Schemas, field: string, what: string): Map<string, Schema> {
  if (typeof schemas !== 'object' || schemas === null) throw malformed(type, `needs \`${field}\``)
  const declared = new Map(Object.entries(schemas))
  for (const [name, schema] of declared) {
    checkId(name, what)
    if (typeof schema?.['~standard']?.validate === 'function') continue
    throw malformed(type, `declares ${name} without a schema: use kuma.type<...>() or any Standard Schema`)
  }
  return declared
}
