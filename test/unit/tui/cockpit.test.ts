/** What the cockpit shows of a look, and what its keys do, through ink as it is drawn. */
import { EventEmitter } from 'node:events'
import { Chalk } from 'chalk'
import { render } from 'ink-testing-library'
import { createElement } from 'react'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { App } from '../../../src/tui/app.ts'
import { Cockpit, type CockpitOptions } from '../../../src/tui/cockpit.ts'
import type { ActorRow, EntityLook, Look, Source, Wanted } from '../../../src/tui/look.ts'

const spread = (p50: number, p99: number) => ({ p50, p99 })

const ACTORS: readonly ActorRow[] = Array.from({ length: 120 }, (_, n) => ({
  id: n === 2 ? 'ユーザー_三' : n === 3 ? `order_${'9'.repeat(60)}` : `user_${String(n).padStart(4, '0')}`,
  type: n % 3 === 0 ? 'account' : 'document',
  shard: n % 16,
  state: (['idle', 'busy', 'loading', 'draining'] as const)[n % 4]!,
  mailbox: n % 4 === 1 ? n : 0,
  eventsPerSecond: 1_000 / (n + 1),
  version: 12_345 - n,
  ackMs: n % 5 === 4 ? null : spread(0.42 + n, 4.2 + n),
  ageSeconds: 37 * n,
  idleSeconds: n,
}))

const LOOK: Look = {
  at: Date.UTC(2026, 2, 3, 12, 34, 56),
  status: {
    pid: 4711,
    address: '127.0.0.1:7070',
    clients: 3,
    subscribers: 1,
    memoryBytes: 123_456_789,
    isConfigStale: false,
    isPackageReplaced: false,
    isHealthy: true,
    projections: [
      {
        name: 'entities',
        state: 'following',
        generation: 2,
        lagEvents: 0,
        lagSeconds: 0,
        eventsPerSecond: 12_345,
        error: null,
        building: { isTrial: false, lagEvents: 5_000 },
      },
      {
        name: 'accounts',
        state: 'failed',
        generation: 1,
        lagEvents: 1_234_567,
        lagSeconds: 93,
        eventsPerSecond: 0,
        error: { message: 'balance must be a whole number', position: '003:1284' },
        building: null,
      },
    ],
    slowCalls: [],
    stats: {
      uptimeMs: 93_784_000,
      actors: 120,
      loading: 2,
      waiting: 5,
      appendsPending: 64,
      eventsPerSecond: 12_345.6,
      readsPerSecond: 4.25,
      commitEvents: spread(312, 512),
      commitMs: spread(2.123, 8.9),
      walBytes: 16_234_567,
      eventLoopDelayMs: spread(0.1, 1.23),
      poisonedShards: [],
    },
  },
  shards: Array.from({ length: 4 }, (_, shard) => ({
    shard,
    entities: 5_000 + shard,
    lastSeq: 1_234_567 * shard,
    pending: shard,
    bytes: 10 ** (4 + shard),
    walBytes: 4_096 * shard,
    isPoisoned: shard === 3,
  })),
  total: 120,
  matching: 120,
  actors: ACTORS,
  clients: [
    {
      id: 1,
      protocol: 'ndjson',
      from: 'unix',
      since: '2026-03-03T12:00:00.000Z',
      calls: 98_765,
      underWay: 64,
      bytesIn: 12_345,
      bytesOut: 6_789,
    },
    {
      id: 2,
      protocol: 'http',
      from: '127.0.0.1:50000',
      since: '2026-03-03T12:30:00.000Z',
      calls: 7,
      underWay: 0,
      bytesIn: 900,
      bytesOut: 1_800,
    },
  ],
  subscribers: [
    {
      client: 1,
      entity: null,
      entityTypes: ['account'],
      events: [],
      since: '2026-03-03T12:00:00.000Z',
      items: 5_000,
      lagEvents: 42,
    },
  ],
}

const STATES = Array.from({ length: 9 }, (_, i) => ({ plan: i % 2 === 0 ? 'free' : 'pro', seats: i }))

/** A store at rest: what it tells is always the same, but for what it was asked. */
class Still extends EventEmitter implements Source {
  readonly name = '/var/lib/kuma/kuma-data'
  wanted: Wanted[] = []
  done: string[] = []
  look0: Look | null = LOOK
  last = STATES.length

  async look(wanted: Wanted): Promise<Look | null> {
    this.wanted.push(wanted)
    if (this.look0 === null) return null
    const found = this.look0.actors.filter(({ id }) => id.includes(wanted.filter))
    const actors = found.slice(wanted.offset, wanted.offset + wanted.limit)
    return { ...this.look0, matching: found.length, actors }
  }

  async useFiles(): Promise<void> {
    this.look0 = { ...LOOK, status: null }
  }

  async entity(id: string, version: number | null): Promise<EntityLook> {
    const at = version ?? this.last
    const events = STATES.slice(0, at).map((data, i) => ({
      version: i + 1,
      at: LOOK.at + i,
      type: 'PlanChanged',
      data,
      by: i === 0 ? 'ann' : null,
    }))
    return {
      id,
      type: 'account',
      version: at,
      at: LOOK.at,
      state: STATES[at - 1],
      actor: ACTORS[0]!,
      events: events.reverse(),
    }
  }

  async diff(_: string, from: number, to: number) {
    return [{ op: 'replace' as const, path: '/seats', text: `${from - 1} -> ${to - 1}` }]
  }

  follow(_: string, signal: AbortSignal, moved: () => void): Promise<void> {
    this.on('moved', moved)
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
  }

  async passivate(id: string) {
    this.done.push(`passivate ${id}`)
    return `${id} has left the memory`
  }

  async snapshot(id: string) {
    this.done.push(`snapshot ${id}`)
    return 'kept'
  }

  async drain() {
    this.done.push('drain')
    return 'ending'
  }
}

async function cockpit(options: Partial<CockpitOptions> = {}, source = new Still()) {
  const onQuit = vi.fn()
  const made = new Cockpit(source, {
    intervalMs: 3_600_000,
    isReadOnly: false,
    color: new Chalk({ level: 0 }),
    onQuit,
    ...options,
  })
  onTestFinished(() => made.stop())
  await made.start()
  return { cockpit: made, source, onQuit }
}

/** As ink draws it: on 100 columns and 24 rows. */
async function drawn(options: Partial<CockpitOptions> = {}, source = new Still()) {
  const made = await cockpit(options, source)
  const suspend = vi.fn()
  const { stdin, lastFrame, unmount } = render(createElement(App, { cockpit: made.cockpit, suspend }))
  onTestFinished(unmount)
  await vi.waitFor(() => expect(lastFrame()).toContain('kuma top'))
  const frame = () => lastFrame()!
  const shows = (text: string | RegExp) =>
    vi.waitFor(
      () => (typeof text === 'string' ? expect(frame()).toContain(text) : expect(frame()).toMatch(text)),
      10_000,
    )
  return { ...made, suspend, frame, shows, type: (keys: string) => stdin.write(keys) }
}

describe.each([
  [80, 24],
  [200, 60],
  [40, 10],
])('at %i columns and %i rows', (columns, rows) => {
  const size = { columns, rows }
  const frameOf = async (name: string, keys: readonly (readonly [string, object])[]) => {
    const { cockpit: made } = await cockpit()
    made.lines(size) // from then on the page is what there is room for
    for (const [input, key] of keys) {
      made.press(input, key)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await new Promise((resolve) => setImmediate(resolve))
    const lines = made.lines(size)
    expect(lines.length).toBeLessThan(rows)
    await expect(`${lines.map((line) => line.trimEnd()).join('\n')}\n`).toMatchFileSnapshot(
      `frames/${columns}x${rows}-${name}.txt`,
    )
  }

  test('actors', () => frameOf('actors', []))
  test('shards', () => frameOf('shards', [['2', {}]]))
  test('clients', () => frameOf('clients', [['3', {}]]))
  test('subscribers', () => frameOf('subscribers', [['4', {}]]))
  test('projections', () => frameOf('projections', [['5', {}]]))
  test('an actor', () => frameOf('entity', [['', { return: true }]]))
  test('help', () => frameOf('help', [['?', {}]]))
})

test.each([
  [1, 1],
  [3, 2],
  [2, 40],
  [500, 3],
  [20, 5],
])('%i columns and %i rows break nothing', async (columns, rows) => {
  const { cockpit: made } = await cockpit()
  for (const keys of ['', '2', '3', '4', '1', '?']) {
    made.press(keys, {})
    const lines = made.lines({ columns, rows })
    expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1))
  }
  made.press(' ', {})
  made.press('', { return: true })
  await new Promise((resolve) => setImmediate(resolve))
  expect(made.lines({ columns, rows }).length).toBeLessThanOrEqual(Math.max(1, rows - 1))
})

describe('keys', () => {
  test('move through the actors, page by page, down to the last', async () => {
    const { type, shows, source, frame } = await drawn()
    type('\x1b[B')
    type('\x1b[B')
    type('\x1b[6~')
    await vi.waitFor(() => expect(source.wanted.at(-1)!.offset).toBeGreaterThan(0))
    type('\x1b[F')
    await shows('user_0119')
    type('\x1b[H')
    await shows('user_0000')
    expect(frame()).not.toContain('user_0119')
  })

  test('sort by any column, either way', async () => {
    const { type, source, shows } = await drawn()
    await shows('EV/S▼')
    type('>')
    await shows('ID▲')
    type('r')
    await shows('ID▼')
    expect(source.wanted.at(-1)).toMatchObject({ sort: 'id', reverse: true })
    for (let n = 0; n < 9; n++) type('>')
    await vi.waitFor(() => expect(source.wanted.at(-1)).toMatchObject({ sort: 'idle' }))
    expect(new Set(source.wanted.map(({ sort }) => sort)).size).toBeGreaterThanOrEqual(2)
  })

  test('filter, also when it is pasted', async () => {
    const { type, shows, source, frame } = await drawn()
    type('/010')
    await shows('/010_')
    type('\r')
    await vi.waitFor(() => expect(frame()).not.toContain('user_0000'))
    await shows('user_0104')
    expect(source.wanted.at(-1)).toMatchObject({ filter: '010', offset: 0 })
    type('\x1b')
    await shows('user_0000')
  })

  test('open an actor, follow it, go back in time, and compare two versions', async () => {
    const { type, shows, source, frame } = await drawn()
    type('\r')
    await shows(/user_0000 {2}account {2}v9 live/)
    await shows('"seats": 8')
    await shows('by ann')
    type('\x1b[D')
    await shows('v8 of 9')
    type('d')
    await shows('marked v8')
    type('\x1b[H')
    await shows('v1 of 9')
    await shows('"plan": "free"')
    type('d')
    await shows('FROM v1 TO v8')
    await shows('~ /seats  0 -> 7')
    type('d')
    type('\x1b[F')
    await shows('live')
    source.last = 4
    source.emit('moved')
    await shows('"seats": 3')
    type('\x1b')
    await shows('1 actors')
    expect(frame()).not.toContain('"seats"')
  })

  test('act only after a yes', async () => {
    const { type, shows, source } = await drawn()
    type('p')
    await shows('drop user_0000 from memory? y/N')
    type('n')
    await shows('not done')
    expect(source.done).toEqual([])
    type('s')
    await shows('y/N')
    type('y')
    await shows('kept')
    type('D')
    await shows('end the daemon')
    type('y')
    await shows('ending')
    expect(source.done).toEqual(['snapshot user_0000', 'drain'])
  })

  test('--read-only: not at all', async () => {
    const { type, shows, source } = await drawn({ isReadOnly: true })
    for (const key of ['p', 's', 'D']) type(key)
    await shows('this is --read-only')
    type('y')
    expect(source.done).toEqual([])
  })

  test('pause, help, suspend, quit', async () => {
    const { type, shows, source, suspend, onQuit, frame } = await drawn({ intervalMs: 5 })
    type(' ')
    await shows('PAUSED')
    const looks = source.wanted.length
    type('?')
    await shows('Any key closes this.')
    type('x')
    await vi.waitFor(() => expect(frame()).toContain('1 actors'))
    expect(source.wanted.length).toBeLessThanOrEqual(looks + 1) // one may have been under way
    type(' ')
    await vi.waitFor(() => expect(source.wanted.length).toBeGreaterThan(looks + 5))
    type('\x1a')
    await vi.waitFor(() => expect(suspend).toHaveBeenCalled())
    expect(onQuit).not.toHaveBeenCalled()
    type('q')
    await vi.waitFor(() => expect(onQuit).toHaveBeenCalledTimes(1))
    type('\x03')
    await vi.waitFor(() => expect(onQuit).toHaveBeenCalledTimes(2))
  })
})

test('without a daemon it offers the files; one that goes away is waited for', async () => {
  const source = new Still()
  source.look0 = null
  const { type, shows } = await drawn({ intervalMs: 5 }, source)
  await shows('no daemon runs for /var/lib/kuma/kuma-data')
  source.look0 = LOOK
  await shows('user_0000')
  source.look0 = null
  await shows(': waiting for it')
  type('f')
  await shows('20,006 entities')
  type('p')
  await shows('that needs a daemon')
})

test('a name that would move the cursor does not', async () => {
  const source = new Still()
  const id = 'a\u001b[2J\u202eb\u200b'
  source.look0 = { ...LOOK, actors: [{ ...ACTORS[0]!, id }], matching: 1 }
  const { cockpit: made } = await cockpit({}, source)
  const text = made.lines({ columns: 160, rows: 20 }).join('\n')
  expect(text).toContain(String.raw`a\u001b[2J\u202eb\u200b`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/)
})

test('how many calls are slow, if there are any', async () => {
  const source = new Still()
  const { cockpit: made } = await cockpit({}, source)
  expect(made.lines({ columns: 80, rows: 24 }).join('\n')).not.toContain('slow')
  source.look0 = { ...LOOK, status: { ...LOOK.status!, slowCalls: [{ count: 96 }, { count: 4 }] } }
  const { cockpit: other } = await cockpit({}, source)
  expect(other.lines({ columns: 80, rows: 24 }).join('\n')).toContain('clients 3  subs 1  slow 100')
})

test('colours only where they are wanted', async () => {
  const { cockpit: made } = await cockpit({ color: new Chalk({ level: 1 }) })
  expect(made.lines({ columns: 100, rows: 20 }).join('')).toContain('\u001b[')
})
