/** The backups of a store, with what each is worth. */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { inOrder, type OrderedBackup } from './order.ts'
import { backupsIn, placesOf } from './places.ts'
import { type Known, knownOf } from './soundness.ts'

export interface ListedBackup {
  readonly backup: string
  readonly path: string
  readonly place: string
  readonly created_at: string | null
  readonly age_s: number | null
  readonly bytes: number
  /** of files that no other backup links to */
  readonly own_bytes: number
  readonly entities: number | null
  /** recorded up to then */
  readonly events: number | null
  /** of the newest event: what it restores to */
  readonly recorded_at: string | null
  /** was it verified when it was taken? */
  readonly soundness: Known['soundness']
  readonly history: (typeof HISTORIES)[OrderedBackup['history']]
  /** why it cannot be restored, as far as its manifest, the sizes of its files and what was found when it was taken tell */
  readonly problem: string | null
}

const HISTORIES = { own: 'of this history', other: 'of another history', unknown: 'unknown' } as const

/** Place by place, in each the oldest first, and those of another history before them. @param to only those in this folder */
export async function* listBackups(store: string, to?: string): AsyncGenerator<ListedBackup> {
  for (const place of to === undefined ? placesOf(store) : [resolve(to)]) {
    const backups = await inOrder(store, backupsIn(place))
    const known = knownOf(backups)
    for (const backup of backups) yield listed(backup, place, known(backup))
  }
}

function listed({ name, path, manifest, history }: OrderedBackup, place: string, known: Known): ListedBackup {
  const shards = manifest?.shards ?? []
  const files = shards.map(({ file }) => ({ stats: statSync(join(path, file), { throwIfNoEntry: false }) }))
  const sum = (of: (file: (typeof files)[number]) => number) => files.reduce((total, file) => total + of(file), 0)
  const ends = shards.flatMap(({ recorded_at }) => recorded_at ?? [])
  return {
    backup: name,
    path,
    place,
    created_at: manifest?.created_at ?? null,
    age_s: manifest === null ? null : Math.floor((Date.now() - Date.parse(manifest.created_at)) / 1_000),
    bytes: sum(({ stats }) => stats?.size ?? 0),
    own_bytes: sum(({ stats }) => (stats?.nlink === 1 ? stats.size : 0)),
    entities: manifest && shards.reduce((total, { entities }) => total + entities, 0),
    events: manifest && shards.reduce((total, { position }) => total + position, 0),
    recorded_at: ends.sort().at(-1) ?? null,
    history: HISTORIES[history],
    ...known,
  }
}
