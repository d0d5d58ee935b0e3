/**
 * Columns of read models: what may stand in them, and how it goes into SQLite. The declared types are kept, so that what
 * a query gives is again a boolean or JSON and not how SQLite holds it.
 *
 *     text      TEXT         a string without NUL
 *     integer   INTEGER      a whole number
 *     real      REAL         any finite number
 *     boolean   BOOLEAN      0 or 1
 *     json      JSON TEXT    JSON as text
 */
import type { ColumnType } from '../api.ts'
import { cleanJson } from '../entity/json.ts'
import { describe } from '../entity/model.ts'

/** What SQLite is handed. */
export type Param = string | number | null

const DECLARED: { readonly [type in ColumnType]: string } = {
  text: 'TEXT',
  integer: 'INTEGER',
  real: 'REAL',
  boolean: 'BOOLEAN',
  json: 'JSON TEXT',
}

export interface ColumnDefinition {
  readonly name: string
  readonly type: ColumnType
  readonly isNullable: boolean
  /** Never changes for an entity: it is written once, which spares its indexes every update. */
  readonly isFixed?: true
  /** Rows have this JSON as text already. */
  readonly isSerialized?: true
}

/** Columns that every table has: whose row it is, and as of which version of that entity. */
export const ENTITY = '_entity'
export const VERSION = '_version'

/** Null if there is no such type. */
export function parseColumn(name: string, column: unknown): ColumnDefinition | null {
  const [type = '', rest] = typeof column === 'string' ? column.split(/ (null)$/) : []
  if (!Object.hasOwn(DECLARED, type)) return null
  return { name, type: type as ColumnType, isNullable: rest === 'null' }
}

/** In CREATE TABLE. */
export function declared({ name, type, isNullable }: ColumnDefinition): string {
  return `${quoted(name)} ${DECLARED[type]}${isNullable ? '' : ' NOT NULL'}`
}

export function isNumeric({ type }: ColumnDefinition): boolean {
  return type === 'integer' || type === 'real'
}

/** @throws an Error that says what is wrong with the value; KUMA_INVALID_DATA of JSON */
export function paramOf({ name, type, isNullable, isSerialized }: ColumnDefinition, value: unknown): Param {
  if (value === null && isNullable) return null
  switch (type) {
    case 'text':
      if (typeof value === 'string' && isText(value)) return value
      break
    case 'integer':
      if (Number.isInteger(value)) return (value as number) + 0 // -0 is 0
      break
    case 'real':
      if (Number.isFinite(value)) return value as number
      break
    case 'boolean':
      if (typeof value === 'boolean') return value ? 1 : 0
      break
    case 'json':
      if (isSerialized) return value as string
      if (value !== undefined) return JSON.stringify(cleanJson({ [name]: value }, 'a row')[name])
  }
  throw new Error(`${name} must be ${WANTED[type]}${isNullable ? ' or null' : ''}, and is ${told(value)}`)
}

const WANTED: { readonly [type in ColumnType]: string } = {
  text: 'a text',
  integer: 'a whole number',
  real: 'a finite number',
  boolean: 'true or false',
  json: 'JSON',
}

/** Of a parameter of SQL, whose column is not known. @throws an Error that says what is wrong with it */
export function looseParam(value: unknown): Param {
  if (value === null) return null
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'string' && isText(value)) return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new Error(`a parameter must be a text, a finite number, true, false or null, and is ${told(value)}`)
}

function isText(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0')
}

/** Without what may be personal. */
function told(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return isText(value) ? 'a text' : 'a text that UTF-8 or SQL cannot hold'
  return ArrayBuffer.isView(value) ? 'bytes' : describe(value)
}

/** A name in SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
