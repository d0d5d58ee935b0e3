// A state that is a union: the handlers return its parts, and callers narrow it.
import * as kuma from 'kuma'

export type ReservationState =
  | { phase: 'requested' }
  | { phase: 'held'; seats: readonly string[] }
  | { phase: 'paid'; seats: readonly string[]; paidAt: number }

export const Reservation = kuma
  .defineEntity({
    type: 'reservation',
    initial: (): ReservationState => ({ phase: 'requested' }),
    events: {
      SeatHeld: kuma.type<{ seat: string }>(),
      SeatReleased: kuma.type<{ seat: string }>(),
      Paid: kuma.type<{ receipt?: string }>(),
    },
  })
  .evolve({
    SeatHeld: (state, { seat }) => ({ phase: 'held', seats: state.phase === 'held' ? [...state.seats, seat] : [seat] }),
    SeatReleased: (state, { seat }) => {
      if (state.phase !== 'held') return state
      return { ...state, seats: state.seats.filter((held) => held !== seat) }
    },
    Paid: (state, _data, { at, entity, version }) => {
      if (state.phase !== 'held') throw new Error(`${entity} cannot be paid at version ${version}`)
      return { ...state, phase: 'paid', paidAt: at }
    },
  })

export async function pay(store: kuma.Context, id: string): Promise<number | null> {
  const reservation = await store.spawn(Reservation, id)
  await reservation.appendAll([{ type: 'SeatHeld', data: { seat: '4F' } }, { type: 'Paid' }])
  const state = await reservation.read()
  return state.phase === 'paid' ? state.paidAt : null
}

// the second of spawn's arguments may be skipped
export const first = (store: kuma.Context) => store.spawn(Reservation, 'r1', undefined, { ifExists: 'error' })

export type State = kuma.StateOf<typeof Reservation>
const _same: State = { phase: 'held', seats: [] } satisfies ReservationState
