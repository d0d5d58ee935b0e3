// Read models: from state and from events, of one entity and of several, and how they are asked.
import * as kuma from 'kuma'
import { Auction } from './auction.ts'
import { Thermostat } from './thermostat.ts'

export const climate = kuma
  .defineProjection({
    name: 'climate',
    version: 2,
    columns: { room: 'text', off: 'real', warm: 'boolean', seen: 'json null' },
    indexes: [['room', 'warm']],
  })
  .rows(Thermostat, (state, { updatedAt }) =>
    state.room === ''
      ? null
      : { room: state.room, off: state.target - state.measured, warm: state.measured > 20, seen: { updatedAt } },
  )

export const hours = kuma
  .defineProjection({ name: 'hours', columns: { hour: 'integer', measured: 'integer', sum: 'real' }, key: ['hour'] })
  .on(Thermostat, {
    Measured: ({ at, data }, table) =>
      table.increment({ hour: Math.floor(at / 3_600_000) }, { measured: 1, sum: data.celsius }),
    Reset: (_, table) => [
      table.sql`delete from hours where _entity = ${table.entity} and hour < ${1}`,
      table.remove({ hour: 0 }),
    ],
    MovedTo: () => undefined,
  })
  .on(Auction, { Created: ({ entity }, table) => table.upsert({ hour: entity.length, measured: 0, sum: 0 }) })

declare const store: kuma.Kuma
const hall = await store.spawn(Thermostat, 'hall')
const { position } = await hall.append({ type: 'Reset' })
await store.waitFor(climate, position, { signal: AbortSignal.timeout(500) })
for await (const row of store.query<kuma.RowOf<typeof climate>>('select * from climate where off > ?', [2.5], {
  after: position,
})) {
  row.room satisfies string
  row.warm satisfies boolean
  row._version satisfies number
  row.seen satisfies kuma.Json
}
const [first] = await store.query('select 1 as one').toArray()
first satisfies kuma.JsonObject | undefined
const [climateOfHall] = await store.query('select * from climate where room = ?', ['hall'], { of: climate })
climateOfHall!.off satisfies number
climateOfHall satisfies kuma.RowOf<typeof climate> | undefined
for await (const row of store.query('select * from hours', undefined, { of: hours, after: position })) {
  row.hour satisfies number
  row._entity satisfies string
}
const options = { of: hours, stale: true, onBehind: (tables: readonly kuma.Behind[]) => tables[0]?.lagEvents } as const
const [some, one] = await Promise.all([store.query('select * from hours', [], options), store.query('select 1 as one')])
some satisfies readonly { readonly measured: number }[]
one satisfies kuma.JsonObject[]
const all: kuma.Items<{ readonly n: number }> = store.query<{ n: number }>('select count(*) n from hours')
await all.toArray()

// tests of them need no store
const [warmth] = climate
  .given([
    { type: 'Measured', data: { celsius: 21 } },
    { type: 'Reset', entity: 'hall' },
  ])
  .rows()
warmth?.off satisfies number | undefined
hours.given([
  { type: 'Measured', data: { celsius: 21 }, at: 5, entityType: 'thermostat' },
  { type: 'Bid', data: { bidder: 'al', cents: 5 }, entity: 'a1' },
])
// @ts-expect-error no event of what it is made of
climate.given([{ type: 'Bid', data: { bidder: 'al', cents: 5 } }])
// @ts-expect-error a field of the wrong type
hours.given([{ type: 'Measured', data: { celsius: '21' } }])
// @ts-expect-error a column that is not there
climate.given([]).rows()[0]?.warmth
