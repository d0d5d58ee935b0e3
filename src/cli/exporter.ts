/** What `kuma export` writes: one entity or many, in one of three formats, as text that is made as it is read. */
import type { EntitiesQuery } from '../api.ts'
import type { Engine } from '../engine.ts'
import { inOrder, type RecordedEvent } from '../entity/event.ts'
import { isKumaError } from '../errors.ts'
import { cloudEventOf } from '../privacy/cloud-event.ts'
import { type ExportPiece, exportText } from '../privacy/export.ts'

/** A piece of text is at least so long, unless it is an entity's last one. */
const CHARS = 64 * 1024

export const FORMATS = ['json', 'ndjson', 'cloudevents'] as const
export type ExportFormat = (typeof FORMATS)[number]

export interface ExportOptions {
  readonly format: ExportFormat
  /** names the store in CloudEvents */
  readonly source: string
  readonly signal?: AbortSignal
}

/** The store as the source of CloudEvents: a name that no other store has. */
export function sourceOf({ store }: Engine): string {
  return `urn:uuid:${store}`
}

/** Whole lines, without the end of the last one. */
export interface CountedPiece extends ExportPiece {
  /** how many entities begin with it: 0 or 1 */
  readonly entities: number
}

/** @throws KUMA_NOT_FOUND before the first piece */
export async function* exportOne(engine: Engine, id: string, options: ExportOptions): AsyncGenerator<CountedPiece> {
  let entities = 1
  for await (const piece of pieces(engine, id, options)) {
    yield { ...piece, entities }
    entities = 0
  }
}

/** One after the other; an entity that is deleted before its turn comes is left out. */
export async function* exportMany(
  engine: Engine,
  query: EntitiesQuery,
  options: ExportOptions,
): AsyncGenerator<CountedPiece> {
  for await (const { id } of engine.entities({ ...query, signal: options.signal })) {
    let begun = false
    try {
      for await (const piece of exportOne(engine, id, options)) {
        yield piece
        begun = true
      }
    } catch (error) {
      if (begun || !isKumaError(error, 'KUMA_NOT_FOUND', 'KUMA_ERASED')) throw error
    }
  }
}

function pieces(engine: Engine, id: string, { format, source, signal }: ExportOptions): AsyncIterable<ExportPiece> {
  if (format === 'json') return exportText(engine, id, signal)
  const asObject = format === 'ndjson' ? inOrder : (event: RecordedEvent) => cloudEventOf(event, source)
  return lines(engine.log({ id, signal }), asObject)
}

async function* lines(
  events: AsyncIterable<RecordedEvent>,
  asObject: (event: RecordedEvent) => object,
): AsyncGenerator<ExportPiece> {
  let [text, count] = ['', 0]
  for await (const event of events) {
    text += `${count === 0 ? '' : '\n'}${JSON.stringify(asObject(event))}`
    count++
    if (text.length < CHARS) continue
    yield { text, events: count }
    ;[text, count] = ['', 0]
  }
  if (count > 0) yield { text, events: count }
}
