/**
 * The process that copies shards: VACUUM INTO takes as long as it takes, and in a process of its own it can be ended at
 * any moment and holds up nobody. Its argument is a CopyTask as JSON. Prints a line of JSON for each shard, BackedUpShard
 * or an error as it travels, and ends when whoever started it does.
 */
import { statSync } from 'node:fs'
import { toWire } from '../errors.ts'
import { contentsOf, copyShard, settle } from '../store/copy-shard.ts'
import { ioError } from '../store/directory.ts'
import { type Manifest, shardPath } from '../store/manifest.ts'
import type { BackedUpShard } from './backup-manifest.ts'

export interface CopyTask {
  readonly from: string
  readonly to: string
  readonly shards: readonly number[]
  readonly manifest: Manifest
}

const task = JSON.parse(process.argv[2]!) as CopyTask
let orphaned = false
process.stdin.on('end', () => (orphaned = true)).resume()
try {
  for (const shard of task.shards) {
    if (orphaned) break
    process.stdout.write(`${JSON.stringify(copy(shard, task))}\n`)
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
    return { shard, file: fileOf(shard), bytes: size, sha256, ...end, recorded_at }
  } catch (cause) {
    throw ioError(cause, path)
  }
}

function fileOf(shard: number): string {
  return shardPath('', shard).replaceAll('\\', '/')
}
