/**
 * Backups are taken, and restored, while another process appends as fast as it can; most are killed at a random moment.
 * What stands under a final name is whole. KUMA_BACKUPS sets how many.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { backupsIn } from '../../src/backup/places.ts'
import { restore } from '../../src/backup/restore.ts'
import { verifyBackup } from '../../src/backup/verify-backup.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { launch } from '../cli.ts'
import { folder } from '../folder.ts'
import { randomFrom } from '../random.ts'

const RUNS = Number(process.env['KUMA_BACKUPS'] ?? 15)
/** Then a new one is begun: it grows by tens of thousands of events a second. */
const STORE_RUNS = 5
const seed = Number(process.env['KUMA_SEED'] ?? Date.now() % 1_000_000)

test(`of ${RUNS} backups under full load, each that has its name is whole`, { timeout: 3_000_000 }, async () => {
  console.log(`KUMA_SEED=${seed}`)
  const random = randomFrom(seed)
  const cwd = folder()
  let store = ''
  let writer: ChildProcess | null = null
  let [completed, highest] = [0, 0]
  for (let run = 0; run < RUNS; run++) {
    if (run % STORE_RUNS === 0) {
      writer?.kill('SIGKILL')
      store = join(cwd, `store-${run}`)
      writer = await flood(store)
      highest = 0
    }
    writer!.kill('SIGCONT')
    const before = backupsIn(join(store, 'backups')).length
    const done = await killAfter(
      launch(['backup', '--dir', store], { cwd }),
      run % 3 === 0 ? 60_000 : 100 + random() * 900,
    )
    writer!.kill('SIGSTOP') // while it is looked at
    const backups = backupsIn(join(store, 'backups'))
    expect(backups.length - before, `run ${run}`).toBeLessThanOrEqual(1)
    if (done) expect(backups.length - before, `run ${run}`).toBe(1)
    if (backups.length === before) continue
    completed++
    const { problems, events } = await verifyBackup(backups.at(-1)!.path)
    expect(problems, `run ${run}`).toEqual([])
    expect(events, `run ${run}`).toBeGreaterThanOrEqual(highest)
    highest = events
    const restored = join(cwd, `restored-${run}`)
    await restore(backups.at(-1)!.path, restored)
    for await (const { problems } of verifyStore(restored)) expect(problems, `run ${run}`).toEqual([])
    rmSync(restored, { recursive: true })
  }
  console.log(`completed ${completed} of ${RUNS}`)
  expect(completed).toBeGreaterThanOrEqual(RUNS / 3)
  expect(highest).toBeGreaterThan(0)
})

test('a restore that is killed leaves no store, and the next one makes it whole', { timeout: 900_000 }, async () => {
  console.log(`KUMA_SEED=${seed}`)
  const random = randomFrom(seed)
  const cwd = folder()
  const store = join(cwd, 'store')
  const writer = await flood(store)
  expect(await killAfter(launch(['backup', '--dir', store], { cwd }), 60_000)).toBe(true)
  writer.kill('SIGKILL')
  const [backup] = backupsIn(join(store, 'backups'))
  const at = ['--at', new Date(Date.parse(backup!.manifest!.created_at) - 1).toISOString()]
  for (let run = 0; run < RUNS / 2; run++) {
    const args = ['restore', backup!.path, 'new', ...(run % 2 === 0 ? at : [])]
    const done = await killAfter(launch(args, { cwd }), 100 + random() * 400)
    expect(existsSync(join(cwd, 'new')) || !done, `run ${run}`).toBe(true)
    if (!existsSync(join(cwd, 'new'))) expect(await killAfter(launch(args, { cwd }), 60_000)).toBe(true)
    for await (const { problems } of verifyStore(join(cwd, 'new'))) expect(problems, `run ${run}`).toEqual([])
    expect(readdirSync(cwd).sort(), `run ${run}`).toEqual(['new', 'store'])
    rmSync(join(cwd, 'new'), { recursive: true })
  }
})

/** A process that appends to the store without end, once it has begun. */
async function flood(path: string): Promise<ChildProcess> {
  const program = join(import.meta.dirname, '../programs/append-keys.js')
  const child = spawn(process.execPath, [program, path, '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
  child.stdout.resume()
  return child
}

/** Did it end by itself, and well? */
async function killAfter(child: ChildProcess, ms: number): Promise<boolean> {
  child.stdout!.resume()
  child.stderr!.resume()
  const timer = setTimeout(() => child.kill('SIGKILL'), ms)
  const code = await new Promise((resolve) => child.once('exit', resolve))
  clearTimeout(timer)
  return code === 0
}
