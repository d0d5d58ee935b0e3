/**
 * The SHA-256 of an export: over the canonical form (RFC 8785) of the document without its field `sha256`, in UTF-8.
 *
 * It is taken in one pass over the events, of which there may be millions. The canonical order of the document's keys
 * allows that: `createdAt`, which is the time of the first event, then `events`, then all the others.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../entity/canonical-json.ts'
import type { JsonObject } from '../entity/json.ts'

/** Texts are hashed so many characters at a time: a call costs more than the bytes of one event. */
const CHARS = 64 * 1024

export class ExportHash {
  private readonly hash = createHash('sha256')
  private text = ''
  private begun = false

  /** @param canonical the event's canonical text; @param at its time, which of the first event is the document's */
  event(canonical: string, at: number): void {
    this.text += this.begun ? `,${canonical}` : `{"createdAt":${JSON.stringify(at)},"events":[${canonical}`
    this.begun = true
    if (this.text.length < CHARS) return
    this.hash.update(this.text)
    this.text = ''
  }

  /** In hexadecimal. @param head the document without `events` and `sha256` */
  end({ createdAt: _, ...others }: JsonObject): string {
    return this.hash.update(`${this.text}],${canonicalJson(others).slice(1)}`).digest('hex')
  }
}
