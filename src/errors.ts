/**
 * Every failure that Kuma reports is a `KumaError`. Its `code` is stable and meant for programs; its message names the
 * thing and its `hint` the next step, and both may change. Across a worker or a socket an error travels as the plain
 * value `{ code, message, hint, details }` (`toWire`, `fromWire`). This file imports nothing.
 */

/** What each code tells besides its message. A code that has nothing to add has empty details. */
export interface KumaErrorDetails {
  /** `expectedVersion` was not the version found. */
  KUMA_CONFLICT: { readonly entity: string; readonly expected: number; readonly actual: number }
  /** There is no such entity, or there was none then. */
  KUMA_NOT_FOUND: { readonly entity: string }
  /** The entity was erased while this was under way. An id used again is a new entity. Null where only its key is known. */
  KUMA_ERASED: { readonly entity: string | null }
  /** An entity of that id is there, and was to be made. */
  KUMA_ALREADY_EXISTS: { readonly entity: string; readonly version: number }
  /** The entity is of another type than the one that was named. */
  KUMA_TYPE_MISMATCH: { readonly entity: string; readonly expected: string; readonly actual: string }
  /**
   * No definition of that entity type was given to `start` or stands in the config. Null: nobody said of which type a new
   * entity is.
   */
  KUMA_UNKNOWN_TYPE: { readonly type: string | null }
  /** The definition of that entity type has no `.revert(...)`. */
  KUMA_CANNOT_REVERT: { readonly type: string }
  /** There is nothing at that path (a JSON Pointer, RFC 6901) of the entity's state. */
  KUMA_UNKNOWN_PATH: { readonly entity: string; readonly path: string }
  /** The data does not fit what the definition declares, or the definition declares no such event. */
  KUMA_INVALID_EVENT: {
    readonly type: string
    readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[]
  }
  /** The rules of the entity, its `decide`, do not allow the command: `cause` is what it threw. Nothing was recorded. */
  KUMA_REJECTED: { readonly command: string; readonly reason: string }
  /** The data does not fit what the definition declares, or the definition declares no such command. */
  KUMA_INVALID_COMMAND: {
    readonly command: string
    readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[]
  }
  /** The `decide` of the command did not answer in time, and nothing was recorded; or a `query` took too long. */
  KUMA_TIMEOUT: { readonly command: string; readonly timeoutMs: number }
  /** A value that the log cannot hold as JSON. */
  KUMA_INVALID_DATA: { readonly path: string }
  /**
   * The state of an entity would be larger than `stateBytesMax`, and nothing was recorded; or it is so large already that it
   * cannot be read. It has at least so many `bytes`; both are null where it is nested too deep, or no text can hold it.
   */
  KUMA_STATE_TOO_LARGE: {
    readonly entity: string | null
    readonly bytes: number | null
    readonly max: number | null
  }
  /** An id or a name is empty, too long, or holds what none may. */
  KUMA_INVALID_ID: { readonly id: string }
  /** A point in time that cannot be read, or a version that the entity has not reached. */
  KUMA_INVALID_POINT: { readonly point: string }
  /**
   * A token that names no place in this store, or one in a history that is no more, since the store was restored or forked:
   * then `shared` is the last place before it that is also of today's.
   */
  KUMA_INVALID_POSITION: { readonly position: string; readonly shared: string | null }
  /** The `at` of a historical event is earlier than the entity's last event, or ahead of now. */
  KUMA_INVALID_TIME: { readonly entity: string; readonly at: number }
  /**
   * The model broke its bargain: `evolve`, `initial` or `upcast` threw, or one of them or `decide` returned something
   * that is no state and no event; or `evolve` changed the state that it was given, or made NaN or undefined in it, and then
   * `path` (a JSON Pointer) is where. `type` is that of the event, or of the command.
   */
  KUMA_MODEL_FAILED: {
    readonly entity: string
    readonly type: string
    readonly version: number
    readonly path?: string | undefined
  }
  /** The request key stands for another request already. */
  KUMA_REQUEST_KEY_REUSED: { readonly requestKey: string }
  /** A bounded queue is full. Nothing was recorded. */
  KUMA_OVERLOADED: { readonly retryAfterMs: number }
  /** The disk failed while committing: the event may or may not be recorded. Retry with the same request key. */
  KUMA_INDETERMINATE: { readonly requestKey: string | null }
  /**
   * The shard takes no more writes, since an earlier commit failed. This event was not recorded. Null: the whole store is
   * not the one any more that was opened, and nothing in it is read or written.
   */
  KUMA_POISONED: { readonly shard: number | null }
  /** No space is left. Nothing was recorded, and what comes when there is space again will be. */
  KUMA_DISK_FULL: { readonly path: string }
  /** Another process writes to it, or keeps it from being written to. */
  KUMA_LOCKED: { readonly path: string; readonly pid: number | null }
  /** What was asked for would write, and the store was opened to read. */
  KUMA_READ_ONLY: { readonly path: string }
  /** What was asked was closed before, or meanwhile. Nothing was recorded. */
  KUMA_CLOSED: { readonly path: string }
  /** No daemon listens on the store's socket. */
  KUMA_NOT_RUNNING: { readonly path: string }
  /** The connection to a daemon was lost in the middle of an answer. */
  KUMA_DISCONNECTED: { readonly path: string }
  /** Client and daemon do not speak the same version, or one of them said something that is no message. */
  KUMA_PROTOCOL: Record<never, never>
  /** Who comes over TCP has no token, or a wrong one; or the file that should hold it does not serve. */
  KUMA_UNAUTHORIZED: Record<never, never>
  /** Refused as it came: from a web page, or under a name that is not the daemon's. */
  KUMA_FORBIDDEN: Record<never, never>
  /** A daemon was asked for something that does not exist, or with parameters of the wrong kind. */
  KUMA_INVALID_REQUEST: { readonly call: string; readonly field?: string }
  /** There is no store in that directory. */
  KUMA_NOT_A_STORE: { readonly path: string }
  /** There is no backup there, or none that is whole. */
  KUMA_NOT_A_BACKUP: { readonly path: string }
  /** There is something in that directory already. */
  KUMA_STORE_EXISTS: { readonly path: string }
  /** The store was written by a newer version of Kuma. */
  KUMA_NEWER_FORMAT: { readonly path: string; readonly format: number }
  /** A file is not as it was written. */
  KUMA_CORRUPT: { readonly path: string }
  /**
   * The directory cannot be trusted or locked: others may write to it, it or the socket in it is someone else's, it is a symbolic
   * link, or on a network.
   */
  KUMA_UNSAFE_DIRECTORY: { readonly path: string }
  /**
   * The store's contents are encrypted, and no master key was given, or not its own, or something that is none; or others may
   * read the file that it is in.
   */
  KUMA_MASTER_KEY: { readonly path: string | null; readonly reason: 'missing' | 'wrong' | 'malformed' | 'exposed' }
  /** The file with the keys of the entities is not there, is another store's, or is too old. */
  KUMA_NO_KEYS: { readonly path: string }
  /** A file or directory could not be opened, read or written. */
  KUMA_IO: { readonly path: string }
  /** The config, a definition or a setting makes no sense, or cannot be loaded. */
  KUMA_INVALID_CONFIG: { readonly path: string | null }
  /** SQL that no query can be: it is wrong, or it would write. */
  KUMA_INVALID_QUERY: Record<never, never>
  /** The query was ended by an erasure: what one reads stays in the files until it has ended. To be asked again. */
  KUMA_INTERRUPTED: Record<never, never>
  /** The database that holds read models does not answer, or not as it should. What is recorded waits in the log. */
  KUMA_SINK_UNAVAILABLE: { readonly sink: string }
  /** It holds the read models of another store. */
  KUMA_WRONG_SINK: { readonly sink: string }
  /** A statement of a batch was refused, and the whole batch with it. `index` is its place in the batch. */
  KUMA_STATEMENT_FAILED: { readonly index: number }
  /** A projection stopped, at an event if its position is given. */
  KUMA_PROJECTION_FAILED: { readonly projection: string; readonly position: string | null }
  /** A projection is not as it was when its table was built, and its version does not say so. */
  KUMA_PROJECTION_CHANGED: { readonly projection: string }
  /** The config has no projection of that name. */
  KUMA_UNKNOWN_PROJECTION: { readonly projection: string }
  /** The command of `tail --exec` did not end with exit code 0: what it got counts as not handled. */
  KUMA_EXEC_FAILED: { readonly command: string; readonly exitCode: number | null; readonly signal: string | null }
  /** Arguments that do not fit together. */
  KUMA_USAGE: Record<never, never>
  /** The SQLite driver for this version of Node is not installed. */
  KUMA_DRIVER: { readonly package: string }
  /** The package that this process was started from is another now, whose code it does not start. */
  KUMA_PACKAGE_REPLACED: { readonly path: string }
  /** A defect of Kuma itself. */
  KUMA_INTERNAL: Record<never, never>
}

export type KumaErrorCode = keyof KumaErrorDetails

export class KumaError<C extends KumaErrorCode = KumaErrorCode> extends Error {
  override readonly name = 'KumaError'
  readonly code: C
  readonly details: KumaErrorDetails[C]
  /** The next step, or null. */
  readonly hint: string | null

  // Public, since a declaration without it would let `new KumaError('text')` compile, as Error's does
  constructor(
    code: C,
    message: string,
    details: KumaErrorDetails[C],
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = details
    this.hint = options.hint ?? null
  }

  /** With its message, which JSON leaves out of other errors. */
  toJSON(): WireError & { readonly name: string } {
    return { name: this.name, ...toWire(this) }
  }
}

/** A union over the codes, so that `switch (error.code)` narrows `error.details`. */
export type KumaErrorOf<C extends KumaErrorCode> = C extends unknown ? KumaError<C> : never

/** Is this an error of Kuma, and one of these codes if any are given? Works across copies of the library. */
export function isKumaError<C extends KumaErrorCode = KumaErrorCode>(
  error: unknown,
  ...codes: readonly C[]
): error is KumaErrorOf<C> {
  if (!(error instanceof Error) || error.name !== 'KumaError' || !('code' in error)) return false
  return codes.length === 0 || codes.includes(error.code as C)
}

const NAME_CHARS_MAX = 64

/** What somebody calls a thing, as a message repeats it: no more of it than one would recognise it by. */
export function shortened(name: string): string {
  return name.length <= NAME_CHARS_MAX ? name : `${name.slice(0, NAME_CHARS_MAX).toWellFormed()}…`
}

/** The same in quotes. */
export function quoted(name: string): string {
  return JSON.stringify(shortened(name))
}

/** An error as it crosses a thread or a socket. */
export interface WireError {
  readonly code: KumaErrorCode
  readonly message: string
  readonly hint: string | null
  readonly details: KumaErrorDetails[KumaErrorCode]
}

export function toWire(error: unknown): WireError {
  const known = isKumaError(error) ? error : internal(error)
  return { code: known.code, message: known.message, hint: known.hint, details: known.details }
}

export function fromWire(wire: WireError): KumaError {
  return new KumaError(wire.code, wire.message, wire.details, { hint: wire.hint ?? undefined })
}

/** Anything unexpected, as a KumaError that keeps the cause. */
export function internal(cause: unknown): KumaError<'KUMA_INTERNAL'> {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new KumaError('KUMA_INTERNAL', message, {}, { cause, hint: 'this is a defect of Kuma: please report it' })
}
