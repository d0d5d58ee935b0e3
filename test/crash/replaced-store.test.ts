/**
 * A store is moved away, removed or replaced while it is open. What stands at its path then is somebody else's: nothing may
 * be acknowledged that it does not hold, and nothing be written to it.
 */
import { once } from 'node:events'
import { cpSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { LiveEngine } from '../../src/engine.ts'
import { document } from '../../src/entity/document.ts'
import { connect, openEngine, start } from '../../src/kuma.ts'
import { createStore } from '../../src/store/create.ts'
import { startDaemon, started, tokenFile } from '../daemon.ts'
import { folder } from '../folder.ts'
import { hold } from '../program.ts'

const event = { type: 'Set', data: { n: 1 } }
const ids = Array.from({ length: 40 }, (_, i) => `e${i}`)

/** What every call of an engine says of a store that was taken away. */
const refusal = (path: string) => ({
  code: 'KUMA_POISONED',
  message: expect.stringContaining(`${path} is not the store any more that was opened`),
  details: { shard: null },
})

describe.each(['inline', 'worker'] as const)('an engine with the %s committer', (committer) => {
  let engine: LiveEngine | undefined
  afterEach(() => engine?.close())

  async function opened(): Promise<{ path: string; open: LiveEngine }> {
    const path = join(folder(), 'store')
    engine = await openEngine({ path, shards: 8 }, { access: 'write', committer, create: true })
    await engine.append({ id: 'a', newType: 'document', events: [event] })
    return { path, open: engine }
  }

  /** Another store comes to stand at the path, and another process writes to it. */
  async function replace(path: string): Promise<() => Promise<void>> {
    renameSync(path, `${path}.old`)
    await createStore(path, { shards: 8 })
    const holder = await hold(path)
    const names = namesUnder(path)
    return async () => {
      expect(namesUnder(path)).toEqual(names)
      holder.kill('SIGKILL')
      await once(holder, 'close')
      const now = await openEngine({ path }, { access: 'read' })
      for await (const found of now.log()) expect.unreachable(`something was recorded: ${found.entity}`)
      await now.close()
    }
  }

  test('refuses everything once the store was replaced, and leaves the other one as it is', async () => {
    const { path, open } = await opened()
    const following = expect(all(open.feed({ from: 'now', follow: true }))).rejects.toMatchObject(refusal(path))
    const expectUntouched = await replace(path)
    await following
    for (const id of ids) {
      const appended = open.append({ id, newType: 'document', events: [event] })
      await expect(appended).rejects.toMatchObject(refusal(path))
      await expect(open.find(id)).rejects.toMatchObject(refusal(path))
    }
    for (const call of [
      () => open.append({ id: 'a', events: [event] }),
      () => open.inspect('a'),
      () => open.inspect('a', { version: 1 }),
      () => open.erase(['a']),
      () => all(open.log()),
      () => all(open.entities()),
      () => all(open.feed()),
      () => all(open.readModels.query({ sql: 'select 1' })),
    ])
      await expect(call()).rejects.toMatchObject(refusal(path))
    expect(open.stats().poisonedShards).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    await open.close()
    await expectUntouched()
  })

  test('refuses what would open the other store, also before it has looked', async () => {
    const { path, open } = await opened()
    renameSync(path, `${path}.old`)
    await createStore(path, { shards: 8 })
    const names = namesUnder(path)
    const appends = ids.map((id) => open.append({ id, newType: 'document', events: [event] }))
    const outcomes = await Promise.allSettled(appends)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toEqual([])
    await expect(open.erase(['a'])).rejects.toMatchObject(refusal(path))
    await open.close()
    expect(namesUnder(path)).toEqual(names)
  })

  test.each([
    ['an erasure', (open: LiveEngine) => open.erase(['a'])],
    ['a query', (open: LiveEngine) => all(open.readModels.query({ sql: 'select 1' }))],
    ['a list', (open: LiveEngine) => all(open.entities())],
  ])('%s is the first to see it', async (_, call) => {
    const { path, open } = await opened()
    renameSync(path, `${path}.old`)
    await createStore(path, { shards: 8 })
    const names = namesUnder(path)
    await expect(call(open)).rejects.toMatchObject(refusal(path))
    await open.close()
    expect(namesUnder(path)).toEqual(names)
  })

  test('a lock that another process could take, since this one copied its files, is no lock any more', async () => {
    const { path, open } = await opened()
    cpSync(path, folder(), { recursive: true })
    await hold(path)
    await expect(open.append({ id: 'a', events: [event] })).rejects.toMatchObject({
      code: expect.stringMatching(/^KUMA_(?:POISONED|INDETERMINATE)$/),
      message: expect.stringContaining('lock.db'),
    })
    await expect(open.inspect('a')).rejects.toMatchObject(refusal(path))
  })

  test.each(['lock.db', 'lock.db-shm'])('a %s that a clean-up removed', async (name) => {
    const { path, open } = await opened()
    const lost = new Promise<Error>((resolve) => open.onLost(resolve))
    rmSync(join(path, name))
    expect(await lost).toMatchObject({ message: expect.stringContaining(`${name} was removed`) })
    await expect(open.append({ id: 'a', events: [event] })).rejects.toMatchObject(refusal(path))
  })
})

test('a program is refused a backup and a fork of what is not its store', async () => {
  const path = join(folder(), 'store')
  const ctx = await start({ path, shards: 1 })
  renameSync(path, `${path}.old`)
  await createStore(path, { shards: 1 })
  await expect(ctx.backup()).rejects.toMatchObject(refusal(path))
  await expect(ctx.fork(`${path}.fork`)).rejects.toMatchObject(refusal(path))
  await ctx.close()
})

describe('a daemon', () => {
  test('says why to who is connected, by whichever way, and ends with 1', async () => {
    const { store, cwd, run, start } = await started()
    await run(['stop'])
    const words = ['--listen', '127.0.0.1:0', '--token-file', tokenFile(cwd)]
    const { daemon, listening, output } = await start(words)
    const ctx = await connect(store)
    const entity = await ctx.spawn(document, 'a', {})
    const following = expect(all(ctx.subscribe({ from: 'now' }))).rejects.toMatchObject(refusal(store))
    const moved = join(cwd, 'moved')
    renameSync(store, moved)
    await createStore(store, { shards: 2 })
    const { daemon: next } = await startDaemon(cwd)

    await following
    await expect(entity.append(event)).rejects.toMatchObject(refusal(store))
    await expect(entity.read()).rejects.toMatchObject(refusal(store))
    const byPath = await run(['status', '--dir', moved])
    expect(byPath).toMatchObject({ code: 1, stderr: expect.stringContaining('is not the store any more') })
    expect((await fetch(`http://${listening.address}/healthz`)).status).toBe(503)

    await ctx.close()
    expect(await output).toMatchObject({ code: 1, stderr: expect.stringContaining('is not the store any more') })
    expect(daemon.exitCode).toBe(1)
    expect((await run(['status', '--dir', moved])).code).toBe(3)
    // the other one goes on under the name that the first one had
    expect(await run(['append', 'b', 'Set', 'n:=1'])).toMatchObject({ code: 0, stderr: '' })
    expect((await run(['log'])).stdout).not.toContain('"a"')
    next.kill('SIGTERM')
  })

  test('that nobody is connected to ends when its folder is removed', async () => {
    const { store, output, run } = await started()
    rmSync(store, { recursive: true })
    expect((await output).code).toBe(1)
    expect(await run(['status'])).toMatchObject({ code: 3 })
  })
})

async function all(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** Names and sizes of all files, but those that a process holds open as its lock. */
function namesUnder(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('lock.db'))
    .map((name) => `${name} ${statSync(join(path, name)).isFile() ? statSync(join(path, name)).size : ''}`)
    .sort()
}
