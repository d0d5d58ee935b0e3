/** The proof that nothing is left in files, in a process of its own: see store/remnants.ts. */
import { execFile } from 'node:child_process'
import { KumaError } from '../errors.ts'
import { bundled } from '../store/bundled.ts'
import type { Remnants } from '../store/remnants.ts'

/** @throws KUMA_IO if a file cannot be read */
export function findRemnantsIn(files: readonly string[]): Promise<Remnants[]> {
  return new Promise((resolve, reject) => {
    const args = [bundled('remnants'), ...files]
    execFile(process.execPath, args, { maxBuffer: Number.MAX_SAFE_INTEGER }, (cause, stdout, stderr) => {
      if (cause === null) return resolve(JSON.parse(stdout) as Remnants[])
      const path = files.join(', ')
      reject(new KumaError('KUMA_IO', `${path} could not be checked: ${stderr.trim() || cause.message}`, { path }))
    })
  })
}
