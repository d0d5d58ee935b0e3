// A union of events that the program already has.
import * as kuma from 'kuma'

interface Joined {
  type: 'Joined'
  data: { name: string; plan: 'monthly' | 'yearly' }
}
interface Left {
  type: 'Left'
  data: { why?: string }
}
interface CardPrinted {
  type: 'CardPrinted'
}
export type MembershipEvent = Joined | Left | CardPrinted

interface MembershipState {
  name: string | null
  active: boolean
  cards: number
}

export const Membership = kuma
  .defineEntity({
    type: 'membership',
    initial: (): MembershipState => ({ name: null, active: false, cards: 0 }),
    events: kuma.union<MembershipEvent>(),
  })
  .evolve({
    Joined: (member, { name, plan }) => ({
      ...member,
      name: `${name} (${plan satisfies 'monthly' | 'yearly'})`,
      active: true,
    }),
    Left: (member, { why }) => ({ ...member, active: why === undefined }),
    CardPrinted: (member) => ({ ...member, cards: member.cards + 1 }),
  })

export async function renew(store: kuma.Context, id: string): Promise<kuma.Appended> {
  const member = await store.entity(Membership, id)
  const { version, state } = await member.inspect()
  await member.append({ type: 'Left' }, { expectedVersion: version })
  await member.append({ type: 'CardPrinted' })
  return member.append({ type: 'Joined', data: { name: state.name ?? 'unknown', plan: 'yearly' } })
}
