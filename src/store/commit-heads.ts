/** The seals of a shard's commits by their numbers: what tells whether a copy is of the same history. */
import { type Database, sqliteError } from './driver.ts'
import { ENGINE } from './erasure.ts'
import { type Manifest, shardPath } from './manifest.ts'
import { openShard } from './shard-file.ts'

export class CommitHeads {
  private readonly db: Database
  private readonly path: string

  /** @throws as `openShard` */
  constructor(directory: string, shard: number, manifest: Manifest) {
    this.path = shardPath(directory, shard)
    this.db = openShard(directory, shard, manifest, 'read')
  }

  /** In hexadecimal; '' for number 0, of which every history begins; null if there is no such commit. @throws KUMA_CORRUPT, KUMA_IO */
  of(commit: number): string | null {
    if (commit === 0) return ''
    return this.ask('SELECT lower(hex(head)) FROM commits WHERE id = ?', commit)
  }

  /** The last commit that holds more than records of erasures; 0 if there is none. @throws KUMA_CORRUPT, KUMA_IO */
  lastOfEntities(): number {
    const newest = `SELECT seq FROM events WHERE entity <> ${ENGINE} ORDER BY seq DESC LIMIT 1`
    return this.ask(`SELECT id FROM commits WHERE first_seq <= (${newest}) ORDER BY id DESC LIMIT 1`) ?? 0
  }

  close(): void {
    this.db.close()
  }

  private ask<T>(sql: string, ...values: number[]): T | null {
    try {
      return (
        (this.db
          .prepare(sql)
          .pluck()
          .get(...values) as T | undefined) ?? null
      )
    } catch (error) {
      throw sqliteError(error, this.path)
    }
  }
}
