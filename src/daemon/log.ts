/**
 * The daemon's log: a line of JSON each, with a level, a time and what happened. It tells of connections and of the engine,
 * and never what an event, an id or a command holds: a log is kept and copied where an erasure does not reach.
 */
import { writeSync } from 'node:fs'
import { Writable } from 'node:stream'
import pino from 'pino'
import { visibleLines } from '../visible.ts'
import type { LogLevel } from './log-levels.ts'

export type Log = { readonly [level in LogLevel]: (about: object, message: string) => void }

/** To stderr: JSON, or for people where that is a terminal. */
export async function openLog(level: LogLevel, colorize: boolean): Promise<Log> {
  const { fd } = process.stderr
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  // written before the call returns: the last lines of a process are those that matter
  const sink = process.stderr.isTTY ? await forPeople(colorize) : pino.destination({ fd, sync: true })
  const log: Log = pino(options, sink)
  return log
}

async function forPeople(colorize: boolean) {
  const { default: pretty } = await import('pino-pretty')
  const destination = new Writable({
    decodeStrings: false,
    write: (text: string | Buffer, _encoding, done) => {
      writeSync(process.stderr.fd, visibleLines(String(text)))
      done()
    },
  })
  return pretty({ colorize, destination, ignore: 'pid' })
}
