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
  }).evolve({
    Deposited: (state, { amount }) => ({ balance: state.balance + amount, events: state.events + 1 }),
    Withdrawn: (state, { amount }) => ({ balance: state.balance - amount, events: state.events + 1 }),
  })
}

export const Account = accountOf()
