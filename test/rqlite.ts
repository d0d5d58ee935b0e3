/**
 * Real nodes of rqlite, for tests: `rqlited` is looked for on PATH, and where there is none the tests that need it are
 * skipped, and say so.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const READY_TRIES = 300
const READY_WAIT_MS = 50

export const hasRqlite = spawnSync('rqlited', ['-version']).status === 0
if (!hasRqlite) console.warn('there is no rqlited on PATH: what needs it is skipped')

export interface Node {
  readonly url: string
  start(): Promise<void>
  kill(signal?: NodeJS.Signals): Promise<void>
  process(): ChildProcess
}

function nodeOf(url: string, args: readonly string[]): Node {
  let child: ChildProcess
  return {
    url,
    process: () => child,
    start: async () => {
      child = spawn('rqlited', args, { stdio: 'ignore' })
    },
    kill: async (signal = 'SIGKILL') => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    },
  }
}

function argsOf(id: string, http: number, raft: number): string[] {
  return ['-node-id', id, '-http-addr', `127.0.0.1:${http}`, '-raft-addr', `127.0.0.1:${raft}`]
}

export async function ready(url: string, headers: Record<string, string> = {}): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      if ((await fetch(`${url}/readyz`, { headers })).ok) return
    } catch {}
    if (tries === READY_TRIES) throw new Error(`${url} is not ready`)
    await setTimeout(READY_WAIT_MS)
  }
}

/** One node, which may not be ready yet. @param words more flags of rqlited */
export async function makeNode(folder: string, words: readonly string[] = [], scheme = 'http'): Promise<Node> {
  const [http, raft] = [await freePort(), await freePort()]
  return nodeOf(`${scheme}://127.0.0.1:${http}`, [...argsOf('n1', http, raft), ...words, join(folder, 'n1')])
}

/** One node, ready. */
export async function startNode(folder: string): Promise<Node> {
  const node = await makeNode(folder)
  await node.start()
  await ready(node.url)
  return node
}

/** Nodes of one cluster, ready. */
export async function startCluster(folder: string, size: number): Promise<Node[]> {
  const ports: number[] = []
  for (let i = 0; i < size * 2; i++) ports.push(await freePort())
  const members = ports.slice(size).map((raft) => `127.0.0.1:${raft}`)
  const nodes = ports.slice(0, size).map((http, i) => {
    const id = `n${i + 1}`
    const cluster = ['-bootstrap-expect', String(size), '-join', members.join(',')]
    return nodeOf(`http://127.0.0.1:${http}`, [...argsOf(id, http, ports[size + i]!), ...cluster, join(folder, id)])
  })
  await Promise.all(nodes.map((node) => node.start()))
  await Promise.all(nodes.map(({ url }) => ready(url)))
  return nodes
}

/** One URL of all of them, as a config has it. */
export function urlOf(nodes: readonly Node[]): string {
  return `http://${nodes.map(({ url }) => new URL(url).host).join(',')}`
}

/** The node that leads. */
export async function leaderOf(nodes: readonly Node[]): Promise<Node> {
  for (let tries = 1; ; tries++) {
    for (const node of nodes) {
      try {
        const found = (await (await fetch(`${node.url}/nodes`)).json()) as Record<
          string,
          { leader?: boolean; api_addr?: string }
        >
        const leader = Object.values(found).find((one) => one.leader)
        const known = nodes.find(({ url }) => url === leader?.api_addr)
        if (known !== undefined) return known
      } catch {}
    }
    if (tries === READY_TRIES) throw new Error('nobody leads')
    await setTimeout(READY_WAIT_MS)
  }
}

/** SQL as someone else would run it. */
export async function execute(url: string, statements: readonly unknown[]): Promise<unknown[]> {
  const response = await fetch(`${url}/db/execute?transaction`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(statements),
  })
  const { results = [] } = (await response.json()) as { results?: { error?: string }[] }
  const failed = results.find(({ error }) => error !== undefined)
  if (failed !== undefined) throw new Error(failed.error)
  return results
}

/** An empty database again. */
export async function wipe(url: string): Promise<void> {
  const response = await fetch(
    `${url}/db/query?level=strong&q=${encodeURIComponent("select type, name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite_%' order by type desc")}`,
  )
  const { results } = (await response.json()) as { results: { values?: [string, string][] }[] }
  const drops = (results[0]?.values ?? []).map(([type, name]) => `DROP ${type} "${name}"`)
  if (drops.length > 0) await execute(url, drops)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
