/**
 * How far the logs of the shards reach, and when they get further. The engine that writes hears it from its commits; who
 * only reads has to look now and then.
 */
import { setTimeout } from 'node:timers/promises'
import type { GroupCommit } from '../commit/group-commit.ts'
import type { KumaError } from '../errors.ts'
import type { Readers } from '../store/readers.ts'

const LOOK_MS = 20

export interface Ends {
  /** seq of the last event of a shard that is on disk, 0 if there is none */
  of(shard: number): number
  /** Changes when some shard gets further, if that is known. */
  readonly moves: number
  /** Resolves when some shard may have got further than when `moves` was read, or when nothing comes any more. */
  moved(moves: number, signal: AbortSignal | undefined): Promise<void>
  /** Nothing comes any more. */
  readonly isClosed: boolean
  /** Why, unless its owner wanted it. */
  readonly reason: KumaError | null
  close(reason?: KumaError): void
}

export function committedEnds(readers: Readers, commits: GroupCommit): Ends {
  const known: number[] = []
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const resolve of waiting) resolve()
    waiting.clear()
  }
  let [moves, isClosed] = [0, false]
  let reason: KumaError | null = null
  commits.onCommitted = (shard, lastSeq) => {
    known[shard] = lastSeq
    moves++
    wake()
  }
  return {
    of: (shard) => (known[shard] ??= endOf(readers, shard)),
    moved: async (since, signal) => {
      if (moves !== since || isClosed || signal?.aborted) return
      const { promise, resolve } = deferred()
      waiting.add(resolve)
      signal?.addEventListener('abort', resolve, { once: true })
      await promise
      waiting.delete(resolve)
      signal?.removeEventListener('abort', resolve)
    },
    get moves() {
      return moves
    },
    get isClosed() {
      return isClosed
    },
    get reason() {
      return reason
    },
    close: (why) => {
      isClosed = true
      reason ??= why ?? null
      wake()
    },
  }
}

export function lookedUpEnds(readers: Readers): Ends {
  let isClosed = false
  return {
    of: (shard) => endOf(readers, shard),
    moves: 0,
    moved: async (_, signal) => setTimeout(LOOK_MS, undefined, { signal }).catch(() => {}),
    get isClosed() {
      return isClosed
    },
    reason: null,
    close: () => {
      isClosed = true
    },
  }
}

function endOf(readers: Readers, shard: number): number {
  return readers.at(shard).lastCommit()?.lastSeq ?? 0
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}
