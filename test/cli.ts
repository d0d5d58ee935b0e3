/** Runs the real binary, as a shell would. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { folder } from './folder.ts'

export const BINARY = fileURLToPath(new URL('../bin/run.js', import.meta.url))

export interface Options {
  readonly cwd?: string
  readonly input?: string | Uint8Array
  readonly env?: Record<string, string>
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Nothing of the environment that the tests run in decides what a command does. */
export function environment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(KUMA_|CI$|NO_COLOR|FORCE_COLOR|NODE_EXTRA_CA)/.test(name),
  )
  return { ...Object.fromEntries(kept), ...more }
}

export function launch(args: readonly string[], { cwd = folder(), env }: Options = {}): ChildProcess {
  return spawn(process.execPath, [BINARY, ...args], { cwd, env: environment(env), stdio: 'pipe' })
}

export async function kuma(args: readonly string[], options: Options = {}): Promise<Ended> {
  const child = launch(args, options)
  child.stdin!.on('error', () => {}) // it may end before it has read everything
  child.stdin!.end(options.input ?? '')
  return ended(child)
}

export function ended(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ['', '']
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** A folder with a new store, and the commands run in it. */
export async function shell() {
  const cwd = folder()
  const run = (args: readonly string[], options: Options = {}) => kuma(args, { cwd, ...options })
  const { code, stderr } = await run(['init', '--shards', '2'])
  if (code !== 0) throw new Error(stderr)
  return { cwd, run }
}

export function ndjson(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
