/**
 * An actor is the live, single writer of one entity. It keeps two stands of it: the durable one, which is all that
 * readers see, and the next one, on which appends and commands are decided while earlier ones are still on their way to
 * the disk.
 *
 * They are decided one after the other, in the order of the calls. A decision that takes its time holds the mailbox:
 * whoever comes meanwhile waits in it. When a commit fails, the next stand falls back to the durable one, and a
 * decision that was begun before is rejected with it. An answer without an event of its own (a rejection, a known
 * request key, a command that changes nothing) rests on the next stand, so it is not given before that stand is
 * durable; if it never is, the caller gets that failure instead.
 *
 * Of a command under a request key the first answer is the one for good, also if that is that nothing changes: then it is
 * recorded as well (store/empty-answer.ts). A rejection is not: it promises nothing, and what the entity does not allow
 * today it may allow when the same message comes again. Nor is that nothing changes where no entity is: nothing is made to
 * keep it.
 *
 * Whoever waited is decided in the async context of his own call (AsyncLocalStorage), and not of the one who let him in.
 */
import { AsyncResource } from 'node:async_hooks'
import { type Caller, fromCaller, refusal, telling } from '../callers-line.ts'
import type { Group } from '../commit/batch.ts'
import { cascaded, type Lane, type Pending, type Settlement } from '../commit/lane.ts'
import type {
  AppendRequest,
  AppendResult,
  CopiedRequest,
  CopyRequest,
  DecideRequest,
  ExecuteRequest,
  ExecuteResult,
  UncheckedEvent,
} from '../engine.ts'
import { checkBeginning } from '../entity/check-event.ts'
import { type CheckedCommand, checkCommand, decide } from '../entity/decide.ts'
import type { Definition } from '../entity/define-entity.ts'
import { EMPTY_META, type Meta, mergeMeta, type RecordedEvent } from '../entity/event.ts'
import { evolveNew, evolveRecorded } from '../entity/fold-check.ts'
import { checkId } from '../entity/id.ts'
import { copyPlain, type JsonObject } from '../entity/json.ts'
import { revertTo } from '../entity/revert.ts'
import { sizeOf } from '../entity/state-size.ts'
import { upcast } from '../entity/upcast.ts'
import { isKumaError, KumaError, quoted } from '../errors.ts'
import type { KeyRow, NewEntity } from '../store/commit.ts'
import { answersOf, emptyAnswer } from '../store/empty-answer.ts'
import { keyHash, requestDigest, withKey } from '../store/request-key.ts'
import type { Head, ShardReader } from '../store/shard-reader.ts'
import { inSlices, PRESENT } from '../store/slices.ts'
import { Acks } from './acks.ts'
import { beginning, NOWHERE, type Stand, standAt } from './activate.ts'
import type { Definitions } from './definitions.ts'
import { DocumentStand, readableState } from './document-stand.ts'
import { type Drafted, draft, type Place } from './draft.ts'
import { type Keyed, RequestKeys } from './request-keys.ts'
import { stateRow } from './snapshot.ts'

/** What an actor needs around it. */
export interface Shard {
  readonly reader: ShardReader
  readonly lane: Lane
  readonly definitions: Definitions
  readonly traffic: Traffic
  readonly decideTimeoutMs: number
}

/** What goes on in all actors together. */
export interface Traffic {
  reads: number
  /** calls that wait for an actor to load, or for a decision */
  waiting: number
  deciding: number
  /** A clock that costs nothing to read: whole seconds, from wherever. */
  seconds: number
  /** Somebody wants to know how long appends take. */
  isWatched: boolean
  /** Gives up each decision that is waited for: nothing is recorded of it. */
  readonly decisions: Set<(why: KumaError) => void>
  /** Why no decision is waited for any more; null while they are. */
  givenUp: KumaError | null
}

export interface RevertToRequest extends DecideRequest {
  /** of the entity in its shard */
  readonly key: number
  /** that is to be brought back, and its state */
  readonly version: number
  readonly state: unknown
}

/** Calls that may wait for one actor. */
export const MAILBOX_MAX = 16_384

type Call = () => void

type Admitted = Pick<ExecuteRequest, 'type' | 'newType' | 'expectedVersion'> & Pick<AppendRequest, 'recorded'>
type Kept = Pick<CopiedRequest, 'requestKey' | 'digest' | 'version' | 'count'>

/** Events that are ready to be recorded, and where. */
interface Made {
  readonly place: Place
  readonly drafted: Drafted
  /** of the entity */
  readonly type: string
  readonly created: NewEntity | null
}

const NO_KEYS: readonly KeyRow[] = []
const NO_GROUPS: readonly Group[] = []

export class Actor {
  /** Rounds of the search for idle actors since it was last used. */
  idleRounds = 0
  /** By the clock of `traffic`: when it came, and was last used. */
  readonly bornAt: number
  usedAt: number
  /** Events a second, and the version at which they were counted: the census keeps it here. */
  rate = 0
  counted: number
  /** How long its last appends took: kept while somebody watches. */
  acks: Acks | null = null
  private next: Stand
  /** It was on disk before this actor was: so may be request keys of it. */
  private readonly existed: boolean
  /** Holds the newest of its rows that are on their way to the disk; null if none is. */
  private last: Pending | null = null
  /** The seqs of its newest row that was recorded, and that is on disk: of an event, or of an empty answer. */
  private recordedSeq: number
  private durableSeq: number
  /** Its newest empty answer; null while that was not asked for. */
  private answered: Head | null = null
  /** made when the first request key comes */
  private keys: RequestKeys | null = null
  private deciding = false
  private lettingIn = false
  private mailbox: Call[] | null = null
  /** Raised when what was decided is lost. */
  private generation = 0
  private failure: KumaError | null = null

  /** @param key the entity's key in its shard, 0 while it does not exist */
  constructor(
    readonly id: string,
    private readonly idHash: number,
    private key: number,
    public type: string | null,
    public durable: Stand,
    readonly shard: Shard,
  ) {
    this.bornAt = shard.traffic.seconds
    this.usedAt = this.bornAt
    this.counted = durable.version
    this.next = durable
    this.recordedSeq = durable.seq
    this.durableSeq = durable.seq
    this.existed = durable.version > 0
  }

  /** Nothing is under way, and what is on disk is enough to bring it back. */
  get canLeave(): boolean {
    return !this.isBusy && this.durableSeq <= this.shard.lane.flushed
  }

  touch(): void {
    this.idleRounds = 0
    this.usedAt = this.shard.traffic.seconds
  }

  /** Calls that wait here, and events on their way to the disk. */
  get backlog(): number {
    return (this.mailbox?.length ?? 0) + this.next.version - this.durable.version
  }

  get isBusy(): boolean {
    return this.deciding || this.last !== null
  }

  /** Keeps its durable state. False if that is done, it is too large, or JSON cannot give it back. @throws KUMA_NOT_FOUND */
  async snapshot(): Promise<boolean> {
    const { reader, definitions, lane } = this.shard
    const { version } = this.durable
    if (version === 0) throw notFound(this.id)
    const definition = definitions.of(this.type!)
    if (reader.snapshot(this.key, { version }, definition.version)?.version === version) return false
    const size = sizeOf(this.durable.state, definitions.stateBytesMax)
    const row = stateRow(this.key, this.durable, size, definition, definitions)
    if (row === null) return false
    lane.addSnapshot(row)
    await lane.sweep()
    return true
  }

  /** So that it can leave later on. */
  askForHead(): void {
    const { lane } = this.shard
    if (this.durableSeq > lane.flushed) lane.sweepWanted = true
  }

  /** @param caller the public function that was called, if that has not returned: for the stack of a refusal */
  append(request: AppendRequest, caller?: Caller): Promise<AppendResult> {
    if (this.deciding) {
      const kept = copyPlain(request) // it waits, and the caller goes on
      return telling(this.afterDecision(() => this.append(kept)))
    }
    try {
      const { requestKey, events } = request
      const asked = requestKey === undefined ? [] : askedOf(events)
      const digest = requestKey === undefined ? '' : requestDigest(asked)
      const keyed = this.recall(requestKey, asked, digest)
      if (keyed === null) return this.record(request, events, digest, false)
      const answer = { ...this.receipt(keyed.stand), repeated: true } as const
      return this.whenDurable(request, keyed.seq, () => answer)
    } catch (error) {
      return this.rejectWhenDurable(request, fromCaller(error, caller))
    }
  }

  /** @param caller the public function that was called, if that has not returned: for the stack of a refusal */
  execute(request: ExecuteRequest, caller?: Caller): Promise<ExecuteResult> {
    const kept = this.deciding ? copyPlain(request) : request
    const { type, data } = kept.command
    const asked = ['execute', type, data ?? {}]
    return this.decideIn(kept, asked, (definition) => checkCommand(definition, kept.command), caller)
  }

  revert(request: RevertToRequest): Promise<ExecuteResult> {
    return this.decideIn(request, ['revert', request.version], (definition) => {
      if (request.key !== this.key) throw notFound(this.id) // the id is another entity's by now
      return revertTo(definition, request.state)
    })
  }

  /** @param digested what makes the request what it is */
  private decideIn(
    request: DecideRequest,
    digested: readonly unknown[],
    commandOf: (definition: Definition) => CheckedCommand,
    caller?: Caller,
  ): Promise<ExecuteResult> {
    if (this.deciding) return this.afterDecision(() => this.decideIn(request, digested, commandOf))
    try {
      const { requestKey } = request
      const digest = requestKey === undefined ? '' : requestDigest(digested)
      const keyed = this.recall(requestKey, digested, digest)
      if (keyed !== null) return this.whenDurable(request, keyed.seq, () => this.repeat(keyed))
      this.shard.lane.assertRoom()
      const definition = this.admit(request)
      return this.decide(request, definition, commandOf(definition), digest)
    } catch (error) {
      return this.rejectWhenDurable(request, fromCaller(error, caller))
    }
  }

  /** On the next stand. Nobody is let in before the decision is recorded, not even the model itself. */
  private decide(
    request: DecideRequest,
    definition: Definition,
    command: CheckedCommand,
    digest: string,
  ): Promise<ExecuteResult> {
    if (this.shard.traffic.givenUp !== null) throw this.shard.traffic.givenUp
    const stand = this.next.version > 0 ? this.next : beginning(definition, this.id)
    const { version, state } = stand
    const about = { id: this.id, version, now: Date.now(), meta: mergeMeta(request.meta) ?? EMPTY_META }
    let decision: ReturnType<typeof decide> | undefined
    this.deciding = true
    try {
      decision = decide(definition, command, state, about)
      return decision instanceof Promise
        ? this.concludeLater(request, command.type, decision, stand, digest)
        : this.conclude(request, decision, stand, digest)
    } finally {
      if (!(decision instanceof Promise)) this.letIn()
    }
  }

  private async concludeLater(
    request: DecideRequest,
    command: string,
    decision: Promise<readonly UncheckedEvent[]>,
    stand: Stand,
    digest: string,
  ): Promise<ExecuteResult> {
    const { traffic, decideTimeoutMs, lane } = this.shard
    const { generation } = this
    let giveUp: (why: KumaError) => void = () => {}
    const givenUp = new Promise<never>((_, reject) => (giveUp = reject))
    traffic.deciding++
    traffic.decisions.add(giveUp)
    try {
      const events = await Promise.race([inTime(decision, decideTimeoutMs, command), givenUp])
      // what it was decided on is not there any more
      if (generation !== this.generation) throw cascaded(this.failure!, lane.shard)
      return this.conclude(request, events, stand, digest)
    } catch (error) {
      return this.rejectWhenDurable(request, error)
    } finally {
      traffic.decisions.delete(giveUp)
      traffic.deciding--
      this.letIn()
    }
  }

  /** @param stand that was decided on: the next one, or the beginning of an entity that is not there */
  private conclude(
    request: DecideRequest,
    events: readonly UncheckedEvent[],
    stand: Stand,
    digest: string,
  ): Promise<ExecuteResult> {
    if (events.length > 0) return this.record(request, events, digest, true) as Promise<ExecuteResult>
    const { requestKey } = request
    if (requestKey !== undefined && stand.version > 0)
      return this.recordAnswer(requestKey, digest) as Promise<ExecuteResult>
    return this.whenDurable(request, stand.seq, () => this.executed(stand, []))
  }

  private executed(stand: Stand, events: readonly RecordedEvent[]): ExecuteResult {
    return { ...this.receipt(stand), events, state: readableState(stand) as JsonObject }
  }

  /** The first answer to a command again, from what it recorded. */
  private async repeat({ stand, count }: Keyed): Promise<ExecuteResult> {
    const { reader, definitions } = this.shard
    const definition = definitions.of(this.type!)
    const entity = reader.find(this.id, this.idHash)
    if (entity === null) throw notFound(this.id)
    const seqs = Array.from({ length: count }, (_, i) => stand.seq - count + 1 + i)
    const events = reader.rows(seqs).map((row) => upcast(definition, reader.recorded(row, entity)))
    const then = await inSlices(standAt({ reader, entity, head: stand }, definition), PRESENT)
    return { ...this.executed(then!, events), repeated: true }
  }

  private afterDecision<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.mailbox !== null && this.mailbox.length >= MAILBOX_MAX) throw overloaded(this.id)
      this.wait(() => call().then(resolve, reject))
    })
  }

  private wait(call: Call): void {
    const own = new AsyncResource('KUMA_CALL')
    this.shard.traffic.waiting++
    this.mailbox ??= []
    this.mailbox.push(() => own.runInAsyncScope(call))
  }

  /** Lets in who waits, until one of them must be waited for. */
  private letIn(): void {
    this.deciding = false
    if (this.lettingIn) return // one of those who were let in has been decided at once: the loop below goes on
    this.lettingIn = true
    while (!this.deciding && this.mailbox !== null) {
      const call = this.mailbox.shift()
      if (this.mailbox.length === 0) this.mailbox = null
      this.shard.traffic.waiting--
      call!()
    }
    this.lettingIn = false
  }

  /** When no decision is awaited any more. Finds its place in a full mailbox too. */
  settled(): Promise<void> {
    return this.deciding ? new Promise((done) => this.wait(() => done(this.settled()))) : Promise.resolve()
  }

  /** When it has nothing left to decide, and nothing on its way to the disk. */
  async atRest(): Promise<void> {
    await this.settled()
    const { last } = this
    if (last !== null) await new Promise<void>((done) => last.settlements.push({ durable: done, failed: () => done() }))
  }

  private recall(requestKey: string | undefined, asked: readonly unknown[], digest: string): Keyed | null {
    if (requestKey === undefined) return null
    this.keys ??= new RequestKeys(this.id, this.shard, this.existed)
    return this.keys.recall(this.key, requestKey, asked, digest)
  }

  private receipt({ version, seq, at }: Stand): AppendResult {
    return { version, position: this.shard.reader.positionOf(seq), at }
  }

  private record(
    request: AppendRequest | DecideRequest,
    given: readonly UncheckedEvent[],
    digest: string,
    executing: boolean,
  ): Promise<AppendResult> {
    const { requestKey } = request
    const made = this.make(request, given, request.meta, executing)
    if (made.created !== null && !('recorded' in request && request.recorded))
      checkBeginning(this.shard.definitions.of(made.type), given)
    const { version } = made.drafted.stand
    const keys =
      requestKey === undefined ? NO_KEYS : [this.keep(made, { requestKey, digest, version, count: given.length })]
    return this.add(made, keys, NO_GROUPS, requestKey)
  }

  /** Makes events ready to be recorded. Nothing here is changed by it. */
  private make(
    request: Admitted,
    given: readonly UncheckedEvent[],
    meta: Meta | undefined,
    executing: boolean,
    fold: typeof evolveNew | typeof evolveRecorded = evolveNew,
  ): Made {
    const { lane } = this.shard
    lane.assertRoom()
    const definition = this.admit(request)
    const { id, idHash, next: before } = this
    const [seq, key] = [lane.nextSeq, before.version === 0 ? lane.nextKey : this.key]
    const place = { id, key, seq, before }
    const drafted = draft(this.shard, place, definition, given, meta, executing, fold, request.recorded)
    const { drafts, stand } = drafted
    // the model's code has run: had it appended here, this request would stand on what is no longer the end of the log
    if (lane.nextSeq !== seq || this.next !== before) throw appendedMeanwhile(id, drafts[0]!.type, stand.version)
    const { type } = definition
    const created = before.version === 0 ? { key, idHash, id, type, createdAt: drafts[0]!.at } : null
    return { place, drafted, type, created }
  }

  /** Puts a request key on the first event of its group. @param version of its last */
  private keep(
    { place: { seq, before }, drafted: { drafts } }: Made,
    { requestKey, digest, version, count }: Kept,
  ): KeyRow {
    const last = version - before.version - 1
    const first = last - count + 1
    drafts[first] = { ...drafts[first]!, meta: withKey(drafts[first]!.meta, { key: requestKey, count, digest }) }
    const stand = { ...NOWHERE, version, seq: seq + last, at: drafts[last]!.at } // its state may be large
    this.keys!.remember(requestKey, { digest, count, seq: stand.seq, stand })
    return { seq: seq + first, hash: keyHash(this.id, requestKey), count, digest }
  }

  /** Records that a request was answered without an event. */
  private recordAnswer(requestKey: string, digest: string): Promise<AppendResult> {
    const { lane } = this.shard
    lane.assertRoom()
    const { next: stand } = this
    const seq = lane.nextSeq
    const answer = this.answer(this.key, { requestKey, digest, at: Date.now() }, seq, stand)
    return this.send(answer, NO_GROUPS, seq, stand, requestKey, [])
  }

  /** An answer without an event, as it is recorded at a seq. @param after where the entity stood */
  private answer(
    key: number,
    { requestKey, digest, at: given }: Pick<CopiedRequest, 'requestKey' | 'digest' | 'at'>,
    seq: number,
    after: Pick<Stand, 'version' | 'seq' | 'at'>,
  ): Group {
    const entity = answersOf(key)
    const { version: last, seq: prev, at: before } = this.answered ?? this.shard.reader.head(entity) ?? NOWHERE
    const [version, at] = [last + 1, Math.max(given, before, after.at)]
    const drafts = [{ ...emptyAnswer(after.seq), meta: withKey(null, { key: requestKey, count: 0, digest }), at }]
    this.answered = { version, seq, at }
    const stand = { ...NOWHERE, version: after.version, seq: after.seq, at: after.at } // its state may be large
    this.keys!.remember(requestKey, { digest, count: 0, seq, stand })
    const keys = [{ seq, hash: keyHash(this.id, requestKey), count: 0, digest }]
    return { entity, created: null, version, prev, drafts, keys }
  }

  /** Events of a copy, with the requests that they were recorded for there. */
  appendCopy(request: CopyRequest): Promise<AppendResult> {
    if (this.deciding) return this.afterDecision(() => this.appendCopy(request))
    try {
      return this.recordCopy(request)
    } catch (error) {
      return this.rejectWhenDurable({}, error)
    }
  }

  private recordCopy(request: CopyRequest): Promise<AppendResult> {
    const { events, requests } = request
    const { next: before } = this
    const isEmpty = events.length === 0 && before.version > 0
    const made = isEmpty
      ? this.nothing(request)
      : this.make({ ...request, recorded: true }, events, undefined, false, evolveRecorded)
    checkRequests(request)
    this.keys ??= new RequestKeys(this.id, this.shard, this.existed)
    const { key, seq } = made.place
    const { drafts } = made.drafted
    // of a copy that was cut off, and is made again
    const isNew = ({ requestKey }: CopiedRequest) => !this.keys!.knows(this.key, requestKey)
    const unanswered = requests.filter((one) => one.count === 0 && isNew(one))
    const keys = requests.filter(({ count }) => count > 0).map((one) => this.keep(made, one))
    const answers = unanswered.map((one, i) => {
      const last = one.version - before.version - 1
      const after = last < 0 ? before : { version: one.version, seq: seq + last, at: drafts[last]!.at }
      return this.answer(key, one, seq + drafts.length + i, after)
    })
    if (drafts.length + answers.length > 0) return this.add(made, keys, answers, undefined)
    return this.whenDurable({}, this.recordedSeq, () => this.receipt(before))
  }

  private nothing(request: CopyRequest): Made {
    this.shard.lane.assertRoom()
    const { type } = this.admit(request)
    const { id, key, next: before } = this
    const place = { id, key, seq: this.shard.lane.nextSeq, before }
    return { place, drafted: { drafts: [], events: null, stand: before, snapshots: [] }, type, created: null }
  }

  private add(
    made: Made,
    keys: readonly KeyRow[],
    answers: readonly Group[],
    requestKey: string | undefined,
  ): Promise<AppendResult> {
    const { place, drafted, type, created } = made
    const { key, seq, before } = place
    const { drafts, events, stand, snapshots } = drafted
    const group = { entity: key, created, version: before.version + 1, prev: before.seq, drafts, keys }
    const last = seq + drafts.length + answers.length - 1
    const recording = this.send(group, answers, last, stand, requestKey, events)
    for (const row of snapshots) this.shard.lane.addSnapshot(row)
    this.key = key
    this.type = type
    this.next = stand
    return recording
  }

  /** @param seq of the last row @param stand after it */
  private send(
    group: Group,
    others: readonly Group[],
    seq: number,
    stand: Stand,
    requestKey: string | undefined,
    events: readonly RecordedEvent[] | null,
  ): Promise<AppendResult> {
    return new Promise((resolve) => {
      const begun = this.shard.traffic.isWatched ? performance.now() : 0
      const settlement = new Recording(this, seq, stand, requestKey, events, begun, resolve)
      this.last = this.shard.lane.add(group, settlement, others)
      this.recordedSeq = seq
    })
  }

  /** On disk: readers see it from now on. */
  advance(seq: number, stand: Stand, events: readonly RecordedEvent[] | null): AppendResult {
    if (stand instanceof DocumentStand) stand.settle()
    this.durable = stand
    this.durableSeq = seq
    if (this.recordedSeq === seq) this.last = null // it holds the whole batch
    return events === null ? this.receipt(stand) : this.executed(stand, events)
  }

  acknowledged(ms: number): void {
    this.acks ??= new Acks()
    this.acks.add(ms)
  }

  /** What was on its way is lost. */
  fallBack(error: KumaError): void {
    this.next = this.durable
    this.last = null
    this.recordedSeq = this.durableSeq
    this.answered = null
    this.generation++
    this.failure = error
    this.keys?.forgetAfter(this.durableSeq)
    if (this.durable.version > 0) return
    this.key = 0
    this.type = null
  }

  /** May this request be recorded on the next stand? Then by which definition. */
  private admit({ type, newType, expectedVersion }: Admitted): Definition {
    const { version } = this.next
    if (version === 0 && (newType === undefined || expectedVersion === 'exists')) throw notFound(this.id)
    if (version === 0 && newType === null) throw typeless(this.id)
    if (expectedVersion !== undefined && expectedVersion !== 'exists' && expectedVersion !== version) {
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

  /** Answers when its row at `seq`, or all that was on its way when it was asked, is on disk. */
  private whenDurable<T>(
    { requestKey }: { requestKey?: string | undefined },
    seq: number,
    answer: () => T | Promise<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        try {
          resolve(answer())
        } catch (error) {
          reject(error)
        }
      }
      if (this.last === null || seq <= this.durableSeq) return settle()
      const failed = (error: KumaError) => resolve(refusal(withRequestKey(error, requestKey)))
      this.last.settlements.push({ durable: settle, failed })
    })
  }

  private rejectWhenDurable(request: { requestKey?: string | undefined }, error: unknown): Promise<never> {
    return this.whenDurable(request, this.recordedSeq, () => {
      throw error
    })
  }

  /** The durable state, frozen. */
  frozenState(): unknown {
    return readableState(this.durable)
  }
}

/** Events of one actor on their way to the disk, and who waits for them. A class: it costs less than closures. */
class Recording implements Settlement {
  constructor(
    private readonly actor: Actor,
    /** of the last of them */
    private readonly seq: number,
    private readonly stand: Stand,
    private readonly requestKey: string | undefined,
    /** if the caller wants them back */
    private readonly events: readonly RecordedEvent[] | null,
    /** when, if that is watched; else 0 */
    private readonly begun: number,
    private readonly resolve: (result: AppendResult | Promise<never>) => void,
  ) {}

  durable(): void {
    if (this.begun > 0) this.actor.acknowledged(performance.now() - this.begun)
    this.resolve(this.actor.advance(this.seq, this.stand, this.events))
  }

  failed(error: KumaError): void {
    this.actor.fallBack(error)
    this.resolve(refusal(withRequestKey(error, this.requestKey)))
  }
}

/** @throws KUMA_TIMEOUT */
function inTime<T>(promise: Promise<T>, timeoutMs: number, command: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => {
      const message = `the decision on ${command} took longer than ${timeoutMs} ms`
      const hint = 'nothing was recorded; does decide wait for this same entity, or for something that never comes?'
      reject(new KumaError('KUMA_TIMEOUT', message, { command, timeoutMs }, { hint }))
    }
    const timer = setTimeout(late, timeoutMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Of what was asked for: not of who asks (`meta`), which may differ in a retry. */
function askedOf(events: readonly UncheckedEvent[]): readonly unknown[] {
  return events.map(({ type, data, at }) => [type, data ?? {}, at ?? null])
}

function withRequestKey(error: KumaError, requestKey: string | undefined): KumaError {
  if (requestKey === undefined || !isKumaError(error, 'KUMA_INDETERMINATE')) return error
  return new KumaError(error.code, error.message, { requestKey }, { cause: error.cause, hint: error.hint ?? undefined })
}

/** They come from anybody who may open a daemon's socket. @throws KUMA_INVALID_ID, KUMA_INVALID_DATA */
function checkRequests({ events, requests, expectedVersion }: CopyRequest): void {
  let end = expectedVersion
  for (const { requestKey, version, count } of requests) {
    checkId(requestKey, 'a request key')
    const isPlaced = version > 0 && count >= 0 && version - count >= (count > 0 ? end : expectedVersion)
    if (!isPlaced || version > expectedVersion + events.length) {
      const message = `the request ${JSON.stringify(requestKey)} is not of these events`
      throw new KumaError('KUMA_INVALID_DATA', message, { path: '' })
    }
    if (count > 0) end = version
  }
}

function appendedMeanwhile(entity: string, type: string, version: number): KumaError<'KUMA_MODEL_FAILED'> {
  const message = `the model appended an event while it was given ${type} (version ${version} of ${entity})`
  const hint = 'evolve and validators must be pure: append from where you call append, after it has resolved'
  return new KumaError('KUMA_MODEL_FAILED', message, { entity, type, version }, { hint })
}

export function overloaded(id: string): KumaError<'KUMA_OVERLOADED'> {
  const message = `${MAILBOX_MAX.toLocaleString('en')} calls wait for ${JSON.stringify(id)}`
  const hint = 'wait for answers before calling more'
  return new KumaError('KUMA_OVERLOADED', message, { retryAfterMs: 100 }, { hint })
}

export function erased(id: string): KumaError<'KUMA_ERASED'> {
  const hint = 'what was recorded of this is erased too; the id may be used again, for a new entity'
  return new KumaError('KUMA_ERASED', `${id} was erased meanwhile`, { entity: id }, { hint })
}

export function notFound(id: string): KumaError<'KUMA_NOT_FOUND'> {
  return new KumaError('KUMA_NOT_FOUND', `there is no entity ${JSON.stringify(id)}`, { entity: id })
}

function typeless(id: string): KumaError<'KUMA_UNKNOWN_TYPE'> {
  const message = `there is no entity ${JSON.stringify(id)}, and nothing says of which type it would be`
  const hint = 'say its `type`, or which ids are of which type: `ids` in kuma.config.ts'
  return new KumaError('KUMA_UNKNOWN_TYPE', message, { type: null }, { hint })
}

export function typeMismatch(id: string, expected: string, actual: string): KumaError<'KUMA_TYPE_MISMATCH'> {
  const message = `${id} is of type ${JSON.stringify(actual)}, not ${quoted(expected)}`
  return new KumaError('KUMA_TYPE_MISMATCH', message, { entity: id, expected, actual })
}
