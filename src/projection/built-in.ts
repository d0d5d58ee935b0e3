/**
 * The tables that need no code: `entities`, with every entity's state as JSON, and on request `events`. They are
 * projections like any other, of all entity types.
 */
import type { RecordedEvent } from '../entity/event.ts'
import { stateText } from '../entity/json.ts'
import type { ColumnDefinition } from './columns.ts'
import type { ProjectionDefinition, Table } from './define-projection.ts'

function column(name: string, type: ColumnDefinition['type']): ColumnDefinition {
  return { name, type, isNullable: false }
}

function fixed(name: string, type: ColumnDefinition['type']): ColumnDefinition {
  return { ...column(name, type), isFixed: true }
}

/** `entities(id, type, version, created_at, updated_at, state)` */
export const ENTITIES: ProjectionDefinition = {
  name: 'entities',
  version: 1,
  columns: [
    fixed('id', 'text'),
    fixed('type', 'text'),
    column('version', 'integer'),
    fixed('created_at', 'integer'),
    column('updated_at', 'integer'),
    { ...column('state', 'json'), isSerialized: true },
  ],
  key: [],
  indexes: [['id'], ['type']],
  rows: (state, { id, version, createdAt, updatedAt }, type) => ({
    id,
    type,
    version,
    created_at: createdAt,
    updated_at: updatedAt,
    state: stateText(state, id),
  }),
  handler: () => undefined,
  of: null,
}

/** `events(id, version, type, at, data, meta)` */
export const EVENTS: ProjectionDefinition = {
  name: 'events',
  version: 1,
  columns: [
    column('id', 'text'),
    column('version', 'integer'),
    column('type', 'text'),
    column('at', 'integer'),
    column('data', 'json'),
    column('meta', 'json'),
  ],
  key: ['version'],
  indexes: [['id'], ['type']],
  rows: null,
  handler: () => (event, table) => {
    const { entity: id, version, type, at, data, meta } = event as RecordedEvent
    return (table as Pick<Table<never, never>, 'upsert'>).upsert({ id, version, type, at, data, meta } as never)
  },
  of: null,
}
