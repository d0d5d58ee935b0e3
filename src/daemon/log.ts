/**
 * The daemon's log: a line of JSON each, with a level, a time and what happened. It tells of connections and of the engine,
 * and never what an event, an id or a command holds: a log is kept and copied where an erasure does not reach.
 *
 * That of a detached daemon is the file kuma.log in the store, which is its stderr. When it has grown beyond its bound it
 * is copied to kuma.log.1 and emptied, and not renamed: what this process and its helpers print when they crash goes to a
 * descriptor that cannot be pointed at another file from here, and would land in the older one from then on. It was opened to
 * append, so whoever writes next begins the empty file anew. Lines that others print between the copy and the cut, which
 * takes milliseconds, are lost; those of the log are not, since it is this thread that writes them.
 */
import { constants, copyFileSync, fstatSync, ftruncateSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { Writable } from 'node:stream'
import pino from 'pino'
import { visibleLines } from '../visible.ts'
import type { LogLevel } from './log-levels.ts'

export type Log = { readonly [level in LogLevel]: (about: object, message: string) => void }

/** How often the size of a file is looked at while nothing is logged: others print there too. */
const LOOK_MS = 10_000

/**
 * To stderr: JSON, or for people where that is a terminal.
 * @param file where a detached daemon's stderr goes, and how many bytes it may have
 */
export async function openLog(
  level: LogLevel,
  colorize: boolean,
  file: { readonly path: string; readonly bytesMax: number },
): Promise<Log> {
  const { fd } = process.stderr
  // written before the call returns: the last lines of a process are those that matter
  const sink = process.stderr.isTTY
    ? await forPeople(colorize)
    : isSame(fd, file.path)
      ? bounded(file)
      : unheard(pino.destination({ fd, sync: true }))
  const log: Log = pino(optionsOf(level), sink)
  return log
}

/** Where nobody reads any more the daemon goes on, or ends as it was told to. */
function unheard<T extends { on(event: 'error', listener: () => void): unknown }>(sink: T): T {
  sink.on('error', () => {})
  return sink
}

/** To the file, which only its user may read. */
export function openLogFile(level: LogLevel, file: { readonly path: string; readonly bytesMax: number }): Log {
  return pino(optionsOf(level), bounded(file))
}

function optionsOf(level: LogLevel) {
  return {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
}

function isSame(fd: number, path: string): boolean {
  const [a, b] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })]
  return a.isFile() && a.dev === b?.dev && a.ino === b.ino
}

function bounded({ path, bytesMax }: { readonly path: string; readonly bytesMax: number }) {
  const fd = openSync(path, 'a', 0o600)
  const older = `${path}.1`
  const look = () => {
    if (fstatSync(fd).size <= bytesMax) return
    try {
      rmSync(older, { force: true })
      copyFileSync(path, older, constants.COPYFILE_EXCL) // not through a link
    } catch {
      // where it cannot be copied, as on a full disk, it is bounded all the same
    }
    ftruncateSync(fd)
  }
  setInterval(look, LOOK_MS).unref()
  const write = (line: string) => {
    try {
      writeSync(fd, line)
    } catch {
      // a full disk: events are refused with that reason, and the daemon goes on
    }
    look()
  }
  return { write }
}

async function forPeople(colorize: boolean) {
  const { default: pretty } = await import('pino-pretty')
  const destination = new Writable({
    decodeStrings: false,
    write: (text: string | Buffer, _encoding, done) => {
      try {
        writeSync(process.stderr.fd, visibleLines(String(text)))
      } catch {
        // the terminal was closed
      }
      done()
    },
  })
  return pretty({ colorize, destination, ignore: 'pid' })
}
