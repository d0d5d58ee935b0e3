/** Messages that would hold up a daemon if it looked at all of them. The times are bounds against hanging only. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ndjson } from '../cli.ts'
import { started } from '../daemon.ts'
import { folder } from '../folder.ts'
import { http } from '../http.ts'

const MiB = 1024 * 1024

interface Told {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string; readonly details: object }
}

async function dial(store: string): Promise<Socket> {
  const socket = connect(join(store, 'kuma.sock'))
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  socket.setEncoding('utf8')
  socket.write('{"kuma":1}\n')
  await once(socket, 'data')
  return socket
}

/** What the daemon says to it first. */
async function answerTo(store: string, line: string): Promise<Told> {
  const socket = await dial(store)
  socket.write(`${line}\n`)
  let text = ''
  while (!text.includes('\n')) text += (await once(socket, 'data'))[0]
  return ndjson(text)[0] as Told
}

const call = (name: string, params: object | string) =>
  `{"id":1,"call":${JSON.stringify(name)},"params":${typeof params === 'string' ? params : JSON.stringify(params)}}`
const long = (length: number) => 'x'.repeat(length)

test('each is refused at once, in few words, and others go on', { timeout: 60_000 }, async () => {
  const { store, run } = await started()
  const ctx = await kuma.connect(store)
  const entity = await ctx.spawn(kuma.document, 'a', { n: 1 })
  const refused: readonly (readonly [what: string, line: string, code: string, says: string])[] = [
    ['the name of a call', call(long(MiB), {}), 'KUMA_INVALID_REQUEST', `"${long(64)}…": there is no such call`],
    ['the name of a parameter', call('find', { [long(MiB)]: 1, id: 'a' }), 'KUMA_INVALID_REQUEST', `no "${long(64)}…"`],
    ['brackets', '['.repeat(16 * MiB), 'KUMA_PROTOCOL', 'nested deeper than 72 levels'],
    ['numbers', call('append', `[${'0,'.repeat(6 * MiB)}0]`), 'KUMA_PROTOCOL', 'values'],
    ['a long log', call('log', { id: long(15 * MiB) }), 'KUMA_PROTOCOL', 'only append, appendCopy, execute'],
    ['an id', call('find', { id: long(3 * MiB) }), 'KUMA_INVALID_REQUEST', 'too long'],
    ['a position', call('feed', { from: `000:${'1'.repeat(3 * MiB)}` }), 'KUMA_INVALID_REQUEST', 'too long'],
    ['a position that fits', call('feed', { from: `000:${'1'.repeat(30_000)}` }), 'KUMA_INVALID_POSITION', '1…"'],
    ['a time', call('entities', { at: `1${' '.repeat(4_000)}` }), 'KUMA_INVALID_POINT', '…"'],
    ['types', call('log', { types: Array(30_000).fill('A') }), 'KUMA_INVALID_REQUEST', 'too long'],
    ['a path', call('blame', { id: 'a', path: '/a'.repeat(30_000) }), 'KUMA_UNKNOWN_PATH', '…'],
    ['a name in a path', call('blame', { id: 'a', path: `/${long(60_000)}` }), 'KUMA_UNKNOWN_PATH', '…'],
    ['a projection', call('pauseProjection', { name: long(4_000) }), 'KUMA_UNKNOWN_PROJECTION', `${long(64)}…`],
    ['a column', call('actors', { sort: long(4_000) }), 'KUMA_USAGE', `"${long(64)}…"`],
    ['a type', call('append', { id: 'a', type: long(4_000), events: [{ type: 'A' }] }), 'KUMA_TYPE_MISMATCH', '…"'],
    [
      'a field',
      call('append', { id: 'a', events: [{ type: 'A', data: { [long(MiB + 1)]: 1 } }] }),
      'KUMA_INVALID_DATA',
      '…',
    ],
    [
      'a text',
      call('append', { id: 'a', events: [{ type: 'A', data: { a: long(15 * MiB) } }] }),
      'KUMA_INVALID_DATA',
      '1 MiB',
    ],
    [
      'no UTF-8 is not needed',
      call('append', { id: 'a', events: [{ type: 'A', data: { a: '\ufffd'.repeat(5 * MiB) } }] }),
      'KUMA_INVALID_DATA',
      '1 MiB',
    ],
  ]
  for (const [what, line, code, says] of refused) {
    const { error } = await answerTo(store, line)
    expect({ what, ...error }).toMatchObject({ code, message: expect.stringContaining(says) })
    expect(error!.message.length, what).toBeLessThan(500)
    expect(JSON.stringify(error).length, what).toBeLessThan(10_000)
    expect(await entity.read()).toEqual({ n: 1 })
  }
  await ctx.close()
  expect((await run(['status'])).stdout).toMatch(/^healthy/)
})

test('what is deep is refused, and ends nothing', async () => {
  const { store, run } = await started()
  const nested = (levels: number) => `{"b":1,"a":${'['.repeat(levels)}${']'.repeat(levels)}}`
  for (const levels of [64, 72, 2_000, 30_000]) {
    const event = `[{"type":"A","data":${nested(levels)}}]`
    for (const more of ['', '"requestKey":"k",']) {
      const { error } = await answerTo(
        store,
        call('append', `{"id":"a",${more}"newType":"document","events":${event}}`),
      )
      expect(error!.code).toMatch(/^KUMA_(INVALID_DATA|PROTOCOL)$/)
    }
    const { error } = await answerTo(store, call('query', `{"sql":"select ?","params":[${nested(levels)}]}`))
    expect(error!.code).toMatch(/^KUMA_(INVALID_QUERY|PROTOCOL)$/)
    const body = `{"events":${event}}`
    expect((await http(store, { method: 'POST', path: '/v1/entities/a/events', body })).status).toBe(400)
  }
  expect((await run(['read', 'a'])).code).toBe(3)
  expect((await run(['status'])).stdout).toMatch(/^healthy/)
})

test('over HTTP each is 400, in few words', { timeout: 30_000 }, async () => {
  const { store } = await started()
  const post = { method: 'POST', path: '/v1/entities/a/events' }
  const refused = [
    [{ ...post, body: '['.repeat(15 * MiB) }, 'the body is nested deeper than 72 levels'],
    [{ ...post, body: `{"events":[${'0,'.repeat(6 * MiB)}0]}` }, 'the body has more than 765,367 values'],
    [{ path: `/v1/entities?${long(10_000)}=1` }, `it takes no \\"${long(64)}…`],
    [{ path: '/v1/feed', headers: { 'last-event-id': '000:1,'.repeat(1_000) } }, '000:1,000:…'],
    [{ path: `/v1/entities?at=${'1'.repeat(10_000)}` }, `${'1'.repeat(64)}…`],
    [{ path: `/v1/query?sql=select&param=:=${long(10_000)}` }, `${long(62)}…`],
  ] as const
  for (const [asked, says] of refused) {
    const { status, text } = await http(store, asked)
    expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining(says) })
    expect(text.length).toBeLessThan(1_000)
  }
})

test('calls without end leave others their turn', { timeout: 60_000 }, async () => {
  const { store } = await started()
  const flood = await dial(store)
  const calls = 50_000
  const lines = Array.from({ length: calls }, (_, n) => `{"id":${n + 1},"call":"reedProjektion"}\n`)
  flood.write(lines.join(''))
  let answered = 0
  flood.on('data', (text: string) => (answered += text.split('\n').length - 1))
  await once(flood, 'data')
  const other = await answerTo(store, call('clients', {}))
  const taken = Math.max(...(other.result as { calls: number }[]).map((client) => client.calls))
  expect(taken).toBeLessThan(calls / 2)
  while (answered < calls) await once(flood, 'data')
})

describe('a connected program', () => {
  const deep = (levels: number): unknown => (levels === 0 ? 0 : [deep(levels - 1)])

  test('is told of what its daemon would not take, and goes on', { timeout: 60_000 }, async () => {
    const { store } = await started()
    const ctx = await kuma.connect(store)
    const entity = await ctx.spawn(kuma.document, 'a', { n: 1 })
    const meta = { deep: deep(3_000) } as never
    await expect(entity.append({ type: 'Set', data: {} }, { meta })).rejects.toMatchObject({
      code: 'KUMA_INVALID_DATA',
      message: expect.stringContaining('meta at .deep'),
    })
    const params = [deep(3_000)] as never
    await expect(ctx.query('select ?', params).toArray()).rejects.toMatchObject({ code: 'KUMA_INVALID_DATA' })
    const events = Array.from({ length: 17 }, (_, n) => ({ type: 'Set', data: { [`t${n}`]: long(MiB - 100) } }))
    await expect(entity.appendAll(events)).rejects.toMatchObject({
      code: 'KUMA_INVALID_DATA',
      message: 'the request is longer than 16 MiB',
    })
    expect(await entity.read()).toEqual({ n: 1 })
    await ctx.close()
  })
})

test('a group of events on a large document takes no longer for its size', { timeout: 20_000 }, async () => {
  const ctx = await kuma.start({ path: join(folder(), 'store'), shards: 1 })
  const fields = Object.fromEntries(Array.from({ length: 40_000 }, (_, n) => [`k${n}`, n]))
  const entity = await ctx.spawn(kuma.document, 'a', { ...fields, in: { kept: true } })
  const before = await entity.read()
  const given = Array.from({ length: 4_096 }, (_, n) => ({ n, [`k${n}`]: null, in: { [`m${n}`]: n } }))
  await entity.appendAll(given.map((data) => ({ type: 'Set', data })))
  const left = Object.entries(fields).filter(([, n]) => n >= given.length)
  const added = given.map(({ n }) => [`m${n}`, n])
  expect(await entity.read()).toEqual({
    ...Object.fromEntries(left),
    n: given.length - 1,
    in: { kept: true, ...Object.fromEntries(added) },
  })
  expect(before).toEqual({ ...fields, in: { kept: true } })
  await ctx.close()
})
