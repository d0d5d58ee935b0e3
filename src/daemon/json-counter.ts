/**
 * How deep JSON is nested and how many values it holds, counted on its bytes as they come. JSON.parse needs seconds for
 * megabytes of brackets, and what it made of them is walked again and again; so what is too deep or too much is refused
 * before it is all there, and never parsed. Of bytes that are no JSON something is counted: JSON.parse refuses those.
 */
import { DATA_BYTES_MAX, REQUEST_DEPTH_MAX } from '../entity/json.ts'

/**
 * What must be made, and walked, counts: a value, an array or object one, a name three, since with names that are all others
 * it takes that long. No event of 1 MiB has more than this; what is left is for what is around it.
 */
export const PARTS_MAX = Math.ceil((DATA_BYTES_MAX * 5) / 7) + 16_384

/** Of what records nothing: the longest is a list of ids. */
export const SHORT_PARTS_MAX = 131_072

const QUOTE = 0x22
const BACKSLASH = 0x5c
const [OTHER, OPENS, CLOSES, VALUE, NAME] = [0, 1, 2, 3, 4]
const KINDS = new Uint8Array(256)
for (const [char, kind] of [
  ['[', OPENS],
  ['{', OPENS],
  [']', CLOSES],
  ['}', CLOSES],
  [',', VALUE],
  [':', NAME],
] as const)
  KINDS[char.charCodeAt(0)] = kind

export class JsonCounter {
  private depth = 0
  private parts = 0
  private isInText = false
  private isEscaped = false

  private readonly partsMax: number
  private readonly instead: string

  /**
   * @param refuse makes the error: it is told "is nested deeper than 72 levels"
   * @param instead said of what has too many values
   */
  constructor(
    private readonly refuse: (problem: string) => Error,
    { partsMax = PARTS_MAX, instead = '' } = {},
  ) {
    this.partsMax = partsMax
    this.instead = instead
  }

  /** @throws what `refuse` makes */
  add(bytes: Uint8Array): void {
    let { depth, parts, isInText } = this
    let i = this.isEscaped ? 1 : 0
    for (; i < bytes.length; i++) {
      const byte = bytes[i]!
      if (isInText) {
        if (byte === BACKSLASH) i++
        else if (byte === QUOTE) isInText = false
        continue
      }
      if (byte === QUOTE) isInText = true
      const kind = KINDS[byte]!
      if (kind === OTHER) continue
      if (kind === CLOSES) depth--
      else parts += kind === NAME ? 3 : 1
      if (kind === OPENS && ++depth > REQUEST_DEPTH_MAX)
        throw this.refuse(`is nested deeper than ${REQUEST_DEPTH_MAX} levels`)
    }
    this.isEscaped = i > bytes.length
    this.depth = depth
    this.parts = parts
    this.isInText = isInText
    if (parts <= this.partsMax) return
    const most = this.partsMax.toLocaleString('en')
    throw this.refuse(`has more than ${most} values, where a name counts for three${this.instead}`)
  }
}
