import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { prepare } from '../../../src/commit/prepare.ts'
import type { Commit } from '../../../src/store/commit.ts'
import { newManifest } from '../../../src/store/create.ts'
import type { Database } from '../../../src/store/driver.ts'
import type { Manifest } from '../../../src/store/manifest.ts'
import { createShard, openShard, readSettings } from '../../../src/store/shard-file.ts'
import { ShardWriter } from '../../../src/store/shard-writer.ts'
import { batchOf } from '../../batches.ts'
import { folder } from '../../folder.ts'

const manifest: Manifest = newManifest({ shards: 1, seed: 1 })

function shard(): { path: string; open: () => ShardWriter } {
  const path = folder()
  mkdirSync(join(path, 'shards'))
  createShard(path, 0, manifest)
  return { path, open: () => new ShardWriter(path, 0, manifest) }
}

function rows(path: string, table: string): unknown[] {
  const db = openShard(path, 0, manifest, 'read')
  try {
    return db.prepare(`SELECT * FROM ${table} ORDER BY 1`).raw().all()
  } finally {
    db.close()
  }
}

describe('applying commits', () => {
  test.each(['events', 'entities', 'commits'])(
    'counts what it wrote: rows that do not get to %s are not acknowledged',
    (table) => {
      const { path, open } = shard()
      const writer = open()
      // of this connection alone, so that neither the schema nor the file's change counter tells of it
      const { db } = writer as unknown as { db: Database }
      db.exec(`CREATE TEMP TRIGGER swallow BEFORE INSERT ON main.${table} BEGIN SELECT RAISE(IGNORE); END`)
      const code = 'KUMA_POISONED'
      expect(() => writer.apply(prepare(batchOf(0, 1, 3), writer))).toThrow(expect.objectContaining({ code }))
      db.exec('DROP TRIGGER swallow')
      expect(() => writer.apply(prepare(batchOf(0, 1, 3), writer))).toThrow(expect.objectContaining({ code }))
      writer.close()
      for (const each of ['events', 'entities', 'commits']) expect(rows(path, each)).toEqual([])
    },
  )

  test('makes two shards equal that apply the same ones', () => {
    const [a, b] = [shard(), shard()]
    const [writerA, writerB] = [a.open(), b.open()]
    const commits: Commit[] = []
    for (let n = 0; n < 5; n++) {
      const commit = prepare(batchOf(0, n * 30 + 1, 30), writerA)
      writerA.apply(commit)
      commits.push(structuredClone(commit)) // as it would come from elsewhere
    }
    for (const commit of commits) writerB.apply(commit)
    writerA.close()
    writerB.close()
    for (const table of ['events', 'entities', 'commits', 'heads'])
      expect(rows(b.path, table)).toEqual(rows(a.path, table))
    expect(rows(a.path, 'events').length).toBe(150)
  })

  test('refuses a commit that does not follow on the head, of another epoch, or twice', () => {
    const { path, open } = shard()
    const writer = open()
    const first = prepare(batchOf(0, 1, 2), writer)
    writer.apply(first)
    const next = prepare(batchOf(0, 3, 1), writer)
    const refused: Partial<Commit>[] = [
      first,
      { ...next, previous: Buffer.alloc(32) },
      { ...next, epoch: 2 },
      { ...next, id: 3 },
      { ...next, firstSeq: 4, lastSeq: 4 },
      { ...next, shard: 1 },
    ]
    for (const commit of refused) expect(() => writer.apply(commit as Commit)).toThrow('does not follow')
    writer.apply(next)
    writer.close()
    expect(rows(path, 'commits').length).toBe(2)
  })
})

describe('heads written lazily', () => {
  test('are written at once while there are few', () => {
    const { path, open } = shard()
    const writer = open()
    writer.apply(prepare(batchOf(0, 1, 10), writer))
    expect(writer.flushed).toBe(10)
    expect(rows(path, 'heads').length).toBe(10)
    writer.close()
  })

  test('wait for a sweep when there are many, and the sweep keeps the backlog below 65,536 events', () => {
    const { path, open } = shard()
    const writer = open()
    let seq = 1
    let longest = 0
    let sweeps = 0
    let flushed = 0
    while (seq < 200_000) {
      writer.apply(prepare(batchOf(0, seq, 1_000), writer))
      seq += 1_000
      longest = Math.max(longest, writer.tip.lastSeq - writer.flushed)
      if (writer.flushed !== flushed) sweeps++
      flushed = writer.flushed
      // what the file says of itself is what the writer says
      if (seq % 20_000 === 1) {
        const db = openShard(path, 0, manifest, 'read')
        expect(readSettings(db).flushed).toBe(flushed)
        expect(db.prepare('SELECT count(*) FROM heads WHERE key <= ?').pluck().get(flushed)).toBe(flushed)
        db.close()
      }
    }
    expect(sweeps).toBeGreaterThan(2)
    expect(longest).toBeLessThan(65_536)
    writer.close()
    expect(rows(path, 'heads').length).toBe(seq - 1)
  })

  test('are recovered when the shard is opened after its writer died', () => {
    const { path, open } = shard()
    const dead = open()
    dead.apply(prepare(batchOf(0, 1, 40), dead)) // too many for at once
    expect(dead.flushed).toBe(0)
    const writer = open() // the dead one never closed
    expect(writer.flushed).toBe(40)
    expect(rows(path, 'heads').length).toBe(40)
    writer.close()
  })
})
