/** Commands: decided on the newest state, in the order of the calls, and recorded before they are answered. */
import { setTimeout as delay } from 'node:timers/promises'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { folder } from '../folder.ts'

class NotEnough extends Error {}

/** Lets a decision be answered from outside. */
function gate() {
  let open!: () => void
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open, opened }
}

function accountOf(waiting: () => Promise<unknown> = async () => {}) {
  return kuma
    .defineEntity({
      type: 'account',
      initial: { balance: 0 },
      events: {
        Created: kuma.type<{ balance: number }>(),
        Deposited: kuma.type<{ amount: number }>(),
        Withdrawn: kuma.type<{ amount: number }>(),
      },
      commands: {
        Withdraw: z.object({ amount: z.coerce.number().positive() }),
        WithdrawLater: kuma.type<{ amount: number }>(),
        Split: kuma.type<{ into: number }>(),
        Nothing: kuma.type<Record<never, never>>(),
        Spoil: kuma.type<Record<never, never>>(),
      },
    })
    .evolve({
      Created: (_, { balance }) => ({ balance }),
      Deposited: (state, { amount }) => ({ balance: state.balance + amount }),
      Withdrawn: (state, { amount }) => ({ balance: state.balance - amount }),
    })
    .decide({
      Withdraw: (state, { amount }) => {
        if (state.balance < amount) throw new NotEnough(`${state.balance} is not enough`)
        return { type: 'Withdrawn', data: { amount } }
      },
      WithdrawLater: async (state, { amount }, { version }) => {
        await waiting()
        if (state.balance < amount) throw new NotEnough(`not enough at version ${version}`)
        return { type: 'Withdrawn', data: { amount } }
      },
      Split: ({ balance }, { into }) =>
        Array.from({ length: into }, () => ({ type: 'Withdrawn' as const, data: { amount: balance / into } })),
      Nothing: () => {},
      Spoil: (state) => {
        ;(state as { balance: number }).balance = 1_000_000
      },
    })
}

async function open(path = folder(), Account = accountOf(), config: kuma.Config = {}) {
  const ctx = await kuma.start({ path, shards: 2, entities: [Account], ...config })
  onTestFinished(() => ctx.close())
  const account = await ctx.spawn(Account, 'a', { balance: 100 })
  return { ctx, account, path }
}

const code = (expected: kuma.KumaErrorCode) => expect.objectContaining({ name: 'KumaError', code: expected })

test('a command leads to its events, recorded, and gives the state after them', async () => {
  const { account } = await open()
  const executed = await account.execute({ type: 'Withdraw', data: { amount: '30' } }, { meta: { by: 'ann' } })
  expect(executed).toEqual({
    version: 2,
    position: expect.stringMatching(/^00[01]:2$/),
    at: expect.any(Number),
    state: { balance: 70 },
    events: [
      {
        type: 'Withdrawn',
        data: { amount: 30 },
        entity: 'a',
        entityType: 'account',
        version: 2,
        position: executed.position,
        at: executed.at,
        meta: { by: 'ann' },
      },
    ],
  })
  expect(await account.log().toArray()).toMatchObject([{}, executed.events[0]])
  expect(Object.isFrozen(executed.state)).toBe(true)
})

test('several events are one unit, none is an answer too', async () => {
  const { account } = await open()
  const split = await account.execute({ type: 'Split', data: { into: 4 } })
  expect(split).toMatchObject({ version: 5, state: { balance: 0 } })
  expect(split.events.map(({ version }) => version)).toEqual([2, 3, 4, 5])
  expect(await account.execute({ type: 'Nothing' })).toMatchObject({ version: 5, events: [], state: { balance: 0 } })
  expect((await account.inspect()).version).toBe(5)
})

test('the balance never falls below zero, whoever withdraws at once', async () => {
  const { account } = await open()
  const type = () => (Math.random() < 0.5 ? 'Withdraw' : 'WithdrawLater')
  const all = Array.from({ length: 200 }, () => account.execute({ type: type(), data: { amount: 3 } }))
  const settled = await Promise.allSettled(all)
  expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(33)
  expect(await account.read()).toEqual({ balance: 1 })
  const versions = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value.version] : []))
  expect(versions).toEqual(Array.from({ length: 33 }, (_, i) => i + 2))
})

describe('a command that is refused', () => {
  test('by the model: KUMA_REJECTED with the reason, and its error as the cause', async () => {
    const { account } = await open()
    for (const type of ['Withdraw', 'WithdrawLater'] as const) {
      const error = await account.execute({ type, data: { amount: 101 } }).catch((e: unknown) => e)
      expect(error).toEqual(code('KUMA_REJECTED'))
      expect(kuma.isKumaError(error, 'KUMA_REJECTED') && error.details).toMatchObject({
        command: type,
        reason: expect.stringContaining('not enough'),
      })
      expect((error as Error).cause).toBeInstanceOf(NotEnough)
    }
    expect((await account.inspect()).version).toBe(1)
  })

  test('by its schema, by name, by an entity that is not there, by an expected version', async () => {
    const { ctx, account } = await open()
    await expect(account.execute({ type: 'Withdraw', data: { amount: -1 } })).rejects.toEqual(
      code('KUMA_INVALID_COMMAND'),
    )
    await expect(account.execute({ type: 'Witdraw' } as never)).rejects.toMatchObject({
      code: 'KUMA_INVALID_COMMAND',
      hint: expect.stringContaining('Withdraw'),
    })
    const withdraw = { type: 'Withdraw', data: { amount: 1 } } as const
    await expect(account.execute(withdraw, { expectedVersion: 7 })).rejects.toEqual(code('KUMA_CONFLICT'))
    const document = await ctx.spawn(kuma.document, 'd')
    await expect(document.execute(withdraw as never)).rejects.toEqual(code('KUMA_INVALID_COMMAND'))
  })

  test('when it would change the state that it is given', async () => {
    const { account } = await open()
    await expect(account.execute({ type: 'Spoil' })).rejects.toEqual(code('KUMA_REJECTED'))
    expect(await account.read()).toEqual({ balance: 100 })
  })
})

test('a decision that takes its time holds the mailbox: what comes later is decided later, reads go on', async () => {
  const { open: go, opened } = gate()
  const { account, ctx } = await open(
    undefined,
    accountOf(() => opened),
  )
  const first = account.execute({ type: 'WithdrawLater', data: { amount: 60 } })
  const second = account.append({ type: 'Deposited', data: { amount: 1 } })
  const data = { amount: 60 }
  const third = account.execute({ type: 'Withdraw', data })
  data.amount = 1 // the command is what it was when it was given
  expect(await account.read()).toEqual({ balance: 100 })
  expect(ctx.stats()).toMatchObject({ deciding: 1, waiting: 2 })
  go()
  expect(await first).toMatchObject({ version: 2, state: { balance: 40 } })
  expect(await second).toMatchObject({ version: 3 })
  await expect(third).rejects.toMatchObject({ details: { reason: '41 is not enough' } })
  expect(ctx.stats()).toMatchObject({ deciding: 0, waiting: 0 })
})

test('thousands may wait behind a decision, and are decided in their order', async () => {
  const { open: go, opened } = gate()
  const { account } = await open(
    undefined,
    accountOf(() => opened),
  )
  const first = account.execute({ type: 'WithdrawLater', data: { amount: 1 } })
  const rest = Array.from({ length: 10_000 }, () => account.execute({ type: 'Withdraw', data: { amount: 0.001 } }))
  go()
  await first
  const versions = (await Promise.all(rest)).map(({ version }) => version)
  expect(versions).toEqual(rest.map((_, i) => i + 3))
})

test('a decision that never comes is given up, and the mailbox goes on', async () => {
  const { account } = await open(
    undefined,
    accountOf(() => new Promise(() => {})),
    { decideTimeoutMs: 50 },
  )
  const never = account.execute({ type: 'WithdrawLater', data: { amount: 1 } })
  const after = account.append({ type: 'Deposited', data: { amount: 1 } })
  await expect(never).rejects.toMatchObject({
    code: 'KUMA_TIMEOUT',
    details: { command: 'WithdrawLater', timeoutMs: 50 },
  })
  expect(await after).toMatchObject({ version: 2 })
})

test('one that comes after it was given up changes nothing', async () => {
  const { open: go, opened } = gate()
  const { account } = await open(
    undefined,
    accountOf(() => opened),
    { decideTimeoutMs: 20 },
  )
  await expect(account.execute({ type: 'WithdrawLater', data: { amount: 1 } })).rejects.toEqual(code('KUMA_TIMEOUT'))
  go()
  await delay(0)
  await account.append({ type: 'Deposited', data: { amount: 1 } })
  expect(await account.read()).toEqual({ balance: 101 })
})

test('a model that waits for its own entity is given up, not stuck', async () => {
  const inner: Promise<unknown>[] = []
  const Account = accountOf(() => {
    inner.push(account.append({ type: 'Deposited', data: { amount: 1 } }))
    return inner[0]!
  })
  const { account } = await open(undefined, Account, { decideTimeoutMs: 50 })
  await expect(account.execute({ type: 'WithdrawLater', data: { amount: 1 } })).rejects.toEqual(code('KUMA_TIMEOUT'))
  expect(await inner[0]).toMatchObject({ version: 2 })
})

describe('under a request key', () => {
  test('a command is carried out once: the first answer again, also after opening again', async () => {
    const { account, ctx, path } = await open()
    const command = { type: 'Split', data: { into: 2 } } as const
    const both = await Promise.all([1, 2].map(() => account.execute(command, { requestKey: 'k' })))
    expect(both[1]).toEqual(both[0])
    await account.append({ type: 'Deposited', data: { amount: 7 } })
    expect(await account.execute(command, { requestKey: 'k' })).toEqual(both[0])
    await ctx.close()
    const again = await open(path)
    expect(await again.account.execute(command, { requestKey: 'k' })).toEqual(both[0])
    expect(await again.account.read()).toEqual({ balance: 7 })
  })

  test('another command, or an append, is refused', async () => {
    const { account } = await open()
    await account.execute({ type: 'Withdraw', data: { amount: 1 } }, { requestKey: 'k' })
    const other = account.execute({ type: 'Withdraw', data: { amount: 2 } }, { requestKey: 'k' })
    await expect(other).rejects.toEqual(code('KUMA_REQUEST_KEY_REUSED'))
    const append = account.append({ type: 'Withdrawn', data: { amount: 1 } }, { requestKey: 'k' })
    await expect(append).rejects.toEqual(code('KUMA_REQUEST_KEY_REUSED'))
  })
})

test('closing waits for decisions under way and what waits behind them', async () => {
  const { open: go, opened } = gate()
  const { account, ctx, path } = await open(
    undefined,
    accountOf(() => opened),
  )
  const decided = account.execute({ type: 'WithdrawLater', data: { amount: 1 } })
  const appended = account.append({ type: 'Deposited', data: { amount: 5 } })
  const closed = ctx.close()
  await expect(account.append({ type: 'Deposited', data: { amount: 1 } })).rejects.toEqual(code('KUMA_CLOSED'))
  go()
  expect((await decided).version).toBe(2)
  expect((await appended).version).toBe(3)
  await closed
  expect(await (await open(path)).account.read()).toEqual({ balance: 104 })
})
