/** Events that an earlier definition recorded, read by today's: fixtures/wallet-1, by fixtures/wallet.ts. */
import { chmodSync, cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as kuma from 'kuma'
import { expect, onTestFinished, test } from 'vitest'
import { Wallet } from '../../fixtures/wallet.ts'
import { kuma as shell } from '../cli.ts'
import { folder } from '../folder.ts'

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url))
/** 5 at first, 1 to 20 deposited, 2 taken five times: in cents. */
const CENTS = (5 + 210 - 10) * 100

function copy(): string {
  const path = join(folder(), 'store')
  cpSync(join(fixtures, 'wallet-1'), path, { recursive: true })
  chmodSync(path, 0o700) // git does not keep it
  return path
}

/** A config with today's model. */
function configured(): string {
  const config = join(folder(), 'kuma.config.ts')
  const model = JSON.stringify(join(fixtures, 'wallet.ts'))
  writeFileSync(config, `import { Wallet } from ${model}\nexport default { entities: [Wallet] }`)
  return config
}

async function open(path: string, entities: kuma.AnyEntityDefinition[] = [Wallet]) {
  const ctx = await kuma.start({ path, entities })
  onTestFinished(() => ctx.close())
  return ctx
}

test('the state is what the old events mean today, also after opening again', async () => {
  const path = copy()
  const ctx = await open(path)
  const wallet = await ctx.entity(Wallet, 'ann')
  expect(await wallet.read()).toEqual({ cents: CENTS })
  expect(await wallet.read({ version: 1 })).toEqual({ cents: 500 })
  await wallet.append({ type: 'Deposited', data: { cents: 1, currency: 'USD' } })
  await ctx.close()
  const again = await (await open(path)).entity(Wallet, 'ann')
  expect(await again.read()).toEqual({ cents: CENTS + 1 })
  // the snapshots of the definition before were of other states
  for (const version of [10, 11, 20, 21, 26]) {
    const steps = await again.replay({ to: { version } }).toArray()
    expect(await again.read({ version })).toEqual(steps.at(-1)!.state)
  }
})

test('replay and log give today’s form, in the old places', async () => {
  const wallet = await (await open(copy())).entity(Wallet, 'ann')
  const steps = await wallet.replay({ from: { version: 1 }, to: { version: 6 } }).toArray()
  expect(steps.map(({ event: { version, type, data }, state }) => [version, type, data, state])).toEqual([
    [1, 'Created', { cents: 500 }, { cents: 500 }],
    [2, 'Deposited', { cents: 100, currency: 'EUR' }, { cents: 600 }],
    [3, 'Deposited', { cents: 200, currency: 'EUR' }, { cents: 800 }],
    [4, 'Deposited', { cents: 300, currency: 'EUR' }, { cents: 1100 }],
    [5, 'Deposited', { cents: 400, currency: 'EUR' }, { cents: 1500 }],
    [6, 'Withdrawn', { cents: 200 }, { cents: 1300 }],
  ])
  const log = await wallet.log().toArray()
  expect(log).toHaveLength(26)
  expect(log.slice(0, 6)).toEqual(steps.map(({ event }) => event))
  expect(await wallet.log({ type: 'Withdrawn', limit: 2 }).toArray()).toMatchObject([{ version: 6 }, { version: 11 }])
  expect(await wallet.log({ type: 'Withdrawn', reverse: true, limit: 1 }).toArray()).toMatchObject([{ version: 26 }])
})

test('the log of a whole store finds them by today’s name, and without a model as they are stored', async () => {
  const path = copy()
  const config = configured()
  const log = async (...args: string[]) => {
    const { stdout, code } = await shell(['log', '--dir', path, ...args])
    expect(code).toBe(0)
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { type: string; version: number })
  }
  const found = await log('--event', 'Withdrawn', '--limit', '3', '--config', config)
  expect(found.map(({ type, version }) => [type, version])).toEqual([
    ['Withdrawn', 6],
    ['Withdrawn', 11],
    ['Withdrawn', 16],
  ])
  expect(await log('--event', 'MoneyTaken', '--config', config)).toEqual([])
  expect((await log('--event', 'MoneyTaken')).map(({ version }) => version)).toEqual([6, 11, 16, 21, 26])
})

test('kuma repair --snapshots makes those of today’s definition, and tells which models are missing', async () => {
  const path = copy()
  const without = await shell(['repair', '--snapshots', '--dir', path])
  expect(without).toMatchObject({
    code: 0,
    stdout: 'ok snapshots 0, entities 0\n',
    stderr: expect.stringContaining('wallet'),
  })
  const config = configured()
  const args = ['--dir', path, '--config', config]
  expect(await shell(['repair', '--snapshots', ...args])).toMatchObject({
    code: 0,
    stdout: 'ok snapshots 2, entities 1\n',
  })
  expect((await shell(['verify', ...args])).code).toBe(0)
  expect((await shell(['read', 'ann', ...args])).stdout).toBe(`{"cents":${CENTS}}\n`)
  expect((await shell(['replay', 'ann', '--at', 'v11', ...args])).stdout).toBe('{"cents":3700}\n')
  expect((await shell(['repair', ...args])).code).toBe(2)
})
