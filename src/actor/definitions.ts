/** The definitions an engine was given, by entity type, and how large states may be. Documents and streams are always known. */
import { type AnyEntityDefinition, type Definition, definitionOf } from '../entity/define-entity.ts'
import { document } from '../entity/document.ts'
import type { RecordedEvent } from '../entity/event.ts'
import { FoldSamples, type ToldOfFold } from '../entity/fold-check.ts'
import { stream } from '../entity/stream.ts'
import { upcast } from '../entity/upcast.ts'
import { KumaError } from '../errors.ts'
import { READABLE_BYTES_MAX } from './readable.ts'

const STATE_BYTES_MAX = 64 * 1024 * 1024

export class Definitions {
  /** Types that had a state which JSON cannot give back: those are not kept as snapshots. */
  readonly unfit = new Set<string>()
  /** How large a state may be, as JSON in UTF-8. */
  readonly stateBytesMax: number
  /** Told of recorded events whose fold does what it may not do: once for each type of event. */
  onFlawedFold: ToldOfFold = warnOfFold
  private readonly byType = new Map<string, Definition>()

  /** @throws KUMA_INVALID_CONFIG if two share a type */
  constructor(given: readonly AnyEntityDefinition[], stateBytesMax = STATE_BYTES_MAX) {
    this.stateBytesMax = Math.min(stateBytesMax, READABLE_BYTES_MAX)
    const builtIn = definitionOf(document)
    const known = new Map<string, Definition>([[document.type, builtIn]])
    this.byType.set(document.type, builtIn)
    // who has a `stream` of his own, of before there was one, goes on with it
    if (!given.some(({ type }) => type === stream.type)) this.byType.set(stream.type, definitionOf(stream))
    for (const definition of new Set(given)) {
      const found = definitionOf(definition)
      if ((known.get(found.type) ?? found) !== found) {
        throw new KumaError('KUMA_INVALID_CONFIG', `two definitions have the type ${JSON.stringify(found.type)}`, {
          path: null,
        })
      }
      known.set(found.type, found)
      if (found !== builtIn) this.byType.set(found.type, this.sampled(found))
    }
  }

  private sampled(definition: Definition): Definition {
    const samples = new FoldSamples((event, problem) => this.onFlawedFold(event, problem))
    return { ...definition, samples }
  }

  get all(): readonly Definition[] {
    return [...this.byType.values()]
  }

  /** Types that events are stored under, and that some definition turns into another event. */
  get upcasts(): readonly string[] {
    return [...this.byType.values()].flatMap(({ upcasts }) => upcasts)
  }

  /** An event as today's definition of its entity knows it; where none is at hand, as it is stored. */
  today(event: RecordedEvent): RecordedEvent {
    const definition = this.byType.get(event.entityType)
    return definition === undefined ? event : upcast(definition, event)
  }

  find(type: string): Definition | undefined {
    return this.byType.get(type)
  }

  /** @throws KUMA_UNKNOWN_TYPE */
  of(type: string): Definition {
    const found = this.byType.get(type)
    if (found !== undefined) return found
    throw new KumaError(
      'KUMA_UNKNOWN_TYPE',
      `there is no definition of the entity type ${JSON.stringify(type)} here`,
      { type },
      { hint: `known: ${[...this.byType.keys()].join(', ')}; give others to start({ entities }) or in kuma.config.ts` },
    )
  }
}

function warnOfFold({ entityType, type, position }: RecordedEvent, problem: string): void {
  const what = `evolve of ${JSON.stringify(entityType)} ${problem} with ${type} (event ${position})`
  process.emitWarning(`${what}: new events with which it does so are refused`, 'KumaWarning')
}
