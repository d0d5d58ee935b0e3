/**
 * An import that records nothing: what would be recorded is made by the code that makes it otherwise (actor/draft.ts), by
 * the models of the config here, and stands in memory for the events after it. Memory grows with what it is given: the state
 * of each entity, and eight bytes of each event.
 */
import { hash } from 'node:crypto'
import { NOWHERE, type Stand } from '../actor/activate.ts'
import { typeMismatch } from '../actor/actor.ts'
import type { Definitions } from '../actor/definitions.ts'
import { draft } from '../actor/draft.ts'
import { reused } from '../actor/request-keys.ts'
import type { AppendRequest, AppendResult, Engine, UncheckedEvent } from '../engine.ts'
import { checkBeginning } from '../entity/check-event.ts'
import { formatPosition } from '../entity/event.ts'
import { evolveNew } from '../entity/fold-check.ts'
import { checkId } from '../entity/id.ts'
import { sizeOf } from '../entity/state-size.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { requestDigest } from '../store/request-key.ts'
import { type Named, Recorded, type Recorder, textOf } from './import-recorder.ts'

/** An entity as it would be. */
interface Rehearsed {
  /** of the entity; null while there is none */
  type: string | null
  stand: Stand
  /** how many events are there already */
  readonly recorded: number
  /** what tells the events after them from others */
  readonly events: number[]
}

/** No entity comes so far: what expects it is refused, unless its request key is known. */
const NEVER = Number.MAX_SAFE_INTEGER

export class Rehearsal implements Recorder {
  private readonly entities = new Map<string, Promise<Rehearsed>>()
  /** What was asked for under the request keys that it was given. */
  private readonly keys = new Map<string, string>()
  private readonly there: Recorded

  constructor(
    private readonly engine: Engine,
    private readonly definitions: Definitions,
  ) {
    this.there = new Recorded(engine)
  }

  /** One after the other for each entity, as an actor does it. */
  append(request: AppendRequest): Promise<AppendResult> {
    const before = this.entities.get(request.id) ?? this.load(request.id)
    const result = before.then((entity) => this.check(entity, request))
    const after = result.then(
      () => before,
      () => before,
    )
    this.entities.set(request.id, after)
    after.catch(() => this.entities.delete(request.id)) // it could not be loaded: the next one tells that again
    return result
  }

  async isThere(named: Named, version: number, event: UncheckedEvent): Promise<boolean> {
    const { recorded, events } = await this.entities.get(named.id)!
    const rehearsed = events[version - recorded - 1]
    return rehearsed === undefined ? this.there.isThere(named, version, event) : rehearsed === numberOf(event)
  }

  private async load(id: string): Promise<Rehearsed> {
    checkId(id)
    try {
      const { type, version, at, state } = await this.engine.inspect(id)
      const { bytes } = sizeOf(state, this.definitions.stateBytesMax)
      return { type: type as string, stand: { version, seq: version, at, state, bytes }, recorded: version, events: [] }
    } catch (error) {
      if (!isKumaError(error, 'KUMA_NOT_FOUND')) throw error
      return { type: null, stand: NOWHERE, recorded: 0, events: [] }
    }
  }

  private async check(entity: Rehearsed, request: AppendRequest): Promise<AppendResult> {
    const { id, type, newType, events, expectedVersion, requestKey, meta, recorded } = request
    const { stand: before } = entity
    const answer = ({ version, at }: Stand) => ({ version, position: formatPosition(0, version), at })
    if (requestKey !== undefined && (await this.isKnown(entity, request, requestKey)))
      return { ...answer(before), repeated: true }
    if (typeof expectedVersion === 'number' && expectedVersion !== before.version)
      throw conflict(id, expectedVersion, before.version)
    const actual = entity.type ?? newType!
    if (type !== undefined && type !== actual) throw typeMismatch(id, type, actual)
    const { definitions } = this
    const shard = { reader: { positionOf: (seq: number) => formatPosition(0, seq) }, definitions }
    const place = { id, key: 0, seq: before.version + 1, before }
    const definition = definitions.of(actual)
    if (before.version === 0 && !recorded) checkBeginning(definition, events)
    const { stand } = draft(shard, place, definition, events, meta, false, evolveNew, recorded)
    entity.type = actual
    entity.stand = stand
    entity.events.push(...events.map(numberOf))
    if (requestKey !== undefined) this.keys.set(`${id}\0${requestKey}`, digestOf(events))
    return answer(stand)
  }

  /** @throws KUMA_REQUEST_KEY_REUSED */
  private async isKnown({ recorded }: Rehearsed, request: AppendRequest, requestKey: string): Promise<boolean> {
    const { id, events } = request
    checkId(requestKey, 'a request key')
    const digest = this.keys.get(`${id}\0${requestKey}`)
    if (digest !== undefined && digest !== digestOf(events)) throw reused(id, requestKey)
    if (digest !== undefined || recorded === 0) return digest !== undefined
    try {
      await this.engine.append({ id, events, requestKey, expectedVersion: NEVER })
      return true
    } catch (error) {
      if (isKumaError(error, 'KUMA_CONFLICT', 'KUMA_NOT_FOUND', 'KUMA_ERASED')) return false
      throw error
    }
  }
}

function digestOf(events: readonly UncheckedEvent[]): string {
  return requestDigest(events.map(({ type, data, at }) => [type, data ?? {}, at ?? null]))
}

/** 48 bits, so that the events of a long import fit into memory. */
function numberOf(event: UncheckedEvent): number {
  const text = JSON.stringify([textOf(event), event.at ?? null, event.meta ?? {}])
  return Number.parseInt(hash('sha256', text, 'hex').slice(0, 12), 16)
}

function conflict(entity: string, expected: number, actual: number): KumaError<'KUMA_CONFLICT'> {
  const message = `${entity} is at version ${actual}, not ${expected}`
  return new KumaError('KUMA_CONFLICT', message, { entity, expected, actual })
}
