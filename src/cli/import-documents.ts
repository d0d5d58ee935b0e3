/**
 * Records exported documents, each where its entity does not exist yet: behind another history its events would be
 * nobody's. So the first group of a document is awaited before its second one is sent; up to 500 events are one group,
 * and recorded together or not at all. Once an event is refused, the document's others are.
 */
import type { AppendRequest } from '../engine.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { type DocumentName, documentGroups, type EventGroup } from './document-reader.ts'
import type { Input } from './import-input.ts'
import { recordedBefore } from './import-line.ts'
import type { ImportRun } from './import-run.ts'

/**
 * A file is read to its end, and every document's SHA-256 compared, before anything is recorded.
 * @param chunks of the first reading
 * @throws KUMA_INVALID_DATA for a document that is not whole, or not as it was exported
 */
export async function importDocuments(run: ImportRun, input: Input, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    if (input.again) await check(run, chunks)
  } catch (error) {
    throw hinted(error, 'nothing was recorded')
  }
  if (run.stopped) return
  try {
    await record(run, input.again ? input.read() : chunks)
  } catch (error) {
    throw hinted(error, 'what came before is recorded; a file is checked before anything of it is')
  }
}

function hinted(error: unknown, hint: string): unknown {
  if (!isKumaError(error, 'KUMA_INVALID_DATA')) return error
  return new KumaError(error.code, error.message, error.details, { hint, cause: error.cause })
}

async function check(run: ImportRun, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let events = 0
  for await (const group of documentGroups(chunks)) {
    events += group.events.length
    run.options.onChecked?.(events)
    if (run.stopped) return
  }
}

async function record(run: ImportRun, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const refused = new WeakSet<DocumentName>()
  for await (const group of documentGroups(chunks)) {
    if (run.isFull) await run.room()
    if (run.stopped) return
    const { document, events, chars, last } = group
    const { version } = events[0]!
    const refuse = (error: unknown) => {
      if (refused.has(document)) run.counts.rejected += events.length
      else run.failed({ document: document.number, entity: document.entity, version }, events.length, explained(error))
      refused.add(document)
    }
    if (refused.has(document)) refuse(null)
    else {
      const recorded = run.send(requestOf(group), chars, refuse)
      if (version === 1 && !last) await recorded
    }
    run.report()
  }
}

function requestOf({ events }: EventGroup): AppendRequest {
  const { entity: id, entityType: type, version, type: first } = events[0]!
  return {
    id,
    ...recordedBefore(first, version),
    type,
    newType: type,
    events: events.map(({ type, data, meta, at }) => ({ type, data, meta, at })),
    expectedVersion: version - 1,
  }
}

function explained(error: unknown): unknown {
  if (!isKumaError(error, 'KUMA_CONFLICT') || error.details.expected !== 0) return error
  const { entity, actual } = error.details
  const hint = 'a document is imported where its entity does not exist'
  return new KumaError('KUMA_CONFLICT', `${entity} exists already, at version ${actual}`, error.details, { hint })
}
