/**
 * An encrypted store whose files somebody altered who had no master key, but made all sums and links anew: without the key
 * nobody can tell, and with it `verify` does.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineEntity, document, start, type } from 'kuma'
import { describe, expect, test } from 'vitest'
import { Cipher } from '../../src/store/cipher.ts'
import type { Database } from '../../src/store/driver.ts'
import { openDatabase } from '../../src/store/driver.ts'
import { extraWith, extraWithout, MAC } from '../../src/store/extra.ts'
import { keyFilePath } from '../../src/store/key-file.ts'
import { Keys } from '../../src/store/keys.ts'
import { readManifest, shardPath } from '../../src/store/manifest.ts'
import { linkOf } from '../../src/store/seal.ts'
import { readSettings } from '../../src/store/shard-file.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { kuma, ndjson } from '../cli.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'
import { type Resealed, reseal } from '../reseal.ts'

const Counter = defineEntity({
  type: 'counter',
  snapshotEvery: 2,
  initial: () => ({ n: 0 }),
  events: { Counted: type<{ by: number }>(), Discounted: type<{ by: number }>() },
}).evolve({
  Counted: ({ n }, { by }) => ({ n: n + by }),
  Discounted: ({ n }, { by }) => ({ n: n - by }),
})

const masterKey = Buffer.from(MASTER_KEY, 'hex')
const config = (path: string) => ({ path, entities: [Counter] })

/** One shard, or as many as asked for; each event in a commit of its own, and snapshots at every second. */
async function counters(ids: readonly string[], { shards = 1, encrypted = true } = {}): Promise<string> {
  const path = join(folder(), 'store')
  const encryption = encrypted ? ({ encryption: 'entity-keys', masterKey: MASTER_KEY } as const) : {}
  const ctx = await start({ ...config(path), shards, ...encryption })
  for (const id of ids) {
    const counter = await ctx.spawn(Counter, id)
    for (let by = 1; by <= 5; by++)
      await counter.append({ type: 'Counted', data: { by } }, { requestKey: `key-${by}`, meta: { by: 'somebody' } })
  }
  await ctx.close()
  return path
}

async function erase(path: string, id: string): Promise<string> {
  const ctx = await start(config(path))
  const { receipt } = await (await ctx.entity(id)).delete()
  await ctx.close()
  return receipt
}

async function problemsOf(path: string, key: Buffer | null = masterKey): Promise<string[]> {
  const found: string[] = []
  for await (const { problems } of verifyStore(path, { masterKey: () => key })) found.push(...problems)
  return found
}

/** Only who has the key can tell. */
async function expectFound(path: string, problem: string): Promise<void> {
  expect(await problemsOf(path, null)).toEqual([])
  expect(await problemsOf(path)).toContainEqual(expect.stringContaining(problem))
}

const bare = ({ extra }: Resealed) => extraWithout(extra, MAC)
/** Bytes, in a file of keys. */
const [KEYS_HEADER, KEY_SLOT] = [128, 64]
const HMAC = 'its HMAC is not what the key makes of it'

describe('sound is', () => {
  test('a store as it was written, and one from which something was erased, in its backups too', async () => {
    const path = await counters(['a', 'b'])
    const ctx = await start(config(path))
    const backup = await ctx.backup()
    await ctx.close()
    await erase(path, 'a')
    expect(await problemsOf(path)).toEqual([])
    const env = { KUMA_MASTER_KEY: MASTER_KEY }
    const restored = join(path, '..', 'restored')
    expect(await kuma(['restore', backup.path, restored, '--dir', path], { env })).toMatchObject({ code: 0 })
    expect(await problemsOf(restored)).toEqual([])
    const after = await start(config(restored))
    await (await after.entity(Counter, 'b')).append({ type: 'Counted', data: { by: 1 } })
    await after.close()
    expect(await problemsOf(restored)).toEqual([])
  })

  test('what later versions add to commits, beside an HMAC that covers it', async () => {
    const path = await counters(['a'])
    const manifest = readManifest(path)
    const keys = Keys.open(keyFilePath(path), manifest, masterKey, 'read')
    const cipher = new Cipher(path, 0, keys)
    const later = (commit: Resealed) =>
      cipher.withMac(commit.previous, commit.content, {
        ...commit,
        extra: extraWith(bare(commit), 200, randomBytes(300)),
      }).extra
    reseal(path, 0, () => {}, later)
    keys.close()
    expect(await problemsOf(path)).toEqual([])
    reseal(
      path,
      0,
      () => {},
      ({ extra }) => extraWith(extra, 200, randomBytes(300)),
    )
    await expectFound(path, HMAC)
  })
})

test('plain stores say nothing beside the events of a commit', async () => {
  const path = await counters(['a'], { encrypted: false })
  expect(inShard(path, 0, extrasIn)).toEqual([''])
})

describe('found is, though every crc and link was made anew,', () => {
  const alterations: [string, string, string][] = [
    ["an event's type", HMAC, "UPDATE events SET type = 'Discounted' WHERE seq = 3"],
    ["an event's time", HMAC, 'UPDATE events SET at = at - 1000 WHERE seq = 1'],
    [
      "an event's meta that is gone",
      HMAC,
      'UPDATE events SET meta = NULL WHERE seq = 2; DELETE FROM request_keys WHERE seq = 2',
    ],
    ["a commit's time", HMAC, 'UPDATE commits SET at = at - 1000 WHERE id = 1'],
    [
      'a request key',
      HMAC,
      "UPDATE events SET meta = '$7:1' || substr(meta, instr(meta, ':~')) WHERE seq = 2; UPDATE request_keys SET hash = 7 WHERE seq = 2",
    ],
    [
      'data of the same entity that changed places',
      'cannot be opened with its key',
      'UPDATE events SET data = (SELECT data FROM events WHERE seq = 5) WHERE seq = 3',
    ],
    [
      'data of another entity',
      'cannot be opened with its key',
      'UPDATE events SET data = (SELECT data FROM events WHERE entity = 2 AND version = 3) WHERE seq = 3',
    ],
    [
      'a state of a later version',
      'cannot be opened with its key',
      'UPDATE snapshots SET state = (SELECT state FROM snapshots WHERE entity = 1 AND version = 4) WHERE entity = 1 AND version = 2',
    ],
  ]
  test.each(alterations)('%s', async (_, problem, sql) => {
    const path = await counters(['a', 'b'])
    reseal(path, 0, (db) => db.exec(sql))
    await expectFound(path, problem)
  })

  test('the id of another entity, together with its key', async () => {
    const path = await counters(['a', 'b'])
    const keys = readFileSync(keyFilePath(path))
    keys.copy(keys, KEYS_HEADER, KEYS_HEADER + KEY_SLOT, KEYS_HEADER + 2 * KEY_SLOT)
    writeFileSync(keyFilePath(path), keys)
    reseal(path, 0, (db) => db.exec('UPDATE entities SET id = (SELECT id FROM entities WHERE key = 2) WHERE key = 1'))
    await expectFound(path, 'the id of entity 1 (id 0 1) cannot be opened')
  })

  test('an event that was put at the end', async () => {
    const path = await counters(['a'])
    reseal(path, 0, (db) =>
      db.exec(`INSERT INTO events SELECT seq + 1, entity, version + 1, seq, at, type, data, NULL, crc FROM events ORDER BY seq DESC LIMIT 1;
               INSERT INTO commits SELECT id + 1, last_seq + 1, last_seq + 1, at, content, head, x'' FROM commits ORDER BY id DESC LIMIT 1;
               UPDATE heads SET version = version + 1, head = head + 1;
               UPDATE settings SET value = value + 1 WHERE name = 'flushed'`),
    )
    await expectFound(path, 'has no HMAC')
  })
})

describe('found is a commit', () => {
  test('whose HMAC is gone', async () => {
    const path = await counters(['a'])
    reseal(
      path,
      0,
      () => {},
      (commit) => (commit.id === 3 ? bare(commit) : commit.extra),
    )
    await expectFound(path, 'commit 3 has no HMAC')
  })

  test('of many whose HMACs are gone, all of them', async () => {
    const path = await counters(['a'])
    reseal(path, 0, (db) => db.exec("UPDATE events SET type = 'Discounted' WHERE seq = 3"), bare)
    await expectFound(path, 'commit 1 has no HMAC, and was made with the key; so with 5 after it')
  })

  test('whose values were made to look like those of codec 1, which need no HMAC', async () => {
    const path = await counters(['a'])
    reseal(
      path,
      0,
      (db) => db.exec("UPDATE events SET data = substr(data, 2), type = 'Discounted', meta = replace(meta, '~', '')"),
      bare,
    )
    await expectFound(path, 'cannot be opened with its key')
  })

  test('whose HMAC somebody made without the key', async () => {
    const path = await counters(['a'])
    const key = randomBytes(32)
    const forged = (commit: Resealed) => {
      const link = linkOf(commit.previous, commit.content, { ...commit, extra: bare(commit) })
      return extraWith(commit.extra, MAC, createHmac('sha256', key).update(link).digest())
    }
    reseal(path, 0, (db) => db.exec("UPDATE events SET type = 'Discounted' WHERE seq = 3"), forged)
    await expectFound(path, `commit 1 or one before it was altered: ${HMAC}; so with 5 after it`)
  })

  test('whose events were all erased since, and that no longer show that it must have an HMAC', async () => {
    const path = await counters(['a', 'gone'])
    await erase(path, 'gone')
    expect(await problemsOf(path)).toEqual([])
    // from the first commit of the one who is gone on: what is left of them tells nothing
    const since = (commit: Resealed) => (commit.id > 6 ? bare(commit) : commit.extra)
    reseal(path, 0, (db) => db.exec('UPDATE commits SET at = at + 1000 WHERE id > 6'), since)
    await expectFound(path, 'commit 7 has no HMAC')
  })

  test('that says what is no list of tags, without the key too', async () => {
    const path = await counters(['a'], { encrypted: false })
    reseal(
      path,
      0,
      () => {},
      ({ extra, id }) => (id === 2 ? Buffer.from([1, 9, 0, 0, 0, 1]) : extra),
    )
    expect(await problemsOf(path, null)).toEqual(['commit 2: what it says beside its events is no list of tags'])
  })
})

test.each([
  ['type', "type = 'Discounted'"],
  ['time', 'at = at - 1'],
])('an event with another %s is not read as if it were one', async (_, to) => {
  const path = await counters(['a'])
  reseal(path, 0, (db) => db.exec(`UPDATE events SET ${to} WHERE seq = 6; DELETE FROM snapshots`))
  const ctx = await start(config(path))
  await expect(ctx.entity('a').then((entity) => entity.read())).rejects.toMatchObject({ code: 'KUMA_CORRUPT' })
  await ctx.close()
})

describe('of a store of format 1', () => {
  /** Values of codec 1, and an erased entity. */
  function first(): string {
    const path = join(folder(), 'store')
    cpSync(fileURLToPath(new URL('../../fixtures/golden-1-encrypted', import.meta.url)), path, { recursive: true })
    chmodSync(path, 0o700)
    return path
  }

  async function append(path: string): Promise<void> {
    const ctx = await start({ path })
    for (const id of ['user_1', 'user_2', 'żółw', '😀'])
      await (await ctx.entity(document, id)).append({ type: 'Changed', data: {} })
    await ctx.close()
  }

  test('each shard is upgraded before something of codec 2 is in it; what it has stays as it is, and one of another shard is found', async () => {
    const path = first()
    const before = [0, 1].map((shard) => valuesOf(path, shard))
    await append(path)
    for (const shard of [0, 1]) {
      expect(inShard(path, shard, readSettings).requires).toContain('codec-2')
      const values = valuesOf(path, shard)
      const added = values.length - before[shard]!.length
      expect(values.slice(0, -added)).toEqual(before[shard])
      expect(values.slice(-added).every((value) => value.startsWith('~'))).toBe(true)
      expect(added).toBeGreaterThan(0)
    }
    expect(await problemsOf(path)).toEqual([])
    // of both shards, the newest value: one of codec 2
    const foreign = valuesOf(path, 1).at(-1)
    reseal(path, 0, (db) =>
      db.prepare('UPDATE events SET data = ? WHERE seq = (SELECT max(seq) FROM events)').run(foreign),
    )
    await expectFound(path, 'cannot be opened with its key')
  })

  test('a backup that an erasure rewrites holds nothing of later versions; the store restored of it is proven', async () => {
    const path = first()
    const env = { KUMA_MASTER_KEY: MASTER_KEY }
    const backup = JSON.parse((await kuma(['backup', '--dir', path, '--json'])).stdout).path as string
    const counts = [0, 1].map((shard) => valuesOf(backup, shard).length)
    expect((await kuma(['delete', 'user_1', '--yes', '--dir', path], { env })).code).toBe(0)
    const left = [0, 1].map((shard) => valuesOf(backup, shard))
    expect(left.map(({ length }) => length)).not.toEqual(counts)
    expect(left.flat().filter((value) => value.startsWith('~'))).toEqual([])
    for (const shard of [0, 1])
      expect(inShard(backup, shard, (db) => [db.pragma('user_version', { simple: true }), extrasIn(db)])).toEqual([
        1,
        [''],
      ])
    const restored = join(path, '..', 'restored')
    expect((await kuma(['restore', backup, restored, '--dir', path], { env })).code).toBe(0)
    expect(await problemsOf(restored)).toEqual([])
  })

  test('values that changed places are found from the first day, and all else from the first HMAC on', async () => {
    const swapped = first()
    reseal(swapped, 1, (db) =>
      db.exec('UPDATE events SET data = (SELECT data FROM events WHERE seq = 1) WHERE seq = 2'),
    )
    await expectFound(swapped, 'cannot be opened with its key')
    const path = first()
    await append(path)
    reseal(path, 1, (db) => db.exec("UPDATE events SET type = 'Corrected' WHERE seq = 1"))
    await expectFound(path, HMAC)
  })
})

describe('a shard that was set back', () => {
  const kept = (path: string) => join(path, '..', 'kept')

  /** Its file is that of before the erasure. */
  async function setBack({ encrypted = true, keys = false, receipts = true }) {
    const path = await counters(['a', 'b'], { encrypted })
    cpSync(path, kept(path), { recursive: true })
    const receipt = await erase(path, 'a')
    copyFileSync(shardPath(kept(path), 0), shardPath(path, 0))
    if (keys) copyFileSync(keyFilePath(kept(path)), keyFilePath(path))
    if (!receipts) rmSync(join(path, 'erasures'), { recursive: true })
    return { path, receipt }
  }

  test('behind an erasure, without its keys: somebody is there whose key is destroyed', async () => {
    const { path } = await setBack({ receipts: false })
    for (const key of [null, masterKey])
      expect(await problemsOf(path, key)).toEqual([
        expect.stringContaining('entity 1 is there, and its key was destroyed'),
      ])
  })

  test.each([
    ['with its keys', { keys: true }],
    ['of a store that is not encrypted', { encrypted: false }],
  ])('behind an erasure, %s: the receipt tells', async (_, how) => {
    const { path, receipt } = await setBack(how)
    expect(await problemsOf(path)).toEqual([])
    const env = { KUMA_MASTER_KEY: MASTER_KEY }
    const { code, stdout, stderr } = await kuma(['verify', '--dir', path], { env })
    expect({ code, stdout }).toEqual({ code: 6, stdout: expect.stringMatching(/^NOT verified: .*, receipts 1\n$/) })
    expect(stderr).toContain(`receipt ${receipt}: shard 0: no record says that entity 1 was erased`)
    expect(ndjson((await kuma(['verify', '--dir', path, '--json'], { env })).stdout)).toMatchObject([
      { shard: 0, problems: [] },
      { receipt, entities: 1, problems: expect.arrayContaining([expect.stringContaining('entity 1 is still there')]) },
    ])
  })
})

test('verify holds every receipt against the shards, and tells of one that is none', async () => {
  const path = await counters(['a', 'b', 'c'], { encrypted: false, shards: 2 })
  const receipt = await erase(path, 'a')
  await erase(path, 'b')
  const sound = await kuma(['verify', '--dir', path])
  expect(sound).toMatchObject({ code: 0, stdout: expect.stringMatching(/^verified: .*, receipts 2\n$/) })
  const file = join(path, 'erasures', `${receipt}.json`)
  writeFileSync(file, readFileSync(file, 'utf8').replace('"erased": 6', '"erased": 5'))
  writeFileSync(join(path, 'erasures', 'letter.json'), 'Dear Ann')
  const { code, stderr } = await kuma(['verify', '--dir', path])
  expect(code).toBe(6)
  expect(stderr).toContain(`receipt ${receipt}: `)
  expect(stderr).toContain('its SHA-256 is not that of its content')
  expect(stderr).toContain('receipt letter: ')
})

function inShard<T>(path: string, shard: number, use: (db: Database) => T): T {
  const db = openDatabase(shardPath(path, shard), 'read')
  try {
    return use(db)
  } finally {
    db.close()
  }
}

/** What its commits say beside their events, each once, in hexadecimal. */
function extrasIn(db: Database): unknown[] {
  return db.prepare('SELECT DISTINCT hex(extra) FROM commits').pluck().all()
}

/** Data of events as they are stored. */
function valuesOf(path: string, shard: number): string[] {
  return inShard(path, shard, (db) =>
    db.prepare("SELECT data FROM events WHERE entity > 0 AND data <> '' ORDER BY seq").pluck().all(),
  ) as string[]
}
