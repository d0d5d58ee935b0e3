import { defineEntity } from '../src/entity/define-entity.ts'
import { type } from '../src/entity/schema.ts'

/** An account that counts what happened to it, so that a lost or doubled event shows in its state. */
export function accountOf({ snapshotEvery = 1_000, version = 1 } = {}) {
  return defineEntity({
    type: 'account',
    version,
    snapshotEvery,
    initial: { balance: 0, events: 0 },
    events: {
      Deposited: type<{ amount: number; note?: string }>(),
      Withdrawn: type<{ amount: number }>(),
    },
    commands: { Round: type<Record<never, never>>(), Raise: type<Record<never, never>>() },
  })
    .evolve({
      Deposited: (state, { amount }) => ({ balance: state.balance + amount, events: state.events + 1 }),
      Withdrawn: (state, { amount }) => ({ balance: state.balance - amount, events: state.events + 1 }),
    })
    .decide({
      /** An even balance stays, and a negative one is refused. */
      Round: ({ balance }) => {
        if (balance < 0) throw new Error('the balance is below zero')
        return balance % 2 === 0 ? undefined : { type: 'Withdrawn', data: { amount: 1 } }
      },
      Raise: () => ({ type: 'Deposited', data: { amount: 1 } }),
    })
}

export const Account = accountOf()

/** A ring changes nothing while the door is shut. @param visitors who enter at a ring when it is open */
export function doorOf(visitors: number) {
  return defineEntity({
    type: 'door',
    initial: { isOpen: false, visitors: 0 },
    events: { Opened: type<Record<never, never>>(), Entered: type<Record<never, never>>() },
    commands: { Ring: type<Record<never, never>>() },
  })
    .evolve({
      Opened: (state) => ({ ...state, isOpen: true }),
      Entered: (state) => ({ ...state, visitors: state.visitors + 1 }),
    })
    .decide({
      Ring: ({ isOpen }) =>
        isOpen ? Array.from({ length: visitors }, () => ({ type: 'Entered' as const, data: {} })) : undefined,
    })
}
