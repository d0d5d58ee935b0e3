/** The committer in a worker thread, seen from the main thread. */
import type { Worker } from 'node:worker_threads'
import { fromWire, KumaError } from '../errors.ts'
import { loadDriver } from '../store/driver.ts'
import type { Manifest } from '../store/manifest.ts'
import { startThread } from '../store/thread.ts'
import type { Held } from '../store/watch.ts'
import type { Batch } from './batch.ts'
import type { Committed, Committer, Scrubbed, ShardEnd } from './committer.ts'
import { StayAwake } from './stay-awake.ts'
import type { Answer, News, Request, WorkerInput } from './worker.ts'

interface Waiting {
  resolve(value: never): void
  reject(error: KumaError): void
}

/** A commit on a fast disk. */
const QUICK_MS = 0.6

/** The thread starts with the first request: a committer whose shards nobody uses costs nothing. */
export class WorkerCommitter implements Committer {
  onVanished: Committer['onVanished'] = null
  private worker: Worker | null = null
  private exited: Promise<void> = Promise.resolve()
  /** Answers come in the order of the requests. */
  private waiting: Waiting[] = []
  private ended: string | null = null
  /** Only for a single commit: while there are more, there is other work to do. Not on a slow disk: it would not help. */
  private readonly awake = new StayAwake(QUICK_MS, () => this.waiting.length === 1)
  private quick = true
  private askedAt = 0

  constructor(
    private readonly directory: string,
    private readonly manifest: Manifest,
    private readonly masterKey: Uint8Array | null = null,
    private readonly held: Held | null = null,
  ) {
    loadDriver() // native code must be loaded by the main thread before any other
  }

  private start(): Worker {
    const { directory, manifest, masterKey, held } = this
    const workerData: WorkerInput = { directory, manifest, masterKey, held }
    const worker = startThread('worker', workerData)
    worker.unref() // an idle store does not keep a program alive; one with work does
    worker.on('message', (said: Answer | News) => {
      if ('vanished' in said) this.onVanished?.(said.vanished)
      else this.settle(said)
    })
    worker.on('error', (error: Error) => this.end(error.message))
    this.exited = new Promise((resolve) => {
      worker.on('exit', () => {
        this.end('it has ended')
        resolve()
      })
    })
    return worker
  }

  open(shard: number): Promise<ShardEnd> {
    return this.request({ open: shard })
  }

  commit(batch: Batch): Promise<Committed> {
    return this.request({ commit: batch })
  }

  scrub(shard: number, entities: readonly number[]): Promise<Scrubbed> {
    return this.request({ scrub: shard, entities })
  }

  async close(): Promise<void> {
    if (this.worker === null) return
    const closed = this.request({ close: true })
    try {
      await closed
    } finally {
      this.worker.ref() // its end is awaited too
      await this.exited
    }
  }

  private request<T>(request: Request): Promise<T> {
    if (this.ended !== null) return Promise.reject(lost(this.ended))
    this.worker ??= this.start()
    const { worker } = this
    return new Promise((resolve, reject) => {
      const alone = this.waiting.push({ resolve, reject }) === 1
      if (alone) worker.ref()
      worker.postMessage(request)
      if (!alone) return
      this.askedAt = performance.now()
      if (this.quick) this.awake.begin()
    })
  }

  private settle(answer: Answer): void {
    const waiting = this.waiting.shift()
    if (this.waiting.length === 0) {
      this.worker?.unref()
      this.quick = performance.now() - this.askedAt < QUICK_MS
    }
    if ('error' in answer) waiting?.reject(fromWire(answer.error))
    else waiting?.resolve(answer.value as never)
  }

  private end(why: string): void {
    this.ended ??= why
    for (const { reject } of this.waiting.splice(0)) reject(lost(this.ended))
  }
}

/** What was under way may or may not be recorded. */
function lost(why: string): KumaError<'KUMA_INDETERMINATE'> {
  const hint = 'open the store again and retry with the same request key: it then tells whether this was recorded'
  return new KumaError('KUMA_INDETERMINATE', `the committer's thread is gone: ${why}`, { requestKey: null }, { hint })
}
