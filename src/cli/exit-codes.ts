/** What a command's exit code says to a script. */
import { isKumaError, type KumaErrorCode } from '../errors.ts'

export const EXIT = {
  /** Done. */
  ok: 0,
  /** It failed for another reason, or what was asked about is not well: the message tells. */
  error: 1,
  /** It was asked in a way that makes no sense, or with data that are refused. Nothing was done: ask otherwise. */
  usage: 2,
  /** There is no such entity, store, backup or daemon. */
  notFound: 3,
  /** It is not as you expected (another version, an id that is taken), or the entity's rules refuse. Look, and decide anew. */
  conflict: 4,
  /** Somebody else has the store, or there is too much to do just now. Nothing was done: ask again later. */
  busy: 5,
  /**
   * A file is damaged. Go on with nothing that you cannot lose: `kuma verify` tells what is wrong, `kuma backup ls` what there
   * is to go back to, and `kuma restore` brings it.
   */
  corrupt: 6,
  /**
   * Nobody knows whether it was recorded: the disk failed in the middle, or the daemon died. Ask again with the same
   * `--request-key`, which records it once; without one look with `kuma log` first. Then see to the disk.
   */
  indeterminate: 7,
  /** `tail --exec`: its command did not handle what it got, and gets it again. */
  notHandled: 8,
  /** `run`: the daemon could not be run; the program's own codes are told from it. */
  notRun: 125,
  /** Ctrl-C (SIGINT). */
  interrupted: 130,
  /** SIGTERM. */
  terminated: 143,
} as const

const BY_CODE: Partial<Record<KumaErrorCode, number>> = {
  KUMA_USAGE: EXIT.usage,
  KUMA_INVALID_POINT: EXIT.usage,
  KUMA_INVALID_POSITION: EXIT.usage,
  KUMA_INVALID_ID: EXIT.usage,
  KUMA_INVALID_REQUEST: EXIT.usage,
  KUMA_INVALID_DATA: EXIT.usage,
  KUMA_STATE_TOO_LARGE: EXIT.usage,
  KUMA_INVALID_EVENT: EXIT.usage,
  KUMA_INVALID_TIME: EXIT.usage,
  KUMA_INVALID_COMMAND: EXIT.usage,
  KUMA_MASTER_KEY: EXIT.usage,
  KUMA_UNAUTHORIZED: EXIT.usage,
  KUMA_NOT_FOUND: EXIT.notFound,
  KUMA_UNKNOWN_PATH: EXIT.notFound,
  KUMA_ERASED: EXIT.notFound,
  KUMA_NOT_A_STORE: EXIT.notFound,
  KUMA_NOT_RUNNING: EXIT.notFound,
  KUMA_NOT_A_BACKUP: EXIT.notFound,
  KUMA_NO_KEYS: EXIT.notFound,
  KUMA_CONFLICT: EXIT.conflict,
  KUMA_ALREADY_EXISTS: EXIT.conflict,
  KUMA_STORE_EXISTS: EXIT.conflict,
  KUMA_REQUEST_KEY_REUSED: EXIT.conflict,
  KUMA_TYPE_MISMATCH: EXIT.conflict,
  KUMA_CANNOT_REVERT: EXIT.conflict,
  // a conflict with the rules
  KUMA_REJECTED: EXIT.conflict,
  KUMA_LOCKED: EXIT.busy,
  KUMA_OVERLOADED: EXIT.busy,
  KUMA_INTERRUPTED: EXIT.busy,
  KUMA_CORRUPT: EXIT.corrupt,
  KUMA_INDETERMINATE: EXIT.indeterminate,
  KUMA_EXEC_FAILED: EXIT.notHandled,
}

export function exitCodeOf(error: unknown): number {
  if (isKumaError(error)) return BY_CODE[error.code] ?? EXIT.error
  return isUsage(error) ? EXIT.usage : EXIT.error
}

/** Errors of oclif about flags and arguments. */
export function isUsage(error: unknown): boolean {
  return (error as { oclif?: { exit?: number } } | null)?.oclif?.exit === EXIT.usage
}
