/**
 * The process that copies shards: VACUUM INTO takes as long as it takes, and in a process of its own it can be ended at
 * any moment and holds up nobody. Answers with each shard as it is in the copy.
 */
import { statSync } from 'node:fs'
import { contentsOf, copyShard, settle } from '../store/copy-shard.ts'
import { ioError } from '../store/directory.ts'
import { answerQuestions } from '../store/helper.ts'
import { type Manifest, shardPath } from '../store/manifest.ts'
import type { BackedUpShard } from './backup-manifest.ts'

export interface CopyTask {
  readonly from: string
  readonly to: string
  readonly shards: readonly number[]
  readonly manifest: Manifest
}

answerQuestions(function* (task: CopyTask): Generator<BackedUpShard> {
  for (const shard of task.shards) yield copy(shard, task)
})

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
