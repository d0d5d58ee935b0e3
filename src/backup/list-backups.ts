/** The backups of a store, with what each is worth. */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { backupsIn, type PlacedBackup, placesOf } from './places.ts'

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
  /** why it cannot be restored, as far as its manifest and the sizes of its files tell */
  readonly problem: string | null
}

/** Place by place, in each the oldest first. @param to only those in this folder */
export function listBackups(store: string, to?: string): ListedBackup[] {
  const places = to === undefined ? placesOf(store) : [resolve(to)]
  return places.flatMap((place) => backupsIn(place).map((backup) => listed(backup, place)))
}

function listed({ name, path, manifest, problem }: PlacedBackup, place: string): ListedBackup {
  const shards = manifest?.shards ?? []
  const files = shards.map(({ file, bytes }) => ({
    bytes,
    stats: statSync(join(path, file), { throwIfNoEntry: false }),
  }))
  const wrong = files.filter(({ bytes, stats }) => stats?.size !== bytes).length
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
    problem: problem ?? (wrong === 0 ? null : `${wrong} files are missing or have another size`),
  }
}
