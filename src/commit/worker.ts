/** The worker thread's side: requests are answered in the order in which they come. */
import { parentPort, workerData } from 'node:worker_threads'
import { toWire, type WireError } from '../errors.ts'
import type { Manifest } from '../store/manifest.ts'
import type { Batch } from './batch.ts'
import { type Committed, type Scrubbed, type ShardEnd, ShardWriters } from './committer.ts'
import { StayAwake } from './stay-awake.ts'

export type Request =
  | { open: number }
  | { commit: Batch }
  | { scrub: number; entities: readonly number[] }
  | { close: true }
export type Answer = { value: ShardEnd | Committed | Scrubbed | null } | { error: WireError }

export interface WorkerInput {
  readonly directory: string
  readonly manifest: Manifest
  readonly masterKey: Uint8Array | null
}

const { directory, manifest, masterKey } = workerData as WorkerInput
const writers = new ShardWriters(directory, manifest, masterKey)
const port = parentPort!
const awake = new StayAwake(0.2)
/** So few events in a commit come from callers who await each acknowledgement, and append again at once. */
const FEW = 4

port.on('message', (request: Request) => {
  port.postMessage(answer(request))
  if ('close' in request) port.close()
  if (!('commit' in request)) return
  const { shard, events } = request.commit
  writers.checkpoint(shard)
  if (events.count <= FEW) awake.begin()
})

function answer(request: Request): Answer {
  try {
    if ('commit' in request) return { value: writers.commit(request.commit) }
    if ('scrub' in request) return { value: writers.scrub(request.scrub, request.entities) }
    if ('open' in request) return { value: writers.open(request.open) }
    writers.close()
    return { value: null }
  } catch (error) {
    return { error: toWire(error) }
  }
}
