/**
 * What a commit says beside its rows: `commits.extra`, a list of tagged values, empty in most stores.
 *
 *     u8 tag, u32 bytes (little-endian), the value
 *
 * one after the other, by ascending tags, each tag once. The link covers all of it (seal.ts), also of tags that whoever
 * reads does not know, and passes over.
 *
 *     1   HMAC-SHA-256 by the store's key over all that the link is made of, with the other tags in place of all of them:
 *         by whoever had the key of an encrypted store at hand
 */
export const MAC = 1

const HEAD_BYTES = 5

/** The values by their tags, or null if it is no such list. */
export function tagsOf(extra: Uint8Array): ReadonlyMap<number, Uint8Array> | null {
  const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength)
  const tags = new Map<number, Uint8Array>()
  let [offset, last] = [0, -1]
  while (offset < extra.length) {
    const start = offset + HEAD_BYTES
    if (start > extra.length) return null
    const tag = view.getUint8(offset)
    const end = start + view.getUint32(offset + 1, true)
    if (tag <= last || end > extra.length) return null
    tags.set(tag, extra.subarray(start, end))
    ;[offset, last] = [end, tag]
  }
  return tags
}

/** The list with one value more, or another. @throws if it is no list */
export function extraWith(extra: Uint8Array, tag: number, value: Uint8Array): Uint8Array {
  return encode(new Map(tagsOf(extra)!).set(tag, value))
}

export function extraWithout(extra: Uint8Array, tag: number): Uint8Array {
  return encode(new Map([...tagsOf(extra)!].filter(([each]) => each !== tag)))
}

function encode(tags: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const ascending = [...tags].sort(([a], [b]) => a - b)
  return Buffer.concat(
    ascending.flatMap(([tag, value]) => {
      const head = Buffer.alloc(HEAD_BYTES)
      head.writeUInt8(tag)
      head.writeUInt32LE(value.length, 1)
      return [head, value]
    }),
  )
}
