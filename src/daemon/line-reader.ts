/** Messages out of bytes: a line each. What is not yet a whole line is kept, up to a bound. */
import { decodeUtf8 } from '../entity/utf8.ts'
import { malformed } from './protocol.ts'

const NEWLINE = 0x0a

export class LineReader {
  private parts: Buffer[] = []
  private bytes = 0

  /** @param bytesMax of a line */
  constructor(private readonly bytesMax: number) {}

  /** Bytes of a line that is not whole yet. */
  get unfinished(): number {
    return this.bytes
  }

  /** @throws KUMA_PROTOCOL if a line is too long, not UTF-8 or not JSON */
  push(chunk: Buffer): unknown[] {
    const messages: unknown[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.keep(chunk.subarray(start, end))
      start = end + 1
      const line = this.take()
      if (line !== '') messages.push(parse(line))
    }
    this.keep(chunk.subarray(start))
    return messages
  }

  private keep(part: Buffer): void {
    this.bytes += part.length
    if (this.bytes > this.bytesMax) throw malformed(`is longer than ${this.bytesMax / 1024 / 1024} MiB`)
    if (part.length > 0) this.parts.push(part)
  }

  private take(): string {
    const { parts } = this
    this.parts = []
    this.bytes = 0
    return decodeUtf8(parts.length === 1 ? parts[0]! : Buffer.concat(parts), malformed)
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw malformed('is not JSON')
  }
}
