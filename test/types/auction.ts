// Commands decided on a state that is a union: at once or later, one event, several or none, and a refusal by throwing.
import * as kuma from 'kuma'

export type AuctionState =
  | { phase: 'planned' }
  | { phase: 'running'; bids: readonly { bidder: string; cents: number }[] }
  | { phase: 'closed'; winner: string | null; closedAt: number }

export class TooLow extends Error {
  constructor(readonly needed: number) {
    super(`at least ${needed}`)
  }
}

declare function isSolvent(bidder: string, cents: number): Promise<boolean>

export const Auction = kuma
  .defineEntity({
    type: 'auction',
    version: 4,
    initial: (): AuctionState => ({ phase: 'planned' }),
    events: {
      Opened: kuma.type<{ startingAt?: number }>(),
      Bid: kuma.type<{ bidder: string; cents: number }>(),
      Closed: kuma.type<Record<never, never>>(),
    },
    commands: {
      Open: kuma.type<Record<never, never>>(),
      PlaceBid: kuma.type<{ bidder: string; cents: number }>(),
      Close: kuma.type<{ reason?: string }>(),
    },
    snapshotEvery: 100,
  })
  .evolve({
    Opened: (auction) => (auction.phase === 'planned' ? { phase: 'running', bids: [] } : auction),
    Bid: (auction, bid) => (auction.phase === 'running' ? { ...auction, bids: [...auction.bids, bid] } : auction),
    Closed: (auction, _, { at }) => {
      if (auction.phase !== 'running') return auction
      return { phase: 'closed', winner: auction.bids.at(-1)?.bidder ?? null, closedAt: at }
    },
  })
  .decide({
    Open: (auction) => (auction.phase === 'planned' ? { type: 'Opened' } : undefined),
    PlaceBid: async (auction, { bidder, cents }, { id, version, now, meta }) => {
      if (auction.phase !== 'running')
        throw new Error(`${id satisfies string} is not running at ${now satisfies number}`)
      const needed = (auction.bids.at(-1)?.cents ?? 0) + 1
      if (cents < needed) throw new TooLow(needed)
      if (!(await isSolvent(bidder, cents))) return [] // no event, no error
      return { type: 'Bid', data: { bidder, cents }, meta: { reason: `${version satisfies number} ${meta.by ?? ''}` } }
    },
    Close: (auction, { reason }) => {
      if (auction.phase !== 'running') return
      return auction.bids.length === 0
        ? { type: 'Closed', meta: { reason } }
        : [{ type: 'Bid', data: { bidder: 'house', cents: 0 } }, { type: 'Closed' }]
    },
  })

export async function bid(store: kuma.Context, id: string, cents: number): Promise<string | null> {
  const auction = await store.spawn(Auction, id)
  await auction.execute({ type: 'Open' })
  const done = await auction.execute(
    { type: 'PlaceBid', data: { bidder: 'bo', cents } },
    { requestKey: `bid-${id}-${cents}`, expectedVersion: 2, meta: { ip: '::1' } },
  )
  done satisfies kuma.Executed<kuma.FactsFrom<typeof Auction>>
  done satisfies kuma.Appended
  for (const event of done.events) {
    switch (event.type) {
      case 'Bid':
        event.data.cents satisfies number
        break
      case 'Opened':
        event.data.startingAt satisfies number | undefined
        break
      case 'Closed':
      case 'Created':
        break
      default:
        event satisfies never
    }
  }
  return done.state.phase === 'closed' ? done.state.winner : null
}

/** A command makes what is not there, and so do events of one's own. */
export async function begin(store: kuma.Context, id: string): Promise<number> {
  const opened = await store.execute(Auction, id, { type: 'Open' }, { requestKey: `open-${id}` })
  if (opened.version === 0) return 0
  opened.state.phase satisfies AuctionState['phase']
  const bids = [1, 2].map((cents) => ({ type: 'Bid' as const, data: { bidder: 'bo', cents } }))
  await store.append(Auction, `${id}-2`, [{ type: 'Opened' }, ...bids], { expectedVersion: 0 })
  const { version } = await store.append(Auction, `${id}-3`, { type: 'Opened', data: { startingAt: 5 } })
  return version satisfies number
}

/** Commands are values: they can be kept, listed and passed on. */
export const evening: readonly kuma.CommandOf<typeof Auction>[] = [{ type: 'Open' }, { type: 'Close', data: {} }]

export async function refusal(auction: kuma.EntityOf<typeof Auction>): Promise<string> {
  try {
    for (const command of evening) await auction.execute(command)
    return 'done'
  } catch (error) {
    if (kuma.isKumaError(error, 'KUMA_REJECTED')) {
      return error.cause instanceof TooLow ? `${error.cause.needed}` : error.details.reason
    }
    if (kuma.isKumaError(error, 'KUMA_INVALID_COMMAND'))
      return error.details.issues.map((issue) => issue.message).join()
    if (kuma.isKumaError(error, 'KUMA_TIMEOUT')) return `${error.details.command}: ${error.details.timeoutMs} ms`
    throw error
  }
}

// handlers may be written apart from the definition
type Facts = kuma.FactsFrom<typeof Auction>
export const close = (auction: AuctionState, about: kuma.Deciding): kuma.Decision<Facts> =>
  auction.phase === 'running' && about.version > 1 ? { type: 'Closed' } : undefined
