/** Stores that earlier code wrote, as a crash left them: today's code reads them, verifies them and goes on with them. */
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { document, start } from 'kuma'
import { describe, expect, test } from 'vitest'
import { Airport } from '../../fixtures/models/airport.ts'
import { kuma } from '../cli.ts'
import { folder } from '../folder.ts'
import { MASTER_KEY } from '../master-key.ts'

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url))
const stores = readdirSync(fixtures).filter((name) => /^golden-\d+(-encrypted)?$/.test(name))

interface Expected {
  readonly entities: number
  readonly log_sha256: string
  readonly states: Record<string, unknown>
}

/** A copy, since whoever opens a store for writing changes its files. git does not keep a folder's mode. */
function copyOf(name: string): string {
  const path = join(folder(), name)
  cpSync(join(fixtures, name), path, { recursive: true })
  chmodSync(path, 0o700)
  return path
}

const run = (path: string, args: string[]) =>
  kuma([...args, '--dir', path, '--config', join(fixtures, 'models/kuma.config.ts')], {
    env: { KUMA_MASTER_KEY: MASTER_KEY },
  })

describe.each(stores)('%s', (name) => {
  const expected = JSON.parse(readFileSync(join(fixtures, `${name}.json`), 'utf8')) as Expected

  test('verifies, before and after recovery', async () => {
    const path = copyOf(name)
    const events = (await run(path, ['log'])).stdout.split('\n').length - 1 // and none of those that were erased
    const sound = { code: 0, stdout: expect.stringContaining(`entities ${expected.entities}, events ${events}`) }
    expect(await run(path, ['verify'])).toMatchObject(sound)
    await (await start({ path })).close()
    expect(await run(path, ['verify'])).toMatchObject(sound)
  })

  test('has every event, to the letter', async () => {
    const { stdout } = await run(copyOf(name), ['log'])
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(expected.log_sha256)
  })

  test('has every state, is read beside no writer and by one', async () => {
    const path = copyOf(name)
    const ctx = await start({ path, entities: [Airport] })
    const states: Record<string, unknown> = {}
    for (const { id } of await ctx.entities().toArray()) states[id] = await (await ctx.entity(id)).read()
    expect(states).toEqual(expected.states)
    await ctx.close()
  })

  test('goes on: its request keys are known, its versions go up', async () => {
    const path = copyOf(name)
    const ctx = await start({ path, entities: [Airport] })
    const user = await ctx.entity(document, 'user_1')
    const { version } = await user.inspect()
    const data = { i: 0, half: 0, list: [0, null, true], nested: { text: 'n0' } }
    expect(await user.append({ type: 'Changed', data }, { requestKey: 'key-0' })).toMatchObject({ version: 2 })
    expect(await user.append({ type: 'Changed', data })).toMatchObject({ version: version + 1 })
    await ctx.close()
    expect((await run(path, ['verify'])).code).toBe(0)
  })
})

test('there is one of each kind', () =>
  expect(stores).toEqual(expect.arrayContaining(['golden-1', 'golden-1-encrypted'])))
