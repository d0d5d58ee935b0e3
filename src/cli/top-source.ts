/** What `kuma top` shows: from a daemon, which may go away and come back, or from a store's files. */
import { Client, engineOf, type Target } from '../daemon/client.ts'
import type { ClientInfo, DaemonStatus, SubscriberInfo } from '../daemon/host.ts'
import type { ActorInfo, ActorsPage, Engine, OwnEngine, ShardInfo } from '../engine.ts'
import { isKumaError, KumaError } from '../errors.ts'
import type { ActorRow, ChangeRow, EntityLook, Look, Source, Wanted } from '../tui/look.ts'
import { changeRows } from './changes.ts'

/** Of the files so many entities are shown. */
const STORED_MAX = 1_000

export interface TopOptions {
  readonly name: string
  readonly target: Target
  /** The store's files; null where they are elsewhere. */
  readonly openFiles: (() => Promise<OwnEngine>) | null
}

export class TopSource implements Source {
  private client: Promise<Client> | null = null
  private files: OwnEngine | null = null

  constructor(private readonly options: TopOptions) {}

  get name(): string {
    return this.options.name
  }

  async look(wanted: Wanted): Promise<Look | null> {
    if (this.files !== null) return storedLook(this.files, wanted)
    return this.ask(async (client) => liveLook(client, wanted)).catch((error: unknown) => {
      if (isKumaError(error, 'KUMA_NOT_RUNNING')) return null
      throw error
    })
  }

  async useFiles(): Promise<void> {
    const { openFiles } = this.options
    if (openFiles === null) throw new KumaError('KUMA_USAGE', 'its files are on another machine', {})
    this.files = await openFiles()
  }

  async entity(id: string, version: number | null, events: number): Promise<EntityLook> {
    const look = await this.withEngine((engine) => entityLook(engine, id, version, events))
    const actor =
      this.files === null ? await this.ask((client) => client.call<ActorInfo | null>('actor', { id })) : null
    return { ...look, actor }
  }

  async diff(id: string, from: number, to: number): Promise<readonly ChangeRow[]> {
    return this.withEngine(async (engine) =>
      changeRows(await engine.diff({ id, from: { version: from }, to: { version: to } })),
    )
  }

  /** Comes back with the daemon. Files do not tell of what comes. */
  async follow(id: string, signal: AbortSignal, moved: () => void): Promise<void> {
    if (this.files !== null) return
    await this.withEngine(async (engine) => {
      for await (const { items } of engine.feed({ id, from: 'now', follow: true, signal }))
        if (items.length > 0) moved()
    })
  }

  passivate(id: string): Promise<string> {
    return this.ask(async (client) =>
      (await client.call<boolean>('passivate', { id })) ? `${id} has left the memory` : `${id} is not in memory`,
    )
  }

  snapshot(id: string): Promise<string> {
    return this.ask(async (client) =>
      (await client.call<boolean>('snapshot', { id }))
        ? `the state of ${id} is kept`
        : `nothing to do: it is kept already, or JSON cannot give it back`,
    )
  }

  drain(): Promise<string> {
    return this.ask(async (client) => `process ${(await client.call<{ pid: number }>('stop')).pid} is ending`)
  }

  async close(): Promise<void> {
    const client = await this.client?.catch(() => null)
    await Promise.all([client?.close(), this.files?.close()])
  }

  private withEngine<T>(use: (engine: Engine) => Promise<T>): Promise<T> {
    return this.files === null ? this.ask((client) => use(engineOf(client))) : use(this.files)
  }

  /** By one connection, which is made anew when it has ended. */
  private async ask<T>(use: (client: Client) => Promise<T>): Promise<T> {
    this.client ??= this.connect()
    return use(await this.client)
  }

  private async connect(): Promise<Client> {
    const forget = () => {
      this.client = null
    }
    try {
      const client = await Client.connect(this.options.target, { reconnect: false })
      void client.ended.then(forget)
      return client
    } catch (error) {
      forget()
      throw error
    }
  }
}

/** Only what is on the screen is asked for. */
async function liveLook(client: Client, { tab, ...query }: Wanted): Promise<Look> {
  const [status, shards, page, clients, subscribers] = await Promise.all([
    client.call<DaemonStatus>('status'),
    client.call<ShardInfo[]>('shards'),
    client.call<ActorsPage>('actors', tab === 'actors' ? query : { limit: 0 }),
    tab === 'clients' ? client.call<ClientInfo[]>('clients') : [],
    tab === 'subscribers' ? client.call<SubscriberInfo[]>('subscribers') : [],
  ])
  return { at: Date.now(), status, shards, ...page, clients, subscribers }
}

/** The first so many, in the order that is wanted. */
async function storedLook(files: OwnEngine, { sort, reverse, filter, offset, limit }: Wanted): Promise<Look> {
  const all: ActorRow[] = []
  for await (const { id, type, version, updatedAt } of files.entities()) {
    if (!id.includes(filter) && !type.includes(filter)) continue
    const idleSeconds = (Date.now() - updatedAt) / 1_000
    const stored = { state: 'stored', mailbox: 0, eventsPerSecond: 0, ackMs: null, ageSeconds: 0 } as const
    all.push({ id, type, shard: null, version, idleSeconds, ...stored })
    if (all.length === STORED_MAX) break
  }
  const key = ({ id, type, version, idleSeconds }: ActorRow) =>
    sort === 'type' ? type! : sort === 'version' ? -version : sort === 'idle' ? idleSeconds : id
  const before = (a: ActorRow, b: ActorRow) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0)
  all.sort((a, b) => (reverse ? before(b, a) : before(a, b)))
  const shards = files.shards()
  const total = shards.reduce((sum, { entities }) => sum + entities, 0)
  const actors = all.slice(offset, offset + limit)
  return { at: Date.now(), status: null, shards, total, matching: all.length, actors, clients: [], subscribers: [] }
}

async function entityLook(
  engine: Engine,
  id: string,
  version: number | null,
  limit: number,
): Promise<Omit<EntityLook, 'actor'>> {
  const found = await engine.inspect(id, version === null ? undefined : { version })
  const events: EntityLook['events'][number][] = []
  const to = { version: found.version }
  for await (const { version: at, ...event } of engine.log({ id, to, reverse: true, limit })) {
    const { by } = event.meta
    events.push({
      version: at,
      at: event.at,
      type: event.type,
      data: event.data,
      by: typeof by === 'string' ? by : null,
    })
  }
  return { id, type: found.type, version: found.version, at: found.at, state: found.state, events }
}
