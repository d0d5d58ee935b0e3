/**
 * How the master key comes to a daemon that goes on by itself. The environment that a process was started with can be read for
 * as long as it runs (/proc/PID/environ), and goes on to whatever it starts. So a key that stands in ours is not in that of the
 * daemon: it comes by a pipe, which a variable names, and both are gone before anything else is done.
 */
import type { ChildProcess } from 'node:child_process'
import { closeSync, readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { KEY_VARIABLE, withoutMasterKey } from '../store/master-key.ts'

const PIPE = 3
const PIPE_VARIABLE = 'KUMA_MASTER_KEY_PIPE'

/** For a process whose fourth stream is a pipe, to which `sendKey` writes. */
export function environmentWithPipe(): NodeJS.ProcessEnv {
  return { ...withoutMasterKey(), [PIPE_VARIABLE]: String(PIPE) }
}

export function sendKey(child: ChildProcess): void {
  const pipe = child.stdio[PIPE] as Writable | null | undefined
  pipe?.on('error', () => {}) // it may end before it has read anything
  pipe?.end(process.env[KEY_VARIABLE] ?? '')
}

/** For a process that was started like that; of any other it changes nothing. */
export function receiveKey(): void {
  if (process.env[PIPE_VARIABLE] === undefined) return
  delete process.env[PIPE_VARIABLE]
  const key = readFileSync(PIPE, 'utf8')
  closeSync(PIPE)
  if (key !== '') process.env[KEY_VARIABLE] = key
}
