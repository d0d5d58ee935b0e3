/** Begins to read each shard of a store, and never ends: whoever writes cannot empty the WAL. */

import { readManifest } from '../../src/store/manifest.ts'
import { openShard } from '../../src/store/shard-file.ts'

const path = process.argv[2]!
const manifest = readManifest(path)
const kept: unknown[] = [] // the driver closes what nobody holds
for (let shard = 0; shard < manifest.shards; shard++) {
  const db = openShard(path, shard, manifest, 'read')
  kept.push(db)
  db.exec('BEGIN')
  db.prepare('SELECT count(*) FROM events').get()
}
process.stdout.write('reading\n')
setInterval(() => kept.length, 1_000)
