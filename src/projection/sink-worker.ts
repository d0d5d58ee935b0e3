/** The thread of the embedded sink: requests are answered in the order in which they come. */
import { parentPort, workerData } from 'node:worker_threads'
import { toWire, type WireError } from '../errors.ts'
import type { Param } from './columns.ts'
import type { Scrubbed, SinkRow } from './sink.ts'
import { type Packed, SqliteFile } from './sqlite-file.ts'

export type SinkRequest =
  | { readonly open: string }
  | { readonly write: Packed }
  | { readonly read: string; readonly params: readonly Param[] }
  | { readonly vacuum: true }
  | { readonly emptyWal: true }
  | { readonly close: true }
export type SinkAnswer = { readonly value: null | SinkRow[] | Scrubbed } | { readonly error: WireError }

const port = parentPort!
let file: SqliteFile | null = null
let last = Promise.resolve()

port.on('message', (request: SinkRequest) => {
  last = last.then(async () => {
    port.postMessage(await answer(request))
    if ('close' in request) port.close()
  })
})

async function answer(request: SinkRequest): Promise<SinkAnswer> {
  try {
    return { value: await run(request) }
  } catch (error) {
    return { error: toWire(error) }
  }
}

async function run(request: SinkRequest) {
  file ??= new SqliteFile(workerData as string)
  if ('write' in request) file.write(request.write)
  if ('read' in request) return file.read(request.read, request.params)
  if ('vacuum' in request) file.vacuum()
  if ('emptyWal' in request) return file.emptyWal()
  if ('close' in request) file.close()
  return null
}
