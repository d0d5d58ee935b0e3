/**
 * Files of a store are removed, replaced, copied and emptied below the process that writes to it. Nothing may be
 * acknowledged that is not in the file of that name; what was acknowledged just before is told as lost.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import type { LiveEngine } from '../../src/engine.ts'
import { document } from '../../src/entity/document.ts'
import { connect, openEngine } from '../../src/kuma.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { started } from '../daemon.ts'
import { folder } from '../folder.ts'

const event = { type: 'Set', data: { n: 1 } }

describe.each(['inline', 'worker'] as const)('with the %s committer', (committer) => {
  let engine: LiveEngine | undefined
  afterEach(() => engine?.close().catch(() => {}))

  /** A store with three events, of which the first three are acknowledged. */
  async function open(path: string): Promise<string> {
    engine = await openEngine({ path, shards: 1 }, { access: 'write', committer, create: true })
    for (let n = 0; n < 3; n++) await append()
    return join(path, 'shards/000.db')
  }

  const append = () => engine!.append({ id: 'a', newType: 'document', events: [event] })

  /** The next append is unclear, and later ones are refused for the same reason. What was acknowledged is there. */
  async function expectRefused(path: string, why: string): Promise<void> {
    await expect(append()).rejects.toMatchObject({
      code: 'KUMA_INDETERMINATE',
      message: expect.stringContaining(why),
      hint: expect.stringContaining('request key'),
    })
    const refused = { code: 'KUMA_POISONED', message: expect.stringContaining(why), details: { shard: 0 } }
    await expect(append()).rejects.toMatchObject(refused)
    expect(engine!.stats().poisonedShards).toEqual([0])
    expect((await engine!.inspect('a')).version).toBe(3)
    await engine!.close()
    await expectEvents(path, 3)
  }

  test('a WAL that somebody else copied into the database and removed', async () => {
    const path = folder()
    const shard = await open(path)
    await takeForLast(shard)
    await expectRefused(path, '000.db-wal was removed')
  })

  test('a -shm that a clean-up removed', async () => {
    const path = folder()
    const shard = await open(path)
    rmSync(`${shard}-shm`)
    await expectRefused(path, '000.db-shm was removed')
  })

  test('a shard that was replaced by a copy of it', async () => {
    const path = folder()
    const shard = await open(path)
    await run(shard, 'PRAGMA wal_checkpoint(PASSIVE)')
    copyFileSync(shard, `${shard}.copy`)
    renameSync(`${shard}.copy`, shard)
    await append().then(
      () => expect.unreachable('it was acknowledged'),
      (error) =>
        expect(error).toMatchObject({ code: 'KUMA_INDETERMINATE', message: expect.stringContaining('000.db was') }),
    )
  })

  test.each([
    ['a shell that empties the WAL', (shard: string) => run(shard, 'PRAGMA wal_checkpoint(TRUNCATE)')],
    [
      'a copy of the live store by this program, and a shell',
      async (shard: string) => {
        cpSync(join(shard, '../..'), folder(), { recursive: true })
        await run(shard, 'PRAGMA wal_checkpoint(TRUNCATE)', 'hold')
      },
    ],
  ])('%s: the message has both possibilities', async (_, disturb) => {
    const path = folder()
    await disturb(await open(path))
    const why = 'another program wrote to it, or emptied its WAL'
    await expect(append()).rejects.toMatchObject({ code: 'KUMA_POISONED', message: expect.stringContaining(why) })
    await engine!.close()
    await expectEvents(path, 3)
  })

  test('a WAL removed after the last commit: what was in it is told as lost, by position', async () => {
    const warned = once(process, 'warning')
    const shard = await open(folder())
    rmSync(`${shard}-wal`)
    const [{ message }] = (await warned) as [Error]
    expect(message).toContain('000.db-wal was removed')
    expect(message).toContain('000:1 to 000:3 is lost')
    expect(engine!.stats()).toMatchObject({ poisonedShards: [0], lost: [{ from: '000:1', to: '000:3' }] })
    await expect(append()).rejects.toMatchObject({ code: 'KUMA_POISONED' })
  })

  test('closing tells it too, where it comes before', async () => {
    const shard = await open(folder())
    rmSync(`${shard}-wal`)
    await expect(engine!.close()).rejects.toMatchObject({
      code: 'KUMA_POISONED',
      message: expect.stringContaining('000.db-wal was removed'),
    })
  })

  test('what others wrote after the WAL was removed is left as they wrote it', async () => {
    const path = folder()
    const shard = await open(path)
    await takeForLast(shard)
    await append().catch(() => {})
    await run(shard, "INSERT INTO settings VALUES ('theirs', 1) RETURNING name")
    await engine!.close()
    expect(await run(shard, "SELECT value FROM settings WHERE name = 'theirs'")).toEqual([[1]])
    expect(await run(shard, 'PRAGMA integrity_check')).toEqual([['ok']])
  })
})

test('a daemon tells of lost events in its log, status and health', async () => {
  const { run: kuma, store, daemon, output } = await started()
  const client = await connect(store)
  const entity = await client.spawn(document, 'a')
  const told = new Promise<string>((resolve) =>
    daemon.stderr!.on('data', (text: string) => text.includes('"lost"') && resolve(text)),
  )
  const { position } = await entity.append(event)
  rmSync(join(store, 'shards', `${position.slice(0, 3)}.db-wal`))
  expect(JSON.parse(await told)).toMatchObject({ level: 'error', lost: { to: position } })
  const { code, stdout: status } = await kuma(['status'])
  expect({ code, status }).toMatchObject({
    code: 1,
    status: expect.stringContaining(`to ${position} were acknowledged`),
  })
  expect(JSON.parse((await kuma(['status', '--json'])).stdout)).toMatchObject({ isHealthy: false })
  await client.close()
  daemon.kill('SIGTERM')
  expect((await output).code).toBe(1)
})

/** What an sqlite3 does when it closes and sees no lock of anybody else: a program that reads the file itself drops its own. */
async function takeForLast(shard: string): Promise<void> {
  await run(shard, 'PRAGMA wal_checkpoint(PASSIVE)')
  for (const file of [`${shard}-wal`, `${shard}-shm`]) rmSync(file)
}

/** What a program of its own finds in a file. With `hold` it has it open until the test ends. */
async function run(file: string, sql: string, ...hold: string[]): Promise<unknown> {
  const program = join(import.meta.dirname, '../programs/look-into.js')
  const child = spawn(process.execPath, [program, file, sql, ...hold], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = (await once(child.stdout!, 'data')) as [Buffer]
  if (hold.length === 0) await once(child, 'close')
  return JSON.parse(said.toString())
}

async function expectEvents(path: string, atLeast: number): Promise<void> {
  let events = 0
  for await (const report of verifyStore(path)) {
    expect(report.problems).toEqual([])
    events += report.events
  }
  expect(events).toBeGreaterThanOrEqual(atLeast)
}
