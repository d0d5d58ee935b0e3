/** What is not a sound store of one's own is refused, by name, and left as it was. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readBackupManifest, sealedManifest, writeBackupManifest } from '../../src/backup/backup-manifest.ts'
import { createBackup } from '../../src/backup/create-backup.ts'
import { restore } from '../../src/backup/restore.ts'
import { verifyBackup } from '../../src/backup/verify-backup.ts'
import { document } from '../../src/entity/document.ts'
import { openEngine, start } from '../../src/kuma.ts'
import { compact } from '../../src/store/compact.ts'
import { fileHash } from '../../src/store/copy-shard.ts'
import { createStore } from '../../src/store/create.ts'
import { openDatabase } from '../../src/store/driver.ts'
import { shardPath } from '../../src/store/manifest.ts'
import { type Row, rowCrc } from '../../src/store/row.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'
import { hold, launchProgram } from '../program.ts'

const SHARDS = 2

async function store(): Promise<string> {
  const path = join(folder(), 'store')
  const ctx = await start({ path, shards: SHARDS })
  for (let i = 0; i < 20; i++) await ctx.spawn(document, `doc_${i}`, { i })
  await ctx.close()
  return path
}

/** Everything that opens a store for reading: each shard is touched. */
async function readAll(path: string): Promise<number> {
  const engine = await openEngine({ path }, { access: 'read' })
  try {
    let count = 0
    for await (const _ of engine.log()) count++
    return count
  } finally {
    await engine.close()
  }
}

async function problemsOf(path: string): Promise<string[]> {
  const problems: string[] = []
  for await (const report of verifyStore(path)) problems.push(...report.problems)
  return problems
}

describe('a directory that is no store', () => {
  test('does not exist', async () => {
    await expect(readAll(join(folder(), 'nothing'))).rejects.toMatchObject({
      code: 'KUMA_NOT_A_STORE',
      hint: expect.stringContaining('kuma init'),
    })
  })

  test('is empty, or is a file', async () => {
    const path = folder()
    await expect(readAll(path)).rejects.toMatchObject({ code: 'KUMA_NOT_A_STORE' })
    const file = join(path, 'file')
    writeFileSync(file, '')
    await expect(readAll(file)).rejects.toMatchObject({ code: 'KUMA_NOT_A_STORE' })
    await expect(createStore(file)).rejects.toMatchObject({ code: 'KUMA_NOT_A_STORE' })
  })

  test('holds something else: nothing is put beside it', async () => {
    const path = folder()
    writeFileSync(join(path, 'thesis.txt'), 'x')
    await expect(createStore(path)).rejects.toMatchObject({
      code: 'KUMA_NOT_A_STORE',
      message: expect.stringContaining('thesis.txt'),
    })
    await expect(start({ path })).rejects.toMatchObject({ code: 'KUMA_NOT_A_STORE' })
    expect(readdirSync(path)).toEqual(['thesis.txt'])
  })

  test('is a store already: init leaves it alone', async () => {
    const path = await store()
    await expect(createStore(path)).rejects.toMatchObject({ code: 'KUMA_STORE_EXISTS' })
    expect(await readAll(path)).toBe(20)
  })
})

test('a new store that several start at once is made once, and they take turns', async () => {
  const path = join(folder(), 'store')
  const takeTurn = async (id: string) => {
    const ctx = await start({ path, shards: SHARDS })
    await ctx.spawn(document, id)
    await ctx.close()
  }
  await Promise.all(['a', 'b', 'c', 'd'].map(takeTurn))
  expect(await readAll(path)).toBe(4)
  expect(await problemsOf(path)).toEqual([])
})

test('a store without its kuma.json is named as that, left as it is, and never said to be worthless', async () => {
  const path = await store()
  rmSync(join(path, 'kuma.json'))
  await expect(createStore(path)).rejects.toMatchObject({
    code: 'KUMA_STORE_EXISTS',
    message: expect.stringContaining('without its kuma.json'),
    hint: expect.stringContaining('look into shards first'),
  })
  expect(readdirSync(path).sort()).toEqual(['lock.db', 'shards'])
})

test.each([0, 1_000, 1.5, Number.NaN])('a new store cannot have %d shards', async (shards) => {
  const path = join(folder(), 'store')
  await expect(createStore(path, { shards })).rejects.toMatchObject({ code: 'KUMA_INVALID_CONFIG' })
  expect(readdirSync(join(path, '..'))).toEqual([])
})

describe('a manifest', () => {
  test('of a newer format is not guessed at', async () => {
    const path = await store()
    writeFileSync(join(path, 'kuma.json'), JSON.stringify({ format: 3, anything: true }))
    await expect(readAll(path)).rejects.toMatchObject({ code: 'KUMA_NEWER_FORMAT', details: { format: 3 } })
    await expect(start({ path })).rejects.toMatchObject({ code: 'KUMA_NEWER_FORMAT' })
    await expect(problemsOf(path)).rejects.toMatchObject({ code: 'KUMA_NEWER_FORMAT' })
  })

  test.each([
    '',
    '{',
    '[]',
    'null',
    '{"format":1}',
    '{"format":"1"}',
    '{"format":1,"store":"x","created_at":"","shards":0,"seed":1}',
    '{"format":2,"requires":[],"store":"x","created_at":"","shards":1,"seed":1}',
  ])('that is damaged (%s) is refused', async (text) => {
    const path = await store()
    writeFileSync(join(path, 'kuma.json'), text)
    await expect(readAll(path)).rejects.toMatchObject({
      code: 'KUMA_CORRUPT',
      message: expect.stringContaining('kuma.json'),
    })
  })
})

describe('a shard', () => {
  const damages: [string, (path: string) => void, RegExp][] = [
    ['that is missing', (shard) => rmSync(shard), /missing/],
    ['that is empty', (shard) => truncateSync(shard, 0), /not a shard of Kuma/],
    ['that is cut short', (shard) => truncateSync(shard, 8_192), /malformed/],
    ['that is no database', (shard) => writeFileSync(shard, 'x'.repeat(50_000)), /not a database/],
    ["that is someone else's database", (shard) => foreign(shard), /not a shard of Kuma/],
    [
      'that is another shard of the store',
      (shard) => copyFileSync(shard.replace('001', '000'), shard),
      /is shard 0, not 1/,
    ],
    ['of a newer format', (shard) => setFormat(shard), /format 3/],
  ]

  test.each(damages)('%s is named', async (_, damage, message) => {
    const path = await store()
    damage(shardPath(path, 1))
    const code = /KUMA_CORRUPT|KUMA_NEWER_FORMAT/
    await expect(readAll(path)).rejects.toMatchObject({
      code: expect.stringMatching(code),
      message: expect.stringMatching(message),
    })
    const ctx = await start({ path })
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => ctx.spawn(document, `doc_${i}`)))
    const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    expect(reasons.length).toBeGreaterThan(0)
    expect(reasons.length).toBeLessThan(20) // the other shard serves on
    for (const reason of reasons) expect(reason).toMatchObject({ code: expect.stringMatching(code) })
    await ctx.close()
  })

  test('of another store is refused', async () => {
    const [path, other] = [await store(), await store()]
    copyFileSync(shardPath(other, 1), shardPath(path, 1))
    await expect(readAll(path)).rejects.toMatchObject({
      code: 'KUMA_CORRUPT',
      message: expect.stringContaining('another store'),
    })
    expect(await problemsOf(path)).toEqual([expect.stringContaining('another store')])
  })
})

describe('a shard that holds more than it was made with', () => {
  const foreign: [string, string][] = [
    [
      'a trigger that keeps copies',
      'CREATE TRIGGER keep AFTER INSERT ON events BEGIN INSERT INTO heads VALUES (1, 1, 1, 1); END',
    ],
    ['a trigger that swallows rows', 'CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END'],
    ['a table', 'CREATE TABLE copies AS SELECT * FROM events'],
    ['a view', 'CREATE VIEW v AS SELECT 1'],
    ['another view under the name of its own', 'DROP VIEW history; CREATE VIEW history AS SELECT 1'],
    ['a column more', 'ALTER TABLE events ADD COLUMN more TEXT'],
    ['an index of its own less', 'DROP INDEX entities_id_hash'],
  ]

  test.each(foreign)(
    '%s: it is damage, to whoever reads, writes, verifies, or restores a backup of it',
    async (_, sql) => {
      const path = await store()
      change(shardPath(path, 1), sql)
      await expect(readAll(path)).rejects.toMatchObject({
        code: 'KUMA_CORRUPT',
        message: expect.stringContaining('001.db'),
      })
      expect(await problemsOf(path)).toEqual([expect.stringContaining('001.db')])
      const ctx = await start({ path })
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => ctx.spawn(document, `new_${i}`)))
      const codes = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
      expect(new Set(codes)).toEqual(new Set(['KUMA_CORRUPT']))
      await ctx.close()
      await expect(createBackup(path)).rejects.toMatchObject({ code: 'KUMA_CORRUPT' })
    },
  )

  test('a trigger in a backup is found by its verification, and nothing is restored', async () => {
    const path = await store()
    const { path: backup } = await createBackup(path)
    const shard = shardPath(backup, 1)
    chmodSync(shard, 0o600)
    change(shard, foreign[0]![1])
    sealAnew(backup, 1)
    expect((await verifyBackup(backup)).problems).toContainEqual(expect.stringContaining('trigger "keep"'))
    const to = join(folder(), 'restored')
    await expect(restore(backup, to)).rejects.toMatchObject({ code: 'KUMA_CORRUPT' })
    expect(existsSync(to)).toBe(false)
  })

  const added: [string, string, string][] = [
    ['an index', 'CREATE INDEX "by ""data""" ON events (data)', 'DROP INDEX "by ""data"""'],
    ['statistics', 'ANALYZE', 'DROP TABLE sqlite_stat1'],
  ]

  test.each(added)(
    '%s: reading goes on, writing is refused with what drops it, and compact does',
    async (_, sql, drop) => {
      const path = await store()
      change(shardPath(path, 1), sql)
      expect(await readAll(path)).toBe(20)
      expect(await problemsOf(path)).toContainEqual(expect.stringContaining(drop))
      const ctx = await start({ path })
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => ctx.spawn(document, `new_${i}`)))
      const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
      expect(errors.length).toBeGreaterThan(0)
      for (const error of errors)
        expect(error).toMatchObject({ code: 'KUMA_CORRUPT', hint: expect.stringContaining(drop) })
      await ctx.close()
      // a backup of it can be restored: the copy is without it
      const { path: backup } = await createBackup(path)
      const to = join(folder(), 'restored')
      await restore(backup, to)
      expect(await problemsOf(to)).toEqual([])

      for await (const _ of compact(path));
      expect(await problemsOf(path)).toEqual([])
      const again = await start({ path })
      for (let i = 0; i < 20; i++) await again.spawn(document, `new_${i}`)
      await again.close()
    },
  )
})

describe('a directory that cannot be trusted', () => {
  test('can be written by anyone', async () => {
    const path = await store()
    chmodSync(path, 0o777)
    await expect(readAll(path)).rejects.toMatchObject({
      code: 'KUMA_UNSAFE_DIRECTORY',
      hint: expect.stringContaining('chmod 700'),
    })
  })

  test('is a symbolic link', async () => {
    const path = await store()
    const link = join(folder(), 'link')
    symlinkSync(path, link)
    await expect(readAll(link)).rejects.toMatchObject({
      code: 'KUMA_UNSAFE_DIRECTORY',
      message: expect.stringContaining('symbolic link'),
    })
    await expect(start({ path: link })).rejects.toMatchObject({ code: 'KUMA_UNSAFE_DIRECTORY' })
  })

  test.runIf(process.geteuid?.() === 0)('belongs to someone else', async () => {
    const path = await store()
    chownSync(path, 65_534, 65_534)
    await expect(readAll(path)).rejects.toMatchObject({
      code: 'KUMA_UNSAFE_DIRECTORY',
      message: expect.stringContaining('uid 65534'),
    })
  })

  test.runIf(process.geteuid?.() === 0)('cannot be written: a clear error, and nothing half made', async () => {
    const path = folder()
    chmodSync(path, 0o555)
    const child = launchProgram('create-store-as-nobody.ts', join(path, 'store'))
    let output = ''
    for await (const chunk of child.stdout!) output += chunk
    expect(JSON.parse(output)).toMatchObject({ code: 'KUMA_IO', message: expect.stringContaining('EACCES') })
    expect(readdirSync(path)).toEqual([])
  })
})

test.runIf(process.platform === 'linux')(
  'a directory that takes no entries is an error, and not an endless search',
  async () => {
    await expect(createStore('/proc/kuma/data')).rejects.toMatchObject({ code: 'KUMA_IO' })
  },
)

describe('a store that another process writes to', () => {
  test('cannot be written, says who holds it, and can be read', async () => {
    const path = await store()
    const holder = await hold(path)
    const refused = start({ path, lockTimeoutMs: 100 })
    await expect(refused).rejects.toMatchObject({ code: 'KUMA_LOCKED', details: { pid: holder.pid } })
    await expect(refused).rejects.toThrow(String(holder.pid))
    expect(await readAll(path)).toBe(20)
    expect(await problemsOf(path)).toEqual([])
  })

  test('is free as soon as that one dies, however it dies', async () => {
    const path = await store()
    const holder = await hold(path)
    const waiting = start({ path, lockTimeoutMs: 60_000 })
    holder.kill('SIGKILL')
    const ctx = await waiting
    await ctx.close()
  })

  test('can be waited for under a signal', async () => {
    const path = await store()
    await hold(path)
    const controller = new AbortController()
    const waiting = start({ path, lockTimeoutMs: 60_000, signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow(/enough|aborted/)
  })

  test('is refused to a second engine in the same process too', async () => {
    const path = await store()
    const ctx = await start({ path })
    await expect(start({ path, lockTimeoutMs: 50 })).rejects.toMatchObject({
      code: 'KUMA_LOCKED',
      details: { pid: process.pid },
    })
    await ctx.close()
    await (await start({ path })).close()
  })
})

describe('damage inside a shard', () => {
  const damages: [string, string, RegExp][] = [
    ['a changed event', `UPDATE events SET data = '{"i":99}' WHERE seq = 2`, /event 2: the crc is wrong/],
    ['a changed crc', 'UPDATE events SET crc = 0 WHERE seq = 2', /event 2: the crc is wrong/],
    ['a missing event', 'DELETE FROM events WHERE seq = 3', /has 0 events instead of 1/],
    [
      'an event put at the end',
      `INSERT INTO events SELECT seq + 100, entity, version, prev, at, type, data, meta, crc FROM events WHERE seq = 1`,
      /outside of any commit/,
    ],
    ['a moved pointer', 'UPDATE events SET prev = 1 WHERE seq = 2', /event 2: points back to 1/],
    ['a missing commit', 'DELETE FROM commits WHERE id = 2', /commit 2 is missing/],
    ['a renamed entity', `UPDATE entities SET id = 'doc_99' WHERE key = 1`, /entity 1: the crc is wrong/],
    [
      'a head that points elsewhere',
      'UPDATE heads SET head = 2 WHERE key = 1',
      /entity 1: its head is not its last event/,
    ],
    ['a missing head', 'DELETE FROM heads WHERE key = 1', /entity 1: its head is not its last event/],
    [
      'a seal that was changed',
      'UPDATE commits SET head = zeroblob(32) WHERE id = 1',
      /commit 1: the seal does not follow/,
    ],
    [
      'contents that were changed',
      'UPDATE commits SET content = zeroblob(32) WHERE id = 1',
      /commit 1: the events are not those that were sealed/,
    ],
    [
      'another salt',
      'UPDATE entities SET salt = zeroblob(16) WHERE key = 1',
      /the events are not those that were sealed/,
    ],
  ]

  test.each(damages)('%s is found by verify', async (_, sql, problem) => {
    const path = await store()
    expect(await problemsOf(path)).toEqual([])
    const db = openDatabase(shardPath(path, 0), 'write')
    expect(db.prepare(sql).run().changes).toBeGreaterThan(0)
    db.close()
    expect((await problemsOf(path)).join('\n')).toMatch(problem)
  })

  test('an event changed by someone who knows the crc is found by its seal', async () => {
    const path = await store()
    const db = openDatabase(shardPath(path, 0), 'write')
    const row = { ...(db.prepare('SELECT * FROM events WHERE seq = 2').get() as Row), data: '{"i":99}' }
    db.prepare('UPDATE events SET data = ?, crc = ? WHERE seq = 2').run(row.data, rowCrc(row))
    db.close()
    expect(await problemsOf(path)).toEqual([
      expect.stringMatching(/^commit 2: the events are not those that were sealed/),
    ])
  })

  test('flipped bytes in a page are found by verify, and reading them is an error and never a wrong answer', async () => {
    const path = await store()
    const file = shardPath(path, 0)
    const bytes = readFileSync(file)
    const place = bytes.indexOf('{"i":')
    bytes[place + 5]! ^= 1
    writeFileSync(file, bytes)
    expect(await problemsOf(path)).not.toEqual([])
    await expect(readAll(path)).rejects.toMatchObject({ code: 'KUMA_CORRUPT', message: expect.stringContaining('crc') })
  })
})

function foreign(path: string): void {
  rmSync(path)
  const db = openDatabase(path, 'create')
  db.exec('CREATE TABLE events (mine TEXT)')
  db.close()
}

function change(path: string, sql: string): void {
  const db = openDatabase(path, 'write')
  db.exec(sql)
  db.close()
}

/** As someone would who can write the files of a backup, and its backup.json too. */
function sealAnew(backup: string, shard: number): void {
  const { sha256: _, ...manifest } = readBackupManifest(backup)
  const file = shardPath(backup, shard)
  const own = { bytes: statSync(file).size, sha256: fileHash(file) }
  const shards = manifest.shards.map((one) => (one.shard === shard ? { ...one, ...own } : one))
  writeBackupManifest(backup, sealedManifest({ ...manifest, shards }))
}

function setFormat(path: string): void {
  const db = openDatabase(path, 'write')
  db.pragma('user_version = 3')
  db.close()
}

/** A process that holds the store for writing. */
