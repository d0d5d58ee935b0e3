/** A shard's file: made, opened and checked to be the one that is meant, and brought up to date (shard-schema.ts tells what is in it). */
import { existsSync } from 'node:fs'
import { assertDurable, type Database, makeDurable, openDatabase, sqliteError } from './driver.ts'
import { assertKnown, corrupt, FORMAT, type Manifest, newerFormat, readManifest, shardPath } from './manifest.ts'
import { assertOwnSchema, checkSchema, HISTORY, SCHEMA, SNAPSHOTS } from './shard-schema.ts'

/** 'KUMA' */
const APPLICATION_ID = 0x4b554d41
/** Request keys are kept for this many commits of their shard: by commits and not by the clock, so that a replay of the same commits keeps the same keys. */
const KEY_COMMITS = 1_000_000

/** What a shard knows about itself. */
export interface ShardSettings {
  readonly store: string
  readonly shard: number
  readonly shards: number
  readonly seed: number
  /** Who may write: a commit made under another epoch is refused. */
  readonly epoch: number
  readonly keyCommits: number
  /** Heads and request keys are written for all events up to this seq. */
  readonly flushed: number
  /** Names of what is in it, all of which are in `kuma.json` too; none in format 1. */
  readonly requires: readonly string[]
  /** Null in format 1, which does not say so itself. */
  readonly encrypted: boolean | null
}

/** Makes the file of an empty shard, whole and durable, closed again. */
export function createShard(directory: string, shard: number, manifest: Manifest): void {
  const path = shardPath(directory, shard)
  const db = openDatabase(path, 'create')
  try {
    makeDurable(db)
    db.exec(`BEGIN; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${manifest.format}; ${SCHEMA}`)
    const { store, shards, seed } = manifest
    const own = { store, shard, shards, seed, epoch: 1, key_commits: KEY_COMMITS, flushed: 0 }
    writeSettings(db, { ...own, ...settingsBy(manifest) })
    db.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)')
    assertDurable(db, path)
  } catch (error) {
    throw sqliteError(error, path)
  } finally {
    db.close()
  }
}

/**
 * Opens a shard of the store and checks that it is this one.
 * @throws KUMA_CORRUPT (missing, truncated, another store's, not a shard at all), KUMA_NEWER_FORMAT, KUMA_IO
 */
export function openShard(directory: string, shard: number, manifest: Manifest, access: 'read' | 'write'): Database {
  const path = shardPath(directory, shard)
  // asked before it is opened: opening a file through fs.* would drop this process's locks on it, statting does not
  if (!existsSync(path)) throw corrupt(path, 'the file is missing')
  const db = openDatabase(path, access)
  try {
    checkShard(db, directory, shard, manifest)
    if (access === 'write') makeDurable(db)
    return db
  } catch (error) {
    db.close()
    throw sqliteError(error, path)
  }
}

function checkShard(db: Database, directory: string, shard: number, manifest: Manifest): void {
  const path = shardPath(directory, shard)
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) throw corrupt(path, 'it is not a shard of Kuma')
  const format = formatOf(db)
  if (format > FORMAT) throw newerFormat(path, format, FORMAT)
  const settings = readSettings(db)
  assertKnown(path, format, settings.requires)
  if (settings.store !== manifest.store) throw corrupt(path, `it belongs to another store (${settings.store})`)
  if (settings.shard !== shard) throw corrupt(path, `it is shard ${settings.shard}, not ${shard}`)
  if (settings.shards !== manifest.shards || settings.seed !== manifest.seed) {
    throw corrupt(path, 'its shard count or hash seed is not that of kuma.json')
  }
  if ((settings.encrypted ?? isEncrypted(manifest)) !== isEncrypted(manifest))
    throw corrupt(path, `it is ${settings.encrypted ? '' : 'not '}encrypted, and kuma.json says otherwise`)
  checkAhead(path, format, settings.requires, directory, manifest)
  checkSchema(db, path)
}

/**
 * `kuma.json` is written before its shards, so none is ahead of it. Who has read it a while ago may find one that is:
 * somebody has upgraded the store in between.
 */
function checkAhead(
  path: string,
  format: number,
  requires: readonly string[],
  directory: string,
  manifest: Manifest,
): void {
  const isAhead = (of: Manifest) => format > of.format || requires.some((name) => !of.requires.includes(name))
  if (isAhead(manifest) && isAhead(readManifest(directory)))
    throw corrupt(path, 'it is of a later format than kuma.json says, or holds what kuma.json does not name')
}

function isEncrypted({ encryption }: Manifest): boolean {
  return encryption !== undefined
}

function formatOf(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number
}

/**
 * Brings a shard to the form that its `kuma.json` has, in one transaction, before anything else is written to it; that of
 * an old backup stays of format 1. What the first stores had otherwise is mended in any case: the view showed erased rows,
 * and the table of snapshots was kept in the order of a key, where rows move and leave copies in the gaps of pages.
 * Snapshots are derived.
 * @throws KUMA_CORRUPT if somebody added an index: nothing may be written until it is gone
 */
export function upgrade(db: Database, path: string, manifest: Manifest): void {
  assertOwnSchema(db, path)
  const sqlOf = db.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').pluck()
  const isFirst = !(sqlOf.get('history') as string | undefined)?.includes('id_hash')
  const { requires } = readSettings(db)
  const isBehind = formatOf(db) < manifest.format || manifest.requires.some((name) => !requires.includes(name))
  if (!isFirst && !isBehind) return
  db.transaction(() => {
    if (isFirst) db.exec(`DROP VIEW IF EXISTS history; ${HISTORY}`)
    if ((sqlOf.get('snapshots') as string).includes('WITHOUT ROWID')) db.exec(`DROP TABLE snapshots; ${SNAPSHOTS}`)
    db.pragma(`user_version = ${manifest.format}`)
    writeSettings(db, settingsBy(manifest))
  }).immediate()
}

/**
 * Drops the indexes and statistics that somebody added. What they held is overwritten where it is freed (secure_delete),
 * and leaves the gaps of pages when the file is written anew.
 */
export function dropAdded(db: Database, path: string): void {
  for (const drop of checkSchema(db, path)) db.exec(drop)
}

/** What a shard repeats of `kuma.json`. */
function settingsBy(manifest: Manifest): Record<string, string | number> {
  if (manifest.format === 1) return {}
  return { requires: JSON.stringify(manifest.requires), encrypted: isEncrypted(manifest) ? 1 : 0 }
}

function writeSettings(db: Database, settings: Readonly<Record<string, string | number>>): void {
  const set = db.prepare('REPLACE INTO settings (name, value) VALUES (?, ?)')
  for (const [name, value] of Object.entries(settings)) set.run(name, typeof value === 'number' ? BigInt(value) : value)
}

export function readSettings(db: Database): ShardSettings {
  const rows = db.prepare('SELECT name, value FROM settings').raw().all() as [string, string | number][]
  const { key_commits: keyCommits, requires = '[]', encrypted, ...rest } = Object.fromEntries(rows)
  return {
    ...rest,
    keyCommits,
    requires: JSON.parse(requires as string),
    encrypted: encrypted === undefined ? null : encrypted === 1,
  } as unknown as ShardSettings
}
