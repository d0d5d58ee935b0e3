/**
 * A part of `kuma check` in a thread of its own, where the config and its models are loaded again: they are functions, which
 * cannot be handed over. It tells how far it is, and in the end what it found.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { loadConfig } from '../config.ts'
import { toWire, type WireError } from '../errors.ts'
import type { CheckReport } from '../history/check-models.ts'
import { checkStore } from '../kuma.ts'

export interface CheckInput {
  readonly cwd: string
  readonly file: string | undefined
  readonly path: string
  readonly masterKey: Uint8Array | undefined
  readonly shards: readonly number[]
  readonly every: number
}

export type CheckNews = { readonly events: number } | { readonly report: CheckReport } | { readonly error: WireError }

/** Events between two words of how far it is. */
const TOLD_EVENTS = 1_000

const { cwd, file, path, masterKey, shards, every } = workerData as CheckInput
const tell = (news: CheckNews) => parentPort!.postMessage(news)
let told = 0
const onProgress = (events: number) => {
  if (events - told < TOLD_EVENTS) return
  told = events
  tell({ events })
}
try {
  const { config } = await loadConfig({ cwd, file })
  tell({
    report: await checkStore({ ...config, path, masterKey, masterKeyFile: undefined }, { shards, every, onProgress }),
  })
} catch (error) {
  tell({ error: toWire(error) })
}
// a config may keep something open
process.exit()
