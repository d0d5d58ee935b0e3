/** Erasing on the command line, and the receipts that stay. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openEngine } from '../../../src/kuma.ts'
import { ndjson, shell } from '../../cli.ts'
import { filesWith } from '../../files-with.ts'
import { launchProgram } from '../../program.ts'
import { hasTerminal, onTerminal } from '../../terminal.ts'

async function shellWith(...ids: string[]) {
  const { cwd, run } = await shell()
  for (const id of ids) await run(['append', id, 'SignedUp', `email=${id}@example.org`])
  return { cwd, run, store: join(cwd, 'kuma-data') }
}

test('an entity is gone, and the receipt says so without naming it', async () => {
  const { cwd, run, store } = await shellWith('user_1', 'user_2')
  const { code, stdout, stderr } = await run(['delete', 'user_1', '--yes', '--reason', 'asked for', '--as', 'ann'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const receipt = JSON.parse(stdout)
  expect(receipt).toMatchObject({ format: 'kuma-receipt/1', erased: 1, by: 'ann', reason: 'asked for', notReached: [] })
  expect(await run(['read', 'user_1'])).toMatchObject({ code: 3 })
  expect(ndjson((await run(['ls'])).stdout).map(({ id }) => id)).toEqual(['user_2'])
  expect(filesWith(store, ['user_1'])).toEqual([])
  expect((await run(['verify'])).code).toBe(0)

  const [erasure] = ndjson((await run(['erasures', '--json'])).stdout)
  expect(erasure).toMatchObject({ ...receipt.entities[0], receipt: receipt.receipt, by: 'ann', reason: 'asked for' })
  expect((await run(['erasures', 'verify', receipt.receipt])).code).toBe(0)
  writeFileSync(join(cwd, 'mine.json'), stdout)
  expect((await run(['erasures', 'verify', 'mine.json'])).code).toBe(0)
})

test('several at once, and all with a prefix', async () => {
  const { run, store } = await shellWith('a/1', 'a/2', 'b/1', 'b/2', 'c/1')
  const { stdout } = await run(['delete', 'a/1', 'c/1', 'a/1', '-y'])
  expect(JSON.parse(stdout).entities).toHaveLength(2)
  const doomed = ndjson((await run(['delete', '--prefix', 'b/', '--dry-run'])).stdout)
  expect(doomed.sort((a, b) => (String(a['entity']) < String(b['entity']) ? -1 : 1))).toEqual(
    ['b/1', 'b/2'].map((entity) => ({
      entity,
      type: 'document',
      events: 1,
      file: expect.stringMatching(/^shards\/00[01]\.db$/),
    })),
  )
  expect(JSON.parse((await run(['delete', '--prefix', 'b/', '-y'])).stdout).entities).toHaveLength(2)
  expect(filesWith(store, ['b/1@', 'b/2@', 'a/1@', 'c/1@'])).toEqual([])
  expect(ndjson((await run(['ls'])).stdout).map(({ id }) => id)).toEqual(['a/2'])
  const { code, stderr } = await run(['delete', '--prefix', 'zzz', '-y'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('nothing was erased') })
})

test.each([
  ['one of them does not exist', ['delete', 'user_1', 'nobody', '--yes'], 3, 'no entity "nobody"'],
  ['nobody is there to confirm', ['delete', 'user_1'], 2, '--yes'],
  ['the reason has the id', ['delete', 'user_1', '--yes', '--reason', 'user_1 asked'], 2, 'may contain the id'],
  ['nothing is named', ['delete', '--yes'], 2, 'give either ids or --prefix'],
  ['ids and a prefix', ['delete', 'user_1', '--prefix', 'u', '--yes'], 2, 'give either ids or --prefix'],
  ['an empty prefix', ['delete', '--prefix', '', '--yes'], 2, 'everything'],
])('nothing is erased if %s', async (_, args, exit, message) => {
  const { run } = await shellWith('user_1')
  const { code, stderr } = await run(args)
  expect({ code, stderr }).toEqual({ code: exit, stderr: expect.stringContaining(message) })
  expect((await run(['read', 'user_1'])).code).toBe(0)
  expect((await run(['erasures', '--json'])).stdout).toBe('')
})

test.skipIf(!hasTerminal)('on a terminal the id has to be typed, or the number of several', async () => {
  const { cwd, run, store } = await shellWith('user_1', 'user_2', 'user_3')
  for (const [input, shown] of [
    ['user_2\n', 'nothing was erased'],
    ['\u0004', 'nothing was erased'],
    ['user_1\n', 'erased 1 entity, 1 event'],
  ] as const) {
    const screen = onTerminal(['delete', 'user_1'], { cwd, input })
    expect(screen).toContain('type user_1 to erase it and its 1 event for good')
    expect(screen).toContain(shown)
    expect((await run(['read', 'user_1'])).code).toBe(shown.startsWith('erased') ? 3 : 0)
  }
  const screen = onTerminal(['delete', 'user_2', 'user_3'], { cwd, input: '2\n' })
  expect(screen).toContain('erased 2 entities, 2 events')
  expect(screen).toMatch(/nothing left in shards\/00[01]\.db: \d+ pages checked byte by byte/)
  expect(filesWith(store, ['user_'])).toEqual([])
})

test('a receipt that was altered in any field, or is of another store, is told', async () => {
  const { cwd, run } = await shellWith('user_1', 'user_2')
  const receipt = JSON.parse((await run(['delete', 'user_1', '--yes'])).stdout)
  for (const field of Object.keys(receipt)) {
    const altered = { ...receipt, [field]: typeof receipt[field] === 'number' ? receipt[field] + 1 : 'x' }
    writeFileSync(join(cwd, 'altered.json'), JSON.stringify(altered))
    expect((await run(['erasures', 'verify', 'altered.json'])).code, field).toBe(6)
  }
  writeFileSync(join(cwd, 'receipt.json'), JSON.stringify(receipt))
  await run(['init', 'other', '--shards', '2'])
  const { code, stderr } = await run(['erasures', 'verify', 'receipt.json', '--dir', 'other'])
  expect({ code, stderr }).toEqual({ code: 6, stderr: expect.stringContaining('another store') })
  expect((await run(['erasures', 'verify', 'receipt.json'])).code).toBe(0)
})

test('while another program reads old pages, the receipt says so, and the next writer finishes', async () => {
  const { run, store } = await shellWith('user_1', 'user_2')
  const reader = launchProgram('read-slowly.ts', store)
  await new Promise((resolve) => reader.stdout!.once('data', resolve))
  await run(['append', 'user_1', 'Moved', 'city=Paris'])
  const { code, stdout } = await run(['delete', 'user_1', '--yes'])
  expect(code).toBe(1)
  expect(JSON.parse(stdout).notReached).toEqual([expect.objectContaining({ what: expect.stringMatching(/-wal$/) })])
  expect((await run(['read', 'user_1'])).code).toBe(3)
  reader.kill('SIGKILL')
  await new Promise((resolve) => reader.once('exit', resolve))
  expect((await run(['append', 'user_2', 'Moved', 'city=Rome'])).code).toBe(0)
  expect(filesWith(store, ['user_1', 'Paris'])).toEqual([])
  const [name] = readdirSync(join(store, 'erasures'))
  expect(JSON.parse(readFileSync(join(store, 'erasures', name!), 'utf8')).notReached).toEqual([])
})

test('an export that comes upon an erasure leaves the entity out', async () => {
  const { run, store } = await shellWith('user_1', 'user_2')
  const engine = await openEngine({ path: store }, { access: 'write', committer: 'inline' })
  await engine.erase(['user_1'])
  await engine.close()
  const { code, stdout } = await run(['export', '--prefix', 'user_', '--format', 'ndjson'])
  expect({ code, ids: ndjson(stdout).map(({ entity }) => entity) }).toEqual({ code: 0, ids: ['user_2'] })
})

test('compact gives back the room of what was erased, and changes nothing else', async () => {
  const { run } = await shellWith('user_1', 'user_2')
  await run(['append', 'user_1', 'Noted', `text=${'x'.repeat(100_000)}`])
  await run(['delete', 'user_1', '--yes'])
  const before = (await run(['log'])).stdout
  const { bytesBefore, bytesAfter } = JSON.parse((await run(['compact', '--json'])).stdout)
  expect(bytesBefore - bytesAfter).toBeGreaterThan(90_000)
  expect((await run(['log'])).stdout).toBe(before)
  expect((await run(['verify'])).code).toBe(0)
})
