/**
 * The process that copies shards: VACUUM INTO takes as long as it takes, and in a process of its own it can be ended at
 * any moment and holds up nobody. Where that is asked for it verifies what it copied, and the links. Answers with each shard
 * as it is in the copy.
 */
import { statSync } from 'node:fs'
import { contentsOf, copyShard, fileHash, settle } from '../store/copy-shard.ts'
import { ioError } from '../store/directory.ts'
import { answerQuestions } from '../store/helper.ts'
import { type Manifest, shardPath } from '../store/manifest.ts'
import { verifyShard } from '../store/verify.ts'
import { asLinked, type BackedUpShard, readBackupManifest } from './backup-manifest.ts'
import { isVerified } from './soundness.ts'

export interface CopyTask {
  readonly from: string
  readonly to: string
  readonly shards: readonly number[]
  /** Verify what is copied. */
  readonly verify: boolean
  /** Verify these too: they are in their place already, as links to the files of a backup. */
  readonly links: { readonly of: string; readonly shards: readonly number[] } | null
  readonly manifest: Manifest
}

answerQuestions(async function* (task: CopyTask): AsyncGenerator<BackedUpShard> {
  const links = linksOf(task)
  for (const shard of [...links.keys(), ...task.shards]) yield await settled(shard, task, links)
})

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

function linksOf({ links }: CopyTask): Map<number, BackedUpShard> {
  if (links === null) return new Map()
  const linked = readBackupManifest(links.of).shards.filter(({ shard }) => links.shards.includes(shard))
  return new Map(linked.map((said) => [said.shard, asLinked(said)]))
}

async function settled(shard: number, task: CopyTask, links: ReadonlyMap<number, BackedUpShard>) {
  const link = links.get(shard)
  const said = link ?? copy(shard, task)
  if (!task.verify) return said
  const problems = link === undefined ? await problemsIn(shard, task) : await problemsOfLink(link, task)
  const { verified: _, ...rest } = said
  return problems.length > 0 ? { ...rest, problems } : { ...rest, verified: statSync(shardPath(task.to, shard)).ino }
}

/** Of the file that was verified before, its SHA-256 tells that it is still the same. */
async function problemsOfLink(link: BackedUpShard, task: CopyTask): Promise<string[]> {
  if (fileHash(shardPath(task.to, link.shard)) !== link.sha256)
    return ['the file is not as it was written: its SHA-256 is another']
  return isVerified(task.to, link) ? [] : problemsIn(link.shard, task)
}

async function problemsIn(shard: number, { to, manifest }: CopyTask): Promise<string[]> {
  const keys = { file: null, keys: null } // nothing of them is beside a backup
  const { problems } = await verifyShard(to, shard, manifest, keys, () => {})
  return problems.map((problem) => problem.replaceAll(shardPath(to, shard), fileOf(shard))) // the folder gets another name
}

function fileOf(shard: number): string {
  return shardPath('', shard).replaceAll('\\', '/')
}
