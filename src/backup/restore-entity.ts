/**
 * Brings one entity of a backup into a living store. Where the store has no such entity, its events are recorded as they
 * were and with their request keys, under its own id or another; where it has a beginning of them, those that are missing,
 * so that a restore which was cut off can be run again. Where its history went another way, nothing is taken back: a document gets one event more
 * that makes its state what it was, and that can be reverted like any other.
 */
import { isDeepStrictEqual } from 'node:util'
import type { CopiedRequest, Engine, UncheckedEvent } from '../engine.ts'
import { DOCUMENT, patchBetween } from '../entity/document.ts'
import type { RecordedEvent } from '../entity/event.ts'
import type { JsonObject } from '../entity/json.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { KumaError } from '../errors.ts'
import type { Readers } from '../store/readers.ts'
import { copiedRequests } from './copied-requests.ts'

const GROUP_EVENTS = 500
const GROUP_CHARS = 1024 * 1024

export interface RestoreEntityOptions {
  readonly id: string
  /** As it was at this point. Default: its newest event in the backup. */
  readonly at?: ResolvedPoint | undefined
  /** The id that it gets. Default: its own. */
  readonly into?: string | undefined
  /** kept as `reason` in the meta of an event that changes a state */
  readonly reason: string
}

/** Opened to read, as an engine and as it is stored. */
export interface Backup {
  readonly from: Engine
  readonly readers: Readers
}

export interface RestoredEntity {
  readonly entity: string
  readonly version: number
  /** how many were recorded: 0 if it was so already, or is further on */
  readonly events: number
}

/**
 * @throws KUMA_NOT_FOUND if the backup has no such entity; KUMA_ALREADY_EXISTS if the other id has another history;
 * KUMA_CONFLICT if its own has, and it is no document; what reading and appending throw
 */
export async function restoreEntity(
  backup: Backup,
  to: Engine,
  options: RestoreEntityOptions,
): Promise<RestoredEntity> {
  const { from } = backup
  const { id, at, into, reason } = options
  const entity = into ?? id
  const then = await from.inspect(id, at)
  const now = await to.find(entity)
  const shared = now === null ? 0 : await sharedVersions(from.log({ id, to: at }), to.log({ id: entity }))
  if (now === null || shared === now.version) {
    const events = await appendAfter(shared, backup, to, { id, at, entity, type: then.type as string })
    return { entity, version: shared + events, events }
  }
  const nothing = { entity, version: now.version, events: 0 }
  const isDocument = now.type === DOCUMENT && then.type === DOCUMENT
  // it has all of them, and goes on
  if (shared === then.version && (into !== undefined || !isDocument)) return nothing
  if (into !== undefined) {
    const hint = 'give an id that is not used yet'
    const message = `${entity} exists, and is not what ${id} was`
    throw new KumaError('KUMA_ALREADY_EXISTS', message, { entity, version: now.version }, { hint })
  }
  if (!isDocument) throw otherHistory(entity, shared, now.version)
  const patch = patchBetween((await to.inspect(entity)).state as JsonObject, then.state as JsonObject)
  if (patch === undefined) return nothing
  const events = [{ type: 'Restored', data: patch, meta: { reason } }]
  const { version } = await to.append({ id: entity, type: DOCUMENT, events, expectedVersion: now.version })
  return { entity, version, events: 1 }
}

/** How many events both have in common, from the first on. */
async function sharedVersions(a: AsyncIterable<RecordedEvent>, b: AsyncIterable<RecordedEvent>): Promise<number> {
  const others = b[Symbol.asyncIterator]()
  let shared = 0
  for await (const event of a) {
    const { value, done } = await others.next()
    if (done || !isSame(event, value)) break
    shared++
  }
  await others.return?.()
  return shared
}

function isSame(a: RecordedEvent, b: RecordedEvent): boolean {
  return a.type === b.type && a.at === b.at && isDeepStrictEqual([a.data, a.meta], [b.data, b.meta])
}

/** With their request keys. What was recorded together is recorded together. */
async function appendAfter(
  shared: number,
  { from, readers }: Backup,
  to: Engine,
  { id, at, entity, type }: { id: string; at: ResolvedPoint | undefined; entity: string; type: string },
): Promise<number> {
  const asked = copiedRequests(readers, id, shared, at)
  let next = asked.next().value
  let events: UncheckedEvent[] = []
  let requests: CopiedRequest[] = []
  let [chars, version] = [0, shared]
  const append = async () => {
    if (events.length + requests.length === 0) return
    const expectedVersion = version - events.length
    const newType = expectedVersion === 0 ? type : undefined
    await to.appendCopy({ id: entity, type, newType, events, expectedVersion, requests })
    events = []
    requests = []
    chars = 0
  }
  const take = async () => {
    for (; next && next.version === version; next = asked.next().value) {
      requests.push(next)
      if (requests.length === GROUP_EVENTS) await append()
    }
  }
  await take()
  for await (const event of from.log({ id, from: { version: shared + 1 }, to: at })) {
    if (event.version <= shared) continue
    // a group may be as large as what one append takes
    if (next && next.count > 1 && event.version === next.version - next.count + 1) await append()
    version = event.version
    events.push({ type: event.type, data: event.data, meta: event.meta, at: event.at })
    chars += JSON.stringify(event.data).length
    await take()
    const isWithin = next && next.version - next.count < version
    if (!isWithin && (events.length >= GROUP_EVENTS || chars >= GROUP_CHARS)) await append()
  }
  await append()
  return version - shared
}

function otherHistory(entity: string, shared: number, actual: number): KumaError<'KUMA_CONFLICT'> {
  const message = `the history of ${entity} went another way after v${shared}, and only a document can be set to a state`
  const hint = 'restore it beside, with --into and a new id'
  return new KumaError('KUMA_CONFLICT', message, { entity, expected: shared, actual }, { hint })
}
