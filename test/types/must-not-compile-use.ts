// Each line under an expected error must be refused by the compiler. Entities, contexts and errors.
import * as kuma from 'kuma'
import { Auction } from './auction.ts'
import { Locker } from './locker.ts'
import { Parcel } from './parcel.ts'
import { Reservation } from './reservation.ts'
import { Thermostat } from './thermostat.ts'

declare const store: kuma.Kuma
const hall = await store.spawn(Thermostat, 'hall')

// ---- what is appended

// @ts-expect-error no such event
await hall.append({ type: 'TargetSett', data: { celsius: 20 } })
// @ts-expect-error a field of the wrong type
await hall.append({ type: 'TargetSet', data: { celsius: '20' } })
// @ts-expect-error a field that the event does not have
await hall.append({ type: 'TargetSet', data: { celsius: 20, unit: 'C' } })
// @ts-expect-error a field is missing
await hall.append({ type: 'TargetSet', data: {} })
// @ts-expect-error the data is missing
await hall.append({ type: 'TargetSet' })
// @ts-expect-error `append` takes one event
await hall.append([{ type: 'Reset' }])
// @ts-expect-error the second of them is wrong
await hall.appendAll([{ type: 'Reset' }, { type: 'MovedTo', data: { rom: 'attic' } }])
// @ts-expect-error who did it is a string
await hall.append({ type: 'Reset', meta: { by: 7 } })
// @ts-expect-error a version is a number
await hall.append({ type: 'Reset' }, { expectedVersion: '3' })
// @ts-expect-error or says only that it exists
await hall.append({ type: 'Reset' }, { expectedVersion: 'there' })
// @ts-expect-error when it happened is a number
await hall.append({ type: 'Reset', at: new Date() })
// @ts-expect-error a stream has no state
;(await (await store.entity(kuma.stream, 'clicks')).read()).clicks
// @ts-expect-error a write cannot be aborted, since its outcome would be unknown
await hall.append({ type: 'Reset' }, { signal: AbortSignal.timeout(1) })

// ---- what is executed

const auction = await store.spawn(Auction, 'a1')
// @ts-expect-error no such command
await auction.execute({ type: 'PlaceBidd', data: { bidder: 'bo', cents: 1 } })
// @ts-expect-error a field of the wrong type
await auction.execute({ type: 'PlaceBid', data: { bidder: 'bo', cents: '1' } })
// @ts-expect-error a field that the command does not have
await auction.execute({ type: 'PlaceBid', data: { bidder: 'bo', cents: 1, unit: 'EUR' } })
// @ts-expect-error the data is missing
await auction.execute({ type: 'PlaceBid' })
// @ts-expect-error an event is no command
await auction.execute({ type: 'Bid', data: { bidder: 'bo', cents: 1 } })
// @ts-expect-error nor is a command an event
await auction.append({ type: 'PlaceBid', data: { bidder: 'bo', cents: 1 } })
// @ts-expect-error meta belongs to the options
await auction.execute({ type: 'Open', meta: { by: 'bo' } })
// @ts-expect-error an entity without commands takes none
await hall.execute({ type: 'SetTarget', data: { celsius: 20 } })
// @ts-expect-error of an entity of any type no command is known
await (await store.entity('a1')).execute({ type: 'Open' })
// @ts-expect-error no such command, of one that may not be there either
await store.execute(Auction, 'a2', { type: 'PlaceBidd', data: { bidder: 'bo', cents: 1 } })
// @ts-expect-error an entity without commands takes none there
await store.execute(Thermostat, 'hall', { type: 'SetTarget', data: { celsius: 20 } })
// @ts-expect-error an event that the definition does not have
await store.append(Auction, 'a2', { type: 'Bidd', data: { bidder: 'bo', cents: 1 } })
// @ts-expect-error the second of them is wrong
await store.append(Auction, 'a2', [{ type: 'Opened' }, { type: 'Bid', data: { bidder: 'bo' } }])
// @ts-expect-error the state that comes of it is the store's
;(await auction.execute({ type: 'Open' })).state.phase = 'closed'

// ---- what is read

const state = await hall.read()
// @ts-expect-error the state has no such field
state.traget
// @ts-expect-error the state is the store's
state.target = 25
// @ts-expect-error either a version or a time
await hall.read({ version: 3, at: 'now' })
// @ts-expect-error a point says which of the two it is
await hall.read(3)
// @ts-expect-error the log can hold no such event
hall.log({ type: 'TargetSett' })
// @ts-expect-error nor the second of these
hall.log({ type: ['TargetSet', 'Movd'] })
for await (const event of hall.log({ type: 'MovedTo' })) {
  // @ts-expect-error only events of that type come
  event.data.celsius
}
for await (const event of hall.log()) {
  // @ts-expect-error which of the events it is has to be asked first
  event.data.celsius
  // @ts-expect-error a recorded event stays as it is
  event.version = 2
}

// ---- what is spawned

// @ts-expect-error the first state has no such field
await store.spawn(Thermostat, 'porch', { rom: 'porch' })
// @ts-expect-error a field of the wrong type
await store.spawn(Thermostat, 'porch', { target: 'warm' })
// @ts-expect-error `Created` is declared, and its data required
await store.spawn(Parcel, '0035')
// @ts-expect-error and must be what it declares
await store.spawn(Parcel, '0035', { sender: 'bo', service: 'pigeon' })
// @ts-expect-error a part of a union is no state
await store.spawn(Reservation, 'r2', { phase: 'held' })
// @ts-expect-error commands say what may happen: no state is handed in past them
await store.spawn(Locker, 'l9', { parcels: 1_000_000 })
// @ts-expect-error no such choice
await store.spawn(Thermostat, 'porch', {}, { ifExists: 'replace' })
// @ts-expect-error an id is a string
await store.entity(Thermostat, 7)

// ---- contexts

// @ts-expect-error only whoever started the store closes it
await store.as({ by: 'bo' }).close()
// @ts-expect-error and it is not disposed of
await using _context = store.as({ by: 'bo' })
// @ts-expect-error what is not JSON cannot be kept
store.as({ since: new Date() })

// ---- the past, and the feed

// @ts-expect-error a revert gives events of the definition
Thermostat.revert(() => ({ type: 'Exploded', data: {} }))
// @ts-expect-error and their data
Thermostat.revert((_, to) => ({ type: 'TargetSet', data: { celsius: to.room } }))
// @ts-expect-error a point is a version or a time
await hall.revert(3)
for await (const item of store.subscribe({ entities: [Thermostat] })) {
  // @ts-expect-error the feed of one type has no events of another
  if (item.kind === 'event' && item.event.type === 'Bid') break
  // @ts-expect-error an erasure has no event
  if (item.kind === 'erased') item.event
}
// @ts-expect-error only whoever started the store forks it
await store.as({ by: 'bo' }).fork('./try')

// ---- errors

declare const error: unknown
// @ts-expect-error no such code
kuma.isKumaError(error, 'KUMA_CONFLIT')
// @ts-expect-error the details of another code
if (kuma.isKumaError(error, 'KUMA_CONFLICT')) error.details.retryAfterMs
// @ts-expect-error a rejection tells the command, not the event
if (kuma.isKumaError(error, 'KUMA_REJECTED')) error.details.type
// @ts-expect-error the code is not known yet
if (kuma.isKumaError(error)) error.details.entity
// @ts-expect-error an error of Kuma has a code and its details
new kuma.KumaError('it failed')
