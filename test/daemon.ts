/** A daemon, started as a person would, for one test. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Ended, ended, launch, shell } from './cli.ts'

export interface Running {
  readonly daemon: ChildProcess
  /** when it has ended */
  readonly output: Promise<Ended>
  /** what it logged when it was ready */
  readonly listening: { readonly pid: number; readonly path: string; readonly address: string | null }
}

/** Resolves when it listens. */
export async function startDaemon(
  cwd: string,
  words: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Running> {
  const daemon = launch(['start', ...words], { cwd, env })
  onTestFinished(() => void daemon.kill('SIGKILL'))
  const output = ended(daemon)
  const [text] = (await Promise.race([
    once(daemon.stderr!, 'data'),
    output.then(({ stderr }) => Promise.reject(new Error(`it ended: ${stderr}`))),
  ])) as [string]
  const listening = JSON.parse(text.split('\n')[0]!)
  if (listening.msg !== 'listening') throw new Error(text)
  return { daemon, output, listening }
}

/** A store with a daemon. */
export async function started(words: readonly string[] = []) {
  const made = await shell()
  const store = join(made.cwd, 'kuma-data')
  const start = (more = words) => startDaemon(made.cwd, more)
  return { ...made, store, start, ...(await start()) }
}

export const TOKEN = '0123456789abcdef0123456789abcdef'

export function tokenFile(folder: string, text = TOKEN, mode = 0o600): string {
  const file = join(folder, 'token')
  writeFileSync(file, `${text}\n`, { mode })
  return file
}
