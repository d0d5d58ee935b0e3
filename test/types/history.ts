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

export type Names = kuma.AnyEntityDefinition['type'] extends string ? true : false
