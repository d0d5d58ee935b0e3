/** Starts a daemon that outlives this process, and waits until it can be spoken to. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Client } from '../daemon/client.ts'
import type { DaemonStatus } from '../daemon/host.ts'
import { KumaError, type WireError } from '../errors.ts'
import { checkDirectory, writeError } from '../store/directory.ts'
import { readManifest } from '../store/manifest.ts'

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
  const log = join(path, 'kuma.log')
  const before = statSync(log, { throwIfNoEntry: false })?.size ?? 0
  const fd = open(log)
  const child = spawn(process.execPath, [join(root, 'bin', 'run.js'), ...words, '--json'], {
    detached: true,
    stdio: ['ignore', fd, fd],
  })
  closeSync(fd)
  let ended = false
  child.once('exit', () => {
    ended = true
  })
  for (;;) {
    const client = await Client.find(path)
    const status = await client?.call<DaemonStatus>('status').finally(() => client.close())
    if (status?.pid === child.pid) {
      child.unref()
      return status!
    }
    if (ended) throw gaveUp(path, readFileSync(log).subarray(before).toString())
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

/** Its last line tells why, as JSON. */
function gaveUp(path: string, said: string): KumaError {
  const hint = `see ${join(path, 'kuma.log')}`
  try {
    const { error } = JSON.parse(said.trim().split('\n').at(-1)!) as { error: WireError }
    return new KumaError(error.code, error.message, {} as never, { hint: error.hint ?? hint })
  } catch {
    return new KumaError('KUMA_NOT_RUNNING', `the daemon ended at once: ${said.trim()}`, { path }, { hint })
  }
}
