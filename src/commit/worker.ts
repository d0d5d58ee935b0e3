/** The worker thread's side: requests are answered in the order in which they come. */
import { parentPort, workerData } from 'node:worker_threads'
import { toWire, type WireError } from '../errors.ts'
import type { Manifest } from '../store/manifest.ts'
import type { Held, Vanished } from '../store/watch.ts'
import type { Batch } from './batch.ts'
import { type Committed, type Scrubbed, type ShardEnd, ShardWriters } from './committer.ts'
import { StayAwake } from './stay-awake.ts'

export type Request =
  | { open: number }
  | { commit: Batch }
  | { scrub: number; entities: readonly number[] }
  | { close: true }
export type Answer = { value: ShardEnd | Committed | Scrubbed | null } | { error: WireError }
/** Comes unasked. */
export type News = { vanished: Vanished }

export interface WorkerInput {
  readonly directory: string
  readonly manifest: Manifest
  readonly masterKey: Uint8Array | null
  readonly held: Held | null
}

const { directory, manifest, masterKey, held } = workerData as WorkerInput
const port = parentPort!
const onVanished = (vanished: Vanished) => port.postMessage({ vanished } satisfies News)
/** Opened with the first request, so that what is wrong is its answer. */
let opened: ShardWriters | null = null
const awake = new StayAwake(0.2)
/** So few events in a commit come from callers who await each acknowledgement, and append again at once. */
const FEW = 4

port.on('message', (request: Request) => {
  port.postMessage(answer(request))
  if ('close' in request) port.close()
  if (!('commit' in request)) return
  const { shard, events } = request.commit
  opened?.checkpoint(shard)
  if (events.count <= FEW) awake.begin()
})

function answer(request: Request): Answer {
  try {
    if ('close' in request) {
      opened?.close()
      return { value: null }
    }
    opened ??= new ShardWriters(directory, manifest, masterKey, held, onVanished)
    const writers = opened
    if ('commit' in request) return { value: writers.commit(request.commit) }
    if ('scrub' in request) return { value: writers.scrub(request.scrub, request.entities) }
    return { value: writers.open(request.open) }
  } catch (error) {
    return { error: toWire(error) }
  }
}
