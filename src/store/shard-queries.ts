/** The queries to a shard's file, and the columns that they give. */
import { META_FIELDS } from '../entity/event.ts'
import type { Cipher } from './cipher.ts'
import type { Database, Statement } from './driver.ts'
import { ENTITY } from './entity-row.ts'
import { ENGINE, HIDDEN } from './erasure.ts'

/** Snapshots that stand at their event, whoever made them: one that was damaged leads nowhere. */
const PLACED = `SELECT s.seq, s.version FROM snapshots s CROSS JOIN events e ON e.seq = s.seq
                WHERE s.entity = ? AND s.version > 0 AND e.entity = s.entity AND e.version = s.version`
const ROW = 'seq, entity, version, prev, at, type, data, meta, crc'
const FEED = `SELECT e.seq, e.entity, e.version, e.prev, e.at, e.type, e.data, e.meta, e.crc,
                     iif(n.id_hash = ${HIDDEN}, NULL, n.id), n.type
              FROM events e LEFT JOIN entities n ON n.key = e.entity WHERE e.seq > ? AND e.seq <= ?`
/** A row as an array, which the driver makes in half the time. */
export type RowColumns = [number, number, number, number, number, string, string, string | null, number]

export type SpanColumns = [number, number, number, string, string, string | null, number]
export type FeedColumns = [...RowColumns, id: string | null, entityType: string]

export function prepareQueries(db: Database, cipher: Cipher | null) {
  if (cipher !== null)
    db.function('kuma_meta', (entity, seq, meta, field) =>
      cipher.metaOf(entity as number, seq as number, meta as string | null, field as string),
    )
  const metaOf = (field: string) =>
    cipher === null ? `meta ->> '$.${field}'` : `kuma_meta(entity, seq, meta, '${field}')`
  const isMeta = META_FIELDS.map((field) => `(@${field} IS NULL OR ${metaOf(field)} = @${field})`).join(' AND ')
  return whenUsed({
    byHash: () => db.prepare(`SELECT ${ENTITY} FROM entities WHERE id_hash = ?`),
    byKey: () => db.prepare(`SELECT ${ENTITY} FROM entities WHERE key = ?`),
    lastCommit: () => db.prepare('SELECT id, last_seq AS lastSeq, at, head FROM commits ORDER BY id DESC LIMIT 1'),
    sealOf: () => db.prepare('SELECT head FROM commits WHERE id = ?').pluck(),
    remains: () =>
      db
        .prepare(
          `WITH gone AS (SELECT value AS key FROM json_each(@keys))
         SELECT (SELECT count(*) FROM events WHERE entity IN gone AND version > 0)
              + (SELECT count(*) FROM snapshots WHERE entity IN gone AND version > 0)
              + (SELECT count(*) FROM request_keys k JOIN events e ON e.seq = k.seq WHERE e.entity IN gone AND k.hash <> 0)`,
        )
        .pluck(),
    name: () => db.prepare('SELECT key, id_hash AS idHash, id, type FROM entities WHERE key = ?'),
    living: () => db.prepare('SELECT key FROM entities WHERE id_hash >= 0 ORDER BY key').pluck(),
    flushed: () => db.prepare("SELECT value FROM settings WHERE name = 'flushed'").pluck(),
    head: () => db.prepare('SELECT version, head AS seq, updated_at AS at FROM heads WHERE key = ?'),
    headAfter: () =>
      db.prepare(
        'SELECT version, seq, at FROM events WHERE seq > ? AND entity = ? AND version > 0 ORDER BY seq DESC LIMIT 1',
      ),
    // of the columns beside max(), SQLite takes those of the row that has the maximum
    headsAfter: () =>
      db.prepare(
        'SELECT entity AS key, version, max(seq) AS seq, at FROM events WHERE seq > ? AND entity > 0 AND version > 0 GROUP BY entity',
      ),
    page: () =>
      db.prepare(
        `SELECT n.key, n.id, n.type, n.created_at AS createdAt, h.version, h.head AS seq, h.updated_at AS at
       FROM entities n LEFT JOIN heads h ON h.key = n.key WHERE n.key > ? AND n.id_hash >= 0 ORDER BY n.key LIMIT ?`,
      ),
    snapshot: () =>
      db.prepare(
        `SELECT entity, version, at, seq, definition, state FROM snapshots
       WHERE entity = ? AND version <= ? AND at <= ? AND definition >= ? AND definition < ?
       ORDER BY version DESC LIMIT 1`,
      ),
    snapshotVersions: () => db.prepare('SELECT entity, version FROM snapshots WHERE version > 0'),
    snapshotAt: () =>
      db.prepare('SELECT entity, version, at, seq, definition, state FROM snapshots WHERE entity = ? AND version = ?'),
    afterVersion: () => db.prepare(`${PLACED} AND s.version >= ? ORDER BY s.version LIMIT 1`),
    afterTime: () => db.prepare(`${PLACED} AND s.at > ? ORDER BY s.version LIMIT 1`),
    beforeVersion: () => db.prepare(`${PLACED} AND s.version < ? ORDER BY s.version DESC LIMIT 1`),
    beforeTime: () => db.prepare(`${PLACED} AND s.at < ? ORDER BY s.version DESC LIMIT 1`),
    links: () =>
      db.prepare(
        `WITH RECURSIVE chain (seq, prev, version, at, n) AS (
         SELECT seq, prev, version, at, 1 FROM events WHERE seq = ?
         UNION ALL
         SELECT e.seq, e.prev, e.version, e.at, n + 1 FROM chain c JOIN events e ON e.seq = c.prev WHERE c.prev > 0 AND n < ?)
       SELECT seq, prev, version, at FROM chain`,
      ),
    row: () => db.prepare(`SELECT ${ROW} FROM events WHERE seq = ?`),
    // CROSS JOIN keeps the order of the list
    rows: () =>
      db.prepare(`SELECT ${ROW} FROM (SELECT value AS place FROM json_each(?)) CROSS JOIN events ON seq = place`),
    span: () =>
      db
        .prepare(
          `SELECT seq, version, at, type, data, meta, crc FROM events
         WHERE seq > ? AND seq <= ? AND entity = ? ORDER BY seq LIMIT ?`,
        )
        .raw(),
    feed: () => db.prepare(`${FEED} ORDER BY e.seq LIMIT ?`).raw(),
    feedOf: () => db.prepare(`${FEED} AND e.entity IN (?, ${ENGINE}) ORDER BY e.seq LIMIT ?`).raw(),
    lastBefore: () => db.prepare('SELECT last_seq FROM commits WHERE at < ? ORDER BY id DESC LIMIT 1').pluck(),
    crcAt: () => db.prepare('SELECT crc FROM events WHERE seq = ?').pluck(),
    commit: () => db.prepare('SELECT last_seq AS lastSeq, at FROM commits WHERE id = ?'),
    placesUntil: () =>
      db
        .prepare(
          `SELECT seq, entity, version, at FROM events
         WHERE seq > ? AND entity > 0 AND version > 0 AND at <= ? ORDER BY seq LIMIT ?`,
        )
        .raw(),
    lastKey: () => db.prepare('SELECT coalesce(max(key), 0) FROM entities').pluck(),
    keys: () => db.prepare('SELECT seq, hash, count, digest FROM request_keys WHERE hash = ? ORDER BY seq DESC'),
    expired: () => db.prepare('SELECT last_seq FROM commits WHERE id = (SELECT max(id) FROM commits) - ?').pluck(),
    expiredKeys: () =>
      db
        .prepare(
          `SELECT last_seq FROM commits
           WHERE id = (SELECT max(id) FROM commits) - (SELECT value FROM settings WHERE name = 'key_commits')`,
        )
        .pluck(),
    scan: () =>
      db.prepare(
        `SELECT seq, at FROM events
       WHERE seq > @after AND entity > 0 AND version > 0
         AND (@from IS NULL OR at >= @from) AND (@to IS NULL OR at <= @to)
         AND (@types IS NULL OR type IN (SELECT value FROM json_each(@types)))
         AND ${isMeta}
       ORDER BY seq LIMIT @limit`,
      ),
  })
}

export type Queries<Name extends string> = { readonly [name in Name]: Statement }

/** Each is prepared at its first use: to prepare all of them would take longer than most commands need a shard for. */
function whenUsed<Name extends string>(makers: { readonly [name in Name]: () => Statement }): Queries<Name> {
  const queries = {} as Queries<Name>
  for (const [name, make] of Object.entries<() => Statement>(makers)) {
    Object.defineProperty(queries, name, {
      configurable: true,
      get: () => {
        const value = make()
        Object.defineProperty(queries, name, { value })
        return value
      },
    })
  }
  return queries
}
