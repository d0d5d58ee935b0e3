/** Is everything as it was recorded? Verifying never writes, and works beside a writer. */
import { resolve } from 'node:path'
import { isKumaError } from '../errors.ts'
import { checkDirectory } from './directory.ts'
import { KeyFile, keyFilePath } from './key-file.ts'
import { Keys } from './keys.ts'
import { type Manifest, readManifest } from './manifest.ts'
import { openShard } from './shard-file.ts'
import { type KnownKeys, type ShardReport, ShardVerification } from './verify-shard.ts'

export interface VerifyProgress {
  readonly shard: number
  readonly shards: number
  /** verified so far, of all shards */
  readonly events: number
  readonly eventsTotal: number
}

export interface VerifyOptions {
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
  /** Of an encrypted store. Without it, nothing is checked that needs it: see verify-with-keys.ts. */
  readonly masterKey?: (() => Uint8Array | null) | undefined
}

/**
 * Checks each shard: SQLite's own check, every crc, versions and `prev` chains, heads, request keys, and the seal, all
 * of it recomputed. A shard that cannot be read is a report with a problem, not an error.
 * @throws KUMA_NOT_A_STORE, KUMA_MASTER_KEY, KUMA_NO_KEYS, KUMA_NEWER_FORMAT, KUMA_UNSAFE_DIRECTORY, KUMA_IO
 */
export async function* verifyStore(path: string, options: VerifyOptions = {}): AsyncGenerator<ShardReport> {
  const directory = resolve(path)
  checkDirectory(directory)
  const manifest = readManifest(directory)
  const file = manifest.encryption && KeyFile.open(keyFilePath(directory), manifest, 'read')
  const masterKey = file && options.masterKey?.()
  const keys = file && masterKey && Keys.open(file.path, manifest, masterKey, 'read')
  try {
    for await (const report of verifyShards(directory, manifest, options, { file: file ?? null, keys: keys ?? null }))
      yield { ...report, problems: [...report.problems, ...report.added.map(addedProblem)] }
  } finally {
    file?.close()
    keys?.close()
  }
}

/** In a backup it does no harm: what is restored of it is without. */
function addedProblem(drop: string): string {
  return `somebody added to it what would keep copies of erased data: \`kuma compact\` does ${drop}`
}

/** The same for a directory of which nothing else is asked: that of a backup may be on a network. */
export async function* verifyShards(
  directory: string,
  manifest: Manifest,
  { onProgress, signal }: VerifyOptions = {},
  known: KnownKeys = { file: null, keys: null },
): AsyncGenerator<ShardReport> {
  const eventsTotal = onProgress === undefined ? 0 : countEvents(directory, manifest)
  let before = 0
  for (let shard = 0; shard < manifest.shards; shard++) {
    let events = before
    const progress = (inShard: number) => {
      signal?.throwIfAborted()
      events = before + inShard
      onProgress?.({ shard, shards: manifest.shards, events, eventsTotal })
    }
    const report = await verifyShard(directory, shard, manifest, known, progress)
    before = events
    yield report
  }
}

/** The same for one shard. @throws as `openShard`, but for a shard that is damaged */
export async function verifyShard(
  directory: string,
  shard: number,
  manifest: Manifest,
  known: KnownKeys,
  progress: (events: number) => void,
): Promise<ShardReport> {
  let verification: ShardVerification
  try {
    verification = new ShardVerification(openShard(directory, shard, manifest, 'read'), shard, manifest, known)
  } catch (error) {
    if (!isKumaError(error, 'KUMA_CORRUPT')) throw error
    return { shard, entities: 0, events: 0, commits: 0, head: '', unfinished: 0, added: [], problems: [error.message] }
  }
  return verification.run(progress)
}

/** For the progress only: a shard that cannot be read counts as empty. */
function countEvents(directory: string, manifest: Manifest): number {
  let total = 0
  for (let shard = 0; shard < manifest.shards; shard++) {
    try {
      const db = openShard(directory, shard, manifest, 'read')
      total += db.prepare('SELECT coalesce(max(last_seq), 0) FROM commits').pluck().get() as number
      db.close()
    } catch {}
  }
  return total
}
