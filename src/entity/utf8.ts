/**
 * Bytes that somebody hands in become text here. A decoder that puts U+FFFD for what is not UTF-8 would have that recorded
 * for good, and would make one id of two that were written in Latin-1.
 */
export const REPLACEMENT = '\ufffd'

/** What to do about it. */
export const TO_UTF8 = 'write it in UTF-8: `iconv -f latin1 -t utf-8` makes that of Latin-1'

/**
 * A BOM stays where it is.
 * @param refuse makes the error: it is told "is not UTF-8: byte 0xfc at offset 10", from 0 on
 */
export function decodeUtf8(bytes: Uint8Array, refuse: (problem: string) => Error): string {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = buffer.toString()
  if (!text.includes(REPLACEMENT)) return text // where something is not UTF-8, there is one: this look is all that text costs
  const at = illFormedAt(buffer)
  if (at === -1) return text
  throw refuse(`is not UTF-8: byte 0x${buffer[at]!.toString(16).padStart(2, '0')} at offset ${at}`)
}

const WINDOW = 64 * 1024

/** The place of the first byte that is not UTF-8; -1 if there is none. */
function illFormedAt(bytes: Buffer): number {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for (let start = 0; start < bytes.length; start += WINDOW) {
    const end = start + WINDOW
    try {
      decoder.decode(bytes.subarray(start, end), { stream: end < bytes.length })
    } catch {
      let from = Math.max(0, start - 3) // where a character may begin that ends in this window
      while (from < start && (bytes[from]! & 0xc0) === 0x80) from++
      return from + firstIllFormed(bytes.subarray(from, end + 3))
    }
  }
  return -1
}

/** Where what is decoded and encoded again is not the same: there is such a place. */
function firstIllFormed(bytes: Buffer): number {
  const again = Buffer.from(bytes.toString())
  let at = 0
  while (at < bytes.length && again[at] === bytes[at]) at++
  while ((again[at]! & 0xc0) === 0x80) at-- // the first byte of U+FFFD may have been the same
  return at
}
