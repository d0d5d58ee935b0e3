/** Brings an earlier state back: which event does that the definition says, on the state as it stands then. */
import { standAt } from '../actor/activate.ts'
import type { RevertToRequest } from '../actor/actor.ts'
import type { Definitions } from '../actor/definitions.ts'
import type { Reverted } from '../api.ts'
import type { ExecuteResult, RevertRequest } from '../engine.ts'
import { canonicalJson } from '../entity/canonical-json.ts'
import { decide } from '../entity/decide.ts'
import { EMPTY_META, mergeMeta, type NewEvent } from '../entity/event.ts'
import { foldNew } from '../entity/given.ts'
import { asJson, type JsonObject } from '../entity/json.ts'
import { revertTo } from '../entity/revert.ts'
import type { Readers } from '../store/readers.ts'
import { inSlices, PAST } from '../store/slices.ts'
import { between, diff } from './diff.ts'
import { before, checkPoint, inspectAt } from './inspect-at.ts'
import { locate } from './locate.ts'

/**
 * @param record decides and records in the entity's turn; without it nothing is recorded
 * @param signal ends it, until it is being recorded
 * @throws KUMA_CANNOT_REVERT, KUMA_REJECTED if the definition's handler throws; what `inspectAt` and `record` throw
 */
export async function revert(
  readers: Readers,
  definitions: Definitions,
  request: RevertRequest,
  record: ((request: RevertToRequest) => Promise<ExecuteResult>) | null,
  signal?: AbortSignal,
): Promise<Reverted> {
  const { id, to } = request
  const located = locate(readers, id)
  checkPoint(located, to)
  const definition = definitions.of(located.entity.type)
  const then = await inSlices(standAt(located, definition, to), PAST, signal)
  if (then === null) throw before(located)
  const { version, state } = then
  const meta = mergeMeta({ reason: `reverted to v${version}` }, request.meta)!
  const reverting = { ...request, meta, key: located.entity.key, version, state }
  const reverted = record === null ? await wouldRevert() : await recordWith(record)
  const isExact = canonicalJson(asJson(reverted.diff.to.state, id)) === canonicalJson(asJson(state, id))
  return { ...reverted, isExact }

  async function recordWith(decideAndRecord: NonNullable<typeof record>) {
    const { events, version, position, at } = await decideAndRecord(reverting)
    const from = { version: version - events.length }
    const made = await diff(readers, definitions, { id, from, to: { version } })
    return { version, position, at, events: events.map(({ type, data, meta }) => ({ type, data, meta })), diff: made }
  }

  async function wouldRevert() {
    const now = await inspectAt(readers, definitions, id, { version: located.head.version }, signal)
    const about = { id, version: now.version, now: Date.now(), meta }
    const events = await decide(definition, revertTo(definition, state), now.state, about)
    const after = foldNew(definition, now.state, events, about) as JsonObject
    const { version, position, at } = now
    const told = events.map((event) => ({ ...event, meta: mergeMeta(meta, event.meta) ?? EMPTY_META }) as NewEvent)
    return {
      version,
      position,
      at,
      events: told,
      diff: between(now, { ...now, version: version + events.length, state: after }),
    }
  }
}
