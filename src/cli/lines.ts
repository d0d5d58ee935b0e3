/**
 * Lines of NDJSON out of bytes. A line ends at the byte 0x0A and nowhere else: U+2028 may stand inside JSON. A BOM at
 * the start, a carriage return before the end and a missing final newline are fine; blank lines are skipped. A line
 * that is longer than 4 MiB is not kept, and one that is not UTF-8 is not guessed at: both become problems.
 */
import { decodeUtf8 } from '../entity/utf8.ts'

const NEWLINE = 0x0a
const LINE_BYTES_MAX = 4 * 1024 * 1024

export type Line =
  | { readonly number: number; readonly text: string }
  | { readonly number: number; readonly problem: string }

/** As many lines as each chunk brings. */
export async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line[]> {
  const splitter = new Splitter()
  for await (const chunk of chunks) {
    const found = splitter.push(chunk)
    if (found.length > 0) yield found
  }
  const rest = splitter.end()
  if (rest.length > 0) yield rest
}

class Splitter {
  private number = 0
  private parts: Uint8Array[] = []
  private bytes = 0

  push(chunk: Uint8Array): Line[] {
    const found: Line[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.keep(chunk.subarray(start, end))
      this.finish(found)
      start = end + 1
    }
    this.keep(chunk.subarray(start))
    return found
  }

  end(): Line[] {
    const found: Line[] = []
    if (this.bytes > 0) this.finish(found)
    return found
  }

  private keep(part: Uint8Array): void {
    this.bytes += part.length
    if (this.bytes > LINE_BYTES_MAX) this.parts = []
    else if (part.length > 0) this.parts.push(part)
  }

  private finish(found: Line[]): void {
    const number = ++this.number
    const tooLong = this.bytes > LINE_BYTES_MAX
    const bytes = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts)
    this.parts = []
    this.bytes = 0
    if (tooLong) return void found.push({ number, problem: 'is longer than 4 MiB' })
    try {
      let text = decodeUtf8(bytes, (problem) => new Error(`${problem} of the line`))
      if (number === 1 && text.startsWith('\ufeff')) text = text.slice(1)
      if (text.endsWith('\r')) text = text.slice(0, -1)
      if (text.trim() !== '') found.push({ number, text })
    } catch (error) {
      found.push({ number, problem: (error as Error).message })
    }
  }
}
