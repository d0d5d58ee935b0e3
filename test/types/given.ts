// Given, when, then: without a store, a clock or a file.
import * as kuma from 'kuma'
import { Auction, type AuctionState } from './auction.ts'
import { Locker } from './locker.ts'
import { Thermostat } from './thermostat.ts'

const running = Auction.given([{ type: 'Opened' }, { type: 'Bid', data: { bidder: 'al', cents: 5 } }])
running satisfies kuma.Given<kuma.FactsFrom<typeof Auction>>
running.state satisfies AuctionState
const { events, state } = await running.when({ type: 'Close' }, { now: 5, meta: { by: 'bo' } })
for (const event of events) if (event.type === 'Bid') event.data.cents satisfies number
if (state.phase === 'closed') state.closedAt satisfies number

// an entity without commands still folds
Thermostat.given([{ type: 'Reset' }]).state.target satisfies number
const filled = await Locker.given([]).when({ type: 'Fill', data: { parcels: '2' } })
filled.state.code satisfies string | null

kuma.document.given([{ type: 'Anything', data: { plan: 'pro' } }]).state['plan'] satisfies kuma.Json | undefined

// events of earlier forms are given as they were stored: those that are named in `upcast`, and no others
const Lamp = kuma
  .defineEntity({ type: 'lamp', initial: { watts: 0 }, events: { Dimmed: kuma.type<{ watts: number }>() } })
  .evolve({ Dimmed: (_, { watts }) => ({ watts }) })
const Older = Lamp.upcast({
  Dimmed: ({ data }) => ({ type: 'Dimmed', data: { watts: data.percent ?? data.watts } }),
  Off: () => ({ type: 'Dimmed', data: { watts: 0 } }),
}).decide({})
Older.given([
  { type: 'Dimmed', data: { percent: 5 } },
  { type: 'Off', at: 1_700 },
]).state.watts satisfies number
Older satisfies kuma.AnyEntityDefinition
Older satisfies kuma.EntityDefinition<kuma.FactsFrom<typeof Lamp>>
// @ts-expect-error no such event, now or before
Older.given([{ type: 'Of' }])
// @ts-expect-error nothing is upcast
Lamp.given([{ type: 'Off' }])
// @ts-expect-error a new event has today's form
Lamp.given([{ type: 'Dimmed', data: { percent: 5 } }])
