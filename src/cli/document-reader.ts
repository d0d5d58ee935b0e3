/**
 * Exported documents (src/privacy/export.ts) out of bytes, one or several in a row, in whatever layout and order of keys:
 * the parser goes by JSON's structure. Events come in groups as they are read, so that memory does not grow with the
 * document. Its SHA-256 can only be compared when it has been read to its end: the last group of a document comes after
 * that, and none of it comes if it is not what was exported.
 */

import Tokenizer from '@streamparser/json/tokenizer.js'
import TokenParser from '@streamparser/json/tokenparser.js'
import TokenType from '@streamparser/json/utils/types/tokenType.js'
import { canonicalJson } from '../entity/canonical-json.ts'
import type { RecordedEvent } from '../entity/event.ts'
import type { JsonObject } from '../entity/json.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { EXPORT_FORMAT } from '../privacy/export.ts'
import { ExportHash } from '../privacy/export-hash.ts'

/** A group is recorded as one unit, which may hold 4 MiB. */
const GROUP_EVENTS = 500
const GROUP_CHARS = 1024 * 1024
const DEPTH_MAX = 1_000
const FIELDS = ['format', 'id', 'type', 'version', 'createdAt', 'updatedAt', 'state', 'readModels', 'events', 'sha256']

/** Which document of the input. The entity is known from its first event on. */
export interface DocumentName {
  readonly number: number
  readonly entity: string
}

export interface EventGroup {
  /** the same object for all groups of a document */
  readonly document: DocumentName
  readonly events: readonly RecordedEvent[]
  readonly chars: number
  /** the document's end has been read, and it is what was exported */
  readonly last: boolean
}

/** @throws KUMA_INVALID_DATA for a document that is not whole, or not what was exported */
export async function* documentGroups(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<EventGroup> {
  const reader = new DocumentReader()
  for await (const chunk of chunks) {
    try {
      reader.push(chunk)
    } finally {
      yield* reader.taken() // also those before the place that is wrong
    }
  }
  reader.end()
}

/** What comes next in a document, by token. Where a value may stand, any other token begins one. */
const NEXT = {
  document: { [TokenType.LEFT_BRACE]: 'key' },
  key: { [TokenType.STRING]: 'colon' },
  colon: { [TokenType.COLON]: 'value' },
  value: {},
  'field end': { [TokenType.COMMA]: 'key', [TokenType.RIGHT_BRACE]: 'document' },
  events: { [TokenType.LEFT_BRACKET]: 'first event' },
  'first event': { [TokenType.RIGHT_BRACKET]: 'field end' },
  event: {},
  'event end': { [TokenType.COMMA]: 'event', [TokenType.RIGHT_BRACKET]: 'field end' },
} as const satisfies Record<string, Partial<Record<TokenType, string>>>

type Place = keyof typeof NEXT

const TAKES_VALUE: readonly Place[] = ['value', 'first event', 'event']

class DocumentReader {
  private readonly tokenizer = new Tokenizer({ separator: '' })
  /** Of whole values: those of fields, and the events. */
  private readonly values = new TokenParser({ paths: ['$'], separator: '' })
  private place: Place = 'document'
  /** how many brackets of a value are open */
  private depth = 0
  private inside = false
  private number = 0
  private key = ''
  private document = new DocumentBuilder(1)
  private groups: EventGroup[] = []

  constructor() {
    this.tokenizer.onToken = ({ token, value }) => (this.inside ? this.part(token, value) : this.step(token, value))
    this.values.onValue = ({ value }) => this.take(value)
  }

  push(chunk: Uint8Array): void {
    this.read(() => this.tokenizer.write(chunk))
  }

  taken(): EventGroup[] {
    const { groups } = this
    this.groups = []
    return groups
  }

  /** Nothing comes any more. */
  end(): void {
    if (this.place !== 'document') throw this.document.wrong('is cut off: the input ends in the middle of it')
    this.read(() => this.tokenizer.end())
  }

  private read(run: () => void): void {
    try {
      run()
    } catch (cause) {
      if (isKumaError(cause)) throw cause
      throw this.document.wrong(`is not JSON: ${(cause as Error).message}`)
    }
  }

  /** A token of the document itself. */
  private step(token: TokenType, value: unknown): void {
    if (this.place === 'document') this.document = new DocumentBuilder(++this.number)
    const next = (NEXT[this.place] as Partial<Record<TokenType, Place>>)[token]
    if (next !== undefined) this.enter(next, value)
    else if (TAKES_VALUE.includes(this.place)) {
      this.inside = true
      this.part(token, value)
    } else throw this.document.wrong(`is no exported document: ${JSON.stringify(value)} has no place there`)
  }

  private enter(place: Place, value: unknown): void {
    if (place === 'document') this.groups.push(this.document.finish())
    if (place === 'colon') this.key = this.document.field(value as string)
    this.place = place === 'value' && this.key === 'events' ? 'events' : place
  }

  /** A token of a value. */
  private part(token: TokenType, value: unknown): void {
    if (token === TokenType.LEFT_BRACE || token === TokenType.LEFT_BRACKET) this.depth++
    else if (token === TokenType.RIGHT_BRACE || token === TokenType.RIGHT_BRACKET) this.depth--
    if (this.depth > DEPTH_MAX) throw this.document.wrong(`is nested deeper than ${DEPTH_MAX} levels`)
    this.values.write({ token, value } as Parameters<TokenParser['write']>[0])
  }

  private take(value: unknown): void {
    this.inside = false
    if (this.place === 'value') {
      this.document.fields.set(this.key, value)
      this.place = 'field end'
    } else {
      const group = this.document.event(value)
      if (group !== null) this.groups.push(group)
      this.place = 'event end'
    }
  }
}

/** A document as far as it has been read. */
class DocumentBuilder {
  readonly fields = new Map<string, unknown>()
  private readonly seen = new Set<string>()
  private readonly hash = new ExportHash()
  private readonly name: { number: number; entity: string }
  private first: RecordedEvent | undefined
  private last: RecordedEvent | undefined
  private group: RecordedEvent[] = []
  private chars = 0

  constructor(number: number) {
    this.name = { number, entity: '' }
  }

  /** Another field begins. */
  field(key: string): string {
    if (!FIELDS.includes(key))
      throw this.wrong(`has a field ${JSON.stringify(key)}, which ${EXPORT_FORMAT} does not know`)
    if (this.seen.has(key)) throw this.wrong(`has the field ${key} twice`)
    this.seen.add(key)
    return key
  }

  /** A group, if this event begins another one. */
  event(value: unknown): EventGroup | null {
    const event = (value ?? {}) as RecordedEvent
    this.first ??= event
    const { entity, entityType, version } = this.first
    const due = (this.last?.version ?? 0) + 1
    if (
      typeof entity !== 'string' ||
      typeof entityType !== 'string' ||
      version !== 1 ||
      !Number.isSafeInteger(event.at)
    )
      throw this.wrong(`is not an exported one: its event ${due} is not version ${due} of an entity`)
    this.name.entity = entity
    if (event.version !== due || event.entity !== entity || event.entityType !== entityType)
      throw this.wrong(`is not as it was exported: its event ${due} is not version ${due}`)
    const canonical = canonicalJson(event)
    this.hash.event(canonical, event.at)
    this.last = event
    const full =
      this.group.length >= GROUP_EVENTS || (this.group.length > 0 && this.chars + canonical.length > GROUP_CHARS)
    const group = full ? this.take(false) : null
    this.group.push(event)
    this.chars += canonical.length
    return group
  }

  private take(last: boolean): EventGroup {
    const group = { document: this.name, events: this.group, chars: this.chars, last }
    this.group = []
    this.chars = 0
    return group
  }

  /** The last group. */
  finish(): EventGroup {
    const { sha256, ...head } = Object.fromEntries(this.fields) as JsonObject
    if (head['format'] !== EXPORT_FORMAT)
      throw this.wrong(`has the format ${JSON.stringify(head['format'])}: only ${EXPORT_FORMAT} is known`)
    const missing = FIELDS.find((field) => !this.seen.has(field))
    if (missing !== undefined) throw this.wrong(`has no field ${missing}: it is not whole`)
    if (this.first === undefined || this.last === undefined) throw this.wrong('has no events')
    if (this.hash.end(head) !== sha256 || head['createdAt'] !== this.first.at)
      throw this.wrong('is not as it was exported: its sha256 is another')
    const { entity: id, entityType: type, version, at: updatedAt } = this.last
    const told = Object.entries({ id, type, version, updatedAt }).find(([field, value]) => head[field] !== value)
    if (told !== undefined) throw this.wrong(`contradicts itself: its ${told[0]} is not that of its last event`)
    return this.take(true)
  }

  wrong(problem: string): KumaError<'KUMA_INVALID_DATA'> {
    const { number, entity } = this.name
    const id = entity || this.fields.get('id')
    const name = typeof id === 'string' ? ` (${id})` : ''
    return new KumaError('KUMA_INVALID_DATA', `document ${number}${name} ${problem}`, { path: '' })
  }
}
