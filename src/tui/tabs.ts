/** The tables of the cockpit. */
import type { ActorRow, ClientRow, Look, ProjectionRow, ShardRow, Sort, SubscriberRow, Tab } from './look.ts'
import type { Column } from './table.ts'
import { bytes, ms, rate, span, whole } from './text.ts'

const ACTORS: readonly (Column<ActorRow> & { readonly sort: Sort })[] = [
  { sort: 'id', head: 'id', width: 12, rank: 1, text: ({ id }) => id },
  { sort: 'type', head: 'type', width: 12, rank: 6, text: ({ type }) => type ?? '' },
  { sort: 'shard', head: 'shard', width: 6, rank: 9, align: 'right', text: ({ shard }) => String(shard ?? '') },
  { sort: 'state', head: 'state', width: 8, rank: 2, text: ({ state }) => state },
  { sort: 'mailbox', head: 'mailbox', width: 8, rank: 5, align: 'right', text: ({ mailbox }) => whole(mailbox) },
  { sort: 'rate', head: 'ev/s', width: 7, rank: 3, align: 'right', text: (row) => rate(row.eventsPerSecond) },
  { sort: 'version', head: 'version', width: 9, rank: 4, align: 'right', text: ({ version }) => `v${version}` },
  { sort: 'p50', head: 'p50 ms', width: 7, rank: 8, align: 'right', text: ({ ackMs }) => (ackMs ? ms(ackMs.p50) : '') },
  { sort: 'p99', head: 'p99 ms', width: 7, rank: 7, align: 'right', text: ({ ackMs }) => (ackMs ? ms(ackMs.p99) : '') },
  { sort: 'age', head: 'age', width: 7, rank: 11, align: 'right', text: ({ ageSeconds }) => span(ageSeconds) },
  { sort: 'idle', head: 'idle', width: 7, rank: 10, align: 'right', text: ({ idleSeconds }) => span(idleSeconds) },
]

const SHARDS: readonly Column<ShardRow>[] = [
  { head: 'shard', width: 6, rank: 1, text: ({ shard }) => String(shard).padStart(3, '0') },
  { head: 'state', width: 8, rank: 2, text: ({ isPoisoned }) => (isPoisoned ? 'poisoned' : 'ok') },
  { head: 'entities', width: 11, rank: 5, align: 'right', text: ({ entities }) => whole(entities) },
  { head: 'events', width: 13, rank: 3, align: 'right', text: ({ lastSeq }) => whole(lastSeq) },
  { head: 'pending', width: 8, rank: 4, align: 'right', text: ({ pending }) => whole(pending) },
  { head: 'size', width: 8, rank: 6, align: 'right', text: (row) => bytes(row.bytes) },
  { head: 'wal', width: 8, rank: 7, align: 'right', text: ({ walBytes }) => bytes(walBytes) },
]

const CLIENTS: readonly Column<ClientRow>[] = [
  { head: 'from', width: 12, rank: 1, text: ({ from }) => from },
  { head: 'client', width: 7, rank: 5, align: 'right', text: ({ id }) => String(id) },
  { head: 'speaks', width: 7, rank: 6, text: ({ protocol }) => protocol ?? '' },
  { head: 'calls', width: 12, rank: 2, align: 'right', text: ({ calls }) => whole(calls) },
  { head: 'open', width: 6, rank: 3, align: 'right', text: ({ underWay }) => whole(underWay) },
  { head: 'in', width: 7, rank: 7, align: 'right', text: ({ bytesIn }) => bytes(bytesIn) },
  { head: 'out', width: 7, rank: 8, align: 'right', text: ({ bytesOut }) => bytes(bytesOut) },
  { head: 'since', width: 9, rank: 4, align: 'right', text: ({ since }) => since.slice(11, 19) },
]

const SUBSCRIBERS: readonly Column<SubscriberRow>[] = [
  { head: 'listens to', width: 16, rank: 1, text: wantedBy },
  { head: 'client', width: 7, rank: 4, align: 'right', text: ({ client }) => String(client) },
  { head: 'sent', width: 12, rank: 3, align: 'right', text: ({ items }) => whole(items) },
  {
    head: 'lag',
    width: 10,
    rank: 2,
    align: 'right',
    text: ({ lagEvents }) => (lagEvents === null ? '' : whole(lagEvents)),
  },
  { head: 'since', width: 9, rank: 5, align: 'right', text: ({ since }) => since.slice(11, 19) },
]

const PROJECTIONS: readonly Column<ProjectionRow>[] = [
  { head: 'projection', width: 16, rank: 1, text: ({ name }) => name },
  { head: 'state', width: 10, rank: 2, text: ({ state, building }) => (building === null ? state : 'building') },
  {
    head: 'behind',
    width: 11,
    rank: 3,
    align: 'right',
    text: (row) => whole(row.building?.lagEvents ?? row.lagEvents),
  },
  { head: 'for', width: 7, rank: 5, align: 'right', text: (row) => (row.lagSeconds === 0 ? '' : span(row.lagSeconds)) },
  { head: 'ev/s', width: 8, rank: 6, align: 'right', text: (row) => rate(row.eventsPerSecond) },
  { head: 'gen', width: 5, rank: 7, align: 'right', text: ({ generation }) => String(generation ?? '') },
  { head: 'stopped at', width: 12, rank: 4, text: ({ error }) => error?.position ?? '' },
  { head: 'because', width: 30, rank: 8, text: ({ error }) => error?.message ?? '' },
]

function wantedBy({ entity, entityTypes, events }: SubscriberRow): string {
  const parts = [entity ?? '', entityTypes.join(', '), events.join(', ')].filter((part) => part !== '')
  return parts.length === 0 ? 'everything' : parts.join('  ')
}

export interface Table {
  // biome-ignore lint/suspicious/noExplicitAny: of rows of the one kind that its columns are of
  readonly columns: readonly Column<any>[]
  readonly rows: readonly unknown[]
}

export function tableOf(tab: Tab, look: Look): Table {
  switch (tab) {
    case 'actors':
      return { columns: ACTORS, rows: look.actors }
    case 'shards':
      return { columns: SHARDS, rows: look.shards }
    case 'clients':
      return { columns: CLIENTS, rows: look.clients }
    case 'subscribers':
      return { columns: SUBSCRIBERS, rows: look.subscribers }
    case 'projections':
      return { columns: PROJECTIONS, rows: look.status?.projections ?? [] }
  }
}

export function headOf(sort: Sort): string {
  return ACTORS.find((column) => column.sort === sort)!.head
}

/** Texts go from a to z, numbers from the highest, unless reversed. */
export function arrowOf(sort: Sort, reverse: boolean): string {
  const isText = ['id', 'type', 'shard', 'state'].includes(sort)
  return isText === reverse ? '▼' : '▲'
}
