/** A terminal that is closed asks what runs on it to end, as a supervisor does. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createStore } from '../../../src/store/create.ts'
import { BINARY, ended, kuma, launch, ndjson } from '../../cli.ts'
import { startDaemon } from '../../daemon.ts'
import { folder } from '../../folder.ts'
import { PseudoTerminal } from '../../pseudo-terminal.ts'

async function store() {
  const cwd = folder()
  await createStore(join(cwd, 'kuma-data'), { shards: 1 })
  return cwd
}

test('a daemon answers what it has accepted, and ends', async () => {
  const cwd = await store()
  const { daemon, output } = await startDaemon(cwd)
  daemon.kill('SIGHUP')
  const { code, stderr } = await output
  expect(code).toBe(0)
  expect(ndjson(stderr).at(-1)).toMatchObject({ msg: 'stopped' })
})

test('also where its terminal is gone, to which it can tell nothing any more', async () => {
  const cwd = await store()
  const terminal = new PseudoTerminal(
    `exec "${process.execPath}" "${BINARY}" start`,
    { columns: 200, rows: 20 },
    { cwd },
  )
  await terminal.sees('listening')
  const socket = join(cwd, 'kuma-data', 'kuma.sock')
  const client = dial(socket)
  onTestFinished(() => void client.destroy())
  await once(client, 'connect')
  client.on('error', () => {}).resume()
  terminal.kill()
  await once(client, 'close')
  // whoever writes next waits until the store is free
  expect((await kuma(['append', 'a', 'A'], { cwd })).code).toBe(0)
  expect(existsSync(socket)).toBe(false)
})

test('what goes on until it is interrupted has the exit code of SIGTERM', async () => {
  const cwd = await store()
  await kuma(['append', 'a', 'A'], { cwd })
  const tail = launch(['tail', '--follow'], { cwd })
  onTestFinished(() => void tail.kill('SIGKILL'))
  const end = ended(tail)
  await once(tail.stdout!, 'data')
  tail.kill('SIGHUP')
  expect((await end).code).toBe(143)
})
