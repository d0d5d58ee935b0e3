/**
 * node hostile.js KIND COUNT SOCKET PORT TOKEN: so many hostile clients of one kind, until it is killed. They have the least
 * priority, so that what is measured is what they do to the daemon, and not that they want the same two cores.
 */
import { connect } from 'node:net'
import { setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { LONG } from './store.js'

const MIB = 1024 * 1024
const LARGEST_DATA = 1_000_000
/** So many connections has each of those who send garbage: two of them want more than 10,000 places. */
const GARBAGE = 5_025
const BLAMES = 100
const BURST = 500
/** A daemon that hangs up on somebody hears of him again after that time. */
const AGAIN_MS = 20

const [kind, count, path, port, token] = process.argv.slice(2)
const local = { path }
const tcp = { host: '127.0.0.1', port: Number(port) }

/** A connection on which errors are expected, and what is sent waits for room. */
async function dial(where) {
  const socket = connect(where)
  const gone = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve))
  const heard = (event) => Promise.race([new Promise((resolve) => socket.once(event, resolve)), gone])
  await heard('connect')
  const send = async (text) => {
    if (!socket.destroyed && !socket.write(text)) await heard('drain')
  }
  return { socket, send, gone }
}

/** One who speaks the protocol; reads what it is sent unless it `isDeaf`. */
async function greeted(isDeaf = false) {
  const line = await dial(local)
  await line.send('{"kuma":1}\n')
  if (!isDeaf) line.socket.resume()
  return line
}

const callOf = (id, call, params) => `${JSON.stringify({ id, call, params })}\n`
const get = (route) => `GET ${route} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n\r\n`
const selecting = (sql) => ({ sql, timeoutMs: 3_600_000 })

const SORT = `with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000)
  select i, hex(randomblob(400)) as h from n order by h`
const HUGE = `with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000)
  select i, hex(randomblob(50000)) as h from n`

/** What a client of each kind does, over and over. */
const KINDS = {
  async garbage() {
    await Promise.all(Array.from({ length: GARBAGE }, hold))
    async function hold() {
      for (;;) {
        const { send, gone } = await dial(tcp)
        await send('\u0001 garbage')
        await gone
        await sleep(AGAIN_MS)
      }
    }
  },
  async drip() {
    const { socket, send, gone } = await dial(tcp)
    await send('{')
    const timer = setInterval(() => socket.write(' '), 500)
    await gone
    clearInterval(timer)
  },
  async blame() {
    const { send, gone } = await greeted()
    for (let id = 1; id <= BLAMES; id++) await send(callOf(id, 'blame', { id: LONG }))
    await Promise.race([gone, sleep(10_000)])
  },
  async hangUp() {
    const { socket, send, gone } = await greeted()
    for (let id = 1; id <= BURST; id++) await send(callOf(id, 'blame', { id: LONG }))
    await sleep(100)
    socket.destroy()
    await gone
  },
  async longName() {
    const { send, gone } = await greeted()
    for (let id = 1; id <= 8; id++) await send(callOf(id, 'x'.repeat(MIB), {}))
    await Promise.race([gone, sleep(1_000)])
  },
  async brackets() {
    const { send, gone } = await greeted()
    await send(`${'['.repeat(16 * MIB - 1)}\n`)
    await Promise.race([gone, sleep(1_000)])
  },
  async httpBrackets() {
    const { socket, send, gone } = await dial(local)
    socket.resume()
    const length = 15 * MIB
    await send(
      `POST /v1/entities/x/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`,
    )
    await send('['.repeat(length))
    await Promise.race([gone, sleep(1_000)])
  },
  async sort() {
    const { send, gone } = await greeted()
    for (let id = 1; id <= 8; id++) await send(callOf(id, 'query', selecting(SORT)))
    await Promise.race([gone, sleep(5_000)])
  },
  async huge() {
    const { socket, send, gone } = await greeted(true)
    for (let id = 1; id <= 8; id++) await send(callOf(id, 'query', selecting(HUGE)))
    await Promise.race([gone, sleep(5_000)])
    socket.destroy()
  },
  async grow(n) {
    const { send, gone } = await greeted()
    for (let id = 1; id <= 8; id++) {
      const events = [{ type: 'Set', data: { [`field-${id}-${Date.now()}`]: 'x'.repeat(LARGEST_DATA) } }]
      await send(callOf(id, 'append', { id: `grows-${n}`, newType: 'document', events }))
    }
    await Promise.race([gone, sleep(500)])
  },
  async unread() {
    const { socket, send, gone } = await dial(local)
    socket.pause()
    for (let i = 0; i < 500; i++) await Promise.race([send(get('/v1/entities/large')), gone, sleep(100)])
    await Promise.race([gone, sleep(5_000)])
    socket.destroy()
  },
  async waits() {
    const { send, gone } = await greeted()
    for (let id = 1; id <= 100; id++)
      await send(callOf(id, 'waitFor', { projection: 'items', position: '000:900000000' }))
    await gone
  },
  async deafFeed() {
    const { send, gone } = await greeted(true)
    for (let id = 1; id <= 10; id++) await send(callOf(id, 'feed', { from: 'start', follow: true }))
    await gone
  },
}

setPriority(19)
for (let n = 0; n < Number(count); n++) void forever(n)

async function forever(n) {
  for (;;) {
    await KINDS[kind](n)
    await sleep(AGAIN_MS)
  }
}
