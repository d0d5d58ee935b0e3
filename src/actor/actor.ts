/**
 * An actor is the live, single writer of one entity. It keeps two stands of it: the durable one, which is all that
 * readers see, and the next one, on which appends are decided while earlier ones are still on their way to the disk.
 *
 * Appends are decided one after the other, in the order of the calls. When a commit fails, the next stand falls back
 * to the durable one. An answer without an event of its own (a rejection, a known request key) rests on the next stand,
 * so it is not given before that stand is durable; if it never is, the caller gets that failure instead.
 */
import type { Draft } from '../commit/batch.ts'
import type { Lane, Pending } from '../commit/group-commit.ts'
import type { AppendRequest, AppendResult, UncheckedEvent } from '../engine.ts'
import type { Definition } from '../entity/define-entity.ts'
import { EMPTY_META, formatPosition, mergeMeta } from '../entity/event.ts'
import { CREATED, deepFreeze, evolve, initialState } from '../entity/fold.ts'
import { checkId } from '../entity/id.ts'
import { cleanJson, type JsonObject, jsonText } from '../entity/json.ts'
import { anything, validate } from '../entity/schema.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { keyHash, requestDigest, withKey } from '../store/request-key.ts'
import type { ShardReader } from '../store/shard-reader.ts'
import type { Definitions } from './definitions.ts'

/** An entity at one of its versions. */
export interface Stand {
  /** 0: there is no such entity yet */
  readonly version: number
  readonly seq: number
  readonly at: number
  readonly state: unknown
}

export const NOWHERE: Stand = { version: 0, seq: 0, at: 0, state: undefined }

/** What an actor needs around it. */
export interface Shard {
  readonly reader: ShardReader
  readonly lane: Lane
  readonly definitions: Definitions
}

/** A request key used since heads were last written: it is not in the shard's index yet. */
interface RecentKey {
  readonly digest: string
  readonly stand: Stand
}

/** Events of one entity recorded as one unit: so many at most, and of 4 MiB together. */
export const GROUP_EVENTS_MAX = 4_096
const GROUP_BYTES_MAX = 4 * 1024 * 1024

export class Actor {
  /** Looked at since the last search for idle actors. */
  used = true
  private next: Stand
  private last: Pending | null = null
  private keys: Map<string, RecentKey> | null = null
  /** May the shard's index have a request key of this entity? */
  private keysOnDisk: boolean

  /** @param key the entity's key in its shard, 0 while it does not exist */
  constructor(
    readonly id: string,
    private readonly idHash: number,
    private key: number,
    public type: string | null,
    public durable: Stand,
    readonly shard: Shard,
  ) {
    this.next = durable
    this.keysOnDisk = durable.version > 0
  }

  /** Nothing is under way, and what is on disk is enough to bring it back. */
  get canLeave(): boolean {
    return this.next === this.durable && this.durable.seq <= this.shard.lane.flushed
  }

  /** So that it can leave later on. */
  askForHead(): void {
    const { lane } = this.shard
    if (this.durable.seq > lane.flushed) lane.sweepWanted = true
  }

  append(request: AppendRequest): Promise<AppendResult> {
    try {
      const repeated = this.recall(request)
      if (repeated === null) return this.record(request)
      const answer = { ...this.receipt(repeated), repeated: true }
      if (repeated.seq <= this.durable.seq) return Promise.resolve(answer)
      return this.whenDurable(request, (resolve) => resolve(answer))
    } catch (error) {
      return this.whenDurable(request, (_, reject) => reject(error as Error))
    }
  }

  /** The first answer to a request key, if it was used before. @throws KUMA_REQUEST_KEY_REUSED */
  private recall({ requestKey, events }: AppendRequest): Stand | null {
    if (requestKey === undefined) return null
    checkId(requestKey, 'a request key')
    const known = this.keys?.get(requestKey) ?? this.lookUp(requestKey)
    if (known === null || known.digest === digestOf(events)) return known?.stand ?? null
    throw new KumaError(
      'KUMA_REQUEST_KEY_REUSED',
      `the request key ${JSON.stringify(requestKey)} of ${this.id} was used before, with other events`,
      { requestKey },
      { hint: 'a request key stands for one request: take a new one' },
    )
  }

  private lookUp(requestKey: string): RecentKey | null {
    if (!this.keysOnDisk) return null
    const { reader, lane } = this.shard
    const found = reader.keyed(this.key, keyHash(this.id, requestKey), requestKey, lane.keyCommits)
    if (found === null) return null
    const [last] = reader.rows([found.row.seq + found.row.count - 1])
    return { digest: found.row.digest, stand: { ...NOWHERE, version: last!.version, seq: last!.seq, at: last!.at } }
  }

  private receipt({ version, seq, at }: Stand): AppendResult {
    return { version, position: formatPosition(this.shard.lane.shard, seq), at, repeated: false }
  }

  private record(request: AppendRequest): Promise<AppendResult> {
    const { lane } = this.shard
    lane.assertRoom()
    const definition = this.admit(request)
    const [seq, before] = [lane.nextSeq, this.next]
    const { drafts, stand } = this.draft(request, definition)
    const { requestKey } = request
    const digest = requestKey === undefined ? '' : digestOf(request.events)
    // the model's code has run: had it appended here, this request would stand on what is no longer the end of the log
    if (lane.nextSeq !== seq || this.next !== before) throw appendedMeanwhile(this.id, drafts[0]!.type, stand.version)
    const isNew = this.next.version === 0
    const key = isNew ? lane.nextKey : this.key
    const created = isNew
      ? { key, idHash: this.idHash, id: this.id, type: definition.type, createdAt: drafts[0]!.at }
      : null
    const keyRow =
      requestKey === undefined
        ? null
        : { seq: lane.nextSeq, hash: keyHash(this.id, requestKey), count: drafts.length, digest }
    if (requestKey !== undefined) {
      const first = drafts[0]!
      drafts[0] = { ...first, meta: withKey(first.meta, { key: requestKey, count: drafts.length, digest }) }
    }
    return new Promise((resolve, reject) => {
      const group = { entity: key, created, version: this.next.version + 1, prev: this.next.seq, drafts, key: keyRow }
      this.last = lane.add(group, {
        durable: () => {
          this.durable = stand
          if (this.next === stand) this.last = null // it holds the whole batch
          resolve(this.receipt(stand))
        },
        failed: (error) => {
          this.fallBack(requestKey)
          reject(withRequestKey(error, requestKey))
        },
      })
      this.key = key
      this.type = definition.type
      this.next = stand
      // without the state, which may be large
      if (requestKey !== undefined) this.remember(requestKey, { digest, stand: { ...stand, state: undefined } })
    })
  }

  private remember(requestKey: string, recent: RecentKey): void {
    this.keys ??= new Map()
    for (const [key, { stand }] of this.keys) {
      if (stand.seq > this.shard.lane.flushed) break // in order of their seqs
      this.keys.delete(key)
      this.keysOnDisk = true
    }
    this.keys.set(requestKey, recent)
  }

  private fallBack(requestKey: string | undefined): void {
    this.next = this.durable
    this.last = null
    if (requestKey !== undefined) this.keys?.delete(requestKey)
    if (this.durable.version > 0) return
    this.key = 0
    this.type = null
  }

  /** May this request be recorded on the next stand? Then by which definition. */
  private admit({ type, newType, expectedVersion }: AppendRequest): Definition {
    const { version } = this.next
    if (version === 0 && newType === undefined) throw notFound(this.id)
    if (expectedVersion !== undefined && expectedVersion !== version) {
      throw new KumaError(
        'KUMA_CONFLICT',
        `${this.id} is at version ${version}, not ${expectedVersion}`,
        { entity: this.id, expected: expectedVersion, actual: version },
        { hint: 'read it again and decide anew' },
      )
    }
    const actual = this.type ?? newType!
    if (type !== undefined && type !== actual) throw typeMismatch(this.id, type, actual)
    return this.shard.definitions.of(actual)
  }

  /** Validates, encodes and folds the events: nothing of the actor is changed. */
  private draft(request: AppendRequest, definition: Definition): { drafts: Draft[]; stand: Stand } {
    const { events } = request
    if (events.length < 1 || events.length > GROUP_EVENTS_MAX) {
      throw tooLarge(
        `has ${events.length} events: 1 to ${GROUP_EVENTS_MAX.toLocaleString('en')} are recorded as one unit`,
      )
    }
    const { lane } = this.shard
    const now = Date.now()
    let seq = lane.nextSeq
    let bytes = 0
    let { version, at, state } =
      this.next.version > 0 ? this.next : { ...NOWHERE, state: initialState(definition, this.id) }
    const drafts: Draft[] = []
    for (const event of events) {
      version++
      at = this.timeOf(event, version === 1 ? null : at, now)
      const meta = mergeMeta(request.meta, event.meta)
      const data = checkData(definition, event, version)
      const draft = {
        type: event.type,
        data: jsonText(data, `data of ${event.type}`),
        meta: meta === null ? null : jsonText(meta, 'meta'),
        at,
      }
      bytes += draft.data.length + (draft.meta?.length ?? 0)
      if (bytes > GROUP_BYTES_MAX) throw tooLarge('is larger than 4 MiB')
      drafts.push(draft)
      const position = formatPosition(lane.shard, seq++)
      const recorded = {
        type: event.type,
        data,
        entity: this.id,
        entityType: definition.type,
        version,
        position,
        at,
        meta: meta ?? EMPTY_META,
      }
      state = evolve(definition, state, recorded)
    }
    return { drafts, stand: { version, seq: seq - 1, at, state } }
  }

  /** Never before the entity's last event, so that its time order is its version order whatever the clock does. */
  private timeOf({ at }: UncheckedEvent, last: number | null, now: number): number {
    if (at === undefined) return last === null ? now : Math.max(now, last)
    if (Number.isSafeInteger(at) && at <= now && (last === null || at >= last)) return at
    const problem = !Number.isSafeInteger(at)
      ? 'is not a whole number of milliseconds'
      : at > now
        ? `lies ahead of now (${iso(now)})`
        : `is earlier than its last event (${iso(last!)})`
    const shown = Number.isFinite(at) ? iso(at) : String(at)
    const hint = "a historical event comes after the entity's last one and before now; import in order of time"
    throw new KumaError(
      'KUMA_INVALID_TIME',
      `the time ${shown} of an event of ${this.id} ${problem}`,
      { entity: this.id, at },
      { hint },
    )
  }

  /** Settles with the newest batch of this actor that is under way, or at once if there is none. */
  private whenDurable(
    { requestKey }: AppendRequest,
    settle: (resolve: (result: AppendResult) => void, reject: (error: Error) => void) => void,
  ): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      if (this.next === this.durable) return settle(resolve, reject)
      const failed = (error: KumaError) => reject(withRequestKey(error, requestKey))
      this.last!.settlements.push({ durable: () => settle(resolve, reject), failed })
    })
  }

  /** The durable state, frozen. */
  frozenState(): unknown {
    return deepFreeze(this.durable.state)
  }
}

/** @throws KUMA_INVALID_EVENT, KUMA_INVALID_DATA */
function checkData(definition: Definition, { type, data = {} }: UncheckedEvent, version: number): JsonObject {
  checkId(type, 'an event type')
  const schema = definition.schema(type) ?? (type === CREATED && version === 1 ? anything : undefined)
  if (schema === undefined) {
    const message = `${JSON.stringify(definition.type)} has no event ${JSON.stringify(type)}`
    const meant = nearest(type, definition.events)
    const hint = meant === undefined ? `it has ${definition.events.join(', ') || 'none'}` : `did you mean ${meant}?`
    throw new KumaError('KUMA_INVALID_EVENT', message, { type, issues: [{ message }] }, { hint })
  }
  return cleanJson(validate(schema, type, data), `data of ${type}`)
}

/** Of what was asked for: not of who asks (`meta`), which may differ in a retry. */
function digestOf(events: readonly UncheckedEvent[]): string {
  return requestDigest(events.map(({ type, data, at }) => [type, data ?? {}, at ?? null]))
}

function withRequestKey(error: KumaError, requestKey: string | undefined): KumaError {
  if (requestKey === undefined || !isKumaError(error, 'KUMA_INDETERMINATE')) return error
  return new KumaError(error.code, error.message, { requestKey }, { cause: error.cause, hint: error.hint ?? undefined })
}

function appendedMeanwhile(entity: string, type: string, version: number): KumaError<'KUMA_MODEL_FAILED'> {
  const message = `the model appended an event while it was given ${type} (version ${version} of ${entity})`
  const hint = 'evolve and validators must be pure: append from where you call append, after it has resolved'
  return new KumaError('KUMA_MODEL_FAILED', message, { entity, type, version }, { hint })
}

function tooLarge(problem: string): KumaError<'KUMA_INVALID_DATA'> {
  return new KumaError(
    'KUMA_INVALID_DATA',
    `the append ${problem}`,
    { path: '' },
    { hint: 'split it into several appends' },
  )
}

export function notFound(id: string): KumaError<'KUMA_NOT_FOUND'> {
  return new KumaError('KUMA_NOT_FOUND', `there is no entity ${JSON.stringify(id)}`, { entity: id })
}

export function typeMismatch(id: string, expected: string, actual: string): KumaError<'KUMA_TYPE_MISMATCH'> {
  const message = `${id} is of type ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`
  return new KumaError('KUMA_TYPE_MISMATCH', message, { entity: id, expected, actual })
}

function iso(at: number): string {
  return Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at)
}
