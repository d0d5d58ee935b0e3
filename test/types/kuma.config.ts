// The config file that the library and the shell share.
import * as kuma from 'kuma'
import { Membership } from './membership.ts'
import { Parcel } from './parcel.ts'
import { Reservation } from './reservation.ts'
import { Thermostat } from './thermostat.ts'

export default kuma.defineConfig({
  path: './data',
  shards: 8,
  entities: [Membership, Parcel, Reservation, Thermostat, kuma.document],
  ids: { 'm-*': Membership, '00*': Parcel, '*': kuma.document },
  lockTimeoutMs: 500,
})
