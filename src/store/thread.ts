/** Threads of the package that use the SQLite driver. */
import { Worker } from 'node:worker_threads'
import { bundled } from './bundled.ts'
import { loadDriver } from './driver.ts'
import { withoutMasterKey } from './master-key.ts'

/**
 * What is printed in it goes to stderr: modules that NODE_OPTIONS names are loaded there too, and stdout is the program's.
 * @param name of an entry in scripts/build.js @throws KUMA_DRIVER
 */
export function startThread(name: string, workerData: unknown): Worker {
  loadDriver() // native code must be loaded by the main thread before any other
  const worker = new Worker(bundled(name), {
    workerData,
    execArgv: [],
    env: withoutMasterKey(),
  })
  // not by its option `stdout`: reading that would keep a program alive that has nothing left to do
  worker.stdout
    .unpipe()
    .on('data', (chunk: Buffer) => process.stderr.write(chunk))
    .resume()
  return worker
}
