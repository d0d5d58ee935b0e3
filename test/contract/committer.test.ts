/** What every committer owes the actors in front of it: one suite, run against each. */
import { afterEach, describe, expect, test } from 'vitest'
import { type Committer, InlineCommitter } from '../../src/commit/committer.ts'
import { WorkerCommitter } from '../../src/commit/worker-committer.ts'
import type { Engine } from '../../src/engine.ts'
import { openEngine } from '../../src/kuma.ts'
import { createStore } from '../../src/store/create.ts'
import { openDatabase } from '../../src/store/driver.ts'
import { readManifest, shardPath } from '../../src/store/manifest.ts'
import { Readers } from '../../src/store/readers.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { batchOf } from '../batches.ts'
import { folder } from '../folder.ts'
import { Account } from '../models.ts'

const committers = {
  inline: (path: string): Committer => new InlineCommitter(path, readManifest(path)),
  worker: (path: string): Committer => new WorkerCommitter(path, readManifest(path)),
}

describe.each(['inline', 'worker'] as const)('the %s committer', (kind) => {
  let close: (() => Promise<void>) | undefined

  afterEach(async () => {
    await close?.()
    close = undefined
  })

  async function committer(): Promise<{ path: string; committer: Committer }> {
    const path = folder()
    await createStore(path, { shards: 2 })
    const made = committers[kind](path)
    close = () => made.close()
    return { path, committer: made }
  }

  async function engine(path = folder()): Promise<Engine> {
    const opened = await openEngine(
      { path, shards: 2, entities: [Account] },
      { access: 'write', committer: kind, create: true },
    )
    close = () => opened.close()
    return opened
  }

  test('has a batch on disk before it answers', async () => {
    const { path, committer: it } = await committer()
    expect(await it.open(0)).toMatchObject({ lastSeq: 0, lastKey: 0, flushed: 0 })
    await it.commit(batchOf(0, 1, 3))
    const other = openDatabase(shardPath(path, 0), 'read')
    expect(other.prepare('SELECT count(*) FROM events').pluck().get()).toBe(3)
    other.close()
  })

  test('answers in the order of the calls', async () => {
    const { committer: it } = await committer()
    await it.open(0)
    const order: number[] = []
    const calls = [1, 2, 3, 4].map((n) => it.commit(batchOf(0, n, 1)).then(() => order.push(n)))
    await Promise.all(calls)
    expect(order).toEqual([1, 2, 3, 4])
  })

  test('refuses a batch that does not follow, and goes on with the one that does', async () => {
    const { path, committer: it } = await committer()
    await it.open(1)
    await it.commit(batchOf(1, 1, 2))
    await expect(it.commit(batchOf(1, 4, 1))).rejects.toMatchObject({ code: 'KUMA_INTERNAL' })
    await expect(it.commit(batchOf(1, 2, 1))).rejects.toMatchObject({ code: 'KUMA_INTERNAL' })
    await it.commit(batchOf(1, 3, 1))
    await it.close()
    close = undefined
    // the ids of these batches are made up: they belong to no shard
    for await (const { problems } of verifyStore(path)) {
      expect(problems.filter((problem) => !problem.endsWith('does not belong in this shard'))).toEqual([])
    }
  })

  test('takes no more after someone else has written to the shard', async () => {
    const { path, committer: it } = await committer()
    await it.open(0)
    await it.commit(batchOf(0, 1, 1))
    const other = openDatabase(shardPath(path, 0), 'write')
    other.exec("INSERT INTO settings VALUES ('foreign', 1)")
    other.close()
    await expect(it.commit(batchOf(0, 2, 1))).rejects.toMatchObject({ code: 'KUMA_POISONED', details: { shard: 0 } })
    await expect(it.commit(batchOf(0, 2, 1))).rejects.toMatchObject({ code: 'KUMA_POISONED' })
    const count = openDatabase(shardPath(path, 0), 'read')
    expect(count.prepare('SELECT count(*) FROM events').pluck().get()).toBe(1)
    count.close()
  })

  test('leaves no WAL behind when it is closed, and every head on disk', async () => {
    const { path, committer: it } = await committer()
    await it.open(0)
    await it.commit(batchOf(0, 1, 100))
    await it.close()
    close = undefined
    const readers = new Readers(path, readManifest(path))
    expect(readers.at(0).flushedHead(100)).toEqual({ version: 1, seq: 100, at: 1000 })
    readers.close()
  })

  test('an answer comes only for what is on disk, a read shows nothing else', async () => {
    const it = await engine()
    await it.append({ id: 'a', newType: 'account', events: [{ type: 'Deposited', data: { amount: 1 } }] })
    const pending = it.append({ id: 'a', events: [{ type: 'Deposited', data: { amount: 1 } }] })
    expect((await it.inspect('a')).version).toBe(1)
    expect(await pending).toMatchObject({ version: 2 })
    expect((await it.inspect('a')).state).toEqual({ balance: 2, events: 2 })
  })

  test('thousands at once on one entity get the versions in the order of the calls', async () => {
    const it = await engine()
    const events = [{ type: 'Deposited', data: { amount: 1 } }]
    const results = await Promise.all(
      Array.from({ length: 3_000 }, () => it.append({ id: 'a', newType: 'account', events })),
    )
    expect(results.map(({ version }) => version)).toEqual(Array.from({ length: 3_000 }, (_, i) => i + 1))
    expect((await it.inspect('a')).state).toEqual({ balance: 3_000, events: 3_000 })
  })

  test('a rejection that rests on an event not yet durable waits for it', async () => {
    const it = await engine()
    const order: string[] = []
    const first = it.append({ id: 'a', newType: 'account', events: [{ type: 'Deposited', data: { amount: 1 } }] })
    const second = it.append({ id: 'a', events: [{ type: 'Deposited', data: { amount: 1 } }], expectedVersion: 0 })
    await Promise.all([
      first.then(() => order.push('durable')),
      second.catch((error: { code: string }) => order.push(error.code)),
    ])
    expect(order).toEqual(['durable', 'KUMA_CONFLICT'])
  })

  test('the same request key while the first is on its way gets its answer', async () => {
    const it = await engine()
    const request = {
      id: 'a',
      newType: 'account',
      events: [{ type: 'Deposited', data: { amount: 1 } }],
      requestKey: 'once',
    }
    const [first, second] = await Promise.all([it.append(request), it.append(request)])
    expect(second).toEqual({ ...first, repeated: true })
    expect((await it.inspect('a')).version).toBe(1)
  })

  test('closing settles everything accepted before', async () => {
    const path = folder()
    const it = await engine(path)
    const appends = Array.from({ length: 500 }, (_, i) =>
      it.append({ id: `e${i % 7}`, newType: 'document', events: [{ type: 'Set', data: { i } }] }),
    )
    const closed = it.close()
    const results = await Promise.all(appends)
    await closed
    expect(results.length).toBe(500)
    await expect(it.append({ id: 'e1', events: [{ type: 'Set' }] })).rejects.toMatchObject({ code: 'KUMA_CLOSED' })
    let events = 0
    for await (const report of verifyStore(path)) {
      expect(report.problems).toEqual([])
      events += report.events
    }
    expect(events).toBe(500)
  })
})
