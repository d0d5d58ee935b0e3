/**
 * Data goes to stdout, everything else to stderr. On a terminal data is laid out for people, in a pipe or with --json
 * for programs, as it is. What somebody else wrote never reaches a terminal as it is (visible.ts): in what is for people, of
 * which a part is his, that part is made visible where the line is made; what is JSON is when it is written.
 */
import { once } from 'node:events'
import fs, { fstatSync, fsyncSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { Chalk, type ChalkInstance } from 'chalk'
import { writeJson } from '../entity/json.ts'
import { writeError } from '../store/directory.ts'
import { visible, visibleLines } from '../visible.ts'

export { visible }

/** JSON for a terminal. */
export function prettyJson(value: unknown): string {
  return visibleLines(writeJson(value, 'what is to be shown', 2))
}

const STDOUT = 1
const STDERR = 2

/** Of stdout, also when what others print there goes elsewhere. */
const write: typeof process.stdout.write = process.stdout.write.bind(process.stdout)
let broken = false
let isKept = false

/**
 * From now on stdout is for data alone: what a user's module prints there, when it is loaded or called, goes to stderr. So
 * does what a logger writes by the number of the file. On a terminal both are the same, and pictures are drawn there.
 */
export function keepOutput(): void {
  if (isKept || isTerminal()) return
  isKept = true
  process.stdout.write = process.stderr.write.bind(process.stderr)
  for (const name of ['write', 'writeSync', 'writev', 'writevSync'] as const) {
    const original = fs[name] as (fd: number, ...more: unknown[]) => unknown
    Object.assign(fs, { [name]: (fd: number, ...more: unknown[]) => original(fd === STDOUT ? STDERR : fd, ...more) })
  }
  syncBuiltinESMExports()
}

/** From now on a failing stdout ends nothing in the middle; oclif would throw. */
export function watchOutput(): void {
  process.stdout.removeAllListeners('error').on('error', (error: NodeJS.ErrnoException) => {
    // with EPIPE, whoever read has heard enough (`| head -1`)
    if (!broken && error.code !== 'EPIPE') {
      process.exitCode = 1
      note(
        `Error: cannot write the output: ${error.message}\n  only the output failed: what was recorded stays recorded`,
      )
    }
    broken = true
  })
  // of a terminal that was closed: who ends for that still has something to do
  process.stderr.on('error', () => {})
}

/** What Kuma warns of is for who typed the command: one line, without the frame that Node puts around it. */
export function watchWarnings(): void {
  const [nodes] = process.listeners('warning')
  if (nodes === undefined) return // they are not wanted (NODE_NO_WARNINGS)
  process.removeListener('warning', nodes).on('warning', (warning) => {
    if (warning.name === 'KumaWarning') note(visible(warning.message))
    else nodes(warning)
  })
}

/** What oclif prints by itself (help, the version) is data too. */
export async function asData(run: () => Promise<unknown>): Promise<void> {
  const kept = process.stdout.write
  process.stdout.write = write
  await run().finally(() => {
    process.stdout.write = kept
  })
}

/** Writes a line of data. False when nobody reads any more: the command may stop. */
export async function print(line: string): Promise<boolean> {
  if (broken) return false
  if (!write(`${isTerminal() ? visibleLines(line) : line}\n`)) {
    const heard = new AbortController() // else a listener would stay behind each time
    const either = ['drain', 'close'].map((event) => once(process.stdout, event, heard))
    await Promise.race(either).catch(() => {})
    heard.abort()
    await Promise.allSettled(either)
  }
  return !broken
}

/**
 * Resolves when all that was printed has been handed over; into a file, when it is on disk. False when nobody reads any
 * more. @throws KUMA_IO, KUMA_DISK_FULL
 */
export async function flushed(): Promise<boolean> {
  const isHanded = await handedOver()
  if (isHanded && fstatSync(STDOUT).isFile()) syncOutput()
  return isHanded
}

/** Resolves when all that was printed has gone out. False when nobody reads any more. */
export function handedOver(): Promise<boolean> {
  return new Promise((resolve) => {
    write('', (error) => resolve(!error && !broken))
  })
}

function syncOutput(): void {
  try {
    fsyncSync(STDOUT)
  } catch (error) {
    throw writeError(error, 'stdout')
  }
}

/** Is there a reader of whom nobody sees what he does with it? */
export function isPipe(): boolean {
  const stats = fstatSync(STDOUT)
  return stats.isFIFO() || stats.isSocket()
}

/** Writes a line beside the data. It may quote somebody: also in a file it is for people, and JSON stays what it was. */
export function note(line: string): void {
  process.stderr.write(`${visibleLines(line)}\n`)
}

export function isTerminal(): boolean {
  return process.stdout.isTTY === true
}

/** chalk looks at the terminal, but not at NO_COLOR. */
export function colors(stream: NodeJS.WriteStream): ChalkInstance {
  return new Chalk({ level: wantsColor(stream) ? 1 : 0 })
}

export function wantsColor(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

/** With --json a time is there for people too, beside the milliseconds. */
export function timed<T extends { readonly at: number }>(row: T): T & { readonly time: string } {
  const entries = Object.entries(row).flatMap((entry) => (entry[0] === 'at' ? [entry, ['time', iso(row.at)]] : [entry]))
  return Object.fromEntries(entries)
}

export function iso(at: number): string {
  return new Date(at).toISOString()
}
