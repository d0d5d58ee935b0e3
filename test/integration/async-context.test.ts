/** A model runs in the async context of the call that it answers: Node programs keep the user and the trace of a request there. */
import { AsyncLocalStorage } from 'node:async_hooks'
import * as kuma from 'kuma'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { folder } from '../folder.ts'

const request = new AsyncLocalStorage<string>()

/** Who the model saw, by who asked. */
function docOf(seen: Map<string, string | undefined>) {
  const look = (who: string) => {
    seen.set(who, request.getStore())
    return true
  }
  return kuma
    .defineEntity({
      type: 'doc',
      snapshotEvery: 1_000_000,
      initial: { n: 0 },
      events: { Did: z.object({ who: z.string().refine(look) }) },
      commands: { Do: kuma.type<{ who: string }>(), DoLater: kuma.type<{ who: string }>() },
    })
    .evolve({ Did: ({ n }) => ({ n: n + 1 }) })
    .decide({
      Do: (_, { who }) => {
        look(who)
      },
      DoLater: async (_, { who }) => {
        look(who)
        await new Promise(setImmediate)
        if (request.getStore() !== who) throw new Error(`after a turn it was ${request.getStore()}`)
      },
    })
}

async function open() {
  const seen = new Map<string, string | undefined>()
  const Doc = docOf(seen)
  const path = folder()
  const first = await kuma.start({ path, shards: 1, entities: [Doc] })
  const doc = await first.spawn(Doc, 'a')
  // more than is folded in one turn, so that who asks for it has to wait
  const events = Array.from({ length: 4_000 }, () => ({ type: 'Did', data: { who: 'first' } }) as const)
  for (let i = 0; i < 5; i++) await doc.appendAll(events)
  await first.close()
  seen.clear()
  const ctx = await kuma.start({ path, entities: [Doc] })
  onTestFinished(() => ctx.close())
  return { Doc, ctx, seen }
}

type Doc = kuma.EntityOf<ReturnType<typeof docOf>>

const calls = {
  execute: (doc: Doc, who: string) => doc.execute({ type: 'Do', data: { who } }),
  'execute, decided later': (doc: Doc, who: string) => doc.execute({ type: 'DoLater', data: { who } }),
  append: (doc: Doc, who: string) => doc.append({ type: 'Did', data: { who } }),
}

test.each(Object.entries(calls))('%s on an entity that is not in memory yet', async (_, call) => {
  const { Doc, ctx, seen } = await open()
  const doc = await ctx.entity(Doc, 'a')
  await Promise.all(['ann', 'bob', 'cid'].map((who) => request.run(who, () => call(doc, who))))
  expect(Object.fromEntries(seen)).toEqual({ ann: 'ann', bob: 'bob', cid: 'cid' })
})

test.each(Object.entries(calls))('%s that waits for an earlier decision', async (_, call) => {
  const { Doc, ctx, seen } = await open()
  const doc = await ctx.entity(Doc, 'a')
  const earlier = request.run('earlier', () => doc.execute({ type: 'DoLater', data: { who: 'earlier' } }))
  await Promise.all(['ann', 'bob', 'cid'].map((who) => request.run(who, () => call(doc, who))))
  await earlier
  expect(Object.fromEntries(seen)).toEqual({ earlier: 'earlier', ann: 'ann', bob: 'bob', cid: 'cid' })
})
