/**
 * The built-in type without a state, for streams that are only read as events: it knows every event, and folds none. What
 * is to be made of them is the affair of whoever reads them.
 */
import { asPublic, type EntityDefinition } from './define-entity.ts'
import { builtIn } from './document.ts'
import type { JsonObject } from './json.ts'
import { anything } from './schema.ts'

type None = Record<never, never>

export interface StreamFacts {
  type: 'stream'
  state: None
  events: { [type: string]: JsonObject }
  input: { [type: string]: JsonObject }
  commands: None
}

export const STREAM = 'stream'

/** The built-in type without a state: any event is recorded, and nothing is folded. */
export const stream: EntityDefinition<StreamFacts, None> = Object.freeze({
  ...asPublic<StreamFacts, None>({
    type: STREAM,
    version: 1,
    snapshotEvery: 1_000,
    initial: Object.freeze({}),
    schema: () => anything,
    events: [],
    handler: () => (state) => state,
    command: () => undefined,
    decider: () => undefined,
    commands: [],
    upcaster: () => undefined,
    upcasts: [],
    reverter: undefined,
  }),
  upcast: () => builtIn(STREAM, 'every event is read as it was recorded'),
  revert: () => builtIn(STREAM, 'it has no state that could be brought back'),
})
