// Each line under an expected error must be refused by the compiler. Projections.
import * as kuma from 'kuma'
import { Thermostat } from './thermostat.ts'

const table = kuma.defineProjection({
  name: 'rooms',
  columns: { room: 'text', off: 'real', note: 'text null' },
  key: ['room'],
})

// @ts-expect-error a column that is not there
table.rows(Thermostat, ({ room }) => ({ room, off: 1, note: null, warmth: 1 }))
// @ts-expect-error a column left out
table.rows(Thermostat, ({ room }) => ({ room, note: null }))
// @ts-expect-error a value of the wrong type
table.rows(Thermostat, ({ room }) => ({ room, off: room, note: null }))
// @ts-expect-error null where the column may not be
table.rows(Thermostat, () => ({ room: null, off: 1, note: null }))
// @ts-expect-error a field that the state does not have
table.rows(Thermostat, ({ rom }) => ({ room: rom, off: 1, note: null }))
// @ts-expect-error an event that the entity does not have
table.on(Thermostat, { Mesured: (_event, to) => to.remove({ room: '' }) })
// @ts-expect-error a column that cannot be counted
table.on(Thermostat, { Measured: (_event, to) => to.increment({ room: '' }, { note: 1 }) })
// @ts-expect-error a key that is not the key
table.on(Thermostat, { Measured: (_event, to) => to.increment({ off: 1 }, { off: 1 }) })
// @ts-expect-error a field that the event does not have
table.on(Thermostat, { Measured: ({ data }, to) => to.increment({ room: '' }, { off: data.kelvin }) })
// @ts-expect-error a key of no column
kuma.defineProjection({ name: 'x', columns: { a: 'text' }, key: ['b'] })
// @ts-expect-error an index of no column
kuma.defineProjection({ name: 'x', columns: { a: 'text' }, indexes: [['b']] })
// @ts-expect-error no such type of column
kuma.defineProjection({ name: 'x', columns: { a: 'varchar' } })

declare const ctx: kuma.Context
const made = table.rows(Thermostat, ({ room }) => ({ room, off: 1, note: null }))
const [row] = await ctx.query('select * from rooms', [], { of: made })
// @ts-expect-error a column that the projection does not have
row!.warmth
// @ts-expect-error of another type
row!.off satisfies string
// @ts-expect-error half of a projection has no rows
ctx.query('select * from rooms', [], { of: table })
