/** What can go wrong between a projector and a real rqlite. A proxy stands between them, and loses what it is told to lose. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { contextOf } from '../../src/context.ts'
import * as kuma from '../../src/index.ts'
import { openEngine } from '../../src/kuma.ts'
import { listErasures } from '../../src/privacy/erasures.ts'
import { RqliteSink } from '../../src/projection/rqlite-sink.ts'
import { parseRqliteUrl } from '../../src/projection/rqlite-url.ts'
import { shell } from '../cli.ts'
import { folder, makeFolder } from '../folder.ts'
import { randomFrom } from '../random.ts'
import { hasRqlite, makeNode, type Node, ready, startNode, wipe } from '../rqlite.ts'

const Account = kuma
  .defineEntity({ type: 'account', initial: { total: 0 }, events: { Deposited: kuma.type<{ amount: number }>() } })
  .evolve({ Deposited: (state, { amount }) => ({ total: state.total + amount }) })

const sums = kuma
  .defineProjection({ name: 'sums', columns: { deposits: 'integer', total: 'integer' } })
  .on(Account, { Deposited: ({ data }, table) => table.increment({}, { deposits: 1, total: data.amount }) })

const code = (expected: kuma.KumaErrorCode) => expect.objectContaining({ name: 'KumaError', code: expected })

/** What becomes of a request. */
type Fate = 'pass' | 'drop' | 'lose the answer' | 'send it twice' | 'refuse' | 'lose the leader' | 'never answer'

/** In front of a node. */
async function proxy(target: string, fateOf: (path: string) => Fate): Promise<string> {
  const forward = async (request: IncomingMessage, body: Buffer) => {
    const { method, headers, url } = request
    const type = headers['content-type']
    const sent = { method: method!, headers: type === undefined ? {} : { 'content-type': type } }
    return fetch(`${target}${url}`, method === 'POST' ? { ...sent, body: new Uint8Array(body) } : sent)
  }
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await buffer(request)
    const fate = fateOf(request.url!)
    if (fate === 'never answer') return
    if (fate === 'drop') return void request.socket.destroy()
    if (fate === 'refuse') return void response.writeHead(503).end('leader not found')
    if (fate === 'lose the leader')
      return void response.writeHead(200).end('{"results":[],"error":"leadership lost while committing log"}')
    if (fate === 'send it twice') await forward(request, body)
    const found = await forward(request, body)
    const text = await found.text()
    if (fate === 'lose the answer') return void request.socket.destroy()
    response.writeHead(found.status, { 'content-type': 'application/json' }).end(text)
  }
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe.skipIf(!hasRqlite)('between a projector and rqlite', () => {
  let node: Node
  beforeAll(async () => {
    node = await startNode(makeFolder())
  }, 60_000)
  afterAll(() => node?.kill())
  beforeEach(() => wipe(node.url))

  async function opened(rqliteUrl: string, path = folder(), bounds: kuma.ReadModelsConfig = {}) {
    const readModels = { ...bounds, rqliteUrl }
    const config = { path, shards: 2, entities: [Account], projections: [sums], readModels }
    const engine = await openEngine(config, { access: 'write', create: true, projects: true })
    onTestFinished(() => engine.close())
    return { engine, ctx: contextOf(engine), path }
  }

  const all = <T>(items: kuma.Items<T>) => items.toArray()

  test('requests and answers that are lost, doubled or refused count once', { timeout: 300_000 }, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    console.log('seed', seed)
    const random = randomFrom(seed)
    const fates: Fate[] = ['drop', 'lose the answer', 'send it twice', 'refuse', 'lose the leader']
    let isBad = true
    const url = await proxy(node.url, () =>
      isBad && random() < 0.15 ? fates[Math.floor(random() * fates.length)]! : 'pass',
    )
    const { engine, ctx } = await opened(url)
    const accounts = await Promise.all(['a', 'b', 'c', 'd'].map((id) => ctx.spawn(Account, id)))
    let position = ''
    for (let round = 1; round <= 60; round++) {
      await Promise.all(accounts.map((account) => account.append({ type: 'Deposited', data: { amount: round } })))
      ;({ position } = await accounts[0]!.append({ type: 'Deposited', data: { amount: 0 } }))
      if (round % 20 === 0) await ctx.waitFor(sums, position)
    }
    isBad = false
    const shards = engine.shards().map(({ shard, lastSeq }) => `00${shard}:${lastSeq}`)
    await ctx.waitFor(sums, shards.join())
    const rows = await all(
      ctx.query('select e.id, s.deposits, s.total from sums s join entities e using (_entity) order by 1'),
    )
    expect(rows).toEqual([
      { id: 'a', deposits: 120, total: 1_830 },
      ...['b', 'c', 'd'].map((id) => ({ id, deposits: 60, total: 1_830 })),
    ])
  })

  test('an answer that never comes is waited for so long, and no longer', async () => {
    const url = await proxy(node.url, () => 'never answer')
    const sink = new RqliteSink(parseRqliteUrl(url), 200)
    await expect(sink.write([['select 1']])).rejects.toMatchObject({
      code: 'KUMA_SINK_UNAVAILABLE',
      message: expect.stringContaining('200 ms'),
    })
    await expect(sink.read('select 1')).rejects.toEqual(code('KUMA_SINK_UNAVAILABLE'))
  })

  test('so many questions are asked at once, and each has its time', async () => {
    let [underWay, isSilent] = [0, true]
    const url = await proxy(node.url, (path) => {
      if (!path.startsWith('/db/query?level=weak') || !isSilent) return 'pass'
      underWay++
      return 'never answer'
    })
    const { engine, ctx } = await opened(url, folder(), { queriesMax: 2, queryTimeoutMs: 300 })
    const asked = Array.from({ length: 3 }, () => all(ctx.query('select 1 as one')))
    const first = asked.slice(0, 2).map((one) => expect(one).rejects.toEqual(code('KUMA_TIMEOUT')))
    await expect.poll(() => underWay, { timeout: 30_000 }).toBe(2)
    expect(engine.queries()).toMatchObject({ running: 2, waiting: 1 })
    isSilent = false
    await Promise.all(first)
    expect(await asked[2]).toEqual([{ one: 1 }])
    expect(underWay).toBe(2)
  })

  test('of several nodes, one that is there is found', async () => {
    const { engine, ctx } = await opened(`http://127.0.0.1:1,127.0.0.1:2,${new URL(node.url).host}`)
    const { position } = await (await ctx.spawn(Account, 'a')).append({ type: 'Deposited', data: { amount: 5 } })
    expect(await all(ctx.query('select total from sums', [], { after: position }))).toEqual([{ total: 5 }])
    expect((await engine.readModels.list())[0]!.sink).toContain('127.0.0.1:1, http://127.0.0.1:2')
  })

  test('while it is away, appends go on, an erasure stays open, and all is made good when it is back', {
    timeout: 120_000,
  }, async () => {
    let fate: Fate = 'pass'
    const { engine, ctx, path } = await opened(await proxy(node.url, () => fate))
    const ann = await ctx.spawn(Account, 'ann')
    const bob = await ctx.spawn(Account, 'bob')
    const before = await ann.append({ type: 'Deposited', data: { amount: 7 } })
    await ctx.waitFor(sums, before.position)
    fate = 'refuse'
    const { position } = await bob.append({ type: 'Deposited', data: { amount: 1 } })
    const receipt = await ann.delete()
    expect(receipt.notReached).toMatchObject([{ what: 'read models' }])
    const open = async () => {
      const found: boolean[] = []
      for await (const { isFinished } of listErasures(path)) found.push(!isFinished)
      return found
    }
    expect(await open()).toEqual([true])
    await expect(all(ctx.query('select 1'))).rejects.toEqual(code('KUMA_SINK_UNAVAILABLE'))
    for (;;) {
      const [info] = await engine.readModels.list()
      if (info!.state === 'waiting' && info!.error !== null) break
      await new Promise((resolve) => setImmediate(resolve))
    }
    fate = 'pass'
    await ctx.waitFor(sums, position)
    while ((await open())[0]) await new Promise((resolve) => setImmediate(resolve))
    expect(await all(ctx.query('select deposits, total from sums'))).toEqual([{ deposits: 1, total: 1 }])
    expect(await all(ctx.query('select id from entities'))).toEqual([{ id: 'bob' }])
  })

  test('one that is away when the store is opened is waited for', async () => {
    const later = await makeNode(folder())
    onTestFinished(() => later.kill())
    const { ctx } = await opened(later.url)
    const { position } = await (await ctx.spawn(Account, 'a')).append({ type: 'Deposited', data: { amount: 5 } })
    await expect(all(ctx.query('select 1'))).rejects.toEqual(code('KUMA_SINK_UNAVAILABLE'))
    await later.start()
    await ready(later.url)
    await ctx.waitFor(sums, position)
    expect(await all(ctx.query('select total from sums'))).toEqual([{ total: 5 }])
  })
})

describe.skipIf(!hasRqlite)('rqlite asks who comes', () => {
  const USERS = [{ username: 'kuma', password: 'p@ss:word', perms: ['all'] }]

  test('a wrong password is told, and never shown', async () => {
    const dir = folder()
    writeFileSync(join(dir, 'auth.json'), JSON.stringify(USERS))
    const node = await makeNode(dir, ['-auth', join(dir, 'auth.json')])
    onTestFinished(() => node.kill())
    await node.start()
    await ready(node.url, { authorization: `Basic ${Buffer.from('kuma:p@ss:word').toString('base64')}` })
    const { host } = new URL(node.url)
    const { run } = await shell()
    await run(['append', 'a', 'Set', 'n:=1'])
    const asked = (user: string) =>
      run(['query', 'select id from entities'], { env: { KUMA_RQLITE_URL: `http://${user}@${host}` } })
    expect(await asked('kuma:p%40ss%3Aword')).toMatchObject({ code: 0, stdout: '{"id":"a"}\n' })
    const refused = await asked('kuma:wr0ng-secret')
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not take the user or the password'),
    })
    expect(refused.stderr).not.toContain('wr0ng-secret')
    const malformed = await run(['query', 'select 1'], { env: { KUMA_RQLITE_URL: 'ftp://kuma:wr0ng-secret@x' } })
    expect(malformed).toMatchObject({ stderr: expect.stringContaining('the URL of rqlite cannot be read') })
    expect(malformed.stderr).not.toContain('wr0ng-secret')
  })

  test('over TLS, with a certificate of one’s own', async () => {
    const dir = folder()
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject],
      { stdio: 'ignore' },
    )
    const node = await makeNode(dir, ['-http-cert', cert, '-http-key', key], 'https')
    onTestFinished(() => node.kill())
    await node.start()
    const { run } = await shell()
    await run(['append', 'a', 'Set', 'n:=1'])
    const env = { KUMA_RQLITE_URL: node.url, NODE_EXTRA_CA_CERTS: cert }
    const asked = () => run(['query', 'select id from entities'], { env })
    let answer = await asked()
    while (answer.code !== 0 && /ECONNREFUSED|503/.test(answer.stderr)) answer = await asked()
    expect(answer).toMatchObject({ code: 0, stdout: '{"id":"a"}\n' })
    const unknown = await run(['query', 'select 1'], { env: { KUMA_RQLITE_URL: node.url } })
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/SELF_SIGNED|self-signed/) })
  })
})
