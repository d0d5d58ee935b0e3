/**
 * `entity-keys`, in a store whose contents are encrypted: a key for each entity, so that what is encrypted can be
 * forgotten by forgetting its key, also in copies that nobody can reach.
 *
 *     0     "KUMAKEYS", u32 format, u32 shards, 16 bytes: the store's id
 *           40 bytes: the store's key, wrapped under the master key; zeros up to 128
 *     128   slots of 64 bytes. Entity k of shard s has slot (k - 1) * shards + s:
 *             zeros          not used yet
 *             40 bytes       its key, wrapped under the store's; zeros
 *             "destroyed"    it was erased; zeros
 *
 * Keys are wrapped by AES-256 key wrap (RFC 3394), which tells a wrong key from the right one. Numbers are little-endian.
 *
 * A slot is written in place, and lies within one sector, so it is written whole or not at all. The key of a new entity
 * is on disk before the commit that creates it begins: there is never an event that nobody can read. A key without an
 * entity is of a commit that failed, and the next entity of that number writes over it.
 */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { KumaError } from '../errors.ts'
import {
  ioError,
  removeTemporaries,
  syncDirectory,
  syncFile,
  temporaryName,
  writeDurably,
  writeError,
} from './directory.ts'
import { corrupt, type Manifest, newerFormat } from './manifest.ts'

const NAME = 'entity-keys'
const MAGIC = 'KUMAKEYS'
const FORMAT = 1
const HEADER_BYTES = 128
const SLOT_BYTES = 64
/** of a wrapped key */
export const WRAPPED_BYTES = 40
const WRAPPED_AT = 32
const DESTROYED = Buffer.alloc(SLOT_BYTES)
DESTROYED.write('destroyed')

/** What a slot holds: a wrapped key, or the mark of one that was destroyed, or nothing yet. */
export type Slot = Buffer | 'destroyed' | null

/** The entity that a key is of. */
export interface Owner {
  readonly shard: number
  readonly entity: number
}

export function keyFilePath(directory: string): string {
  return join(directory, NAME)
}

/** @param storeKey wrapped under the master key */
export function createKeyFile(directory: string, manifest: Manifest, storeKey: Uint8Array): void {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write(MAGIC)
  header.writeUInt32LE(FORMAT, 8)
  header.writeUInt32LE(manifest.shards, 12)
  idBytes(manifest).copy(header, 16)
  header.set(storeKey, WRAPPED_AT)
  writeDurably(keyFilePath(directory), header)
}

export class KeyFile {
  /** A write that failed may be on disk or not, and asking again would not tell: the kernel reports it once. */
  private broken: unknown = null

  private constructor(
    readonly path: string,
    private readonly shards: number,
    private readonly fd: number,
    /** the store's key, wrapped */
    readonly storeKey: Buffer,
  ) {}

  /** @throws KUMA_NO_KEYS if there is no such file or it is another store's, KUMA_CORRUPT, KUMA_NEWER_FORMAT, KUMA_IO */
  static open(path: string, manifest: Manifest, access: 'read' | 'write'): KeyFile {
    let fd: number
    try {
      fd = openSync(path, access === 'read' ? 'r' : 'r+')
    } catch (cause) {
      throw (cause as NodeJS.ErrnoException).code === 'ENOENT' ? noKeys(path, 'is not there') : ioError(cause, path)
    }
    try {
      const header = Buffer.alloc(HEADER_BYTES)
      const bytes = readSync(fd, header, 0, HEADER_BYTES, 0)
      if (bytes < HEADER_BYTES || header.toString('latin1', 0, 8) !== MAGIC) throw corrupt(path, 'it holds no keys')
      const format = header.readUInt32LE(8)
      if (format > FORMAT) throw newerFormat(path, format, FORMAT)
      if (!header.subarray(16, 32).equals(idBytes(manifest))) throw noKeys(path, 'holds the keys of another store')
      if (header.readUInt32LE(12) !== manifest.shards)
        throw corrupt(path, 'its number of shards is not that of kuma.json')
      return new KeyFile(path, manifest.shards, fd, header.subarray(WRAPPED_AT, WRAPPED_AT + WRAPPED_BYTES))
    } catch (error) {
      closeSync(fd)
      throw error instanceof KumaError ? error : ioError(error, path)
    }
  }

  read(shard: number, entity: number): Slot {
    const slot = Buffer.alloc(SLOT_BYTES)
    readSync(this.fd, slot, 0, SLOT_BYTES, this.placeOf(shard, entity))
    if (slot.equals(DESTROYED)) return 'destroyed'
    return slot.every((byte) => byte === 0) ? null : slot.subarray(0, WRAPPED_BYTES)
  }

  /** Durable when it returns. @throws KUMA_DISK_FULL, KUMA_IO */
  write(keys: readonly (Owner & { readonly wrapped: Uint8Array })[]): void {
    this.put(
      keys.map(({ wrapped, ...owner }) => {
        const slot = Buffer.alloc(SLOT_BYTES)
        slot.set(wrapped)
        return { ...owner, slot }
      }),
    )
  }

  /** Durable when it returns; those that are destroyed already cost nothing. @throws KUMA_IO */
  destroy(owners: readonly Owner[]): void {
    const due = owners.filter(({ shard, entity }) => this.read(shard, entity) !== 'destroyed')
    this.put(due.map((owner) => ({ ...owner, slot: DESTROYED })))
  }

  private put(slots: readonly (Owner & { readonly slot: Buffer })[]): void {
    if (slots.length === 0) return
    try {
      if (this.broken !== null) throw this.broken
      for (const { shard, entity, slot } of slots) writeSync(this.fd, slot, 0, SLOT_BYTES, this.placeOf(shard, entity))
      fdatasyncSync(this.fd)
    } catch (cause) {
      const error = writeError(cause, this.path)
      if (error.code !== 'KUMA_DISK_FULL') this.broken ??= cause
      throw error
    }
  }

  private placeOf(shard: number, entity: number): number {
    return HEADER_BYTES + ((entity - 1) * this.shards + shard) * SLOT_BYTES
  }

  close(): void {
    closeSync(this.fd)
  }
}

/** Are the keys of a store in a file? What cannot be read says no. */
export function holdsKeysOf(path: string, manifest: Manifest): boolean {
  try {
    KeyFile.open(path, manifest, 'read').close()
    return true
  } catch {
    return false
  }
}

/**
 * Copies the keys of a store to another file, whole or not at all. The copy can be written by its owner: an erasure
 * reaches it too.
 * @param onWritten called when the copy is on disk, before it gets its name
 * @throws KUMA_NO_KEYS if there is a file already and it holds no keys of this store; KUMA_IO, KUMA_DISK_FULL
 */
export function copyKeyFile(from: string, to: string, manifest: Manifest, onWritten = () => {}): void {
  KeyFile.open(from, manifest, 'read').close()
  if (existsSync(to)) KeyFile.open(to, manifest, 'read').close()
  const temporary = temporaryName(to)
  try {
    removeTemporaries(to) // as long as a key is in one, what was encrypted with it is not gone
    copyFileSync(from, temporary, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
    chmodSync(temporary, 0o600)
    syncFile(temporary)
    onWritten()
    renameSync(temporary, to)
    syncDirectory(dirname(to))
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw cause instanceof KumaError ? cause : writeError(cause, to)
  }
}

function idBytes({ store }: Manifest): Buffer {
  return Buffer.from(store.replaceAll('-', ''), 'hex')
}

function noKeys(path: string, why: string): KumaError<'KUMA_NO_KEYS'> {
  const hint = '`kuma backup --keys-to FILE` makes a copy of the keys; `kuma restore --keys FILE` takes one'
  return new KumaError('KUMA_NO_KEYS', `${path} ${why}`, { path }, { hint })
}
