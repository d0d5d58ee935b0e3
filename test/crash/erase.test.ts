/**
 * Random stores, from which entities with known marks are erased; in most runs the process that does it is killed at a
 * random moment, and the erasure goes on when the store is opened next. Then nothing of them is in any file, and
 * everyone else's export is the same to the byte; the same is true of backups. Every other store is encrypted: then a copy
 * from before, beyond reach, tells nothing either. KUMA_CANARIES sets how many.
 */
import { copyFileSync, cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createBackup } from '../../src/backup/create-backup.ts'
import { backupsIn, placesOf } from '../../src/backup/places.ts'
import { verifyBackup } from '../../src/backup/verify-backup.ts'
import type { Engine } from '../../src/engine.ts'
import { defineEntity } from '../../src/entity/define-entity.ts'
import { type } from '../../src/entity/schema.ts'
import { openEngine } from '../../src/kuma.ts'
import { exportText } from '../../src/privacy/export.ts'
import { jobsOf } from '../../src/privacy/receipt.ts'
import { keyFilePath } from '../../src/store/key-file.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { filesWith } from '../files-with.ts'
import { makeFolder } from '../folder.ts'
import '../master-key.ts'
import { launchProgram } from '../program.ts'
import { randomFrom } from '../random.ts'

/** Its snapshots hold what its last events said. */
const Profile = defineEntity({
  type: 'profile',
  snapshotEvery: 3,
  initial: { texts: [] as string[] },
  events: { Noted: type<Record<string, string>>() },
}).evolve({ Noted: (state, data) => ({ texts: [...state.texts.slice(-2), JSON.stringify(data)] }) })

const RUNS = Number(process.env['KUMA_CANARIES'] ?? 40)
const seed = Number(process.env['KUMA_SEED'] ?? Date.now() % 1_000_000)

test(`${RUNS} erasures leave nothing behind, wherever they are killed`, { timeout: 3_000_000 }, async () => {
  console.log(`KUMA_SEED=${seed}`)
  const ends = { before: 0, amid: 0, after: 0 }
  for (let run = 0; run < RUNS; run++) ends[await canary(seed + run)]++
  console.log(`killed before ${ends.before}, amid ${ends.amid}, after ${ends.after}`)
  expect(ends.amid).toBeGreaterThan(0)
})

async function canary(start: number): Promise<'before' | 'amid' | 'after'> {
  const random = randomFrom(start)
  const path = makeFolder()
  const store = join(path, 'store')
  const encryption = start % 2 === 0 ? undefined : ('entity-keys' as const)
  const { ids, taken } = await fill(path, random, encryption)
  const victims = ids.filter((id) => id.startsWith('victim'))
  const others = ids.filter((id) => !victims.includes(id))
  const before = await exportsOf(store, others)
  const beyondReach = makeFolder()
  if (encryption !== undefined) {
    expect(filesWith(path, ids), `encrypted, seed ${start}`).toEqual([])
    cpSync(store, beyondReach, { recursive: true })
  }

  await eraseAndKill(store, victims, random() * 250)
  const pending = jobsOf(store).length
  const engine = await openEngine({ path: store }, { access: 'write', committer: 'inline' })
  const left = (await Promise.all(victims.map((id) => engine.find(id)))).filter((found) => found !== null)
  expect([0, victims.length], `left, seed ${start}`).toContain(left.length)
  if (left.length > 0) await engine.erase(victims)
  await engine.close()
  expect(jobsOf(store), `seed ${start}`).toEqual([])
  expect(filesWith(path, ['victim']), `seed ${start}`).toEqual([])
  const backups = placesOf(store).flatMap((place) => backupsIn(place))
  expect(backups, `seed ${start}`).toHaveLength(taken)
  for (const backup of backups) expect((await verifyBackup(backup.path)).problems, `seed ${start}`).toEqual([])
  for await (const { problems, unfinished } of verifyStore(store))
    expect({ problems, unfinished }, `seed ${start}`).toEqual({ problems: [], unfinished: 0 })
  expect(await exportsOf(store, others), `seed ${start}`).toEqual(before)
  if (encryption !== undefined) {
    copyFileSync(keyFilePath(store), keyFilePath(beyondReach))
    const copy = await openEngine({ path: beyondReach, entities: [Profile] }, { access: 'read' })
    for (const id of victims) expect(await copy.find(id), `beyond reach, seed ${start}`).toBe(null)
    const readable = new Set<string>()
    for await (const { entity } of copy.log()) readable.add(entity)
    await copy.close()
    expect(readable, `beyond reach, seed ${start}`).toEqual(new Set(others))
  }
  for (const each of [path, beyondReach]) rmSync(each, { recursive: true })
  return left.length > 0 ? 'before' : pending > 0 ? 'amid' : 'after'
}

/**
 * Entities of both kinds, written in any order, with snapshots, request keys, and rows of many sizes. Every value of a
 * victim says so, over and over.
 */
async function fill(
  folder: string,
  random: () => number,
  encryption: 'entity-keys' | undefined,
): Promise<{ ids: string[]; taken: number }> {
  const path = join(folder, 'store')
  let taken = 0
  const upTo = (max: number) => Math.floor(random() * max)
  const names = ['victim', 'other'].flatMap((kind) =>
    Array.from({ length: 1 + upTo(4) }, (_, i) => `${kind}-${i}-${upTo(1e9)}`),
  )
  for (let opened = 1 + upTo(3); opened > 0; opened--) {
    const config = { path, entities: [Profile], shards: 1 + upTo(2), actorsMax: 1 + upTo(3), encryption }
    const engine = await openEngine(config, { access: 'write', committer: 'inline', create: true })
    for (let rounds = 1 + upTo(4); rounds > 0; rounds--) {
      await Promise.all(Array.from({ length: upTo(40) }, () => appendSome(engine, names[upTo(names.length)]!, upTo)))
    }
    await engine.close()
    for (let backups = upTo(3); backups > 0; backups--, taken++) {
      const to = upTo(2) === 0 ? join(folder, 'elsewhere') : undefined
      const keysTo = encryption && upTo(2) === 0 ? join(folder, 'copy-of-keys') : undefined
      await createBackup(path, { to, link: upTo(4) > 0, keysTo })
    }
  }
  const engine = await openEngine({ path, entities: [Profile] }, { access: 'write', committer: 'inline' })
  for (const id of names) await appendSome(engine, id, upTo)
  await engine.close()
  return { ids: names, taken }
}

async function appendSome(engine: Engine, id: string, upTo: (max: number) => number) {
  const events = Array.from({ length: 1 + upTo(upTo(4) === 0 ? 60 : 3) }, () => {
    const mark = () => `${id}:${upTo(1e12)}`
    const text = `${mark()} `.repeat(upTo(8) === 0 ? upTo(900) : upTo(4))
    const data = { [`field${upTo(8)}`]: mark(), text }
    return { type: 'Noted', data, meta: { by: mark() } }
  })
  const newType = id.endsWith('0') ? 'document' : 'profile'
  await engine.append({ id, newType, events, requestKey: upTo(2) === 0 ? `${id}:${upTo(1e12)}` : undefined })
}

async function exportsOf(path: string, ids: readonly string[]): Promise<string[]> {
  const engine = await openEngine({ path, entities: [Profile] }, { access: 'read' })
  const texts: string[] = []
  for (const id of ids) for await (const { text } of exportText(engine, id)) texts.push(text)
  await engine.close()
  return texts
}

async function eraseAndKill(path: string, ids: readonly string[], afterMs: number): Promise<void> {
  const child = launchProgram('erase.ts', path, ...ids)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()))
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs)
  await ended
  clearTimeout(timer)
}
