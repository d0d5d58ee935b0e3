/** Starts a daemon that outlives this process, and waits until it can be spoken to. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { KumaError } from '../errors.ts'
import { checkDirectory, writeError } from '../store/directory.ts'
import { readManifest } from '../store/manifest.ts'
import { pidOf } from './serve.ts'

const LOOK_MS = 50

/**
 * @param words of the command that runs in the foreground
 * @returns its process id
 * @throws KUMA_NOT_RUNNING with what it wrote, if it ended; what opening a store throws
 */
export async function detach(path: string, root: string, words: readonly string[]): Promise<number> {
  checkDirectory(path)
  readManifest(path)
  const log = join(path, 'kuma.log')
  const before = statSync(log, { throwIfNoEntry: false })?.size ?? 0
  const fd = open(log)
  const child = spawn(process.execPath, [join(root, 'bin', 'run.js'), ...words], {
    detached: true,
    stdio: ['ignore', fd, fd],
  })
  closeSync(fd)
  let ended = false
  child.once('exit', () => {
    ended = true
  })
  while ((await pidOf(path)) !== child.pid) {
    if (ended) throw gaveUp(path, readFileSync(log).subarray(before).toString())
    await setTimeout(LOOK_MS)
  }
  child.unref()
  return child.pid!
}

function open(log: string): number {
  try {
    return openSync(log, 'a', 0o600)
  } catch (error) {
    throw writeError(error, log)
  }
}

function gaveUp(path: string, said: string): KumaError<'KUMA_NOT_RUNNING'> {
  const message = `the daemon ended at once: ${said.trim().replace(/^Error: /, '')}`
  return new KumaError('KUMA_NOT_RUNNING', message, { path }, { hint: `see ${join(path, 'kuma.log')}` })
}
