/**
 * The table of one generation of a projection, and the statements that fill it. It is called `accounts__1`; whoever asks
 * says `accounts`, which is a view of the generation that serves.
 */
import { describe, isThenable } from '../entity/model.ts'
import { declared, ENTITY, isNumeric, looseParam, type Param, paramOf, quoted, VERSION } from './columns.ts'
import type { ProjectionDefinition, Table, TableStatement } from './define-projection.ts'
import type { Statement } from './sink.ts'
import { renamed } from './sql-text.ts'

/** Whose rows are written. */
export interface Owner {
  /** its key in the store: `_entity` */
  readonly entity: string
  readonly version: number
}

const CHANGES = /^\s*(?:insert|update|delete|replace|with)\b/i

export function tableName(projection: string, generation: number): string {
  return `${projection}__${generation}`
}

/** The projection whose table it is; null if it is none's. */
export function projectionIn(table: string): string | null {
  return /^(.+)__\d+$/.exec(table)?.[1] ?? null
}

/** The view by which a projection is asked. */
export function viewOf(projection: string, generation: number): readonly Statement[] {
  return [
    dropView(projection),
    [`CREATE VIEW ${quoted(projection)} AS SELECT * FROM ${quoted(tableName(projection, generation))}`],
  ]
}

export function dropView(projection: string): Statement {
  return [`DROP VIEW IF EXISTS ${quoted(projection)}`]
}

export function dropTable(projection: string, generation: number): Statement {
  return [`DROP TABLE IF EXISTS ${quoted(tableName(projection, generation))}`]
}

/** Of an entity, whatever stands there. */
export function clear(projection: string, generation: number, entity: string): Statement {
  return [`DELETE FROM ${quoted(tableName(projection, generation))} WHERE ${ENTITY} = ?`, entity]
}

export class GenerationTable {
  private readonly name: string
  private readonly upsertSql: string
  private readonly insertSql: string
  private readonly deleteSql: string
  private readonly removeSql: string
  private readonly columnNames: ReadonlySet<string>
  private readonly texts = new WeakMap<TemplateStringsArray, string>()

  constructor(
    readonly definition: ProjectionDefinition,
    readonly generation: number,
  ) {
    const { columns, key } = definition
    this.name = quoted(tableName(definition.name, generation))
    const names = [ENTITY, VERSION, ...columns.map(({ name }) => quoted(name))]
    this.insertSql = `INSERT INTO ${this.name} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`
    this.columnNames = new Set(columns.map(({ name }) => name))
    const keyed = [ENTITY, ...key.map(quoted)]
    const changing = columns
      .filter(({ name, isFixed }) => !isFixed && !key.includes(name))
      .map(({ name }) => quoted(name))
    const updates = [VERSION, ...changing].map((name) => `${name} = excluded.${name}`)
    this.upsertSql = `${this.insertSql} ON CONFLICT (${keyed.join(', ')}) DO UPDATE SET ${updates.join(', ')}`
    this.deleteSql = `DELETE FROM ${this.name} WHERE ${ENTITY} = ?`
    this.removeSql = `${this.deleteSql}${key.map((column) => ` AND ${quoted(column)} = ?`).join('')}`
  }

  create(): Statement[] {
    const { columns, key, indexes } = this.definition
    const lines = [
      `${ENTITY} TEXT NOT NULL`,
      `${VERSION} INTEGER NOT NULL`,
      ...columns.map(declared),
      `PRIMARY KEY (${[ENTITY, ...key.map(quoted)].join(', ')})`,
    ]
    // one tree instead of two, unless rows may be long
    const options = columns.some(({ type }) => type === 'json') ? '' : ' WITHOUT ROWID'
    const name = tableName(this.definition.name, this.generation)
    return [
      [`CREATE TABLE ${this.name} (${lines.join(', ')})${options}`],
      ...indexes.map(
        (on, i): Statement => [
          `CREATE INDEX ${quoted(`${name}_${i + 1}`)} ON ${this.name} (${on.map(quoted).join(', ')})`,
        ],
      ),
    ]
  }

  /** Instead of the rows that the entity had. @param made what the function from a state gave. @throws an Error that tells what is wrong with it */
  rows({ entity, version }: Owner, made: unknown): Statement[] {
    const { key } = this.definition
    if (isThenable(made)) throw promised(made)
    const clearing: Statement = [this.deleteSql, entity]
    if (made === null) return [clearing]
    if (!Array.isArray(made) && key.length === 0) return [[this.upsertSql, entity, version, ...this.params(made)]]
    const all = Array.isArray(made) ? made : [made]
    if (all.length > 1 && key.length === 0)
      throw new Error('several rows of one entity need a `key` that tells them apart')
    return [clearing, ...all.map((row): Statement => [this.insertSql, entity, version, ...this.params(row)])]
  }

  private params(row: unknown): Param[] {
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw new Error(`a row must be an object, and is ${describe(row)}`)
    for (const name of Object.keys(row))
      if (!this.columnNames.has(name)) throw new Error(`the table has no column ${JSON.stringify(name)}`)
    return this.definition.columns.map((column) => paramOf(column, (row as { [name: string]: unknown })[column.name]))
  }

  /** What a handler is given to make statements with. */
  of({ entity, version }: Owner): Table<never, never> {
    const { columns, key } = this.definition
    const keyOf = (given: object) => {
      for (const name of Object.keys(given ?? {}))
        if (!key.includes(name)) throw new Error(`${JSON.stringify(name)} is not in the table's key`)
      return key.map((name) => paramOf(columns.find((column) => column.name === name)!, (given as Row)[name]))
    }
    return {
      entity,
      upsert: (row: object) => ({ sql: this.upsertSql, params: [entity, version, ...this.params(row)] }),
      increment: (given: object, by: object) => this.increment({ entity, version }, keyOf(given), by),
      remove: (given: object) => ({ sql: this.removeSql, params: [entity, ...keyOf(given)] }),
      sql: (strings, ...params) => ({ sql: this.sqlOf(strings), params }),
    }
  }

  private increment({ entity, version }: Owner, keys: readonly Param[], by: object): TableStatement {
    const lacking = uncountable(this.definition)
    if (lacking !== undefined)
      throw new Error(`increment may have to make a row, and cannot know its ${lacking}, which may not be null`)
    const { columns, key } = this.definition
    const numbers = Object.entries(by ?? {}).filter(([, value]) => value !== undefined)
    const params = numbers.map(([name, value]) => {
      const column = columns.find((one) => one.name === name)
      if (column === undefined || key.includes(name) || !isNumeric(column))
        throw new Error(`${JSON.stringify(name)} is not a column that can be counted`)
      return paramOf({ ...column, isNullable: false }, value)
    })
    const counted = numbers.map(([name]) => quoted(name))
    const others = columns.filter(({ name, isNullable }) => !isNullable && !key.includes(name) && !(name in by))
    const names = [ENTITY, VERSION, ...key.map(quoted), ...counted, ...others.map(({ name }) => quoted(name))]
    const updates = [`${VERSION} = excluded.${VERSION}`]
    for (const name of counted) updates.push(`${name} = coalesce(${this.name}.${name}, 0) + excluded.${name}`)
    const sql = `INSERT INTO ${this.name} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')}) ON CONFLICT (${[ENTITY, ...key.map(quoted)].join(', ')}) DO UPDATE SET ${updates.join(', ')}`
    return { sql, params: [entity, version, ...keys, ...params, ...others.map(() => 0)] }
  }

  private sqlOf(strings: TemplateStringsArray): string {
    let sql = this.texts.get(strings)
    if (sql === undefined) {
      sql = renamed(strings.join('?'), this.definition.name, this.name)
      if (!CHANGES.test(sql)) throw new Error('table.sql takes an insert, an update or a delete')
      this.texts.set(strings, sql)
    }
    return sql
  }

  /** @param answer of a handler. @throws an Error that tells what is wrong with it */
  statements(answer: unknown): Statement[] {
    if (answer === undefined) return []
    if (isThenable(answer)) throw promised(answer)
    return (Array.isArray(answer) ? answer : [answer]).map((one: unknown): Statement => {
      const { sql, params } = (one ?? {}) as Partial<TableStatement>
      if (typeof sql === 'string' && Array.isArray(params)) return [sql, ...params.map(looseParam)]
      throw new Error(
        `a handler gives what table.upsert, increment, remove or sql gave, and this gave ${describe(one)}`,
      )
    })
  }
}

type Row = { readonly [column: string]: unknown }

/** The column that `increment` cannot make up, if there is one: neither a number, nor in the key, nor nullable. */
function uncountable({ columns, key }: ProjectionDefinition): string | undefined {
  return columns.find((column) => !column.isNullable && !isNumeric(column) && !key.includes(column.name))?.name
}

function promised(answer: PromiseLike<unknown>): Error {
  answer.then(undefined, () => {}) // its outcome must not end the process
  return new Error('it returned a promise: a projection is synchronous')
}
