/**
 * The process that copies shards: VACUUM INTO takes as long as it takes, and in a process of its own it can be ended at
 * any moment and holds up nobody. Where that is asked for it verifies what it copied, and the links. Its argument is a
 * CopyTask as JSON. Prints a line of JSON for each shard, BackedUpShard or an error as it travels, and ends when whoever
 * started it does.
 */
import { statSync } from 'node:fs'
import { toWire } from '../errors.ts'
import { contentsOf, copyShard, fileHash, settle } from '../store/copy-shard.ts'
import { ioError } from '../store/directory.ts'
import { type Manifest, shardPath } from '../store/manifest.ts'
import { verifyShard } from '../store/verify.ts'
import type { BackedUpShard } from './backup-manifest.ts'
import { isVerified } from './soundness.ts'

export interface CopyTask {
  readonly from: string
  readonly to: string
  readonly shards: readonly number[]
  /** Verify what is copied, and these links that are in their place already. */
  readonly verify: boolean
  readonly links: readonly BackedUpShard[]
  readonly manifest: Manifest
}

const task = JSON.parse(process.argv[2]!) as CopyTask
let orphaned = false
process.stdin.on('end', () => (orphaned = true)).resume()
try {
  for (const due of [...task.links, ...task.shards]) {
    if (orphaned) break
    const shard = typeof due === 'number' ? copy(due, task) : due
    process.stdout.write(`${JSON.stringify(task.verify ? await verified(shard, task) : shard)}\n`)
    await new Promise((resolve) => setImmediate(resolve))
  }
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: toWire(error) })}\n`)
}
process.stdin.destroy()

function copy(shard: number, { from, to, manifest }: CopyTask): BackedUpShard {
  copyShard(from, to, shard, manifest)
  const path = shardPath(to, shard)
  const { at, ...end } = contentsOf(to, shard, manifest)
  try {
    const sha256 = settle(path)
    const { size } = statSync(path)
    const recorded_at = at === null ? null : new Date(at).toISOString()
    const taken = { commit: end.commit, head: end.head }
    return { shard, file: fileOf(shard), bytes: size, sha256, ...end, recorded_at, taken }
  } catch (cause) {
    throw ioError(cause, path)
  }
}

/** Of a file that was verified before, as it is linked here, the SHA-256 tells that it is still the same. */
async function verified(said: BackedUpShard, { to, manifest }: CopyTask): Promise<BackedUpShard> {
  const path = shardPath(to, said.shard)
  const problems: string[] = []
  if (fileHash(path) !== said.sha256) problems.push('the file is not as it was written: its SHA-256 is another')
  else if (!isVerified(to, said)) {
    const known = { file: null, keys: null } // nothing of them is beside a backup
    const report = await verifyShard(to, said.shard, manifest, known, endIfOrphaned)
    problems.push(...report.problems.map((problem) => problem.replaceAll(path, said.file))) // it gets another name
  }
  const { verified: _, problems: __, ...rest } = said
  return problems.length === 0 ? { ...rest, verified: statSync(path).ino } : { ...rest, problems }
}

function endIfOrphaned(): void {
  if (orphaned) process.exit()
}

function fileOf(shard: number): string {
  return shardPath('', shard).replaceAll('\\', '/')
}
