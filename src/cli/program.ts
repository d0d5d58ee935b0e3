/**
 * The program of `kuma run`. What would end its daemon is told to it and to nobody else: the daemon ends after the program,
 * whatever that makes of a signal. And where the daemon ends without it (SIGKILL, no memory), it is ended too.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

/** All that would end this process and can be listened to; those that tell of its own defects are its own. */
const SIGNALS = (
  ['HUP', 'INT', 'QUIT', 'ABRT', 'USR1', 'USR2', 'ALRM', 'TERM', 'XCPU', 'VTALRM', 'IO', 'PWR', 'SYS'] as const
)
  .map((name) => `SIG${name}` as NodeJS.Signals)
  .filter((signal) => signal in constants.signals)
/** A terminal sends them to all that run in its foreground. */
const BY_KEYS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT']

/** @returns ends it */
export function passSignals(child: ChildProcess): () => void {
  const pass = (signal: NodeJS.Signals) => {
    if (!(BY_KEYS.includes(signal) && isInForeground())) child.kill(signal)
  }
  for (const signal of SIGNALS) process.on(signal, pass)
  return () => {
    for (const signal of SIGNALS) process.off(signal, pass)
  }
}

/** Of a terminal. Where the system does not tell: is there one at all? */
function isInForeground(): boolean {
  try {
    // after the name, which may hold anything: state, parent, group, session, terminal, its foreground group
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields[2] === fields[5]
  } catch {
    return process.stdin.isTTY === true || process.stdout.isTTY === true
  }
}

/** A shell of its own waits for the end of a pipe, of which this process has the other end. @returns ends it */
export function guard(child: ChildProcess): () => void {
  if (child.pid === undefined) return () => {}
  const watcher = spawn('/bin/sh', ['-c', 'read _; kill -TERM "$1"', 'sh', String(child.pid)], {
    detached: true, // the keys of a terminal do not reach it
    stdio: ['pipe', 'ignore', 'ignore'],
    env: {},
  })
  watcher.on('error', () => {}) // where there is no shell nobody watches
  watcher.stdin.on('error', () => {})
  watcher.unref()
  return () => void watcher.kill('SIGKILL')
}
