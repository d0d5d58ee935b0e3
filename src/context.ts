/** What programs hold, on top of any engine: the store in someone's name, and a handle on one entity. */

import { notFound, typeMismatch } from './actor/actor.ts'
import type {
  Appended,
  AppendOptions,
  Blame,
  Context,
  DeleteOptions,
  Diff,
  DiffOptions,
  EntitiesQuery,
  Entity,
  EntityExport,
  Executed,
  FeedItem,
  Inspected,
  Items,
  LogQuery,
  QueryOptions,
  Receipt,
  ReplayRange,
  Reverted,
  RevertOptions,
  SpawnOptions,
  Step,
  SubscribeOptions,
} from './api.ts'
import type { Engine, ExecuteResult, FeedPage, ReadModelQuery } from './engine.ts'
import type { Command } from './entity/decide.ts'
import { type AnyEntityDefinition, definitionOf } from './entity/define-entity.ts'
import type { Meta, NewEvent } from './entity/event.ts'
import { CREATED } from './entity/fold.ts'
import { copyPlain } from './entity/json.ts'
import { type Point, resolvePoint } from './entity/time.ts'
import { isKumaError, KumaError } from './errors.ts'
import { begun, items, rows } from './items.ts'
import { exportEntity } from './privacy/export.ts'
import { rowsOf } from './projection/query-rows.ts'

export function contextOf(engine: Engine, as?: Meta): Context {
  return {
    spawn: async (definition, id, ...args) => {
      // kept as they are now: the caller goes on while the entity is looked for
      const [created, options = {}] = copyPlain(args) as [created?: unknown, options?: SpawnOptions]
      const { type } = definitionOf(definition)
      // a request key may stand for the spawn that made the entity: then this is its first answer again
      const found = options.requestKey === undefined ? await engine.find(id) : null
      const existing = found ?? (await create(engine, type, id, created, options, as))
      if (existing === null) return new Handle(engine, id, type, as)
      if (existing.type !== type) throw typeMismatch(id, type, existing.type)
      if (options.ifExists === 'error') throw alreadyExists(id, existing.version)
      return new Handle(engine, id, type, as)
    },
    entity: async (definitionOrId: AnyEntityDefinition | string, given?: string) => {
      const id = typeof definitionOrId === 'string' ? definitionOrId : given!
      const found = await engine.find(id)
      if (found === null) throw notFound(id)
      const type = typeof definitionOrId === 'string' ? found.type : definitionOf(definitionOrId).type
      if (type !== found.type) throw typeMismatch(id, type, found.type)
      return new Handle(engine, id, type, as)
    },
    execute: async (definition, id, command, options = NONE) => {
      const { type } = definitionOf(definition)
      const { expectedVersion, requestKey } = options
      const request = { id, type, newType: type, command, expectedVersion, requestKey, meta: metaOf(as, options) }
      return executedOf(await engine.execute(request)) as never
    },
    append: async (definition, id, events, options = NONE) => {
      const { type } = definitionOf(definition)
      const { expectedVersion, requestKey } = options
      const all = (Array.isArray(events) ? events : [events]) as readonly NewEvent[]
      const request = { id, type, newType: type, events: all, expectedVersion, requestKey, meta: metaOf(as, options) }
      return asAppended(await engine.append(request))
    },
    entities: (query: EntitiesQuery = {}) => items((signal) => engine.entities({ ...query, signal }), query.signal),
    inspectAll: (query: EntitiesQuery = {}) => items((signal) => engine.inspectAll({ ...query, signal }), query.signal),
    subscribe: (options = {}) =>
      begun((signal) => subscription(engine, options, signal) as AsyncIterable<never>, options.signal),
    waitFor: async (projection, position, { signal } = {}) => {
      const name = typeof projection === 'string' ? projection : projection.name
      await engine.readModels.waitFor(name, position, signal)
    },
    query: (sql: string, params?: ReadModelQuery['params'], options: QueryOptions = {}) => {
      const { after, stale, onBehind, timeoutMs } = options // not `of`, which is for the compiler
      const query = { sql, params, after, stale, timeoutMs }
      return rows(
        (signal) => rowsOf(engine.readModels.query({ ...query, signal }), onBehind) as AsyncIterable<never>,
        options.signal,
      )
    },
    as: (meta) => contextOf(engine, { ...as, ...meta }),
  }
}

/** Where it begins is fixed by this call. */
function subscription(
  engine: Engine,
  { entities, filter = {}, from }: SubscribeOptions,
  signal: AbortSignal,
): AsyncIterable<FeedItem> {
  const defined = entities?.map((definition) => definitionOf(definition).type)
  const wanted = listOf(filter.type)
  const request = {
    id: filter.entity,
    entityTypes: defined && wanted ? wanted.filter((type) => defined.includes(type)) : (defined ?? wanted),
    types: listOf(filter.event),
    from: typeof from === 'object' ? resolvePoint(from) : from,
    follow: true,
    signal,
  }
  return itemsOf(engine.feed(request))
}

async function* itemsOf(pages: AsyncIterable<FeedPage>): AsyncGenerator<FeedItem> {
  for await (const { items } of pages) yield* items
}

function listOf(names: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof names === 'string' ? [names] : names
}

/** Null if it was created here; the one that another caller created meanwhile. */
async function create(
  engine: Engine,
  type: string,
  id: string,
  data: unknown,
  { requestKey, meta }: SpawnOptions,
  as: Meta | undefined,
) {
  const events = [{ type: CREATED, data, meta }]
  try {
    await engine.append({ id, newType: type, type, events, expectedVersion: 0, requestKey, meta: as })
    return null
  } catch (error) {
    if (isKumaError(error, 'KUMA_CONFLICT') && error.details.entity === id) return engine.find(id)
    throw error
  }
}

function alreadyExists(id: string, version: number): KumaError<'KUMA_ALREADY_EXISTS'> {
  const message = `${id} exists already, at version ${version}`
  return new KumaError('KUMA_ALREADY_EXISTS', message, { entity: id, version })
}

/** A class, so that a handle costs one small object and not a closure for each method. */
class Handle implements Entity {
  constructor(
    private readonly engine: Engine,
    readonly id: string,
    readonly type: string,
    private readonly as: Meta | undefined,
  ) {}

  append(event: NewEvent, options?: AppendOptions): Promise<Appended> {
    return this.appendAll([event], options)
  }

  appendAll(events: readonly NewEvent[], options: AppendOptions = NONE): Promise<Appended> {
    const { id, type } = this
    const { expectedVersion, requestKey } = options
    // spelled out, and handed on as the engine's own promise: this is called hundreds of thousands of times a second
    const meta = metaOf(this.as, options)
    const appended = this.engine.append({ id, type, events, expectedVersion, requestKey, meta })
    return requestKey === undefined ? appended : appended.then(asAppended)
  }

  async execute(command: Command, options: AppendOptions = NONE): Promise<Executed> {
    const { id, type } = this
    const { expectedVersion, requestKey } = options
    const request = { id, type, command, expectedVersion, requestKey, meta: metaOf(this.as, options) }
    return executedOf(await this.engine.execute(request))
  }

  async read(point?: Point): Promise<never> {
    return (await this.inspect(point)).state as never
  }

  async inspect(point?: Point): Promise<Inspected> {
    return this.engine.inspect(this.id, point === undefined ? undefined : resolvePoint(point))
  }

  replay({ from, to, ...rest }: ReplayRange = {}): Items<Step> {
    return items((signal) => {
      const range = { ...rest, from: from && resolvePoint(from), to: to && resolvePoint(to), signal }
      return this.engine.replay(this.id, range) as AsyncIterable<Step>
    }, rest.signal)
  }

  async diff({ from, to, other }: DiffOptions = {}): Promise<Diff> {
    return this.engine.diff({ id: this.id, other, from: from && resolvePoint(from), to: to && resolvePoint(to) })
  }

  async blame(path?: string): Promise<readonly Blame[]> {
    return this.engine.blame(this.id, path)
  }

  async revert(to: Point, options: RevertOptions = NONE): Promise<Reverted> {
    const { id, type } = this
    return this.engine.revert({ ...options, id, type, to: resolvePoint(to), meta: metaOf(this.as, options) })
  }

  log({ type, from, to, ...rest }: LogQuery<string> = {}): Items<never> {
    const types = listOf(type)
    return items((signal) => {
      const range = { from: from && resolvePoint(from), to: to && resolvePoint(to), signal }
      return this.engine.log({ ...rest, ...range, id: this.id, types }) as AsyncIterable<never>
    }, rest.signal)
  }

  export(): Promise<EntityExport> {
    return exportEntity(this.engine, this.id)
  }

  delete({ reason }: DeleteOptions = {}): Promise<Receipt> {
    const by = this.as?.['by']
    return this.engine.erase([this.id], { reason, by: typeof by === 'string' ? by : undefined })
  }
}

const NONE: AppendOptions = {}

function metaOf(as: Meta | undefined, { meta }: AppendOptions): Meta | undefined {
  return as && meta ? { ...as, ...meta } : (as ?? meta)
}

function executedOf({ events, state, ...appended }: ExecuteResult): Executed {
  return { ...asAppended(appended), events: events as Executed['events'], state }
}

/** Without what only the engine tells. */
function asAppended({ version, position, at }: Appended): Appended {
  return { version, position, at }
}
