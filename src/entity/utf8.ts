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
  const at = illFormedAt(buffer, text)
  if (at === -1) return text
  throw refuse(`is not UTF-8: byte 0x${buffer[at]!.toString(16).padStart(2, '0')} at offset ${at}`)
}

/**
 * The place of the first byte that is not UTF-8; -1 if there is none. Only where the decoded text has U+FFFD can there be
 * one, and it is one unless the bytes there are those of U+FFFD itself: text that has none costs one look.
 */
function illFormedAt(bytes: Buffer, text: string): number {
  let [place, from] = [0, 0] // of bytes, of the text
  for (let at = text.indexOf(REPLACEMENT); at !== -1; at = text.indexOf(REPLACEMENT, from)) {
    place += Buffer.byteLength(text.slice(from, at))
    if (bytes[place] !== 0xef || bytes[place + 1] !== 0xbf || bytes[place + 2] !== 0xbd) return place
    place += 3
    from = at + 1
  }
  return -1
}
