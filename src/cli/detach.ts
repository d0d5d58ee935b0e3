/** Starts a daemon that outlives this process, and waits until it can be spoken to. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Client } from '../daemon/client.ts'
import type { DaemonStatus } from '../daemon/host.ts'
import { LOG_FILE } from '../daemon/log-levels.ts'
import { KumaError, type WireError } from '../errors.ts'
import { checkDirectory, writeError } from '../store/directory.ts'
import { readManifest } from '../store/manifest.ts'
import { environmentWithPipe, sendKey } from './key-pipe.ts'

const LOOK_MS = 50

/**
 * @param words of the command that runs in the foreground
 * @throws what it told of, if it ended; what opening a store throws
 */
export async function detach(
  path: string,
  root: string,
  words: readonly string[],
): Promise<Pick<DaemonStatus, 'pid' | 'address'>> {
  checkDirectory(path)
  readManifest(path)
  const log = join(path, LOG_FILE)
  const before = statSync(log, { throwIfNoEntry: false })?.size ?? 0
  const fd = open(log)
  const child = spawn(process.execPath, [join(root, 'bin', 'run.js'), ...words, '--json'], {
    detached: true,
    env: environmentWithPipe(),
    stdio: ['ignore', fd, fd, 'pipe'],
  })
  sendKey(child)
  closeSync(fd)
  let ended: string | null = null
  child.once('error', ({ message }) => (ended = message))
  child.once(
    'exit',
    (code, signal) => (ended = signal === null ? `it ended with exit code ${code}` : `${signal} ended it`),
  )
  for (;;) {
    const client = await Client.find(path)
    const status = await client?.call<DaemonStatus>('status').finally(() => client.close())
    if (status?.pid === child.pid) {
      child.unref()
      return status!
    }
    if (ended !== null) throw gaveUp(path, readFileSync(log).subarray(before).toString(), ended)
    await setTimeout(LOOK_MS)
  }
}

function open(log: string): number {
  try {
    return openSync(log, 'a', 0o600)
  } catch (error) {
    throw writeError(error, log)
  }
}

/** The last line that is an error, as JSON, tells why; modules that NODE_OPTIONS names print there too. */
function gaveUp(path: string, said: string, ended: string): KumaError {
  const hint = `see ${join(path, LOG_FILE)}`
  const error = said
    .split('\n')
    .map(errorIn)
    .findLast((found) => found !== null)
  if (error) return new KumaError(error.code, error.message, {} as never, { hint: error.hint ?? hint })
  const message = `the daemon ended at once: ${said.trim() || ended}`
  return new KumaError('KUMA_NOT_RUNNING', message, { path }, { hint })
}

function errorIn(line: string): WireError | null {
  try {
    const { error } = JSON.parse(line) as { error?: WireError }
    return error?.code ? error : null
  } catch {
    return null
  }
}
