// The config file that the library and the shell share.
import * as kuma from 'kuma'
import { Auction } from './auction.ts'
import { Door, Locker } from './locker.ts'
import { Membership } from './membership.ts'
import { Meter } from './meter.ts'
import { Parcel } from './parcel.ts'
import { climate, hours } from './read-models.ts'
import { Reservation } from './reservation.ts'
import { Thermostat } from './thermostat.ts'

export default kuma.defineConfig({
  path: './data',
  shards: 8,
  entities: [Auction, Door, Locker, Membership, Meter, Parcel, Reservation, Thermostat, kuma.document],
  projections: [climate, hours],
  readModels: { events: true, rqliteUrl: 'http://kuma:secret@10.0.0.1:4001,10.0.0.2:4001' },
  ids: { 'm-*': Membership, '00*': Parcel, '*': kuma.document },
  lockTimeoutMs: 500,
  committers: 2,
  actorsMax: 10_000,
  stateBytesMax: 16 * 1024 * 1024,
  actorIdleMs: 60_000,
  decideTimeoutMs: 1_000,
})
