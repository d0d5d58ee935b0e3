/**
 * Which backups are of this store's history, and what their order is. A clock may run ahead and a folder may be copied, so
 * neither a name nor the store's id tells: a backup is of this history if each shard, as it was taken, ended in a commit
 * that the store has under this number with this seal. Of these, the one with more commits is the newer.
 */
import { isKumaError } from '../errors.ts'
import { CommitHeads } from '../store/commit-heads.ts'
import { type Manifest, readManifest } from '../store/manifest.ts'
import { breathe } from '../store/slices.ts'
import type { BackedUpShard } from './backup-manifest.ts'
import type { PlacedBackup } from './places.ts'

/** 'unknown' where the store, or a shard of it, cannot be read. */
export type History = 'own' | 'other' | 'unknown'

export interface OrderedBackup extends PlacedBackup {
  readonly history: History
}

interface Placing {
  history: History
  /** with which it was taken, of all shards */
  commits: number
}

/**
 * The oldest first, by commits and then by name. Before them stand those of another history, and before these the ones
 * that cannot be read: so the last one is the newest that is of use.
 */
export async function inOrder(store: string, backups: readonly PlacedBackup[]): Promise<OrderedBackup[]> {
  const placings = await placingsOf(store, backups)
  return backups
    .map((backup, i) => ({ backup, ...placings[i]! }))
    .sort((a, b) => rank(a) - rank(b) || a.commits - b.commits || byName(a.backup.name, b.backup.name))
    .map(({ backup, history }) => ({ ...backup, history }))
}

function rank({ backup, history }: { backup: PlacedBackup; history: History }): number {
  return backup.manifest === null ? 0 : history === 'other' ? 1 : 2
}

/** `..Z-10` comes after `..Z-2`. */
export function byName(a: string, b: string): number {
  return a.slice(0, 20) === b.slice(0, 20) ? Number(a.slice(21)) - Number(b.slice(21)) : a < b ? -1 : 1
}

async function placingsOf(store: string, backups: readonly PlacedBackup[]): Promise<Placing[]> {
  const manifest = readable(() => readManifest(store))
  const placings = backups.map((backup) => placingOf(backup, manifest))
  for (let shard = 0; shard < (manifest?.shards ?? 0); shard++) {
    const heads = readable(() => new CommitHeads(store, shard, manifest!))
    try {
      for (const [i, backup] of backups.entries()) follow(placings[i]!, backup, shard, heads)
    } finally {
      heads?.close()
    }
    await breathe()
  }
  return placings
}

/** As far as the manifests tell. */
function placingOf({ manifest: backup }: PlacedBackup, store: Manifest | null): Placing {
  const commits = (backup?.shards ?? []).reduce((sum, shard) => sum + (shard.taken ?? shard).commit, 0)
  if (backup === null || store === null) return { history: 'unknown', commits }
  const isOther = backup.store !== store.store || backup.shards.length !== store.shards
  return { history: isOther ? 'other' : 'own', commits }
}

function follow(placing: Placing, backup: PlacedBackup, shard: number, heads: CommitHeads | null): void {
  const said = backup.manifest?.shards[shard]
  if (said === undefined || placing.history === 'other') return
  const own = heads && readable(() => ownCommit(backup, said, heads))
  if (own === null) placing.history = 'unknown'
  else if (own === 'none') placing.history = 'other'
  else placing.commits += own - (said.taken ?? said).commit
}

/** The commit with which a shard was taken, if it is the store's own. */
function ownCommit(backup: PlacedBackup, said: BackedUpShard, heads: CommitHeads): number | 'none' {
  const { commit, head } = said.taken ?? said
  if (heads.of(commit) === head) return commit
  return said.taken === undefined ? beforeErasures(backup, said, heads) : 'none'
}

/**
 * Manifests of earlier versions do not keep what a shard was taken with. When an erasure was recorded in the backup too,
 * the commits before the records tell.
 */
function beforeErasures({ path }: PlacedBackup, { shard, commit }: BackedUpShard, heads: CommitHeads): number | 'none' {
  const copy = new CommitHeads(path, shard, readManifest(path))
  try {
    const last = copy.lastOfEntities()
    for (let id = commit; id >= last; id--) if (heads.of(id) === copy.of(id)) return id
    return 'none'
  } finally {
    copy.close()
  }
}

/** Null if it cannot be read. */
function readable<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (isKumaError(error)) return null
    throw error
  }
}
