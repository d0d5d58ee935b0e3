/** A process that appends is killed at a random moment, again and again: what it acknowledged is there, exactly once. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { openEngine } from '../../src/kuma.ts'
import { createStore } from '../../src/store/create.ts'
import { verifyStore } from '../../src/store/verify.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'
import { accountOf } from '../models.ts'
import { randomFrom } from '../random.ts'

const KILLS = Number(process.env['KUMA_KILLS'] ?? 100)
const seed = Number(process.env['KUMA_SEED'] ?? Date.now() % 1_000_000)

test.each([
  { kills: KILLS, encryption: undefined },
  { kills: KILLS / 5, encryption: 'entity-keys' as const },
])(
  'no acknowledged event is lost or doubled by $kills kills (encryption $encryption)',
  { timeout: 900_000 },
  async ({ kills, encryption }) => {
    console.log(`KUMA_SEED=${seed}`)
    const random = randomFrom(seed)
    const path = await newStore(encryption)
    /** data.amount of each acknowledged event -> where it must be */
    const acknowledged = new Map<number, string>()
    for (let kill = 0; kill < kills; kill++) {
      const first = kill * 1_000_000
      const acks = await appendAndKill('append-forever.js', path, first, Math.floor(random() * 300))
      for (const line of acks) {
        const [entity, version, n] = line.split(' ')
        acknowledged.set(Number(n), `${entity} v${version}`)
      }
      for await (const { problems } of verifyStore(path)) expect(problems, `after kill ${kill}`).toEqual([])
    }
    expect(acknowledged.size).toBeGreaterThan(kills)

    const engine = await openEngine({ path, entities: [accountOf({ snapshotEvery: 5 })] }, { access: 'read' })
    const found = new Map<number, string>()
    let doubled = 0
    for await (const { type, entity, version, data } of engine.log()) {
      if (type !== 'Deposited') continue
      const n = data['amount'] as number
      if (found.has(n)) doubled++
      found.set(n, `${entity} v${version}`)
    }
    // what snapshots tell is what the events add up to
    let snapshots = 0
    for await (const { id, version } of engine.entities()) {
      const { state } = await engine.inspect(id)
      let balance = 0
      for await (const { type, data } of engine.log({ id }))
        if (type === 'Deposited') balance += data['amount'] as number
      expect(state, id).toEqual({ balance, events: version - 1 })
      snapshots += Math.floor(version / 5)
    }
    await engine.close()
    expect(snapshots).toBeGreaterThan(kills)
    expect(doubled).toBe(0)
    const lost = [...acknowledged].filter(([n, place]) => found.get(n) !== place)
    expect(lost).toEqual([])
  },
)

test.each([
  { kills: KILLS / 10, encryption: undefined },
  { kills: KILLS / 50, encryption: 'entity-keys' as const },
])(
  'killed in the middle of sweeps, heads and request keys are all known again (encryption $encryption)',
  { timeout: 900_000 },
  async ({ kills, encryption }) => {
    console.log(`KUMA_SEED=${seed}`)
    const random = randomFrom(seed)
    const path = await newStore(encryption)
    let first = 0
    for (let kill = 0; kill < kills; kill++) {
      const acks = await appendAndKill('append-keys.js', path, first, 3_000 + Math.floor(random() * 12_000))
      for await (const { problems } of verifyStore(path)) expect(problems, `after kill ${kill}`).toEqual([])
      const engine = await openEngine({ path }, { access: 'write', committer: 'inline' })
      for (let tries = 0; tries < 100; tries++) {
        const [n, version] = acks[Math.floor(random() * acks.length)]!.split(' ').map(Number) as [number, number]
        const events = [{ type: 'Counted', data: { n } }]
        const again = await engine.append({ id: `e${n % 3_000}`, events, requestKey: `k${n}` })
        expect(again, `k${n} after kill ${kill}`).toMatchObject({ version, repeated: true })
      }
      await engine.close()
      first += 1_000_000
    }
  },
)

async function newStore(encryption: 'entity-keys' | undefined): Promise<string> {
  const path = join(folder(), 'store')
  await createStore(path, { encryption, masterKey: Buffer.from(MASTER_KEY, 'hex') })
  return path
}

/** The acknowledgements that a process printed before it died. The last line may be cut, and then does not count. */
async function appendAndKill(program: string, path: string, first: number, after: number): Promise<string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../programs', program), path, String(first)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    if (lines.push(line) > after) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve))
  expect(child.signalCode, stderr).toBe('SIGKILL')
  return lines.slice(0, -1)
}
