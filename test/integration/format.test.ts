/** What a store says of its own form: earlier ones are read and brought up to date, later ones refused, altered ones told. */
import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { document, start } from 'kuma'
import { expect, test } from 'vitest'
import { canonicalJson } from '../../src/entity/canonical-json.ts'
import { openEngine } from '../../src/kuma.ts'
import { openDatabase } from '../../src/store/driver.ts'
import { type Manifest, readManifest, shardPath, writeManifest } from '../../src/store/manifest.ts'
import { kuma, ndjson } from '../cli.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'

const SHARDS = 2
const golden = fileURLToPath(new URL('../../fixtures/golden-1', import.meta.url))
const config = fileURLToPath(new URL('../../fixtures/models/kuma.config.ts', import.meta.url))

/** A store of format 1. */
function first(): string {
  const path = join(folder(), 'store')
  cpSync(golden, path, { recursive: true })
  chmodSync(path, 0o700)
  return path
}

async function store(encryption?: 'entity-keys'): Promise<string> {
  const path = join(folder(), 'store')
  const ctx = await start({ path, shards: SHARDS, ...(encryption && { encryption, masterKey: MASTER_KEY }) })
  for (let i = 0; i < 10; i++) await ctx.spawn(document, `doc_${i}`, { i })
  await ctx.close()
  return path
}

function jsonOf(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(path, 'kuma.json'), 'utf8'))
}

function formatsOf(path: string): unknown[] {
  return Array.from({ length: SHARDS }, (_, shard) =>
    inShard(path, shard, (db) => db.pragma('user_version', { simple: true })),
  )
}

function inShard<T>(path: string, shard: number, use: (db: ReturnType<typeof openDatabase>) => T): T {
  const db = openDatabase(shardPath(path, shard), 'write')
  try {
    return use(db)
  } finally {
    db.close()
  }
}

const run = (path: string, ...args: string[]) => kuma([...args, '--dir', path, '--config', config])

/** The codes of who reads and of who writes to all shards. */
async function outcomes(path: string): Promise<unknown[]> {
  const code = (error: { code: string }) => error.code
  const read = await openEngine({ path }, { access: 'read' })
    .then(async (engine) => {
      try {
        for await (const _ of engine.log());
      } finally {
        await engine.close()
      }
    })
    .catch(code)
  const written = await start({ path })
    .then(async (ctx) => {
      try {
        for (let i = 0; i < 10; i++) await ctx.spawn(document, `doc_${i}`, {})
      } finally {
        await ctx.close()
      }
    })
    .catch(code)
  return [read, written]
}

test('a store of format 1 is read as it is, and upgraded by the first who writes: kuma.json, then each shard', async () => {
  const path = first()
  expect((await run(path, 'ls')).stderr).toBe('')
  expect(jsonOf(path)).toMatchObject({ format: 1 })

  const { code, stderr } = await run(path, 'append', 'user_1', 'Changed', 'n:=1')
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: `${path} is a store of format 2 from now on: earlier versions of Kuma do not open it any more\n`,
  })
  expect(jsonOf(path)).toMatchObject({ format: 2, requires: expect.any(Array) })
  expect(formatsOf(path).sort()).toEqual([1, 2]) // the other one was not written to
  expect((await run(path, 'verify')).code).toBe(0)
  expect((await run(path, 'append', 'user_1', 'Changed', 'n:=2')).stderr).toBe('')
})

test('whoever reads while another upgrades the store goes on', async () => {
  const path = first()
  const engine = await openEngine({ path }, { access: 'read' })
  await run(path, 'append', 'user_1', 'Changed', 'n:=1')
  expect((await engine.inspect('user_1')).state).toMatchObject({ n: 1 })
  await engine.close()
})

test('a shard of format 2 under a kuma.json of format 1 is damage, not a store to go on with', async () => {
  const path = first()
  await run(path, 'append', 'user_1', 'Changed', 'n:=1')
  cpSync(join(golden, 'kuma.json'), join(path, 'kuma.json'))
  expect((await run(path, 'log')).code).toBe(6)
  expect((await run(path, 'verify')).code).toBe(6)
})

test('what is not known of kuma.json is kept when it is written anew', async () => {
  const path = first()
  writeFileSync(join(path, 'kuma.json'), JSON.stringify({ ...jsonOf(path), owner: { team: 'billing' } }))
  await run(path, 'append', 'user_1', 'Changed', 'n:=1')
  expect(jsonOf(path)).toMatchObject({ format: 2, owner: { team: 'billing' } })
})

test('in a backup of format 1, a shard that an erasure rewrites stays of format 1; the restored store is of today', async () => {
  const path = first()
  const made = await run(path, 'backup', '--json')
  const backup = JSON.parse(made.stdout).path as string
  expect((await run(path, 'delete', 'user_1', '--yes')).code).toBe(0)
  expect(jsonOf(path)).toMatchObject({ format: 2 })
  expect(jsonOf(backup)).toMatchObject({ format: 1 })
  const seen = await kuma(['log', '--dir', backup])
  expect(seen.code).toBe(0)
  expect(ndjson(seen.stdout).some(({ entity }) => entity === 'user_1')).toBe(false)
  for (const shard of [0, 1]) {
    const db = openDatabase(shardPath(backup, shard), 'read')
    expect(db.pragma('user_version', { simple: true })).toBe(1)
    db.close()
  }
  expect((await run(path, 'backup', 'verify', backup)).code).toBe(0)
  const target = join(folder(), 'restored')
  expect((await run(path, 'restore', backup, target)).code).toBe(0)
  expect(jsonOf(target)).toMatchObject({ format: 2 })
  expect(formatsOf(target)).toEqual([2, 2])
  expect((await run(target, 'verify')).code).toBe(0)
})

test('a name that is not known is refused, to read as to write: in kuma.json and in a shard', async () => {
  const path = await store()
  const manifest = readManifest(path)
  writeManifest(path, { ...manifest, requires: [...manifest.requires, 'time-machine'] })
  expect(await outcomes(path)).toEqual(['KUMA_NEWER_FORMAT', 'KUMA_NEWER_FORMAT'])
  expect((await run(path, 'ls')).stderr).toContain('time-machine')

  writeManifest(path, manifest)
  inShard(path, 1, (db) => db.prepare("UPDATE settings SET value = ? WHERE name = 'requires'").run('["time-machine"]'))
  expect(await outcomes(path)).toEqual(['KUMA_NEWER_FORMAT', 'KUMA_NEWER_FORMAT'])
})

test('a shard that holds what kuma.json does not name is refused', async () => {
  const path = await store()
  inShard(path, 1, (db) => db.prepare("UPDATE settings SET value = ? WHERE name = 'requires'").run('["timelines"]'))
  expect(await outcomes(path)).toEqual(['KUMA_CORRUPT', 'KUMA_CORRUPT'])
})

test('a kuma.json that was altered is refused, whatever was changed', async () => {
  const path = await store()
  const found = jsonOf(path)
  for (const change of [{ shards: 3 }, { created_at: '' }, { more: 1 }, { sha256: undefined }, { requires: [] }]) {
    writeFileSync(join(path, 'kuma.json'), JSON.stringify({ ...found, ...change }))
    expect(await outcomes(path)).toEqual(['KUMA_CORRUPT', 'KUMA_CORRUPT'])
  }
  // the sum is over the canonical JSON, so that it may be laid out anew
  writeFileSync(join(path, 'kuma.json'), canonicalJson(found as Record<string, NonNullable<unknown>>))
  expect(await outcomes(path)).toEqual([undefined, undefined])
})

test('an encrypted store is not opened as a plain one, though kuma.json says so', async () => {
  const path = await store('entity-keys')
  const { encryption: _, ...plain } = readManifest(path)
  writeManifest(path, plain as Manifest)
  expect(await outcomes(path)).toEqual(['KUMA_CORRUPT', 'KUMA_CORRUPT'])
  // of format 1, which has no sum and whose shards do not say it themselves: nothing is upgraded
  for (const shard of [0, 1])
    inShard(path, shard, (db) =>
      db.exec("PRAGMA user_version = 1; DELETE FROM settings WHERE name IN ('requires', 'encrypted')"),
    )
  writeManifest(path, { ...plain, format: 1, requires: [] } as Manifest)
  await expect(start({ path })).rejects.toMatchObject({
    code: 'KUMA_CORRUPT',
    message: expect.stringContaining('keys'),
  })
})
