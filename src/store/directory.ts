/** What the store asks of a directory: that only its owner can write to it, and that locks and fsync work on it. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { REPLACEMENT } from '../entity/utf8.ts'
import { KumaError } from '../errors.ts'

/** File systems on which POSIX locks or shared memory cannot be trusted, by the magic number of statfs(2) on Linux. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x01021997, '9p'],
  [0x5346414f, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x01161970, 'GFS2'],
])

/** The name of the network file system that a statfs type stands for, or null. */
export function networkFileSystem(type: number): string | null {
  return NETWORK.get(type >>> 0) ?? null
}

/**
 * Checks that nobody else can put files in the store's place.
 * @throws KUMA_NOT_A_STORE if there is no such directory, KUMA_UNSAFE_DIRECTORY, KUMA_IO
 */
export function checkDirectory(path: string): void {
  const stats = statOf(path)
  const problem = problemOf(path, stats)
  if (problem === null) return
  throw new KumaError('KUMA_UNSAFE_DIRECTORY', `${path} ${problem[0]}`, { path }, { hint: problem[1] })
}

function statOf(path: string): Stats {
  try {
    return lstatSync(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw notAStore(path, 'there is no such directory')
    throw ioError(cause, path)
  }
}

function problemOf(path: string, stats: Stats): [problem: string, hint: string] | null {
  if (stats.isSymbolicLink()) return ['is a symbolic link', 'give the directory that it points to']
  if (!stats.isDirectory()) throw notAStore(path, 'it is not a directory')
  if (!isMine(stats)) return [`belongs to another user (uid ${stats.uid})`, 'a store is opened by the user who owns it']
  if (process.platform !== 'win32' && (stats.mode & 0o022) !== 0) {
    const who = (stats.mode & 0o002) === 0 ? `its group (gid ${stats.gid})` : 'anyone'
    return [`can be written by ${who}`, `run \`chmod 700 ${path}\``]
  }
  const network = process.platform === 'linux' ? networkFileSystem(statfsSync(path).type) : null
  if (network !== null) return [`is on a network file system (${network})`, 'put the store on a local disk']
  return null
}

/** Does it belong to who runs this? */
export function isMine({ uid }: Pick<Stats, 'uid'>): boolean {
  const me = process.geteuid?.()
  return me === undefined || uid === me
}

export function notAStore(path: string, why: string): KumaError<'KUMA_NOT_A_STORE'> {
  const hint = 'make one with `kuma init`, or name another with --dir'
  return new KumaError('KUMA_NOT_A_STORE', `${path} is not a Kuma store: ${why}`, { path }, { hint })
}

export function ioError(cause: unknown, path: string): KumaError<'KUMA_IO'> {
  const { code, message } = cause as NodeJS.ErrnoException
  if (code === 'EMFILE' || code === 'ENFILE') return tooManyFiles(cause, path)
  const hint = code === 'EACCES' || code === 'EROFS' || code === 'EPERM' ? 'check who may write there' : undefined
  return new KumaError('KUMA_IO', `${path}: ${message}`, { path }, { cause, hint })
}

/** A process may have so many files open; where they are none too few, somebody else has too many. */
export function tooManyFiles(cause: unknown, path: string): KumaError<'KUMA_IO'> {
  const most = filesMax()
  const hint = 'give it more: `ulimit -n 4096` before it is started, or LimitNOFILE= in a unit of systemd'
  const message = `${path}: too many open files${most === null ? '' : `: this process may have ${most}`}`
  return new KumaError('KUMA_IO', message, { path }, { cause, hint })
}

/** Has this process as many files open as it may? SQLite only says that it could not open one. */
export function isOutOfFiles(): boolean {
  try {
    closeSync(openSync('/dev/null', 'r'))
    return false
  } catch (error) {
    return ['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')
  }
}

/** Null where the system does not tell; of Node's own report, since no file can be opened to look. */
function filesMax(): string | null {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: string | number } } }
  return userLimits?.open_files === undefined ? null : String(userLimits.open_files.soft)
}

/** An error of writing: a disk that is full is one that its user can mend. */
export function writeError(cause: unknown, path: string): KumaError<'KUMA_DISK_FULL' | 'KUMA_IO'> {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') return ioError(cause, path)
  const hint = 'make room on the disk'
  return new KumaError('KUMA_DISK_FULL', `${path}: no space left`, { path }, { cause, hint })
}

/** With those above it. Not by mkdir's own `recursive`: in Node that never ends where a directory takes no entries (/proc). */
export function makeDirectory(path: string): void {
  if (existsSync(path)) return
  makeDirectory(dirname(path))
  checkName(path)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Makes a directory that must not be there: whatever is, somebody else may have put it there. @throws an error of Node */
export function makeNewDirectory(path: string): void {
  makeDirectory(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}

/** Makes a directory into which nobody else gets, unless it is there. @throws KUMA_UNSAFE_DIRECTORY if somebody else has it */
export function makePrivateDirectory(path: string): void {
  makeDirectory(path)
  const stats = lstatSync(path)
  if (!stats.isDirectory() || !isMine(stats))
    throw new KumaError('KUMA_UNSAFE_DIRECTORY', `${path} is no directory of one's own`, { path })
  if ((stats.mode & 0o077) !== 0) chmodSync(path, stats.mode & 0o700)
}

/**
 * Of a name that is not UTF-8 Node gives U+FFFD: what is made under that is elsewhere, and other names lead there too.
 * @throws KUMA_USAGE unless it is there already
 */
function checkName(path: string): void {
  if (!basename(path).includes(REPLACEMENT) || existsSync(path)) return
  const message = `${path} is not there, and U+FFFD in it stands for bytes that are not UTF-8`
  throw new KumaError('KUMA_USAGE', message, {}, { hint: 'give the folder or file a name in UTF-8' })
}

/** Makes the names in a directory durable: a file that is fsynced may still lose its name. */
export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return // directories cannot be opened there
  syncFile(path, 'r')
}

/** Makes what was written to a file durable. Never of one that this process has open in SQLite: closing it drops the locks. */
export function syncFile(path: string, flags: 'r' | 'r+' = 'r+'): void {
  const fd = openSync(path, flags)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/**
 * Makes a file that must not be there, not even as a link, for its owner alone, whatever the umask.
 * @returns its descriptor. @throws an error of Node
 */
export function createFile(path: string): number {
  const fd = openSync(path, 'wx', 0o600)
  fchmodSync(fd, 0o600)
  return fd
}

/** For a file that gets its name when it is whole. Nobody can know it before, and put something there. */
export function temporaryName(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}.tmp`
}

/** Removes what somebody who was cut off left under such names. Not while somebody may be at it. */
export function removeTemporaries(path: string): void {
  const own = `${basename(path)}.`
  for (const name of readdirSync(dirname(path)))
    if (name.startsWith(own) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(own.length)))
      rmSync(join(dirname(path), name), { force: true })
}

/** Writes a whole file or none: under a temporary name, fsynced, renamed, its directory fsynced. */
export function writeDurably(path: string, content: string | Uint8Array): void {
  checkName(path)
  const temporary = temporaryName(path)
  const fd = createFile(temporary)
  try {
    try {
      writeFileSync(fd, content)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  syncDirectory(dirname(path))
}

/**
 * What versions before this one made could be read by others where the umask let them, and so can a copy of a store. What
 * others may do with its files and folders is taken away; what cannot be is told, as a warning of the process.
 */
export function tighten(store: string): void {
  if (process.platform === 'win32') return
  for (const folder of [store, join(store, 'shards'), join(store, 'backups')])
    for (const name of namesIn(folder)) tightenOne(join(folder, name))
}

/** None of one that is not there, or cannot be read: whoever needs it says so. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function tightenOne(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined || !(stats.isFile() || stats.isDirectory()) || (stats.mode & 0o077) === 0) return
  try {
    chmodSync(path, stats.mode & 0o700)
  } catch (error) {
    process.emitWarning(`others may read ${path}: ${(error as Error).message}`, 'KumaWarning')
  }
}
