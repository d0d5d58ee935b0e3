// An entity as one document: its state and events are those of its definition.
import * as kuma from 'kuma'
import config from './kuma.config.ts'
import { Thermostat } from './thermostat.ts'

await using store: kuma.Kuma = await kuma.start(config)
const thermostat = await store.entity(Thermostat, 'hall')
const dump = await thermostat.export()

dump.format satisfies 'kuma-export/1'
dump.type satisfies 'thermostat'
dump.state.target satisfies number
;[dump.version, dump.createdAt, dump.updatedAt] satisfies number[]
for (const event of dump.events) {
  if (event.type === 'TargetSet') event.data.celsius satisfies number
  if (event.type === 'MovedTo') event.data.room satisfies string
}
for (const [table, rows] of Object.entries(dump.readModels)) {
  table satisfies string
  rows[0]?.['anything'] satisfies kuma.Json | undefined
}
dump satisfies kuma.EntityExport<kuma.FactsFrom<typeof Thermostat>>
dump.sha256 satisfies string

// of any type
const any: kuma.EntityExport = await (await store.entity('0034')).export()
JSON.stringify(any) satisfies string
