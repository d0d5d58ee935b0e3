// Commands declared by validators: the caller gives what they take, the handler is given what they make of it.
import { type as ark } from 'arktype'
import * as kuma from 'kuma'
import * as v from 'valibot'
import { z } from 'zod'

export const Locker = kuma
  .defineEntity({
    type: 'locker',
    initial: { parcels: 0, code: null as string | null },
    events: {
      Filled: z.object({ parcels: z.number(), code: z.string().default('0000') }),
      Emptied: kuma.type<{ by: string }>(),
    },
    commands: {
      Fill: z.object({ parcels: z.coerce.number(), code: z.string().optional() }),
      Empty: v.object({ by: v.pipe(v.string(), v.minLength(1)), force: v.optional(v.boolean(), false) }),
      Recode: ark({ 'code?': 'string' }),
    },
  })
  .evolve({
    Filled: (locker, { parcels, code }) => ({ parcels: locker.parcels + parcels, code }),
    Emptied: (locker) => ({ ...locker, parcels: 0 }),
  })
  .decide({
    // what is decided is a new event: defaults may be left out
    Fill: (_, { parcels, code }) => ({ type: 'Filled', data: code === undefined ? { parcels } : { parcels, code } }),
    Empty: (locker, { by, force }) => {
      force satisfies boolean
      return locker.parcels > 0 || force ? { type: 'Emptied', data: { by } } : undefined
    },
    Recode: (_, { code }) => ({ type: 'Filled', data: { parcels: 0, ...(code === undefined ? {} : { code }) } }),
  })

export async function deliver(store: kuma.Context): Promise<number> {
  const locker = await store.spawn(Locker, 'l9')
  await locker.execute({ type: 'Fill', data: { parcels: '2' } }) // coerced
  await locker.execute({ type: 'Recode' })
  const { state } = await locker.execute({ type: 'Empty', data: { by: 'bo' } }) // `force` has a default
  return state.parcels
}

type DoorCommand = { type: 'Open'; data: { code: string } } | { type: 'Shut' }
type DoorEvent = { type: 'Opened' } | { type: 'Shut' }

/** Commands and events of unions that the program already has. */
export const Door = kuma
  .defineEntity({
    type: 'door',
    initial: { open: false },
    events: kuma.union<DoorEvent>(),
    commands: kuma.union<DoorCommand>(),
  })
  .evolve({ Opened: () => ({ open: true }), Shut: () => ({ open: false }) })
  .upcast({ Slammed: () => ({ type: 'Shut', data: {} }) })
  .decide({
    Open: (door, { code }) => (door.open || code.trim() === '' ? undefined : { type: 'Opened' }),
    Shut: () => ({ type: 'Shut' }),
  })

export async function enter(door: kuma.EntityOf<typeof Door>): Promise<void> {
  await door.execute({ type: 'Open', data: { code: '1234' } })
  await door.execute({ type: 'Shut' })
}
