/** What an import puts its events to, and asks whether they are there: an engine, or a rehearsal (import-rehearsal.ts). */
import type { AppendRequest, AppendResult, Engine, UncheckedEvent } from '../engine.ts'
import { canonicalJson } from '../entity/canonical-json.ts'

export interface Recorder {
  append(request: AppendRequest): Promise<AppendResult>
  /** Is this the event that an entity has at a version? What is not named (its type, a time, meta) may be any. */
  isThere(entity: Named, version: number, event: UncheckedEvent): Promise<boolean>
}

export type Named = Pick<AppendRequest, 'id' | 'type'>

/** Events that are read together. */
const PAGE = 64
/** Of all pages that are held. */
const CHARS_MAX = 16 * 1024 * 1024

interface Page {
  /** version of the first */
  readonly from: number
  readonly events: readonly Kept[]
  readonly chars: number
}

interface Kept {
  readonly text: string
  readonly meta: string
  readonly at: number
  /** of the entity */
  readonly type: string
}

export class Recorded implements Recorder {
  /** By entity; the one that was used last is the last. */
  private readonly pages = new Map<string, Page>()
  private chars = 0

  constructor(private readonly engine: Engine) {}

  append(request: AppendRequest): Promise<AppendResult> {
    return this.engine.append(request)
  }

  async isThere({ id, type }: Named, version: number, event: UncheckedEvent): Promise<boolean> {
    const found = this.pages.get(id)
    const isIn = found !== undefined && version >= found.from && version < found.from + found.events.length
    const page = isIn ? found : await this.read(id, version)
    const there = page.events[version - page.from]
    if (there === undefined || there.text !== textOf(event)) return false
    if (event.at !== undefined && event.at !== there.at) return false
    if (type !== undefined && type !== there.type) return false
    return event.meta === undefined || canonicalJson(event.meta) === there.meta
  }

  private async read(id: string, from: number): Promise<Page> {
    const events: Kept[] = []
    let chars = 0
    for await (const event of this.engine.log({ id, from: { version: from }, to: { version: from + PAGE - 1 } })) {
      if (event.version < from) continue
      const [text, meta] = [textOf(event), canonicalJson(event.meta)]
      events.push({ text, meta, at: event.at, type: event.entityType })
      chars += text.length + meta.length
      if (chars > CHARS_MAX / PAGE) break
    }
    this.drop(id)
    const page = { from, events, chars }
    this.pages.set(id, page)
    this.chars += chars
    for (const other of this.pages.keys()) {
      if (this.chars <= CHARS_MAX || other === id) break
      this.drop(other)
    }
    return page
  }

  private drop(id: string): void {
    this.chars -= this.pages.get(id)?.chars ?? 0
    this.pages.delete(id)
  }
}

/** What is the same in an event whoever recorded it, and when. */
export function textOf({ type, data }: UncheckedEvent): string {
  return canonicalJson([type, data ?? {}])
}
