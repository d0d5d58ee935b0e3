/** Text that is not UTF-8 is recorded nowhere, by whatever way it comes; U+FFFD that is meant is text like any other. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BINARY, environment, ndjson, shell } from '../cli.ts'
import { started, TOKEN } from '../daemon.ts'
import { folder } from '../folder.ts'
import { http } from '../http.ts'

/** As an editor writes it that knows nothing of UTF-8. */
const latin1 = (text: string) => Buffer.from(text, 'latin1')
/** What Node gives of it where it stands in an argument. */
const LOST = 'M\ufffdller'
const NOTHING = { code: 0, stdout: '' }

describe('on stdin', () => {
  test.each([
    ['data', ['append', 'e', 'T', '-'], '{"name":"Müller"}', 'the data on stdin is not UTF-8: byte 0xfc at offset 10'],
    ['events', ['append', 'e', '-'], '{"type":"A"}\n{"type":"Bü"}', 'is not UTF-8: byte 0xfc at offset 23'],
    ['SQL', ['query', '-'], "select 'ü'", 'the SQL on stdin is not UTF-8: byte 0xfc at offset 8'],
    ['lines to import', ['import', '-'], '{"entity":"ü"}', 'line 1: is not UTF-8: byte 0xfc at offset 11 of the line'],
  ])('%s: refused with its place, and nothing is recorded', async (_, words, text, message) => {
    const { run } = await shell()
    const { code, stderr } = await run(words, { input: latin1(text) })
    expect({ code: code !== 0, stderr }).toEqual({ code: true, stderr: expect.stringContaining(message) })
    expect(await run(['log'])).toMatchObject(NOTHING)
  })

  test('a command of the shell is not run, those after it are', async () => {
    const { run } = await shell()
    const input = latin1('append Müller T\nappend b T\n')
    const { code, stdout, stderr } = await run(['shell'], { input })
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^ok b v1 .*\n$/) })
    expect(stderr).toBe('Error: line 1 is not UTF-8: byte 0xfc at offset 8 of the line\n')
    expect((await run(['shell'], { input: latin1('read M\xfc') })).code).toBe(2)
  })

  test('a U+FFFD that is meant is taken, and a BOM is not part of it', async () => {
    const { run } = await shell()
    await run(['append', 'e', 'T', '-'], { input: `\ufeff{"name":"${LOST}"}` })
    await run(['append', 'e', '-'], { input: `{"type":"T","meta":{"by":"${LOST}"}}` })
    const [first, second] = ndjson((await run(['log', 'e'])).stdout)
    expect([first, second]).toMatchObject([{ data: { name: LOST } }, { meta: { by: LOST } }])
    const { stdout } = await run(['query', '-'], { input: `\ufeffselect '${LOST}' as name` })
    expect(ndjson(stdout)).toEqual([{ name: LOST }])
  })
})

describe('in an argument', () => {
  test('two names in Latin-1 do not become one entity', async () => {
    const { cwd, run } = await shell()
    const command = `"${process.execPath}" "${BINARY}" append "$(printf 'M\\374ller')" T`
    const { status, stderr } = spawnSync('sh', ['-c', command], { cwd, env: environment(), encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('not UTF-8') })
    expect(await run(['log'])).toMatchObject(NOTHING)
  })

  test('it is refused wherever it would be recorded, and as a prefix', async () => {
    const { run } = await shell()
    await run(['append', 'e', 'T'])
    const refused = [
      ['append', LOST, 'T'],
      ['append', 'e', LOST],
      ['append', 'e', 'T', '--type', LOST],
      ['append', 'e', 'T', '--request-key', LOST],
      ['append', 'e', 'T', '--meta', `a=${LOST}`],
      ['append', 'e', 'T', '--as', LOST],
      ['append', 'e', 'T', '--reason', LOST],
      ['append', 'e', 'T', `a=${LOST}`],
      ['append', 'e', 'T', `${LOST}:=1`],
      ['append', 'e', 'T', `{"a":"${LOST}"}`],
      ['revert', LOST, '--to', 'v1'],
      ['revert', 'e', '--to', 'v1', '--request-key', LOST],
      ['revert', 'e', '--to', 'v1', '--reason', LOST],
      ['restore', 'x', '--entity', LOST],
      ['restore', 'x', '--entity', 'e', '--into', LOST],
      ['delete', 'e', '--yes', '--as', LOST],
      ['delete', 'e', '--yes', '--reason', LOST],
      ['delete', '--prefix', LOST, '--yes'],
      ['projections', 'skip', 'x', '000:1', '--reason', LOST],
      ['ls', LOST],
      ['export', '--prefix', LOST],
      ['replay', '--all', '--prefix', LOST],
      ['fork', 'other', '--prefix', LOST],
    ]
    const told = await Promise.all(refused.map((words) => run(words)))
    told.push(await run(['append', 'e', 'T'], { env: { KUMA_AS: LOST } }))
    for (const [i, { code, stdout, stderr }] of told.entries())
      expect({ words: refused[i], code, stdout, stderr }).toEqual({
        words: refused[i],
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(/U\+FFFD in it, which stands for bytes that are not UTF-8\n.*type it in UTF-8/),
      })
    expect(ndjson((await run(['log'])).stdout)).toHaveLength(1)
  }, 60_000)

  test('an id that has one can be read and deleted, and JSON may name one', async () => {
    const { run } = await shell()
    await run(['import', '-'], { input: JSON.stringify({ entity: LOST, type: 'T', data: { n: 1 } }) })
    expect((await run(['read', LOST])).stdout).toBe('{"n":1}\n')
    expect((await run(['export', LOST])).code).toBe(0)
    expect((await run(['revert', LOST, '--to', 'v1', '--dry-run'])).code).toBe(0)
    expect((await run(['delete', LOST, '--yes'])).code).toBe(0)
    await run(['append', 'e', 'T', 'name:="\\ufffd"'])
    expect((await run(['read', 'e'])).stdout).toBe('{"name":"\ufffd"}\n')
  })
})

describe('over HTTP', () => {
  const path = '/v1/entities/user_1/events'
  const declared = (type: string) => ({ 'content-type': type })

  test('a body is refused with the place, and so is what a query says', async () => {
    const { store, run } = await started()
    const body = latin1('{"events":[{"type":"T","data":{"name":"Müller"}}]}')
    for (const type of ['application/json', 'application/json; charset=utf-8']) {
      const { status, text } = await http(store, { method: 'POST', path, body, headers: declared(type) })
      expect({ status, error: JSON.parse(text).error }).toEqual({
        status: 400,
        error: expect.objectContaining({
          code: 'KUMA_INVALID_DATA',
          message: 'the body is not UTF-8: byte 0xfc at offset 40',
        }),
      })
    }
    expect(await run(['log'])).toMatchObject(NOTHING)
    await run(['append', 'user_1', 'T'])
    const erased = await http(store, { method: 'DELETE', path: '/v1/entities/user_1?by=%FF' })
    expect({ status: erased.status, error: JSON.parse(erased.text).error }).toEqual({
      status: 400,
      error: expect.objectContaining({
        code: 'KUMA_INVALID_REQUEST',
        message: expect.stringContaining('by is not UTF-8: byte 0xff at offset 0'),
      }),
    })
    expect((await run(['read', 'user_1'])).code).toBe(0)
  })

  test('a body is taken as UTF-8, and one that says it is not is refused', async () => {
    const { store, run } = await started()
    const post = async (type: string) => {
      const body = { events: [{ type: 'T', data: { name: LOST } }] }
      return (await http(store, { method: 'POST', path, body, headers: declared(type) })).status
    }
    const taken = ['', ';charset=utf-8', '; charset="UTF-8"', '; Charset=utf8; x=y']
    for (const more of taken)
      expect({ more, status: await post(`application/json${more}`) }).toEqual({ more, status: 200 })
    for (const more of [
      '; charset=iso-8859-1',
      ';charset="utf-16"',
      '; x=y; charset=latin1',
      ';charset=utf-8;charset=x',
    ])
      expect({ more, status: await post(`application/json${more}`) }).toEqual({ more, status: 415 })
    const events = ndjson((await run(['log', 'user_1'])).stdout)
    expect(events).toMatchObject(taken.map(() => ({ data: { name: LOST } })))
    const deleted = await http(store, { method: 'DELETE', path: '/v1/entities/user_1?by=M%EF%BF%BDller' })
    expect(JSON.parse(deleted.text)).toMatchObject({ by: LOST })
  })
})

test('on the socket a line is refused with the place, and nothing is recorded', async () => {
  const { store, run } = await started()
  const socket = dial(join(store, 'kuma.sock'))
  let said = ''
  socket.setEncoding('utf8').on('data', (text: string) => (said += text))
  const params = { id: 'e', newType: 'document', events: [{ type: 'T', data: { name: 'Müller' } }] }
  const line = JSON.stringify({ id: 1, call: 'append', params })
  socket.write(Buffer.concat([Buffer.from('{"kuma":1}\n'), latin1(`${line}\n`)]))
  await once(socket, 'close')
  const offset = line.indexOf('ü')
  expect(ndjson(said).at(-1)).toMatchObject({
    error: { code: 'KUMA_PROTOCOL', message: `the message is not UTF-8: byte 0xfc at offset ${offset}` },
  })
  expect(await run(['log'])).toMatchObject(NOTHING)
})

test('a token is no weaker than it looks: a file of other bytes is none', async () => {
  const { cwd, run } = await shell()
  const file = join(cwd, 'token')
  writeFileSync(file, Buffer.concat([Buffer.from(TOKEN), latin1('ü')]), { mode: 0o600 })
  const { code, stderr } = await run(['start', '--listen', '127.0.0.1:0', '--token-file', file])
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('is not UTF-8: byte 0xfc at offset 32') })
})

test.runIf(process.platform === 'linux')('in a folder whose name is not UTF-8 no store is made elsewhere', async () => {
  const cwd = folder()
  const script = `mkdir "$(printf 'M\\374ller')" && cd "$(printf 'M\\374ller')" && "$0" "$1" init`
  const options = { cwd, env: environment(), encoding: 'utf8' } as const
  const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath, BINARY], options)
  expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('stands for bytes that are not') })
  expect(readdirSync(cwd)).toHaveLength(1)
})
