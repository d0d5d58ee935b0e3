/**
 * A shard is one SQLite file. What is in it:
 *
 *     events         the log. There is no index on (entity, version): each event points to its entity's previous one
 *                    (`prev`), and `heads` to the newest. Under random appends that is three to eight times faster.
 *                    Rows of an entity below 0 are no events: empty-answer.ts.
 *     entities       surrogate key <-> id, and the salt of the entity's seals. The index is on a hash, so that the id
 *                    stands in one place.
 *     heads          the newest event of each entity. Written lazily, in sweeps: true up to `settings.flushed`; the
 *                    events after that tell the rest.
 *     commits        the seal: one row for each durable transaction. Never rewritten.
 *     erased_leaves  leaves of entities whose salt is gone
 *     snapshots      states along the history; derived, disposable. Rows are only ever added at the end, and emptied
 *                    in place: rows that moved would leave copies of people's data in the gaps of pages. The index
 *                    holds numbers alone.
 *     request_keys   an index over the keys that stand in `meta`; lazy like heads, derived
 *     settings       what the shard must know about itself; since format 2 also what it `requires` (manifest.ts) and
 *                    whether it is encrypted, so that an altered kuma.json cannot have it written as plain
 *     history        a view for people with a `sqlite3` shell
 *
 * Nothing else may be in it. A trigger or a view could keep copies of what was erased, or have a row that was to be written
 * not be there, so a file with one of them, or with a table that is not as it was made, is damaged. An index that somebody
 * added, and what ANALYZE leaves behind, hold copies too, but no answer is wrong: the shard can be read, and not written to
 * until they are gone.
 */
import { KumaError } from '../errors.ts'
import type { Database } from './driver.ts'
import { corrupt } from './manifest.ts'

export const SNAPSHOTS = `CREATE TABLE snapshots (
  entity     INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  definition TEXT    NOT NULL,
  state      TEXT    NOT NULL
) STRICT;
CREATE INDEX snapshots_place ON snapshots (entity, version, at, seq);
`
/** Without what is being erased, and without the engine's own events, which are of no entity. */
export const HISTORY = `CREATE VIEW history AS
  SELECT e.seq AS position, n.id AS entity, n.type AS entity_type, e.version, e.type AS event,
         strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000.0, 'unixepoch') AS at, e.data, e.meta
  FROM events e JOIN entities n ON n.key = e.entity
  WHERE n.id_hash >= 0
  ORDER BY e.seq;
`

export const SCHEMA = `
CREATE TABLE events (
  seq     INTEGER PRIMARY KEY,
  entity  INTEGER NOT NULL,
  version INTEGER NOT NULL,
  prev    INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  type    TEXT    NOT NULL,
  data    TEXT    NOT NULL,
  meta    TEXT,
  crc     INTEGER NOT NULL
) STRICT;
CREATE TABLE entities (
  key        INTEGER PRIMARY KEY,
  id_hash    INTEGER NOT NULL,
  id         TEXT    NOT NULL,
  type       TEXT    NOT NULL,
  salt       BLOB    NOT NULL,
  created_at INTEGER NOT NULL,
  crc        INTEGER NOT NULL
) STRICT;
CREATE INDEX entities_id_hash ON entities (id_hash);
CREATE TABLE heads (
  key        INTEGER PRIMARY KEY,
  version    INTEGER NOT NULL,
  head       INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE commits (
  id        INTEGER PRIMARY KEY,
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  content   BLOB    NOT NULL,
  head      BLOB    NOT NULL,
  extra     BLOB    NOT NULL
) STRICT;
CREATE TABLE erased_leaves (
  commit_id INTEGER NOT NULL,
  entity    INTEGER NOT NULL,
  leaf      BLOB    NOT NULL,
  PRIMARY KEY (commit_id, entity)
) STRICT, WITHOUT ROWID;
${SNAPSHOTS}CREATE TABLE request_keys (
  seq    INTEGER PRIMARY KEY,
  hash   INTEGER NOT NULL,
  count  INTEGER NOT NULL,
  digest TEXT    NOT NULL
) STRICT;
CREATE INDEX request_keys_hash ON request_keys (hash);
CREATE TABLE settings (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
${HISTORY}`

/** The snapshots of the first stores, which had no index, and their view, which showed erased rows. */
const EARLIER: ReadonlyMap<string, string> = new Map([
  [
    'snapshots',
    `CREATE TABLE snapshots (
  entity     INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  definition TEXT    NOT NULL,
  state      TEXT    NOT NULL,
  PRIMARY KEY (entity, version)
) STRICT, WITHOUT ROWID`,
  ],
  ['history', HISTORY.replace('  WHERE n.id_hash >= 0\n', '').replace(/;\n$/, '')],
])

/** The statement that makes each table, index and view, as SQLite keeps it. */
const MADE: ReadonlyMap<string, string> = new Map(
  SCHEMA.trim()
    .split(/;\n?/)
    .filter((statement) => statement !== '')
    .map((statement) => [/^CREATE \w+ (\w+)/.exec(statement)![1]!, statement]),
)

/** Of the table of snapshots that the first stores had. */
const NOT_YET = 'snapshots_place'

interface Found {
  readonly type: 'table' | 'index' | 'view' | 'trigger'
  readonly name: string
  readonly sql: string | null
}

/**
 * @returns statements that drop the indexes and statistics that somebody added; none in a shard as it was made
 * @throws KUMA_CORRUPT if the schema is another in any other way
 */
export function checkSchema(db: Database, path: string): string[] {
  const found = db.prepare('SELECT type, name, sql FROM sqlite_schema').all() as Found[]
  const names = new Set(found.map(({ name }) => name))
  const isEarlier = found.some(({ name, sql }) => name === 'snapshots' && sql === EARLIER.get(name))
  const missing = [...MADE.keys()].find((name) => !names.has(name) && !(isEarlier && name === NOT_YET))
  if (missing !== undefined) throw corrupt(path, `${missing} is missing`)
  return found.flatMap(({ type, name, sql }) => {
    if (sql !== null && (sql === MADE.get(name) || sql === EARLIER.get(name))) return []
    if (MADE.has(name)) throw corrupt(path, `the ${type} ${name} is not as it was made`)
    if (type === 'index') return [`DROP INDEX ${quoted(name)}`]
    if (/^sqlite_stat\d$/.test(name)) return [`DROP TABLE ${name}`]
    throw corrupt(path, `it has a ${type} ${JSON.stringify(name)} that is not Kuma's`)
  })
}

/** @throws KUMA_CORRUPT naming what has to go before anything is written, and as `checkSchema` */
export function assertOwnSchema(db: Database, path: string): void {
  const drops = checkSchema(db, path)
  if (drops.length === 0) return
  const message = `${path} is not written to: somebody added to it what would keep copies of erased data`
  const hint = `run \`kuma compact\`, or in sqlite3: ${drops.join('; ')};`
  throw new KumaError('KUMA_CORRUPT', message, { path }, { hint })
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
