/**
 * Events that say which versions they were. Each is recorded as that version where it is the next one; what is there already
 * is compared: the same again is a duplicate, another one is a conflict, and so is what is neither there nor the next.
 *
 * Once an entity has another history than its events say, all that come after are refused, also one that by its version
 * would fit behind it. So of each entity they go one after the other until one of them was recorded: from then on they
 * follow on each other, and are sent as they come.
 */
import type { AppendRequest } from '../engine.ts'
import { isKumaError, KumaError } from '../errors.ts'
import type { ImportRun, Outcome } from './import-run.ts'

/** Entities that something is known of. */
const PLACES_MAX = 10_000

export type PlacedRequest = AppendRequest & { readonly expectedVersion: number }

/** Of one entity. */
interface Place {
  /** Its version, as an answer told. */
  version: number
  /** The last of its events that came was recorded. */
  isOpen: boolean
  underWay: number
  readonly waiting: (() => void)[]
}

export class Placed {
  private readonly places = new Map<string, Place>()
  private readonly refused = new Set<string>()

  constructor(private readonly run: ImportRun) {}

  send(request: PlacedRequest, settle: (outcome: Outcome) => void): void {
    const place = this.placeOf(request.id)
    const pass = async () => {
      place.underWay++
      const outcome = await this.pass(place, request)
      place.underWay--
      settle(outcome)
      letIn(place)
    }
    place.waiting.push(() => void pass())
    letIn(place)
  }

  private placeOf(id: string): Place {
    const place = this.places.get(id) ?? { version: 0, isOpen: false, underWay: 0, waiting: [] }
    this.places.delete(id)
    this.places.set(id, place)
    for (const [oldest, { underWay, waiting }] of this.places) {
      if (this.places.size > PLACES_MAX && underWay + waiting.length === 0) this.places.delete(oldest)
      break
    }
    return place
  }

  private async pass(place: Place, request: PlacedRequest): Promise<Outcome> {
    const { id, events, expectedVersion: before } = request
    try {
      if (this.refused.has(id)) throw refusedBefore(id)
      if (place.version <= before) {
        const actual = await this.append(place, request)
        if (actual === null) return { imported: events.length }
        if (actual === REPEATED) return { duplicates: events.length }
        if (actual < before) throw notNext(id, before + 1, actual)
        place.version = actual
      }
      return await this.compare(place, request)
    } catch (error) {
      place.isOpen = false
      if (!isKumaError(error, 'KUMA_CONFLICT') || error.details.actual > before) this.refused.add(id)
      return { error }
    }
  }

  /** Null if it is recorded; else what is there. */
  private async append(place: Place, request: PlacedRequest): Promise<number | null | typeof REPEATED> {
    try {
      const { repeated } = await this.run.append(request)
      if (repeated) return REPEATED
      place.isOpen = true
      return null
    } catch (error) {
      if (this.refused.has(request.id)) throw refusedBefore(request.id) // it was under way meanwhile
      if (!isKumaError(error, 'KUMA_CONFLICT')) throw error
      return error.details.actual
    }
  }

  /** With what is there, and records what is not. */
  private async compare(place: Place, request: PlacedRequest): Promise<Outcome> {
    const { id, events, expectedVersion: before } = request
    const both = Math.min(events.length, place.version - before)
    for (let i = 0; i < both; i++) {
      const version = before + i + 1
      if (!(await this.run.recorder.isThere(request, version, events[i]!))) throw another(id, version, place.version)
    }
    if (both === events.length) return { duplicates: both }
    const rest = { ...request, events: events.slice(both), expectedVersion: before + both }
    const { duplicates = 0, ...outcome } = await this.pass(place, rest)
    return { ...outcome, duplicates: duplicates + both }
  }
}

const REPEATED = 'repeated'

function letIn(place: Place): void {
  while (place.waiting.length > 0 && (place.isOpen || place.underWay === 0)) place.waiting.shift()!()
}

function another(entity: string, version: number, actual: number): KumaError<'KUMA_CONFLICT'> {
  const message = `v${version} of ${entity} is another event here`
  const hint = 'the history here is another one: import it under other ids, or delete the entity here first'
  return new KumaError('KUMA_CONFLICT', message, { entity, expected: version - 1, actual }, { hint })
}

function notNext(entity: string, version: number, actual: number): KumaError<'KUMA_CONFLICT'> {
  const here = actual === 0 ? 'there is no such entity here' : `it is at v${actual} here`
  const message = `v${version} of ${entity} is not the next: ${here}`
  const hint = 'with --renumber lines get the versions that come next, as those of a filtered log need it'
  return new KumaError('KUMA_CONFLICT', message, { entity, expected: version - 1, actual }, { hint })
}

function refusedBefore(entity: string): KumaError<'KUMA_CONFLICT'> {
  const message = `an earlier event of ${entity} was refused`
  return new KumaError('KUMA_CONFLICT', message, { entity, expected: 0, actual: 0 })
}
