// A state that is a plain object, events that are bare types, and everything one does with one entity.
import * as kuma from 'kuma'

export const Thermostat = kuma
  .defineEntity({
    type: 'thermostat',
    initial: { target: 20, measured: 0, room: '' },
    events: {
      TargetSet: kuma.type<{ celsius: number }>(),
      Measured: kuma.type<{ celsius: number; sensor?: string }>(),
      MovedTo: kuma.type<{ room: string }>(),
      Reset: kuma.type<Record<never, never>>(),
    },
  })
  .evolve({
    TargetSet: (state, { celsius }) => ({ ...state, target: celsius }),
    Measured: (state, { celsius }) => ({ ...state, measured: celsius }),
    MovedTo: (state, { room }) => ({ ...state, room }),
    Reset: (state) => ({ ...state, target: 20 }),
  })

await using store = await kuma.start({ path: './climate', shards: 4, entities: [Thermostat] })

const hall = await store.spawn(Thermostat, 'hall')
const attic: kuma.Entity = await store.spawn(Thermostat, 'attic', { room: 'attic' }, { ifExists: 'error' })
attic.id satisfies string
hall.type satisfies 'thermostat'

const appended = await hall.append({ type: 'TargetSet', data: { celsius: 21.5 } })
appended satisfies kuma.Appended
appended.position satisfies kuma.Position
await hall.append({ type: 'Reset' }, { expectedVersion: appended.version, requestKey: 'reset-1', meta: { by: 'bo' } })
await hall.appendAll([
  { type: 'Measured', data: { celsius: 19 }, meta: { reason: 'hourly', $comment: 'refused at run time only' } },
  { type: 'MovedTo', data: { room: 'cellar' } },
])

const state = await hall.read()
state.target satisfies number
state.room satisfies string

const found = await hall.inspect({ version: 2 })
found.type satisfies 'thermostat'
found.state.measured satisfies number
found.at satisfies number

for await (const { event, state } of hall.replay({ from: { version: 1 }, to: { at: 'yesterday' } })) {
  if (event.type === 'MovedTo') event.data.room satisfies string
  // what `spawn` records, although the definition does not declare it: a part of the state
  if (event.type === 'Created') event.data.room satisfies string | undefined
  state.measured satisfies number
}

export async function setAll(rooms: readonly kuma.EntityOf<typeof Thermostat>[], celsius: number): Promise<void> {
  const event: kuma.NewEventOf<typeof Thermostat> = { type: 'TargetSet', data: { celsius } }
  for (const room of rooms) await room.append(event)
}
await setAll([hall], 19)

/** Every event has a case. */
export function describe(event: kuma.EventOf<typeof Thermostat>): string {
  switch (event.type) {
    case 'Created':
    case 'Reset':
      return event.entityType
    case 'TargetSet':
    case 'Measured':
      return `${event.data.celsius}`
    case 'MovedTo':
      return event.data.room
    default:
      return event satisfies never
  }
}

await store.close()
