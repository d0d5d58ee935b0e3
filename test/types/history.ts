// The past, by version and by time; several entity types in one store; a store in someone's name.
import * as kuma from 'kuma'
import config from './kuma.config.ts'
import { Parcel } from './parcel.ts'
import { Thermostat } from './thermostat.ts'

const signal = AbortSignal.timeout(1_000)
await using store: kuma.Kuma = await kuma.start({ ...config, signal })

// what a web framework hands over may be undefined, under exactOptionalPropertyTypes too
declare const request: { readonly login: { readonly user: string } | undefined; readonly ip: string | undefined }
const context = store.as({ by: request.login?.user, ip: request.ip, correlationId: 'c-1', tenant: 42 })
context satisfies kuma.Context
const thermostat = await context.entity(Thermostat, 'hall')

// one type of event, two, all
const warm = await thermostat.log({ type: 'TargetSet', by: 'bo', reverse: true, limit: 5, signal }).toArray()
warm.reduce((sum, event) => sum + event.data.celsius, 0) satisfies number
for await (const event of thermostat.log({ type: ['TargetSet', 'Measured'] })) {
  event.type satisfies 'TargetSet' | 'Measured'
  event.data.celsius satisfies number
}
for await (const event of thermostat.log({ from: { at: new Date(0) }, to: { at: 1_793_500_000_000 } })) {
  if (event.type !== 'MovedTo') continue
  event.data.room satisfies string
  event.meta.by satisfies string | undefined
  event.meta['tenant'] satisfies kuma.Json | undefined
  event.position satisfies string
  break
}

const points: kuma.Point[] = [{ version: 3 }, { at: 'today' }, { at: new Date() }, { at: Date.now() }]
for (const point of points) (await thermostat.read(point)).target satisfies number

// of any type: known as JSON until its type is
const any = await store.entity('0034')
if (any.type === 'parcel') {
  const parcel = await store.entity(Parcel, any.id)
  ;(await parcel.read()).grams satisfies number
} else {
  ;(await any.read())['anything'] satisfies kuma.Json | undefined
  const [first] = await any.log({ type: 'Whatever', limit: 1 }).toArray()
  first?.data['anything'] satisfies kuma.Json | undefined
}

for await (const { id, type, version, updatedAt } of store.entities({ type: Thermostat, prefix: 'h', limit: 10 })) {
  ;[id, type] satisfies string[]
  ;[version, updatedAt] satisfies number[]
}
await store.entities({ type: 'parcel' }).toArray()

// what changed, who did it, and back
const change = await thermostat.diff({ from: { at: 'yesterday' }, to: { version: 7 } })
;(change.to.state.target - change.from.state.target) satisfies number
for (const operation of change.patch) if (operation.op !== 'remove') operation.value satisfies kuma.Json
;(await thermostat.diff()).patch satisfies readonly kuma.PatchOperation[]
await thermostat.diff({ other: 'attic' })
const [field] = await thermostat.blame('/target')
field?.event?.meta.by satisfies string | undefined
field?.event?.type satisfies 'Created' | 'TargetSet' | 'Measured' | 'MovedTo' | 'Reset' | undefined
const Restorable = Thermostat.revert((from, to) =>
  from.room === to.room
    ? { type: 'TargetSet', data: { celsius: to.target } }
    : [{ type: 'MovedTo', data: { room: to.room } }, { type: 'Reset' }],
)
Restorable satisfies typeof Thermostat
const reverted = await thermostat.revert({ version: 3 }, { dryRun: true, meta: { reason: 'a mistake' } })
reverted.diff.to.state.target satisfies number
reverted.isExact satisfies boolean
for await (const { id, state } of store.inspectAll({ at: new Date(0), type: Thermostat })) [id, state]
for await (const { state } of thermostat.replay({ untilEvent: 'Reset' })) state.target satisfies number
await thermostat.log({ by: 'bo', ip: '::1', reason: 'x', correlationId: 'c', causationId: 'e' }).toArray()

// the feed: discriminated by entity type, then by event type
for await (const item of store.subscribe({ entities: [Thermostat, Parcel], from: 'start', signal })) {
  item.position satisfies string
  if (item.kind === 'erased') {
    item.entityType satisfies string
    continue
  }
  const { event } = item
  if (event.entityType === 'thermostat') {
    if (event.type === 'TargetSet') event.data.celsius satisfies number
  } else event.entityType satisfies 'parcel'
}
for await (const item of context.subscribe({ filter: { entity: 'hall', event: ['Reset'] }, from: { version: 2 } })) {
  if (item.kind === 'event') item.event.data
  break
}
const forked: kuma.Fork = await store.fork('./try', { at: 'yesterday', prefix: 'h', onProgress: ({ part }) => part })
forked.events satisfies number

export type Names = kuma.AnyEntityDefinition['type'] extends string ? true : false
