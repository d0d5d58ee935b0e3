/**
 * What a client and the daemon say to each other over a Unix socket, `kuma.sock` in the store, or over TCP: a line of JSON
 * each, in UTF-8.
 *
 *     client  {"kuma":1}                                        first, once: the version of this protocol;
 *                                                               over TCP also the token: {"kuma":1,"token":".."}
 *     daemon  {"kuma":1,"version":"0.1.0","store":"..","pid":7,..}  or an error without an id, and the end
 *     client  {"id":1,"call":"append","params":{..}}            as many as it likes, without waiting
 *     daemon  {"id":1,"result":..} | {"id":1,"error":{code,message,hint,details}}      in whatever order they come
 *
 * A call that gives many, as `log` or `feed`, is answered page by page, and only so far as the client lets it:
 *
 *     daemon  {"id":2,"items":[..]} ..  {"id":2,"end":true}     two pages come unasked
 *     client  {"id":2,"more":1}                                 and one for each that has been dealt with
 *     client  {"id":2,"cancel":true}                            no more are wanted
 *
 * Any other call that only asks may be taken back in the same way, `{"id":3,"cancel":true}`, and ends with an error. All of
 * them end when the client hangs up; what records something is done all the same.
 *
 * `end` says that this was all; what is cut off ends with an error. A page of entities also tells the `place` after it, and
 * `after` goes on there. A daemon that stops says so first:
 *
 *     daemon  {"goodbye":7}                                     the last call that it took, 0 if none
 *
 * It answers what it took (a stream with KUMA_DISCONNECTED, and what only waits for something not at all: that may be asked
 * again), passes over what comes later, and hangs up. A call after the last one was not looked at, and may be made again.
 *
 * A client passes over lines that it does not know. A line from it that is no such message ends the connection, since nobody
 * knows what would come after it: it is told why, in an error without an id. A line from it is of 4 MiB at most, nested 72
 * levels deep and of 765,000 values, where a name counts for three (json-counter.ts). Only `append`, `appendCopy` and `execute` may be of 16 MiB: that is decided by how the
 * line begins, so `id` and `call` stand before `params`.
 */
import { join } from 'node:path'
import { KumaError, shortened, type WireError } from '../errors.ts'
import { SOCKET } from '../store/manifest.ts'

export const PROTOCOL = 1
/** Of a line from a client, but for calls that record something. */
export const LINE_BYTES_MAX = 4 * 1024 * 1024
/** An atomic group is of 4 MiB, and may take twice as much as JSON within JSON. */
export const LONG_LINE_BYTES_MAX = 16 * 1024 * 1024
export const LONG_CALLS: readonly string[] = ['append', 'appendCopy', 'execute']
export const PAGES_AHEAD = 2
/** How long what was sent may wait for a client that does not read. */
export const UNREAD_MS = 60_000
/** The kernel cuts longer names short, silently. */
const SOCKET_BYTES_MAX = 107

export interface Call {
  readonly id: number
  readonly call: string
  readonly params?: unknown
}

export type ClientMessage =
  | { readonly kuma: number; readonly token?: string | undefined }
  | Call
  | { readonly id: number; readonly more: number }
  | { readonly id: number; readonly cancel: true }

export interface Greeting {
  readonly kuma: number
  /** of the daemon's Kuma */
  readonly version: string
  readonly store: string
  /** where the store is, on the daemon's machine */
  readonly path: string
  readonly pid: number
  /** The daemon's config has changed since it was started. */
  readonly isConfigStale: boolean
}

export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly items: readonly unknown[]; readonly place?: string }
  | { readonly id: number; readonly end: true }
  | { readonly id: number; readonly error: WireError }

/** An answer, in the sentence that says why it cannot be given: it comes after what it tells of. */
export const ANSWER = 'what was asked for is done, but the answer'

export interface Goodbye {
  /** id of the last call that was taken; what came later was not looked at */
  readonly goodbye: number
}

/** Why the daemon hangs up. */
export interface Refusal {
  readonly error: WireError
}

export type ServerMessage = Greeting | Answer | Goodbye | Refusal

/** @throws KUMA_INVALID_CONFIG if the path is too long for a socket */
export function socketPath(store: string): string {
  const path = join(store, SOCKET)
  const bytes = Buffer.byteLength(path)
  if (bytes <= SOCKET_BYTES_MAX) return path
  const message = `the daemon's socket would be ${path}: ${bytes} bytes, and ${SOCKET_BYTES_MAX} is what a socket's name may have`
  const hint = 'put the store into a folder with a shorter path'
  throw new KumaError('KUMA_INVALID_CONFIG', message, { path: null }, { hint })
}

export function otherProtocol(theirs: unknown): KumaError<'KUMA_PROTOCOL'> {
  const message = `this speaks version ${PROTOCOL} of the protocol, and the other side ${shortened(JSON.stringify(theirs) ?? 'none')}`
  return new KumaError('KUMA_PROTOCOL', message, {}, { hint: 'use the same version of Kuma on both sides' })
}

export function malformed(problem: string): KumaError<'KUMA_PROTOCOL'> {
  const hint = 'a message is one line of JSON in UTF-8: see src/daemon/protocol.ts'
  return new KumaError('KUMA_PROTOCOL', `the message ${problem}`, {}, { hint })
}

/** @param why the answer is not whole */
export function disconnected(why: string, path: string): KumaError<'KUMA_DISCONNECTED'> {
  return new KumaError('KUMA_DISCONNECTED', why, { path }, { hint: 'ask again, from where it was' })
}

/** @param target the store, or where its daemon should listen */
export function notRunning(target: string): KumaError<'KUMA_NOT_RUNNING'> {
  const hint = '`kuma start` runs one'
  return new KumaError('KUMA_NOT_RUNNING', `no daemon runs for ${target}`, { path: target }, { hint })
}
