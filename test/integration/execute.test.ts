/** Commands from outside of a program: over HTTP, and in the shell with and without a daemon. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createBackup } from '../../src/backup/create-backup.ts'
import { restoreEntity } from '../../src/backup/restore-entity.ts'
import { exportOne, FORMATS, sourceOf } from '../../src/cli/exporter.ts'
import { Recorded } from '../../src/cli/import-recorder.ts'
import { importFrom } from '../../src/cli/importer.ts'
import { openEngine } from '../../src/kuma.ts'
import { readManifest } from '../../src/store/manifest.ts'
import { Readers } from '../../src/store/readers.ts'
import { ndjson, shell } from '../cli.ts'
import { startDaemon } from '../daemon.ts'
import { folder } from '../folder.ts'
import { http } from '../http.ts'

const CONFIG = `
import * as kuma from 'kuma'
const Order = kuma
  .defineEntity({
    type: 'order',
    initial: { status: 'new', cents: 0 },
    events: { Placed: kuma.type<{ cents: number }>() },
    commands: { Place: kuma.type<{ cents: number }>(), Cancel: kuma.type() },
  })
  .evolve({ Placed: (_, { cents }) => ({ status: 'placed', cents }) })
  .decide({
    Place: ({ status }, { cents }) => {
      if (status !== 'new') throw new Error('it is ' + status)
      return { type: 'Placed', data: { cents } }
    },
    Cancel: () => undefined,
  })
export default kuma.defineConfig({ entities: [Order], ids: { 'order_*': Order } })
`

async function configured() {
  const made = await shell()
  writeFileSync(join(made.cwd, 'kuma.config.ts'), CONFIG)
  return { ...made, store: join(made.cwd, 'kuma-data') }
}

describe('over HTTP', () => {
  async function serving() {
    const made = await configured()
    await startDaemon(made.cwd)
    const command = async (id: string, body: object) => {
      const { status, text } = await http(made.store, { method: 'POST', path: `/v1/entities/${id}/commands`, body })
      return { status, ...JSON.parse(text) }
    }
    return { ...made, command }
  }
  const place = { type: 'Place', data: { cents: 5 } }

  test('a command makes what is not there: of the type that it says, else that of the ids', async () => {
    const { command, store } = await serving()
    const answer = await command('order_1', { command: place })
    expect(answer).toMatchObject({ status: 200, version: 1, state: { status: 'placed', cents: 5 } })
    expect(await command('a', { command: place, type: 'order' })).toMatchObject({ status: 200, version: 1 })
    expect(await command('b', { command: place, newType: 'order' })).toMatchObject({ status: 200, version: 1 })
    const { text } = await http(store, { path: '/v1/entities/a/log' })
    expect(ndjson(text)).toMatchObject([{ type: 'Placed', entityType: 'order', version: 1 }])
  })

  test('where nothing says of which type it would be, that is told; and nothing of a refusal is there', async () => {
    const { command, store } = await serving()
    expect(await command('c', { command: place })).toMatchObject({
      status: 400,
      error: { code: 'KUMA_UNKNOWN_TYPE', details: { type: null }, hint: expect.stringContaining('type') },
    })
    expect(await command('c', { command: place, expectedVersion: 'exists' })).toMatchObject({ status: 404 })
    expect(await command('c', { command: place, type: 'ordre' })).toMatchObject({
      status: 400,
      error: { code: 'KUMA_UNKNOWN_TYPE', details: { type: 'ordre' } },
    })
    expect(await command('order_1', { command: { type: 'Cancel' } })).toMatchObject({ version: 0, events: [] })
    expect((await http(store, { path: '/v1/entities' })).text).toBe('')
    expect(await command('order_1', { command: place, expectedVersion: 'exists' })).toMatchObject({
      status: 404,
      error: { code: 'KUMA_NOT_FOUND' },
    })
    const events = { events: [{ type: 'Placed', data: { cents: 1 } }], expectedVersion: 'exists' }
    const appended = await http(store, { method: 'POST', path: '/v1/entities/order_1/events', body: events })
    expect(appended.status).toBe(404)
    await command('order_1', { command: place })
    expect(await command('order_1', { command: place })).toMatchObject({
      status: 422,
      error: { code: 'KUMA_REJECTED', details: { reason: 'it is placed' } },
    })
    expect(await command('order_1', { command: place, type: 'document' })).toMatchObject({
      status: 409,
      error: { code: 'KUMA_TYPE_MISMATCH' },
    })
  })
})

describe.each(['a store alone', 'a daemon'])('in the shell, with %s:', (kind) => {
  async function open() {
    const made = await configured()
    if (kind === 'a daemon') await startDaemon(made.cwd)
    return made
  }

  test('a command makes what is not there, and tells what came of it', async () => {
    const { run } = await open()
    const made = await run(['execute', 'order_1', 'Place', 'cents:=5', '--as', 'ann', '--meta', 'ip=10.0.0.7'])
    expect(made).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^ok order_1 v1 00[01]:1\n$/),
      stderr: 'Placed {"cents":5}\n',
    })
    expect(ndjson((await run(['log', 'order_1'])).stdout)).toMatchObject([
      { type: 'Placed', entityType: 'order', meta: { by: 'ann', ip: '10.0.0.7' } },
    ])
    const typed = await run(['execute', 'x', 'Place', '-', '--type', 'order', '--json'], { input: '{"cents":7}' })
    expect(JSON.parse(typed.stdout)).toEqual({
      entity: 'x',
      version: 1,
      position: expect.any(String),
      at: expect.any(Number),
      events: [expect.objectContaining({ type: 'Placed', data: { cents: 7 }, version: 1 })],
      state: { status: 'placed', cents: 7 },
    })
  })

  test('one that is refused, that decides on nothing, or of no type leaves nothing behind', async () => {
    const { run } = await open()
    expect(await run(['execute', 'order_1', 'Cancel'])).toEqual({
      code: 0,
      stdout: 'ok order_1 v0\n',
      stderr: 'nothing came of Cancel: nothing was recorded\n',
    })
    expect(await run(['execute', 'x', 'Place', 'cents:=5'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('nothing says of which type'),
    })
    expect(await run(['execute', 'order_1', 'Plase', 'cents:=5'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('did you mean Place?'),
    })
    expect((await run(['ls'])).stdout).toBe('')
    const words = ['execute', 'order_1', 'Place', 'cents:=5']
    await run(words)
    expect(await run(words)).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining('it is placed') })
    expect(await run([...words, '--expect-version', '0'])).toMatchObject({ code: 4 })
  })
})

test('in the shell a request key makes a command harmless to repeat', async () => {
  const { run } = await configured()
  const words = ['execute', 'order_1', 'Place', 'cents:=5', '--request-key', 'k']
  expect(await run([...words, '--expect-version', 'exists'])).toMatchObject({ code: 3, stdout: '' })
  expect(await run([...words, '--expect-version', 'many'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('a whole number from 0 on, or `exists`, not "many"'),
  })
  const first = await run(words)
  expect(await run(words)).toEqual({ ...first, stderr: expect.stringContaining('this is the first answer') })
  expect(ndjson((await run(['log'])).stdout)).toHaveLength(1)
})

describe('a state that is handed in past the commands', () => {
  test('is refused in the shell, in what is imported and over HTTP', async () => {
    const { run, cwd, store } = await configured()
    const refused = 'takes commands, so none of its entities can begin with a state that is handed in'
    expect(await run(['append', 'order_3', 'Created', 'status=paid'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(refused),
    })
    const input = '{"entity":"order_3","type":"Created","data":{"status":"paid"}}\n'
    expect(await run(['import', '-'], { input })).toMatchObject({ code: 1, stderr: expect.stringContaining(refused) })
    await startDaemon(cwd)
    const post = async (more: object) => {
      const body = { events: [{ type: 'Created', data: { status: 'paid' } }], ...more }
      return http(store, { method: 'POST', path: '/v1/entities/order_3/events', body })
    }
    expect(await post({})).toMatchObject({ status: 400, text: expect.stringContaining('KUMA_INVALID_EVENT') })
    expect(await post({ isRecorded: true })).toMatchObject({ status: 400, text: expect.stringContaining('takes no') })
    expect((await run(['ls'])).stdout).toBe('')
    expect((await run(['append', 'order_3', 'Created'])).code).toBe(0)
  })

  test('and was recorded before there were commands goes wherever its entity goes', async () => {
    const state = { status: 'paid', cents: 9 }
    const shape = { type: 'order', initial: { status: 'new', cents: 0 }, events: {} }
    const Before = kuma.defineEntity(shape).evolve({})
    const Order = kuma
      .defineEntity({ ...shape, commands: { Cancel: kuma.type() } })
      .evolve({})
      .decide({ Cancel: () => undefined })
    const open = async (path: string, definition: kuma.AnyEntityDefinition = Order) => {
      const engine = await openEngine({ path, entities: [definition], shards: 1 }, { access: 'write', create: true })
      onTestFinished(() => engine.close())
      return engine
    }
    const path = folder()
    const before = await open(path, Before)
    await before.append({ id: 'o', newType: 'order', events: [{ type: 'Created', data: state }] })
    await before.close()
    const engine = await open(path)
    for (const format of FORMATS) {
      let text = ''
      for await (const piece of exportOne(engine, 'o', { format, source: sourceOf(engine) })) text += piece.text
      const read = async function* () {
        yield Buffer.from(`${text}\n`)
      }
      const copy = await open(folder())
      const rejected: string[] = []
      const options = {
        typeFor: () => 'order',
        onUnkeyed: () => {},
        onRejected: (_: unknown, why: string) => void rejected.push(why),
      }
      await importFrom(new Recorded(copy), { name: 'export', read, again: false, part: () => undefined }, options)
      expect(rejected).toEqual([])
      expect(await copy.inspect('o')).toMatchObject({ version: 1, state })
    }
    const { path: backup } = await createBackup(path)
    const from = await openEngine({ path: backup, entities: [Order] }, { access: 'read' })
    const readers = new Readers(backup, readManifest(backup), null)
    onTestFinished(async () => {
      readers.close()
      await from.close()
    })
    await restoreEntity({ from, readers }, engine, { id: 'o', into: 'p', reason: 'test' })
    expect(await engine.inspect('p')).toMatchObject({ version: 1, state })
  })
})
