/**
 * What a process can hold of one state and still do something with it: fold it, compare it, write it as text. To fold a
 * larger one to its end would end the process, and whatever else goes on in it: whoever asks for it is told so. Objects
 * take several times as much memory as their JSON, and a question may make copies of them.
 */
import { getHeapStatistics } from 'node:v8'
import { bytesAtMost, leastSizeOf, tooLargeToRead } from '../entity/state-size.ts'

/** The part of what Node lets the process allocate. */
const HEAP_PART = 16

export const READABLE_BYTES_MAX = Math.floor(getHeapStatistics().heap_size_limit / HEAP_PART)

/** What an event brings to the size of a state, at most, in bytes of UTF-8. */
export function bytesOf({ data, meta }: { readonly data: string; readonly meta: string | null }): number {
  return bytesAtMost(data) + (meta === null ? 0 : bytesAtMost(meta))
}

/** Weighs a state now and then while it is folded: when the events since may have made it larger than can be held. */
export class Scale {
  private bytes: number

  /** @param before at most how large the state is from which it is folded */
  constructor(
    private readonly entity: string,
    before: number,
  ) {
    this.bytes = before
  }

  /** @param bytes that an event brought @throws KUMA_STATE_TOO_LARGE */
  add(bytes: number, state: unknown): void {
    this.bytes += bytes
    if (this.bytes > READABLE_BYTES_MAX) this.bytes = weighed(this.entity, state)
  }
}

function weighed(entity: string, state: unknown): number {
  const { bytes } = leastSizeOf(state, READABLE_BYTES_MAX)
  if (bytes > READABLE_BYTES_MAX) throw tooLargeToRead(entity, bytes, READABLE_BYTES_MAX)
  return bytes
}
