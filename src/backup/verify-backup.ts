/** Is a backup what its manifest says, and is what it holds as it was recorded? Never writes. */
import { statSync } from 'node:fs'
import { isKumaError } from '../errors.ts'
import { CommitHeads } from '../store/commit-heads.ts'
import { contentsOf, fileHash } from '../store/copy-shard.ts'
import { type Manifest, readManifest, shardPath } from '../store/manifest.ts'
import { type VerifyProgress, verifyShards } from '../store/verify.ts'
import { type BackedUpShard, type BackupManifest, readBackupManifest } from './backup-manifest.ts'

export interface BackupReport {
  readonly backup: string
  readonly path: string
  readonly shards: number
  readonly entities: number
  readonly events: number
  readonly bytes: number
  /** in words; none if it can be restored */
  readonly problems: readonly string[]
}

export interface VerifyBackupOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
}

/**
 * The manifest's own hash, every file's size and SHA-256, what the manifest says of each shard, and then all that
 * `kuma verify` checks of a store.
 * @throws KUMA_NOT_A_BACKUP, KUMA_NEWER_FORMAT, KUMA_CORRUPT if the manifest itself is altered, KUMA_IO
 */
export async function verifyBackup(path: string, options: VerifyBackupOptions = {}): Promise<BackupReport> {
  const manifest = readBackupManifest(path)
  const store = readManifest(path)
  const problems = [...problemsOf(manifest, store), ...manifest.shards.flatMap((shard) => fileProblems(path, shard))]
  const totals = { entities: 0, events: 0 }
  // a file that is not the one that was written may be anything: nothing else is asked of it
  if (problems.length === 0) {
    problems.push(...manifest.shards.flatMap((said) => contentProblems(path, said, store)))
    for await (const report of verifyShards(path, store, options)) {
      totals.entities += report.entities
      totals.events += report.events
      problems.push(...report.problems.map((problem) => `shard ${report.shard}: ${problem}`))
    }
  }
  const bytes = manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0)
  return { backup: manifest.backup, path, shards: manifest.shards.length, ...totals, bytes, problems }
}

function problemsOf({ store, shards }: BackupManifest, manifest: Manifest): string[] {
  const problems: string[] = []
  if (store !== manifest.store) problems.push(`kuma.json is of another store, ${manifest.store}`)
  const right =
    shards.length === manifest.shards && shards.every(({ shard, file }, i) => shard === i && file === fileOf(i))
  if (!right) problems.push(`backup.json does not name the ${manifest.shards} shards that kuma.json says there are`)
  return problems
}

function fileOf(shard: number): string {
  return shardPath('', shard).replaceAll('\\', '/')
}

function fileProblems(path: string, { shard, bytes, sha256 }: BackupManifest['shards'][number]): string[] {
  const file = shardPath(path, shard)
  const size = statSync(file, { throwIfNoEntry: false })?.size
  if (size === undefined) return [`${file} is missing`]
  if (size !== bytes) return [`${file} has ${size} bytes instead of ${bytes}`]
  return fileHash(file) === sha256 ? [] : [`${file}: the SHA-256 is not that of backup.json`]
}

/** An erasure that was recorded in it follows on what it was taken with. */
function isTaken(path: string, { shard, taken }: BackedUpShard, manifest: Manifest): boolean {
  if (taken === undefined) return true
  const heads = new CommitHeads(path, shard, manifest)
  try {
    return Number.isSafeInteger(taken.commit) && heads.of(taken.commit) === taken.head
  } finally {
    heads.close()
  }
}

function contentProblems(path: string, said: BackupManifest['shards'][number], manifest: Manifest): string[] {
  try {
    const { commit, position, head, at, entities } = contentsOf(path, said.shard, manifest)
    const recordedAt = at === null ? null : new Date(at).toISOString()
    const same =
      said.commit === commit && said.position === position && said.head === head && said.entities === entities
    if (!same || said.recorded_at !== recordedAt) return [`shard ${said.shard} does not end where backup.json says`]
    return isTaken(path, said, manifest) ? [] : [`shard ${said.shard} was not taken with what backup.json says`]
  } catch (error) {
    if (!isKumaError(error, 'KUMA_CORRUPT', 'KUMA_NEWER_FORMAT')) throw error
    return [error.message]
  }
}
