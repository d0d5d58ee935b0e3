/**
 * A filter by a name that nothing has gives nothing, which looks like an answer. So where a name was not met, those that
 * there are are looked at, in the config and in the beginning of the log, and a line on stderr tells what may be meant.
 */
import type { Config } from '../api.ts'
import type { Engine } from '../engine.ts'
import { definitionOf } from '../entity/define-entity.ts'
import { DOCUMENT } from '../entity/document.ts'
import { nearest } from '../nearest.ts'
import { note, visible } from './output.ts'

/** Events or entities: who has more gets no more than a guess. */
const LOOKED_AT = 10_000
const SHOWN = 10

/** The names that there are, and whether these are all. */
interface Known {
  readonly names: ReadonlySet<string>
  readonly isWhole: boolean
}

interface Look {
  readonly engine: Engine
  readonly config: Config
  /** Of an event: this entity's only. */
  readonly id?: string | undefined
  /** Something may come by that name: only one that is like another is told. */
  readonly isAwaited?: boolean
}

/** @param given to --event */
export async function tellMistypedEvents(given: Iterable<string>, look: Look): Promise<void> {
  const { engine, config, id } = look
  const declared = definitionsIn(config).flatMap(({ events, upcasts }) => [...events, ...upcasts])
  await tell('event', given, look, () => knownIn(declared, engine.log({ id, limit: LOOKED_AT })))
}

/** @param given to --type */
export async function tellMistypedTypes(given: Iterable<string>, look: Look): Promise<void> {
  const { engine, config } = look
  const declared = [DOCUMENT, ...definitionsIn(config).map(({ type }) => type)]
  await tell('entity', given, look, () => knownIn(declared, engine.entities({ limit: LOOKED_AT })))
}

async function tell(
  what: 'event' | 'entity',
  given: Iterable<string>,
  { isAwaited }: Look,
  known: () => Promise<Known>,
): Promise<void> {
  const missing = [...given]
  if (missing.length === 0) return
  const { names, isWhole } = await known()
  for (const name of missing) {
    const meant = nearest(name, [...names])
    if (names.has(name) || (meant === undefined && (isAwaited || !isWhole))) continue
    const some = [...names].slice(0, SHOWN).join(', ')
    const hint = meant === undefined ? `there are ${some}${names.size > SHOWN ? ' ...' : ''}` : `did you mean ${meant}?`
    note(visible(`no ${what} has the type ${JSON.stringify(name)}: ${names.size === 0 ? 'there is none' : hint}`))
  }
}

function definitionsIn({ entities = [], ids = {} }: Config) {
  return [...new Set([...entities, ...Object.values(ids)])].map(definitionOf)
}

async function knownIn(declared: readonly string[], rows: AsyncIterable<{ readonly type: string }>): Promise<Known> {
  const names = new Set(declared)
  let count = 0
  for await (const { type } of rows) {
    names.add(type)
    count++
  }
  return { names, isWhole: count < LOOKED_AT }
}
