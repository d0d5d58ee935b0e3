/** The daemon over HTTP and over TCP: what curl gets, what is refused, and that the OpenAPI document tells the truth. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request as ask, type IncomingMessage } from 'node:http'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as kuma from 'kuma'
import { describe, expect, test } from 'vitest'
import { kuma as run } from '../cli.ts'
import { startDaemon, started, TOKEN, tokenFile } from '../daemon.ts'
import { folder } from '../folder.ts'
import { type Asked, http } from '../http.ts'

const SIGNED_UP = { events: [{ type: 'SignedUp', data: { plan: 'free' } }] }

describe('over the socket', () => {
  test('an entity is written, read, followed, exported and erased', async () => {
    const { store } = await started()
    const post = (body: unknown) => http(store, { method: 'POST', path: '/v1/entities/user%2F1/events', body })
    expect(JSON.parse((await post(SIGNED_UP)).text)).toMatchObject({ version: 1 })
    const changed = { events: [{ type: 'PlanChanged', data: { plan: 'pro' } }], expectedVersion: 1, requestKey: 'k' }
    expect(JSON.parse((await post(changed)).text)).toMatchObject({ version: 2 })
    expect(JSON.parse((await post(changed)).text)).toMatchObject({ version: 2, repeated: true })
    const get = async (path: string) => (await http(store, { path: `/v1/entities${path}` })).text
    expect(JSON.parse(await get('/user%2F1'))).toMatchObject({ id: 'user/1', version: 2, state: { plan: 'pro' } })
    expect(JSON.parse(await get('/user%2F1?at=v1'))).toMatchObject({ version: 1, state: { plan: 'free' } })
    const types = (text: string) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).type)
    expect(types(await get('/user%2F1/log?reverse&limit=5'))).toEqual(['PlanChanged', 'SignedUp'])
    expect(types(await get('/user%2F1/log?event=SignedUp&event=Other'))).toEqual(['SignedUp'])
    expect(types(await get('?prefix=user'))).toEqual(['document'])
    expect(JSON.parse(await get('/user%2F1/export'))).toMatchObject({ format: 'kuma-export/1', version: 2 })
    const erased = await http(store, { method: 'DELETE', path: '/v1/entities/user%2F1?reason=asked&by=joe' })
    expect(JSON.parse(erased.text)).toMatchObject({ erased: 2, reason: 'asked', by: 'joe', notReached: [] })
    expect((await http(store, { path: '/v1/entities/user%2F1' })).status).toBe(404)
  })

  test('the time of an event is text or milliseconds, and never seconds', async () => {
    const { store } = await started()
    const append = async (at: unknown) => {
      const events = [{ type: 'A', at }]
      const { status, text } = await http(store, { method: 'POST', path: '/v1/entities/e/events', body: { events } })
      return { status, text }
    }
    expect(await append('1969-07-20T20:17:40Z')).toMatchObject({
      status: 200,
      text: expect.stringContaining(`"at":${Date.UTC(1969, 6, 20, 20, 17, 40)}`),
    })
    expect((await append(1_000_000_000_000)).status).toBe(200)
    for (const at of [1_700_000_000, '2h ago', null])
      expect(await append(at)).toMatchObject({ status: 400, text: expect.stringContaining('the field at') })
  })

  test('the feed comes as it happens, and goes on from the last event that was seen', async () => {
    const { store } = await started()
    const post = (n: number) =>
      http(store, { method: 'POST', path: '/v1/entities/a/events', body: { events: [{ type: 'Set', data: { n } }] } })
    await post(1)
    const listen = async (headers: Record<string, string>) => {
      const request = ask({ socketPath: join(store, 'kuma.sock'), path: '/v1/feed?entity=a', headers, agent: false })
      const [response] = (await once(request.end(), 'response')) as [IncomingMessage]
      expect(response.headers['content-type']).toBe('text/event-stream')
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      const seen = () => [...text.matchAll(/^id: (.+)\nevent: (.+)\ndata: (.+)$/gm)]
      const next = async (count: number) => {
        while (seen().length < count) await once(response, 'data')
        return seen().map(([, id, kind, data]) => ({ id: id!, kind, n: JSON.parse(data!).event?.data.n }))
      }
      return { next, leave: () => request.destroy() }
    }
    const first = await listen({})
    expect(await first.next(1)).toMatchObject([{ kind: 'event', n: 1 }])
    await post(2)
    const [, last] = await first.next(2)
    first.leave()
    await post(3)
    const second = await listen({ 'last-event-id': last!.id })
    expect(await second.next(1)).toMatchObject([{ n: 3 }])
    await http(store, { method: 'DELETE', path: '/v1/entities/a' })
    expect((await second.next(2))[1]).toMatchObject({ kind: 'erased' })
    second.leave()
  })

  test('curl', async () => {
    const { store } = await started()
    const curl = async (...words: string[]) => {
      const { stdout } = await promisify(execFile)('curl', ['-s', '--unix-socket', join(store, 'kuma.sock'), ...words])
      return JSON.parse(stdout)
    }
    const json = ['-H', 'content-type: application/json', '-d']
    expect(await curl(...json, JSON.stringify(SIGNED_UP), 'http://kuma/v1/entities/a/events')).toMatchObject({
      version: 1,
    })
    expect(await curl('http://kuma/v1/entities/a')).toMatchObject({ state: { plan: 'free' } })
    const large = { events: [{ type: 'Set', data: { text: 'x'.repeat(900_000) } }] }
    const sent = promisify(execFile)('curl', [
      '-s',
      '--unix-socket',
      join(store, 'kuma.sock'),
      ...json,
      '@-',
      'http://kuma/v1/entities/a/events',
    ])
    sent.child.stdin!.end(JSON.stringify(large)) // curl asks first whether so much may be sent
    expect(JSON.parse((await sent).stdout)).toMatchObject({ version: 2 })
  })

  test.each<[what: string, Asked, status: number, text: string]>([
    ['an unknown path', { path: '/v1/entity/a' }, 404, 'no such path'],
    ['an unknown entity', { path: '/v1/entities/nobody' }, 404, 'KUMA_NOT_FOUND'],
    ['another method', { method: 'PUT', path: '/v1/entities/a', body: {} }, 405, 'no PUT'],
    ['an unknown parameter', { path: '/v1/entities/a?as=v1' }, 400, 'takes no \\"as\\"'],
    ['a parameter twice', { path: '/v1/entities/a?at=v1&at=v2' }, 400, 'twice'],
    ['a limit that is none', { path: '/v1/entities/a/log?limit=many' }, 400, 'whole number'],
    ['a point that is none', { path: '/v1/entities/a?at=whenever' }, 400, 'KUMA_INVALID_POINT'],
    ['a parameter that every object has', { path: '/v1/entities/a?constructor=1' }, 400, 'takes no \\"constructor\\"'],
    ['__proto__ as a parameter', { path: '/v1/entities/a?__proto__=1' }, 400, 'takes no \\"__proto__\\"'],
    ['a parameter of a path without any', { path: '/healthz?toString' }, 400, 'takes no \\"toString\\"'],
    ['a parameter with half an escape', { path: '/v1/entities?prefix=50%' }, 400, 'without two hexadecimal digits'],
    ['an id that is none', { path: '/v1/entities/a%00b' }, 400, 'KUMA_INVALID_ID'],
    ['an id that is not UTF-8', { path: '/v1/entities/M%fcller' }, 400, 'the id is not UTF-8: byte 0xfc at offset 1'],
    ['an id with half an escape', { path: '/v1/entities/50%' }, 400, 'without two hexadecimal digits'],
    ['a body that is no JSON', { method: 'POST', path: '/v1/entities/a/events', body: '{' }, 400, 'KUMA_INVALID_DATA'],
    [
      'a key that stands twice',
      { method: 'POST', path: '/v1/entities/a/events', body: '{"events":[],"events":[]}' },
      400,
      'twice',
    ],
    ['a list', { method: 'POST', path: '/v1/entities/a/events', body: [] }, 400, 'must be a JSON object'],
    ['no events', { method: 'POST', path: '/v1/entities/a/events', body: {} }, 400, 'needs events'],
    [
      'a number that JSON loses',
      {
        method: 'POST',
        path: '/v1/entities/a/events',
        body: '{"events":[{"type":"X","data":{"n":9007199254740993}}]}',
      },
      400,
      'KUMA_INVALID_DATA',
    ],
    [
      'a conflict',
      { method: 'POST', path: '/v1/entities/a/events', body: { ...SIGNED_UP, expectedVersion: 7 } },
      409,
      'KUMA_CONFLICT',
    ],
    [
      'a form, as a web page could send it',
      {
        method: 'POST',
        path: '/v1/entities/a/events',
        headers: { 'content-type': 'text/plain' },
        body: JSON.stringify(SIGNED_UP),
      },
      415,
      'application/json',
    ],
    [
      'a web page',
      { method: 'POST', path: '/v1/entities/a/events', headers: { origin: 'https://example.org' }, body: SIGNED_UP },
      403,
      'KUMA_FORBIDDEN',
    ],
    [
      'more than 16 MiB',
      { method: 'POST', path: '/v1/entities/a/events', body: `"${'x'.repeat(17 * 1024 * 1024)}"` },
      413,
      '16 MiB',
    ],
  ])('%s is refused', async (_, asked, status, text) => {
    const { store } = await started()
    const answer = await http(store, asked)
    expect({ status: answer.status, text: answer.text }).toEqual({ status, text: expect.stringContaining(text) })
    expect((await http(store, { path: '/healthz' })).text).toBe('{"status":"healthy"}\n')
  })

  test('a number is taken when its digits come back, in a body and as a parameter', async () => {
    const { store } = await started()
    const path = '/v1/entities/a/events'
    const post = (n: string) =>
      http(store, { method: 'POST', path, body: `{"events":[{"type":"Set","data":{"n":[${n}]}}]}` })
    for (const lossy of ['9007199254740993', '0.1234567890123456789']) {
      const { status, text } = await post(lossy)
      expect(JSON.parse(text).error).toMatchObject({
        code: 'KUMA_INVALID_DATA',
        details: { path: '.events[0].data.n[0]' },
      })
      expect(status).toBe(400)
      expect(await http(store, { path: `/v1/query?sql=select+?&param=:=${lossy}` })).toMatchObject({ status: 400 })
    }
    expect(await post('6.02214076e23,1e16,1E30,333333333.33333329')).toMatchObject({ status: 200 })
    const { text } = await http(store, { path: '/v1/entities/a' })
    expect(JSON.parse(text).state).toEqual({ n: [6.02214076e23, 1e16, 1e30, 333333333.3333333] })
    expect((await http(store, { path: '/v1/query?sql=select+?+as+n&param=:=1e16' })).text).toBe(
      '{"n":10000000000000000}\n',
    )
  })

  test('an expected version of the wrong kind, or misspelt, is 400 and no conflict', async () => {
    const { store } = await started()
    const post = async (what: string, body: string) => {
      const { status, text } = await http(store, { method: 'POST', path: `/v1/entities/a/${what}`, body })
      return { status, ...JSON.parse(text).error }
    }
    await post('events', JSON.stringify(SIGNED_UP))
    for (const version of ['"1"', 'null', '2.5', '-1', '1e400']) {
      const wrong = { status: 400, code: 'KUMA_INVALID_REQUEST', message: expect.stringContaining('expectedVersion') }
      expect(await post('events', `{"events":[{"type":"X"}],"expectedVersion":${version}}`)).toMatchObject(wrong)
      expect(await post('commands', `{"command":{"type":"X"},"expectedVersion":${version}}`)).toMatchObject(wrong)
    }
    const meant = { status: 400, hint: 'did you mean expectedVersion?' }
    expect(await post('events', '{"events":[{"type":"X"}],"expectVersion":1}')).toMatchObject(meant)
    const { text } = await http(store, { path: '/v1/entities/a/log?form=v1' })
    expect(text).toContain('did you mean from?')
    expect(await post('events', '{"events":[{"type":"X"}],"expectedVersion":1}')).toMatchObject({ status: 200 })
  })

  test('a query is all that stands behind the first question mark, and an id may be ..', async () => {
    const { store } = await started()
    const at = async (path: string, asked: Partial<Asked> = {}) => (await http(store, { ...asked, path })).text
    for (const id of ['a%3Fb', 'a1', '%2E%2E'])
      await at(`/v1/entities/${id}/events`, { method: 'POST', body: SIGNED_UP })
    const ids = (text: string) => Array.from(text.matchAll(/"id":"(.*?)"/g), ([, id]) => id)
    expect(ids(await at('/v1/entities?prefix=a?b'))).toEqual(['a?b'])
    expect(ids(await at('/v1/query?sql=select+id+from+entities+where+id=?&param=a1'))).toEqual(['a1'])
    expect(ids(await at('/v1/entities/%2E%2E'))).toEqual(['..'])
    expect(ids(await at('/v1/entities/..'))).toEqual(['..'])
    const receipt = await at('/v1/entities/a%3Fb?reason=asked?&by=ann', { method: 'DELETE' })
    expect(JSON.parse(receipt)).toMatchObject({ reason: 'asked?', by: 'ann' })
    expect(ids(await at('/v1/entities?prefix=a'))).toEqual(['a1'])
  })

  test('garbage is told so, half a request ends with its connection', async () => {
    const { store } = await started()
    const socket = dial(join(store, 'kuma.sock'))
    socket.write('hello\r\n\r\n')
    const [said] = (await once(socket, 'data')) as [Buffer]
    expect(said.toString()).toMatch(/^HTTP\/1.1 400 /)
    await once(socket, 'close')
    const half = dial(join(store, 'kuma.sock'))
    half.end(
      'POST /v1/entities/a/events HTTP/1.1\r\nhost: kuma\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"ev',
    )
    half.resume()
    await once(half, 'close')
    expect((await http(store, { path: '/healthz' })).status).toBe(200)
  })

  test('stop answers what is under way, and ends event streams', async () => {
    const { store, run, output } = await started()
    const request = ask({ socketPath: join(store, 'kuma.sock'), path: '/v1/feed', agent: false })
    const [stream] = (await once(request.end(), 'response')) as [IncomingMessage]
    stream.resume().on('error', () => {}) // it is cut off, and does not look as if it were done
    const posts = Array.from({ length: 50 }, () =>
      http(store, { method: 'POST', path: '/v1/entities/a/events', body: SIGNED_UP }),
    )
    await posts[0]
    expect((await run(['stop'])).code).toBe(0)
    if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
    expect(stream.complete).toBe(false)
    const settled = await Promise.allSettled(posts)
    const acknowledged = settled.filter((one) => one.status === 'fulfilled' && one.value.status === 200)
    expect((await output).code).toBe(0)
    // one of them is told at least of what was recorded; what was refused was not
    expect(JSON.parse((await run(['read', 'a', '--json'])).stdout).version).toBeGreaterThanOrEqual(acknowledged.length)
  })

  test('what is wrong with a body is told with its field', async () => {
    const { store } = await started()
    const refused = async (body: object) =>
      JSON.parse((await http(store, { method: 'POST', path: '/v1/entities/a/events', body })).text).error
    expect(await refused({ events: [{ type: 'A' }, { tpe: 'A' }] })).toMatchObject({
      message: expect.stringContaining('its events[1].type is'),
      details: { field: 'events[1].type' },
    })
    expect(await refused({ events: [], requestkey: 'k' })).toMatchObject({
      hint: 'did you mean requestKey?',
      details: { field: 'requestkey' },
    })
    expect(await refused({ event: [] })).toMatchObject({ details: { field: 'events' } })
  })

  test('metrics are in the format of Prometheus', async () => {
    const { store, run } = await started()
    await run(['append', 'a', 'Set'])
    const { headers, text } = await http(store, { path: '/metrics' })
    expect(headers['content-type']).toMatch(/^text\/plain; version=0.0.4/)
    expect(text).toMatch(/^# TYPE kuma_events_total counter\nkuma_events_total 1$/m)
    expect(text).toMatch(/^kuma_commit_seconds\{quantile="0.99"\} 0.\d+$/m)
    expect(text).toMatch(/^kuma_commit_seconds_count 1$/m)
    expect(text).toMatch(/^kuma_wal_bytes\{shard="1"\} \d+$/m)
    // its rules: a `quantile` is a summary's, and only what counts ends with `_total`; .ci/run asks for all of them
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({ name: name!, type: type! }))
    const summaries = types.filter(({ type }) => type === 'summary').map(({ name }) => name)
    const quantiled = [...text.matchAll(/^(\w+)\{[^}]*quantile=/gm)].map(([, name]) => name)
    expect([...new Set(quantiled)]).toEqual(summaries)
    expect(types.filter(({ name, type }) => name.endsWith('_total') !== (type === 'counter'))).toEqual([])
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m)
    await run(['append', 'a', 'Set'])
    expect((await http(store, { path: '/metrics' })).text).toMatch(/^kuma_events_total 2$/m)
  })

  test('a log never holds what an event or an id does', async () => {
    const { store, run, output } = await started(['--log-level', 'debug'])
    const body = { events: [{ type: 'Set', data: { secret: 'Pomegranate' }, meta: { by: 'Persephone' } }] }
    await http(store, { method: 'POST', path: '/v1/entities/Eurydice/events', body })
    await http(store, { path: '/v1/entities/Eurydice?at=v9' })
    await http(store, { method: 'POST', path: '/v1/entities/Eurydice/events', body: '{"Pomegranate"' })
    await run(['append', 'Eurydice', 'Set', 'secret=Pomegranate', '--expect-version', '9'])
    await run(['delete', 'Eurydice', '--yes'])
    await run(['stop'])
    const { stderr } = await output
    expect(stderr).toContain('/v1/entities/:id/events')
    for (const word of ['Pomegranate', 'Persephone', 'Eurydice']) expect(stderr).not.toContain(word)
  })
})

describe('the OpenAPI document', () => {
  test('tells what the server answers, of every route', async () => {
    const { store } = await started()
    const document = JSON.parse((await http(store, { path: '/openapi.json' })).text)
    const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } })
    ajv.addSchema(document, 'openapi')
    const seen = new Set<string>()
    const check = async (
      method: string,
      path: string,
      words: Omit<Asked, 'path'> & { id?: string; query?: string } = {},
    ) => {
      const { id = 'a', query = '', ...asked } = words
      const answer = await http(store, {
        ...asked,
        method: method.toUpperCase(),
        path: path.replace('{id}', id) + query,
      })
      const responses = document.paths[path][method].responses
      const told = responses[answer.status]
      if (told === undefined) throw new Error(`${method} ${path}: ${answer.status} is not told of`)
      const [type] = answer.headers['content-type']!.split(';')
      const { schema } = told.content[type!]
      const validate = ajv.compile(
        schema.$ref === undefined ? schema : { $ref: `openapi${schema.$ref.replace('#/', '#/')}` },
      )
      const values =
        type === 'application/json'
          ? [JSON.parse(answer.text)]
          : type === 'application/x-ndjson'
            ? answer.text
                .trimEnd()
                .split('\n')
                .map((line) => JSON.parse(line))
            : []
      for (const value of values) {
        validate(value)
        expect(validate.errors, `${method} ${path} ${answer.status} ${answer.text}`).toBe(null)
      }
      seen.add(`${method} ${path}`)
      return answer.status
    }
    const events = [{ type: 'Set', data: { n: 1 }, meta: { by: 'joe' } }]
    expect(await check('post', '/v1/entities/{id}/events', { body: { events, requestKey: 'k' } })).toBe(200)
    expect(await check('post', '/v1/entities/{id}/events', { body: { events, requestKey: 'k' } })).toBe(200)
    expect(await check('post', '/v1/entities/{id}/events', { body: { events, expectedVersion: 9 } })).toBe(409)
    expect(await check('post', '/v1/entities/{id}/events', { body: { events: 1 } })).toBe(400)
    expect(await check('post', '/v1/entities/{id}/commands', { body: { command: { type: 'Do' } } })).toBe(400)
    expect(await check('post', '/v1/entities/{id}/commands', { id: 'b', body: { command: { type: 'Do' } } })).toBe(400)
    expect(await check('get', '/v1/entities')).toBe(200)
    expect(await check('get', '/v1/entities/{id}')).toBe(200)
    expect(await check('get', '/v1/entities/{id}', { id: 'b' })).toBe(404)
    expect(await check('get', '/v1/entities/{id}/log')).toBe(200)
    expect(await check('get', '/v1/entities/{id}/log', { query: '?from=x' })).toBe(400)
    expect(await check('get', '/v1/entities/{id}/export')).toBe(200)
    expect(await check('get', '/v1/query', { query: '?sql=select%20*%20from%20entities' })).toBe(200)
    expect(await check('get', '/v1/query', { query: '?sql=drop%20table%20entities' })).toBe(400)
    expect(await check('delete', '/v1/entities/{id}')).toBe(200)
    expect(await check('get', '/healthz')).toBe(200)
    expect(await check('get', '/metrics')).toBe(200)
    expect(await check('get', '/openapi.json')).toBe(200)
    expect(await check('get', '/v1/feed', { query: '?from=nowhere' })).toBe(400) // its items are checked below
    const all = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item as object).map((method) => `${method} ${path}`),
    )
    expect([...seen].sort()).toEqual(all.sort())
    const operations = Object.values(document.paths).flatMap((item) => Object.values(item as object))
    const names = operations.map(({ operationId }) => operationId as string)
    expect(names).toContain('postEntitiesByIdEvents')
    expect(new Set(names).size).toBe(all.length)
    for (const { responses, requestBody } of operations) {
      expect(Object.keys(responses)).toContain('400')
      expect('415' in responses).toBe(requestBody !== undefined)
    }
    // every schema that is named is there, and is one
    for (const name of Object.keys(document.components.schemas))
      expect(ajv.compile({ $ref: `openapi#/components/schemas/${name}` })).toBeTypeOf('function')
    const ctx = await kuma.connect(store)
    await ctx.spawn(kuma.document, 'c', {})
    for await (const item of ctx.subscribe({ from: 'start' })) {
      const validate = ajv.compile({ $ref: 'openapi#/components/schemas/FeedItem' })
      validate(item)
      expect(validate.errors).toBe(null)
      if (item.kind === 'event') break
    }
    await ctx.close()
  })
})

describe('over TCP', () => {
  async function listening() {
    const made = await started()
    await made.run(['stop'])
    const file = tokenFile(made.cwd)
    const running = await startDaemon(made.cwd, ['--listen', '127.0.0.1:0', '--token-file', file])
    const address = running.listening.address!
    const [host, port] = address.split(':') as [string, string]
    return { ...made, ...running, file, url: `tcp://${address}`, where: { host, port: Number(port) } }
  }

  test('programs, commands and curl work with the token', async () => {
    const { url, file, where, cwd, output } = await listening()
    const elsewhere = folder()
    const shell = (...words: string[]) => run([...words, '--url', url, '--token-file', file], { cwd: elsewhere })
    expect((await shell('append', 'a', 'Set', 'n=1')).stdout).toMatch(/^ok a v1/)
    expect((await run(['read', 'a'], { cwd: elsewhere, env: { KUMA_URL: url, KUMA_TOKEN_FILE: file } })).stdout).toBe(
      '{"n":"1"}\n',
    )
    expect((await shell('export', 'a')).stdout).toContain('kuma-export/1')
    expect((await shell('status')).stdout).toContain(`listening on ${url.slice('tcp://'.length)}`)
    const ctx = await kuma.connect(url, { tokenFile: file })
    const entity = await ctx.entity(kuma.document, 'a')
    expect(await entity.read()).toEqual({ n: '1' })
    await expect(ctx.backup()).rejects.toMatchObject({ code: 'KUMA_USAGE' })
    await ctx.close()
    const headers = { authorization: `Bearer ${TOKEN}` }
    expect((await http(where, { path: '/v1/entities/a', headers })).status).toBe(200)
    // here it is the files that count
    expect((await run(['verify'], { cwd })).code).toBe(0)
    expect(await shell('verify')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('verify works on the files'),
    })
    const input = 'append b Set n=2\nread b\nverify\n'
    const typed = await run(['shell', '--url', url, '--token-file', file], { cwd: elsewhere, input })
    expect(typed).toMatchObject({ code: 2, stdout: expect.stringContaining('{"n":"2"}') })
    expect(typed.stderr).toContain('verify works on the files')
    expect((await shell('stop')).code).toBe(0)
    expect((await output).code).toBe(0)
  })

  test('nothing works without it, or under another name', async () => {
    const { url, cwd, where } = await listening()
    const wrong = tokenFile(folder(), 'f'.repeat(32))
    const short = tokenFile(folder(), 'short')
    const open = tokenFile(folder(), TOKEN, 0o644)
    const read = async (...words: string[]) => run(['read', 'a', '--url', url, ...words], { cwd })
    for (const words of [[], ['--token-file', wrong]])
      expect(await read(...words)).toMatchObject({ code: 2, stderr: expect.stringContaining('missing or wrong') })
    expect(await read('--token-file', short)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('16 characters'),
    })
    expect(await read('--token-file', open)).toMatchObject({ code: 2, stderr: expect.stringContaining('chmod 600') })
    await expect(kuma.connect(url)).rejects.toMatchObject({ code: 'KUMA_UNAUTHORIZED' })
    await expect(kuma.connect('http://127.0.0.1:1')).rejects.toMatchObject({ code: 'KUMA_USAGE' })
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await http(where, { path, headers })).status
    for (const path of ['/v1/entities', '/metrics', '/openapi.json', '/v1/feed', '/healthz/../metrics'])
      expect(await status(path)).toBe(401)
    expect(await status('/v1/entities', { authorization: `Bearer ${TOKEN}x` })).toBe(401)
    expect(await status('/v1/entities', { authorization: `Basic ${TOKEN}` })).toBe(401)
    expect(await status('/healthz')).toBe(200)
    const headers = { authorization: `Bearer ${TOKEN}` }
    expect(await status('/v1/entities', { ...headers, host: 'rebound.example' })).toBe(403)
    expect(await status('/v1/entities', { ...headers, host: 'localhost:7070' })).toBe(200)
    expect(await status('/v1/entities', { ...headers, origin: 'http://localhost' })).toBe(403)
    const socket = dial(where.port, where.host)
    socket.write('{"kuma":1}\n{"id":1,"call":"stop"}\n')
    const [said] = (await once(socket, 'data')) as [Buffer]
    expect(JSON.parse(said.toString())).toMatchObject({ error: { code: 'KUMA_UNAUTHORIZED' } })
    expect(await status('/healthz')).toBe(200)
  })

  test('it is not opened by mistake', async () => {
    const { run, cwd, store } = await started()
    await run(['stop'])
    const file = tokenFile(cwd)
    const start = (...words: string[]) => run(['start', ...words])
    expect(await start('--listen', '127.0.0.1:0')).toMatchObject({ code: 2, stderr: expect.stringContaining('token') })
    expect(await start('--listen', '0.0.0.0:0', '--token-file', file)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--insecure-bind'),
    })
    expect(await start('--listen', 'nonsense', '--token-file', file)).toMatchObject({ code: 2 })
    expect(await start('--insecure-bind')).toMatchObject({ code: 2 })
    expect((await start('--listen', '127.0.0.1:0', '--token-file', join(cwd, 'none'))).stderr).toContain('openssl rand')
    // a port that is taken: nothing is left behind
    const { daemon, listening } = await startDaemon(cwd, ['--listen', '127.0.0.1:0', '--token-file', file])
    const other = folder()
    await run(['init', join(other, 'kuma-data')])
    const taken = await run([
      'start',
      '--listen',
      listening.address!,
      '--token-file',
      file,
      '--dir',
      join(other, 'kuma-data'),
    ])
    expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining(listening.address!) })
    daemon.kill('SIGTERM')
    await once(daemon, 'close')
    const wide = await startDaemon(cwd, ['--listen', '0.0.0.0:0', '--token-file', file, '--insecure-bind'])
    expect(wide.listening.address).toMatch(/^0\.0\.0\.0:\d+$/)
    expect(readFileSync(join(store, 'kuma.json'), 'utf8')).toContain('"format"')
  })
})
