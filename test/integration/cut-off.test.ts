/** A daemon that stops in the middle of what gives many, and of what was sent: nothing ends as if it were all. */
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { request as ask, type IncomingMessage } from 'node:http'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import * as kuma from 'kuma'
import { describe, expect, onTestFinished, test } from 'vitest'
import { contextOf } from '../../src/context.ts'
import { Client, engineOf } from '../../src/daemon/client.ts'
import type { SubscriberInfo } from '../../src/daemon/host.ts'
import { ended, launch, ndjson } from '../cli.ts'
import { started, TOKEN, tokenFile } from '../daemon.ts'

const DISCONNECTED = expect.objectContaining({ name: 'KumaError', code: 'KUMA_DISCONNECTED' })
const MANY = 700
const LONG_AGO = 1_000_000_000_000

type Started = Awaited<ReturnType<typeof started>>

/** More of everything than a daemon sends unasked, and than fits into pipes and sockets. */
async function filled(words: readonly string[] = []): Promise<Started> {
  const made = await started(words)
  const text = 'x'.repeat(400)
  const line = (entity: string, n: number) => JSON.stringify({ entity, type: 'Set', data: { n, text } })
  const input = Array.from({ length: MANY }, (_, n) => `${line(`e${n}${text}`, n)}\n${line('one', n)}\n`).join('')
  const imported = await made.run(['import', '-'], { input })
  if (imported.code !== 0) throw new Error(imported.stderr)
  const ctx = await kuma.connect(made.store)
  await ctx.waitFor('entities', (await (await ctx.entity('one')).inspect()).position)
  await ctx.close()
  return made
}

/** Each call that gives many, by name. */
function listsOf(ctx: kuma.Context, entity: kuma.Entity): { [name: string]: AsyncIterable<unknown> } {
  return {
    entities: ctx.entities(),
    'entities that begin alike': ctx.entities({ prefix: 'e', limit: MANY - 100 }),
    inspectAll: ctx.inspectAll(),
    log: entity.log(),
    'log in reverse': entity.log({ reverse: true, limit: MANY - 100 }),
    'log from a time': entity.log({ from: { at: new Date(0) } }),
    replay: entity.replay({ from: { version: 3 } }),
    query: ctx.query('select a.id from entities a, entities b limit 150000'),
  }
}

async function all(list: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = []
  for await (const item of list) items.push(item)
  return items
}

/** Takes the first item at once, and the rest when it is asked to. */
async function begun(list: AsyncIterable<unknown>) {
  const iterator = list[Symbol.asyncIterator]()
  const items = [(await iterator.next()).value]
  const rest = async () => {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) items.push(next.value)
    return items
  }
  return { rest }
}

const stop = async ({ run, output }: Started) => {
  expect((await run(['stop'])).code).toBe(0)
  expect((await output).code).toBe(0)
}

describe('a list', () => {
  test('goes on with the next daemon, or says that it was cut off', { timeout: 120_000 }, async () => {
    const made = await filled()
    const ctx = await kuma.connect(made.store)
    onTestFinished(() => ctx.close())
    const entity = await ctx.entity('one')
    const wanted: Record<string, unknown[]> = {}
    for (const [name, list] of Object.entries(listsOf(ctx, entity))) wanted[name] = await all(list)
    const under = Object.entries(listsOf(ctx, entity)).map(async ([name, list]) => ({ name, ...(await begun(list)) }))
    const lists = await Promise.all(under)
    await stop(made)
    await made.start()
    for (const { name, rest } of lists) {
      if (name === 'query') await expect(rest(), name).rejects.toEqual(DISCONNECTED)
      else expect(await rest(), name).toEqual(wanted[name])
    }
  })

  test('of all events goes on among those of one time', async () => {
    const made = await started()
    const line = (n: number) =>
      JSON.stringify({ entity: `e${n % 7}`, type: 'Set', data: { n }, at: n < 900 ? LONG_AGO : LONG_AGO + 1 })
    await made.run(['import', '-'], { input: Array.from({ length: MANY }, (_, n) => `${line(n)}\n`).join('') })
    const engine = engineOf(await Client.connect(made.store))
    onTestFinished(() => engine.close())
    for (const query of [{}, { reverse: true }, { limit: 950 }]) {
      const wanted = await all(engine.log(query))
      const { rest } = await begun(engine.log(query))
      await stop(made)
      Object.assign(made, await made.start())
      expect(await rest()).toEqual(wanted)
    }
  })

  test('that went on among other entities is not taken for the same one', async () => {
    const made = await filled()
    const engine = engineOf(await Client.connect(made.store))
    onTestFinished(() => engine.close())
    const [log, others] = [await begun(engine.log({ id: 'one' })), await begun(engine.entities({ prefix: 'e' }))]
    await stop(made)
    expect((await made.run(['delete', 'one', '--yes'])).code).toBe(0)
    await made.run(['import', '-'], {
      input: Array.from({ length: MANY }, () => '{"entity":"one","type":"Set"}\n').join(''),
    })
    await made.start()
    await expect(log.rest()).rejects.toEqual(DISCONNECTED)
    expect(await others.rest()).toHaveLength(MANY)
  })

  test('of a client that does not come back ends with an error', async () => {
    const made = await filled()
    const ctx = contextOf(engineOf(await Client.connect(made.store, { reconnect: false })))
    const lists = listsOf(ctx, await ctx.entity('one'))
    const rests = await Promise.all(Object.values(lists).map(begun))
    await stop(made)
    for (const { rest } of rests) await expect(rest()).rejects.toEqual(DISCONNECTED)
  })

  test('of a daemon that is killed goes on as well', async () => {
    const made = await filled()
    const ctx = await kuma.connect(made.store)
    onTestFinished(() => ctx.close())
    const { rest } = await begun(ctx.entities({ prefix: 'e' }))
    made.daemon.kill('SIGKILL')
    await made.output
    await made.start()
    expect(new Set((await rest()).map((item) => (item as kuma.EntitySummary).id)).size).toBe(MANY)
  })

  test('of another store that stands there now is not gone on with', async () => {
    const made = await filled()
    const ctx = await kuma.connect(made.store)
    const { rest } = await begun(ctx.entities())
    const feed = ctx.subscribe()[Symbol.asyncIterator]()
    await feed.next()
    await stop(made)
    renameSync(made.store, `${made.store}-old`)
    await made.run(['init'])
    await made.start()
    await expect(rest()).rejects.toEqual(DISCONNECTED)
    const follow = async () => {
      while (!(await feed.next()).done);
    }
    await expect(follow()).rejects.toEqual(DISCONNECTED)
  })
})

describe('a command in a slow pipe', () => {
  const words = ['log', '--json']

  test('prints every line, once there is a daemon again', { timeout: 120_000 }, async () => {
    const made = await filled()
    const log = launch(words, { cwd: made.cwd })
    await once(log.stdout!, 'readable')
    await stop(made)
    await made.start()
    const { code, stdout } = await ended(log)
    expect(code).toBe(0)
    expect(new Set(ndjson(stdout).map(({ position }) => position)).size).toBe(2 * MANY)
  })

  test('or ends with exit code 1, and so does tail -f', { timeout: 120_000 }, async () => {
    const made = await filled()
    const both = [words, ['tail', '-f']].map((each) => launch(each, { cwd: made.cwd }))
    await Promise.all(both.map((each) => once(each.stdout!, 'readable')))
    await stop(made)
    for (const each of both) {
      const { code, stderr } = await ended(each)
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/in the middle of/) })
    }
  })
})

describe('a subscription', () => {
  test('comes back after a stop, in a program and in tail -f', async () => {
    const made = await started()
    const ctx = await kuma.connect(made.store)
    onTestFinished(() => ctx.close())
    const tail = launch(['tail', '-f'], { cwd: made.cwd })
    onTestFinished(() => void tail.kill('SIGKILL'))
    let told = ''
    tail.stdout!.setEncoding('utf8').on('data', (text: string) => (told += text))
    const feed = ctx.subscribe({ from: 'start' })[Symbol.asyncIterator]()
    const both = async (version: number) => {
      expect((await feed.next()).value).toMatchObject({ event: { version } })
      while (ndjson(told).length < version) await once(tail.stdout!, 'data')
      expect(ndjson(told).at(-1)).toMatchObject({ event: { version } })
    }
    await made.run(['append', 'a', 'Set', 'n=1'])
    await both(1)
    await stop(made)
    await made.start()
    await made.run(['append', 'a', 'Set', 'n=2'])
    await both(2)
  })

  test('has its place from the beginning, also where the daemon dies before the first item', async () => {
    const made = await started()
    for (const id of ['a', 'b']) await made.run(['append', id, 'Set', 'n:=0'])
    const client = await Client.connect(made.store)
    const ctx = contextOf(engineOf(client))
    onTestFinished(() => client.close())
    const options: kuma.SubscribeOptions[] = [
      { from: 'now' },
      { from: 'now', filter: { entity: 'a' } },
      { from: 'now', filter: { event: 'Set', type: 'document' } },
      { from: { at: new Date() } },
      { from: { version: 3 }, filter: { entity: 'a' } },
    ]
    const waiting = options.map(async (each) => {
      const heard: unknown[] = []
      for await (const item of ctx.subscribe(each)) {
        if (item.kind !== 'event') continue
        heard.push(item.event.data['n'])
        if (heard.at(-1) === 4) return heard.sort()
      }
      return heard
    })
    const places = async () => (await client.call<SubscriberInfo[]>('subscribers')).map(({ position }) => position)
    while ((await places()).filter((place) => place !== null).length < options.length);
    made.daemon.kill('SIGKILL')
    await made.output
    for (const [id, n] of ['a', 'b', 'a'].entries()) await made.run(['append', n, 'Set', `n:=${id + 1}`])
    await made.start()
    // the last one of the shard of each: who listens to one entity hears of it there
    await made.run(['append', 'b', 'Set', 'n:=5'])
    await made.run(['append', 'a', 'Set', 'n:=4'])
    const [all, one, filtered, time, from] = await Promise.all(waiting)
    expect(one).toEqual([1, 3, 4])
    expect(from).toEqual([3, 4])
    for (const each of [all, filtered, time]) expect(each).toEqual(expect.arrayContaining([1, 3, 4]))
    for (const each of [all, filtered, time]) expect(each).not.toContain(0)
  })
})

describe('what was sent when it stopped', () => {
  test('is answered, or done by the next daemon: of nothing it is said that nobody knows', async () => {
    const made = await started()
    const ctx = await kuma.connect(made.store)
    onTestFinished(() => ctx.close())
    const entity = await ctx.spawn(kuma.document, 'a', {})
    const appends = Array.from({ length: 10_000 }, (_, n) =>
      entity.append({ type: 'Set', data: { n, text: 'x'.repeat(500) } }),
    )
    for (const append of appends) append.catch(() => {})
    await appends[0]
    made.daemon.kill('SIGTERM')
    expect((await made.output).code).toBe(0)
    await made.start()
    const versions = (await Promise.all(appends)).map(({ version }) => version)
    expect(versions).toEqual(appends.map((_, n) => n + 2))
    expect((await entity.inspect()).version).toBe(appends.length + 1)
  }, 60_000)

  test('is refused for certain where no daemon comes', async () => {
    const made = await started()
    const ctx = contextOf(engineOf(await Client.connect(made.store, { reconnect: false })))
    const entity = await ctx.spawn(kuma.document, 'a', {})
    const appends = Array.from({ length: 10_000 }, (_, n) =>
      entity.append({ type: 'Set', data: { n, text: 'x'.repeat(500) } }),
    )
    const settled = Promise.allSettled(appends)
    await appends[0]
    made.daemon.kill('SIGTERM')
    const outcomes = (await settled).map((one) => (one.status === 'fulfilled' ? 'recorded' : one.reason.code))
    await made.output
    const { version } = JSON.parse((await made.run(['read', 'a', '--json'])).stdout)
    expect(outcomes.filter((one) => one === 'recorded')).toHaveLength(version - 1)
    expect(outcomes.filter((one) => one !== 'recorded' && one !== 'KUMA_CLOSED')).toEqual([])
  })

  test('is told of in the goodbye: the last call that was taken; a list does not end', async () => {
    const made = await filled()
    const socket = dial(join(made.store, 'kuma.sock'))
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    const say = (...messages: object[]) => socket.write(messages.map((one) => `${JSON.stringify(one)}\n`).join(''))
    say({ kuma: 1 }, { id: 4, call: 'log', params: { id: 'one' } }, { id: 7, call: 'feed', params: { follow: true } })
    say({ id: 6, call: 'find', params: { id: 'one' } })
    while (!text.includes('"id":6')) await once(socket, 'data')
    await stop(made)
    if (!socket.closed) await once(socket, 'close')
    const lines = ndjson(text)
    expect(lines.filter((line) => 'end' in line)).toEqual([])
    const [goodbye, ...cutOff] = lines.slice(-3)
    expect(goodbye).toEqual({ goodbye: 6 })
    expect(cutOff.sort((a, b) => Number(a['id']) - Number(b['id']))).toEqual([
      ...[4, 7].map((id) => ({ id, error: expect.objectContaining({ code: 'KUMA_DISCONNECTED' }) })),
    ])
  })

  test('and only waits for something is asked again', async () => {
    const made = await started()
    await made.run(['append', 'a', 'Set', 'n=1'])
    const client = await Client.connect(made.store)
    onTestFinished(() => client.close())
    const { position } = await engineOf(client).inspect('a')
    await client.call('waitFor', { projection: 'entities', position })
    await client.call('pauseProjection', { name: 'entities' })
    const appended = await made.run(['append', 'a', 'Set', 'n=2'])
    const waited = client.call('waitFor', {
      projection: 'entities',
      position: appended.stdout.trim().split(' ').at(-1),
    })
    await client.call('stats')
    await stop(made)
    await made.start()
    await client.call('resumeProjection', { name: 'entities' })
    expect(await waited).toBe(undefined)
  })
})

describe('over HTTP', () => {
  const open = async (store: string, path: string) => {
    const request = ask({ socketPath: join(store, 'kuma.sock'), path, agent: false })
    const [response] = (await once(request.end(), 'response')) as [IncomingMessage]
    return response
  }
  const outcome = async (response: IncomingMessage) => {
    const failed = response.toArray().then(
      () => 'whole',
      (error: NodeJS.ErrnoException) => error.code,
    )
    return failed
  }

  test('a list or a feed that is cut off does not look whole, and holds up no stop', async () => {
    const made = await filled()
    const paths = ['/v1/entities', '/v1/entities/one/log', '/v1/feed', '/v1/entities/one/export']
    const lists = await Promise.all(paths.map((path) => open(made.store, path)))
    await stop(made)
    for (const [i, list] of lists.entries()) expect(await outcome(list), paths[i]).toBe('ECONNRESET')
  })

  test('nor does it in HTTP/1.0, where the end of the connection is that of the answer', async () => {
    const made = await started()
    await stop(made)
    const file = tokenFile(made.cwd)
    const daemon = await made.start(['--listen', '127.0.0.1:0', '--token-file', file])
    const [host, port] = daemon.listening.address!.split(':') as [string, string]
    const socket = dial(Number(port), host)
    socket.write(`GET /v1/feed HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`)
    await once(socket, 'data')
    const failed = once(socket, 'end').catch((error: NodeJS.ErrnoException) => error.code)
    await stop({ ...made, ...daemon })
    expect(await failed).toBe('ECONNRESET')
  })

  test('a feed tells its place before there is an item, and an error has its status', async () => {
    const made = await started()
    await made.run(['append', 'a', 'Set', 'n=1'])
    const feed = await open(made.store, '/v1/feed?from=now&entity=a')
    const [chunk] = (await once(feed.setEncoding('utf8'), 'data')) as [string]
    const [, place] = /^id: (\S+)\n\n$/.exec(chunk)!
    feed.destroy()
    await made.run(['append', 'a', 'Set', 'n=2'])
    const next = await open(made.store, `/v1/feed?entity=a&from=${place}`)
    let text = ''
    next.setEncoding('utf8').on('data', (more: string) => (text += more))
    while (!text.includes('data:')) await once(next, 'data')
    expect(text).toContain('"version":2')
    expect(text).not.toContain('"version":1')
    next.destroy()
    expect((await open(made.store, '/v1/feed?from=000:99')).statusCode).toBe(400)
  })
})
