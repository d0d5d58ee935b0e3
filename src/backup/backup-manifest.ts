/**
 * A backup is a folder that has all that a store has, as it was: it can be read where it stands, with `--dir`.
 *
 *     <place>/<name>/          name = 2026-11-25T07-15-03Z, in UTC; place = <store>/backups unless another is given
 *       kuma.json              the store's
 *       shards/000.db ...      by VACUUM INTO: one file each, without a WAL, mode 0400
 *       backup.json            says what must be there; written last
 *     <place>/.<name>.partial  while it is made
 *     <place>/.<name>.removing while it is removed
 *
 * Under its own name a backup is always whole. A shard that did not change is a hard link to the file of the backup
 * before it, so a file of a backup is never written to: what has to change becomes a new file.
 */
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { canonicalJson } from '../entity/canonical-json.ts'
import { KumaError } from '../errors.ts'
import { ioError, writeDurably } from '../store/directory.ts'

export const BACKUP_FORMAT = 1
const NAME = 'backup.json'

export interface BackupManifest {
  readonly format: number
  readonly store: string
  readonly backup: string
  readonly created_at: string
  readonly shards: readonly BackedUpShard[]
  /** Every shard was verified when it was taken; then what is not sound has its problems, and the others `verified`. */
  readonly checked?: true | undefined
  /** In hexadecimal, over the canonical JSON (RFC 8785) of the rest. */
  readonly sha256: string
}

/** Where the log of a shard ends in the backup, and its file. Without any commit: 0, 0, '' and null. */
export interface BackedUpShard {
  readonly shard: number
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  readonly commit: number
  readonly position: number
  /** the seal of that commit, in hexadecimal */
  readonly head: string
  readonly recorded_at: string | null
  readonly entities: number
  /** As it was taken: an erasure that is recorded in the file changes what it ends in. Earlier versions kept none. */
  readonly taken?: Pick<BackedUpShard, 'commit' | 'head'> | undefined
  /** the inode of the file that was verified: every crc, the chains and the seal */
  readonly verified?: number | undefined
  /** what is wrong with it, in words */
  readonly problems?: readonly string[] | undefined
}

export function sealedManifest(manifest: Omit<BackupManifest, 'sha256'>): BackupManifest {
  return { ...manifest, sha256: hash('sha256', canonicalJson(manifest), 'hex') }
}

/** A shard of a backup as the next one has it that links to its file: it is taken with what the file ends in. */
export function asLinked(shard: BackedUpShard): BackedUpShard {
  return { ...shard, taken: { commit: shard.commit, head: shard.head } }
}

export function isBackup(path: string): boolean {
  return existsSync(join(path, NAME))
}

export function writeBackupManifest(backup: string, manifest: BackupManifest): void {
  writeDurably(join(backup, NAME), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** @throws KUMA_NOT_A_BACKUP, KUMA_NEWER_FORMAT, KUMA_CORRUPT if it is not as it was written, KUMA_IO */
export function readBackupManifest(backup: string): BackupManifest {
  const path = join(backup, NAME)
  const found = parse(read(backup, path), path)
  const { format } = found
  if (Number.isSafeInteger(format) && (format as number) > BACKUP_FORMAT) {
    const message = `${path} has format ${format}; this version of Kuma reads up to ${BACKUP_FORMAT}`
    const hint = 'use a newer version of Kuma'
    throw new KumaError('KUMA_NEWER_FORMAT', message, { path, format: format as number }, { hint })
  }
  const { sha256, ...rest } = found as unknown as BackupManifest
  if (!Array.isArray(rest.shards) || sealedManifest(rest).sha256 !== sha256)
    throw altered(path, 'its SHA-256 is not that of its content')
  return found as unknown as BackupManifest
}

function read(backup: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw ioError(cause, path)
    const hint = '`kuma backup ls` lists those of the store'
    throw new KumaError(
      'KUMA_NOT_A_BACKUP',
      `${backup} is not a backup: there is no ${path}`,
      { path: backup },
      { hint },
    )
  }
}

function parse(text: string, path: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(text)
    if (typeof found === 'object' && found !== null) return found as Record<string, unknown>
  } catch {}
  throw altered(path, 'it is not JSON')
}

function altered(path: string, problem: string): KumaError<'KUMA_CORRUPT'> {
  const hint = 'use another backup: `kuma backup ls` lists them'
  return new KumaError('KUMA_CORRUPT', `${path} is not as it was written: ${problem}`, { path }, { hint })
}
