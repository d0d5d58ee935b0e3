/**
 * Are the files that are written to still those that their names stand for?
 *
 * SQLite keeps its files open and does not look at their names again. When one of them is removed or replaced, what is
 * written next goes to a file without a name, fsync and all, and is gone when this process ends. That happens:
 *
 * - A program that reads a shard's bytes itself drops SQLite's locks in its process. The next sqlite3 that looks into the
 *   shard takes itself for the last one when it closes, copies the WAL and removes it.
 * - A clean-up or a sync tool removes a -shm. Who opens the shard then makes another, and from there on two programs write
 *   to one WAL and neither sees the other. `PRAGMA data_version` says nothing of it: it looks into the -shm.
 * - A store is moved away, removed, or replaced by a backup while it is open. Whoever opens what stands there now takes
 *   that one's lock.
 *
 * So names are looked at, by stat, which opens nothing (opening a file and closing it is what drops the locks):
 *
 *     at each commit          the folder of the shards: while its times are those that it had at the last look, no name in it
 *                             was made, removed or given to another file. If they are not: its database, WAL and -shm
 *     where the last look     the database and the -shm in any case, and the lock: lock.db, its -shm, in which the lock's bytes
 *     is 10 ms ago, also      are, and its -wal, which grows when another process takes the lock
 *     100 ms after the last   all of them, and that the WAL is not shorter than it was; before a checkpoint and at the end too
 *     every half second       the lock, also without a commit; and before anything is opened by the store's path
 *
 * The folder is asked for since a stat of the WAL is dear: a newer kernel (Linux 6.13) stamps the next write to a file that
 * was looked at with a finer time, which the fsync of that write has to put on disk too. That is a sixth of the speed of
 * those who append one at a time.
 *
 * At a commit it is done after the fsync and before the acknowledgement: a look before it would say nothing of the file
 * that the fsync was of. What does not fit poisons, the shard or, where it is the lock, the whole store. What had been
 * acknowledged by then, and may have been in a file that had no name any more, is told as lost.
 */
import { type Stats, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatPosition } from '../entity/event.ts'
import { KumaError } from '../errors.ts'

const LOOK_MS = 10
/** Longer than a tick of the clock that file systems stamp with. */
const TICK_MS = 20

/** A file as it was when it was opened. Plain, so that it crosses a thread. */
export interface Seen {
  readonly path: string
  /** Device and inode say which file it is. Null if there is none. */
  readonly dev: number | null
  readonly ino: number | null
  readonly bytes: number
}

/** The lock of a store as it was when it was taken. */
export interface Held {
  readonly store: string
  readonly files: readonly Seen[]
}

/** What is not as it was. */
export interface Change {
  readonly what: string
  /** `emptied`: a WAL that another program has copied into the database */
  readonly of: 'wal' | 'shm' | 'database' | 'store' | 'emptied'
}

/** Events of a shard that were acknowledged and are gone, from one seq to another. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** A file, or the whole store, that was taken away below a shard's writer. */
export interface Vanished {
  readonly shard: number
  readonly change: Change
  readonly lost: Span | null
}

export function see(path: string): Seen {
  const { dev, ino, size } = statSync(path, { throwIfNoEntry: false }) ?? { dev: null, ino: null, size: 0 }
  return { path, dev, ino, bytes: size }
}

/** The files of a shard. */
export function seeShard(path: string): readonly Seen[] {
  return [path, `${path}-wal`, `${path}-shm`].map(see)
}

export function seeLock(store: string): Held {
  return { store, files: ['lock.db', 'lock.db-shm', 'lock.db-wal'].map((name) => see(join(store, name))) }
}

export function isSame(a: Seen, b: Seen): boolean {
  return a.ino !== null && a.ino === b.ino && a.dev === b.dev
}

/** Is it the same file, as long as that or longer? Says what happened to it if not. */
function changeOf({ path, dev, ino }: Seen, isRight: (bytes: number) => boolean = () => true): string | null {
  try {
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats === undefined || stats.nlink === 0) return `${path} was removed`
    if (stats.ino !== ino || stats.dev !== dev) return `${path} was replaced by another file`
    return isRight(stats.size) ? null : `${path} was written to by another program, or cut short`
  } catch (error) {
    return `${path} cannot be looked at: ${(error as Error).message}`
  }
}

/** Says what happened, if the store at the path is not the one of which the lock is held. */
function changeOfLock({ files }: Held): string | null {
  const [database, shm, wal] = files as [Seen, Seen, Seen]
  return changeOf(database) ?? changeOf(shm) ?? changeOf(wal, (bytes) => bytes === wal.bytes)
}

/** @throws KUMA_POISONED unless the store at the path is the one of which the lock is held */
export function assertHeld(held: Held): void {
  const what = changeOfLock(held)
  if (what !== null) throw gone(held.store, what)
}

/** The files of a shard must be the same for all who have it open in this process. @throws KUMA_POISONED */
export function assertSame(shard: number, known: readonly Seen[], now: readonly Seen[]): void {
  const other = now.find((one, i) => !isSame(one, known[i]!))
  if (other === undefined) return
  const what = other.ino === null ? 'was removed' : 'was replaced by another file'
  throw poisoned(shard, `${other.path} ${what}`)
}

/** That a store was moved away, removed or replaced. */
export function gone(store: string, what: string): KumaError<'KUMA_POISONED'> {
  const message = `${store} is not the store any more that was opened: ${what}; nothing more is read or written`
  const hint = 'open it again; what was recorded is in the store that was opened, wherever that was moved to'
  return new KumaError('KUMA_POISONED', message, { shard: null }, { hint })
}

export function poisoned(shard: number, why: string): KumaError<'KUMA_POISONED'> {
  const hint = 'check the disk and who else touches these files, then open the store again; reading goes on'
  return new KumaError('KUMA_POISONED', poisonedText(shard, why), { shard }, { hint })
}

/** @param lost what was acknowledged and may have gone with it */
export function poisonedText(shard: number, why: string, lost: Span | null = null): string {
  const text = `shard ${shard} takes no more writes: ${why}`
  return lost === null ? text : `${text}; ${lostText({ shard, ...lost })}`
}

/** Of events that were acknowledged and may have gone with a file. */
export function lostText({ shard, from, to }: Span & { readonly shard: number }): string {
  const [first, last] = [formatPosition(shard, from), formatPosition(shard, to)]
  const which = first === last ? first : `${first} to ${last}`
  return `what was acknowledged as ${which} is lost unless it was copied or moved elsewhere before`
}

/** The folder of the shards: as long as its times stay, each name in it stands for the same file. */
class Folder {
  private known: Stats | null = null

  constructor(private readonly path: string) {}

  /**
   * Whoever is told no looks at the names. It is no, too, where the times would not tell of the next change: they are whole
   * seconds, or the last change is so new that another may get the same.
   */
  isAsLookedAt(): boolean {
    const now = statOf(this.path)
    if (now !== null && this.known !== null && isUntouched(now, this.known)) return true
    const isSettled = now !== null && now.ctimeMs % 1000 !== 0 && Date.now() - now.ctimeMs > TICK_MS
    this.known = isSettled ? now : null
    return false
  }
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

function isUntouched(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.ctimeMs === b.ctimeMs && a.mtimeMs === b.mtimeMs
}

/** Looks at the files of one shard, for its writer, who has them open. */
export class ShardWatch {
  private readonly database: Seen
  private readonly wal: Seen
  private readonly shm: Seen
  private walBytes: number
  private readonly folder: Folder
  private lookedAt = performance.now()
  /** Up to this seq the database has everything. */
  private copied: number
  /** Up to this seq everything was acknowledged while database and lock were there. */
  private found: number

  /**
   * @param lastSeq of the last event that is recorded
   * @throws KUMA_POISONED if they are not there, though they have just been opened
   */
  constructor(
    shard: number,
    readonly files: readonly Seen[],
    private readonly held: Held | null,
    lastSeq: number,
  ) {
    ;[this.database, this.wal, this.shm] = files as [Seen, Seen, Seen]
    for (const { path, ino } of files) if (ino === null) throw poisoned(shard, `${path} was removed`)
    this.folder = new Folder(dirname(this.database.path))
    this.walBytes = this.wal.bytes
    this.copied = this.wal.bytes === 0 ? lastSeq : 0
    this.found = lastSeq
  }

  /** After a commit. @param lastSeq of the last event that is about to be acknowledged, or has been */
  look(lastSeq: number): Change | null {
    const now = performance.now()
    const isDue = now - this.lookedAt >= LOOK_MS
    const change =
      (this.folder.isAsLookedAt() ? null : (this.lookAtDatabase() ?? this.lookAtWal())) ??
      (isDue ? (this.lookAtStore() ?? this.lookAtDatabase() ?? this.lookAtShm()) : null)
    if (change !== null) return this.lookAtStore() ?? change // where a file of a shard is gone, the whole store may be
    if (isDue) this.looked(lastSeq, now)
    return null
  }

  lookAtAll(lastSeq: number): Change | null {
    const change = this.lookAtStore() ?? this.lookAtDatabase() ?? this.lookAtWal()
    if (change === null) this.looked(lastSeq, performance.now())
    return change
  }

  private looked(lastSeq: number, now: number): void {
    this.lookedAt = now
    this.found = lastSeq
  }

  private lookAtWal(): Change | null {
    const isWhole = (bytes: number) => {
      const isRight = bytes >= this.walBytes
      if (isRight) this.walBytes = bytes
      return isRight
    }
    const what = changeOf(this.wal, isWhole)
    return what === null ? this.lookAtShm() : { what, of: 'wal' }
  }

  private lookAtShm(): Change | null {
    const what = changeOf(this.shm)
    return what === null ? null : { what, of: 'shm' }
  }

  /** Under its name, whatever is in it. */
  get isWalThere(): boolean {
    return changeOf(this.wal) === null
  }

  private lookAtDatabase(): Change | null {
    const what = changeOf(this.database)
    return what === null ? null : { what, of: 'database' }
  }

  private lookAtStore(): Change | null {
    const what = this.held && changeOfLock(this.held)
    return what === null ? null : { what, of: 'store' }
  }

  /** The writer has emptied the WAL. */
  walEmptied(lastSeq: number): void {
    this.walBytes = 0
    this.copied = lastSeq
  }

  /** The writer has copied all of the WAL into the database. */
  walCopied(lastSeq: number): void {
    this.copied = lastSeq
  }

  /** Which of the events that were acknowledged may have gone with a file. A -shm holds none, and neither does a lock. */
  lostWith({ of }: Change, lastSeq: number): Span | null {
    const isGone = of === 'database' || (of === 'store' && this.lookAtDatabase() !== null)
    const kept = of === 'wal' ? this.copied : isGone ? this.found : lastSeq
    return kept < lastSeq ? { from: kept + 1, to: lastSeq } : null
  }
}
