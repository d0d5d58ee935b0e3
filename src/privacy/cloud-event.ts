/**
 * An event as a CloudEvent 1.0 (structured mode, JSON): `subject` is the entity, `source` the store, `id` the position
 * in it. What CloudEvents has no place for goes into extensions, whose names are lower-case and whose values are simple:
 * `kumaversion`, `kumaentitytype`, `kumameta` (the meta as JSON text, if there is any), and `kumaat` (milliseconds since
 * 1970, as text) instead of `time` in a year that RFC 3339 cannot write. `kuma import` reads them back. Of the meta,
 * `correlationId` and `causationId` are the attributes of the correlation extension too, for other programs.
 */
import type { RecordedEvent } from '../entity/event.ts'

const YEAR_0 = Date.parse('0000-01-01T00:00:00Z')
const YEAR_10000 = Date.parse('+010000-01-01T00:00:00Z')

/** @param source names the store: the positions of events are unique in it */
export function cloudEventOf(event: RecordedEvent, source: string): object {
  const { entity, entityType, version, type, at, position, data, meta } = event
  const time = at >= YEAR_0 && at < YEAR_10000 ? { time: new Date(at).toISOString() } : { kumaat: String(at) }
  return {
    specversion: '1.0',
    id: position,
    source,
    type,
    subject: entity,
    ...time,
    datacontenttype: 'application/json',
    kumaversion: version,
    kumaentitytype: entityType,
    ...(Object.keys(meta).length === 0 ? {} : { kumameta: JSON.stringify(meta) }),
    // an attribute of CloudEvents is not empty
    ...(meta.correlationId ? { correlationid: meta.correlationId } : {}),
    ...(meta.causationId ? { causationid: meta.causationId } : {}),
    data,
  }
}
