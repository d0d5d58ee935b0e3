/**
 * Someone who follows the feed is killed at a random moment, again and again, while another process appends and is
 * killed too: whoever goes on from his cursor has seen every event at least once, each shard in its order. KUMA_KILLS
 * sets how often.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { FeedItem } from '../../src/api.ts'
import { openEngine } from '../../src/kuma.ts'
import { ended, kuma, launch } from '../cli.ts'
import { folder } from '../folder.ts'
import { accountOf } from '../models.ts'
import { randomFrom } from '../random.ts'

const KILLS = Math.ceil(Number(process.env['KUMA_KILLS'] ?? 100) / 4)
const seed = Number(process.env['KUMA_SEED'] ?? Date.now() % 1_000_000)

test(`a subscriber that is killed ${KILLS} times has seen every event`, { timeout: 900_000 }, async () => {
  console.log(`KUMA_SEED=${seed}`)
  const random = randomFrom(seed)
  const cwd = folder()
  const path = join(cwd, 'store')
  const seen = new Map<string, Set<number>>()
  let repeated = 0
  const take = (stdout: string) => {
    // the last line may be cut off
    const items = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as FeedItem)
    repeated += note(items, seen)
  }
  let writer = await append(path, 0)
  for (let kill = 0; kill < KILLS; kill++) {
    const tail = launch(['tail', '-f', '--cursor', 'c', '--cursor-on', 'write', '--dir', path], { cwd })
    const output = ended(tail)
    await Promise.race([setTimeout(200 + random() * 1_000), output])
    tail.kill('SIGKILL')
    take((await output).stdout)
    if (kill % 5 !== 4) continue
    writer.kill('SIGKILL')
    await once(writer, 'exit')
    writer = await append(path, kill * 1_000_000)
  }
  writer.kill('SIGKILL')
  await once(writer, 'exit')
  const rest = await kuma(['tail', '--cursor', 'c', '--cursor-on', 'write', '--dir', path], { cwd })
  expect(rest.code).toBe(0)
  take(rest.stdout)

  const all = new Map<string, Set<number>>()
  const engine = await openEngine({ path, entities: [accountOf()] }, { access: 'read' })
  for await (const { position } of engine.log()) {
    const [shard, seq] = position.split(':') as [string, string]
    all.set(shard, (all.get(shard) ?? new Set()).add(Number(seq)))
  }
  await engine.close()
  console.log(`events ${[...all.values()].reduce((sum, { size }) => sum + size, 0)}, seen again ${repeated}`)
  for (const [shard, seqs] of all) expect(seen.get(shard), shard).toEqual(seqs)
  expect(all.size).toBe(3)
})

/** What one run of the subscriber got: in order and without a gap. @returns how many had been seen before */
function note(items: readonly FeedItem[], seen: Map<string, Set<number>>): number {
  let again = 0
  const last = new Map<string, number>()
  for (const item of items) {
    if (item.kind !== 'event') throw new Error('nothing was erased')
    const [shard, text] = item.event.position.split(':') as [string, string]
    const seq = Number(text)
    const known = seen.get(shard) ?? new Set()
    seen.set(shard, known)
    const before = last.get(shard)
    if (before === undefined) expect(seq === 1 || known.has(seq - 1), item.event.position).toBe(true)
    else expect(seq).toBe(before + 1)
    if (known.has(seq)) again++
    known.add(seq)
    last.set(shard, seq)
  }
  return again
}

/** Appends for ever. Resolves when the first event is there. */
async function append(path: string, first: number): Promise<ChildProcess> {
  const program = join(import.meta.dirname, '../programs/append-forever.js')
  const child = spawn(process.execPath, [program, path, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout!, 'data')
  child.stdout!.resume()
  return child
}
