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
import { awaited, type Caller, fromCaller, reached, reaching } from './callers-line.ts'
import type { Engine, ExecuteResult, FeedPage, ReadModelQuery } from './engine.ts'
import type { Command } from './entity/decide.ts'
import { type AnyEntityDefinition, definitionOf } from './entity/define-entity.ts'
import type { Meta, NewEvent } from './entity/event.ts'
import { CREATED } from './entity/fold.ts'
import { copyPlain } from './entity/json.ts'
import { isPosition } from './entity/position.ts'
import { isPoint, type Point, resolvePoint } from './entity/time.ts'
import { isKumaError, KumaError } from './errors.ts'
import { begun, items, rows } from './items.ts'
import * as known from './options.ts'
import { checked, checkText, isMessage, isObject, noEvents, noMessage, shown, wrong } from './options.ts'
import { exportEntity } from './privacy/export.ts'
import { rowsOf } from './projection/query-rows.ts'

export function contextOf(engine: Engine, as?: Meta): Context {
  return {
    spawn: reaching(async (definition, id, ...args) => {
      // kept as they are now: the caller goes on while the entity is looked for
      const [created, given] = copyPlain(args) as [created?: unknown, options?: SpawnOptions]
      const options = checked('spawn()', given, known.SPAWN)
      const { type } = definitionOf(definition)
      // a request key may stand for the spawn that made the entity: then this is its first answer again
      const found = options.requestKey === undefined ? await engine.find(id) : null
      const existing = found ?? (await create(engine, type, id, created, options, as))
      if (existing === null) return new Handle(engine, id, type, as)
      if (existing.type !== type) throw typeMismatch(id, type, existing.type)
      if (options.ifExists === 'error') throw alreadyExists(id, existing.version)
      return new Handle(engine, id, type, as)
    }),
    entity: reaching(async (definitionOrId: AnyEntityDefinition | string, given?: string) => {
      if (typeof definitionOrId === 'string' && given !== undefined)
        throw wrong('entity() takes a definition before the id, and not its name', 'or the id alone: entity(id)')
      const id = typeof definitionOrId === 'string' ? definitionOrId : given!
      const found = await engine.find(id)
      if (found === null) throw notFound(id)
      const type = typeof definitionOrId === 'string' ? found.type : definitionOf(definitionOrId).type
      if (type !== found.type) throw typeMismatch(id, type, found.type)
      return new Handle(engine, id, type, as)
    }),
    execute: reaching(async (definition, id, command, options = NONE) => {
      if (!isMessage(command)) throw noMessage('execute()', 'a command', command)
      const { expectedVersion, requestKey } = checked('execute()', options, known.APPEND)
      const { type } = definitionOf(definition)
      const request = { id, type, newType: type, command, expectedVersion, requestKey, meta: metaOf(as, options) }
      return executedOf(await engine.execute(request)) as never
    }),
    append: reaching(async (definition, id, given, options = NONE) => {
      const events = (Array.isArray(given) ? given : [given]) as readonly NewEvent[]
      if (!events.every(isMessage)) throw noEvents(given)
      const { expectedVersion, requestKey } = checked('append()', options, known.APPEND)
      const { type } = definitionOf(definition)
      const request = { id, type, newType: type, events, expectedVersion, requestKey, meta: metaOf(as, options) }
      return asAppended(await engine.append(request))
    }),
    entities: (query?: EntitiesQuery) =>
      items((signal) => engine.entities({ ...checked('entities()', query, known.ENTITIES), signal }), query?.signal),
    inspectAll: (query?: EntitiesQuery) =>
      items(
        (signal) => engine.inspectAll({ ...checked('inspectAll()', query, known.ENTITIES), signal }),
        query?.signal,
      ),
    subscribe: (options) =>
      begun((signal) => subscription(engine, options, signal) as AsyncIterable<never>, options?.signal),
    waitFor: reaching(async (projection, position, options) => {
      const { signal } = checked('waitFor()', options, known.WAIT)
      const name: unknown = typeof projection === 'string' ? projection : projection?.name
      checkText('the projection that waitFor() takes, or its name,', name)
      checkText('the position that waitFor() takes', position)
      await engine.readModels.waitFor(name as string, position, signal)
    }),
    query: (sql: string, params?: ReadModelQuery['params'], options?: QueryOptions) =>
      rows((signal) => {
        // not `of`, which is for the compiler
        const { after, stale, onBehind, timeoutMs } = checked('query()', options, known.QUERY)
        if (params !== undefined && !Array.isArray(params))
          throw wrong(`query() takes an array for its question marks, and was given ${shown(params)}`)
        const query = { sql, params, after, stale, timeoutMs, signal }
        return rowsOf(engine.readModels.query(query), onBehind) as AsyncIterable<never>
      }, options?.signal),
    as: (meta) => {
      if (meta !== undefined && !isObject(meta))
        throw wrong(`as() takes meta, and was given ${shown(meta)}`, "as({ by: 'ann' })")
      return contextOf(engine, { ...as, ...meta })
    },
  }
}

/** Where it begins is fixed by this call. */
function subscription(
  engine: Engine,
  options: SubscribeOptions | undefined,
  signal: AbortSignal,
): AsyncIterable<FeedItem> {
  const { entities, filter: given, from } = checked('subscribe()', options, known.SUBSCRIBE)
  const filter = checked('the filter of subscribe()', given, known.FEED_FILTER)
  const defined = entities?.map((definition) => definitionOf(definition).type)
  const wanted = listOf(filter.type)
  const request = {
    id: filter.entity,
    entityTypes: defined && wanted ? wanted.filter((type) => defined.includes(type)) : (defined ?? wanted),
    types: listOf(filter.event),
    from: placeOf(from),
    follow: true,
    signal,
  }
  return itemsOf(engine.feed(request))
}

function placeOf(from: SubscribeOptions['from']) {
  if (from === undefined || from === 'start' || from === 'now') return from
  if (typeof from === 'string' && (isPosition(from) || !isPoint(from))) return from
  return resolvePoint(from)
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
    if (!isMessage(event)) return Promise.reject(fromCaller(noMessage('append()', 'an event', event), this.append))
    return this.record(this.append, [event], options)
  }

  appendAll(events: readonly NewEvent[], options?: AppendOptions): Promise<Appended> {
    if (!Array.isArray(events) || !events.every(isMessage))
      return Promise.reject(fromCaller(noEvents(events), this.appendAll))
    return this.record(this.appendAll, events, options)
  }

  private record(caller: Caller, events: readonly NewEvent[], options: AppendOptions = NONE): Promise<Appended> {
    const { id, type } = this
    try {
      if (options !== NONE) checked(`${caller.name}()`, options, known.APPEND)
    } catch (error) {
      return Promise.reject(fromCaller(error, caller))
    }
    const { expectedVersion, requestKey } = options
    // spelled out, and handed on as the engine's own promise: this is called hundreds of thousands of times a second
    const request = { id, type, events, expectedVersion, requestKey, meta: metaOf(this.as, options) }
    const appended = this.engine.append(request, caller)
    return requestKey === undefined ? appended : appended.then(asAppended)
  }

  async execute(command: Command, options: AppendOptions = NONE): Promise<Executed> {
    try {
      if (!isMessage(command)) throw noMessage('execute()', 'a command', command)
      if (options !== NONE) checked('execute()', options, known.APPEND)
      const { id, type } = this
      const { expectedVersion, requestKey } = options
      const request = { id, type, command, expectedVersion, requestKey, meta: metaOf(this.as, options) }
      return executedOf(await this.engine.execute(request, this.execute))
    } catch (error) {
      throw awaited(error)
    }
  }

  async read(point?: Point): Promise<never> {
    try {
      return (await this.engine.inspect(this.id, resolved(point))).state as never
    } catch (error) {
      throw awaited(error)
    }
  }

  async inspect(point?: Point): Promise<Inspected> {
    try {
      return await this.engine.inspect(this.id, resolved(point))
    } catch (error) {
      throw awaited(error)
    }
  }

  replay(range?: ReplayRange): Items<Step> {
    return items((signal) => {
      const { from, to, ...rest } = checked('replay()', range, known.REPLAY)
      const between = { ...rest, from: resolved(from), to: resolved(to), signal }
      return this.engine.replay(this.id, between) as AsyncIterable<Step>
    }, range?.signal)
  }

  diff(options?: DiffOptions): Promise<Diff> {
    return reached(async () => {
      const { from, to, other } = checked('diff()', options, known.DIFF)
      return this.engine.diff({ id: this.id, other, from: resolved(from), to: resolved(to) })
    })
  }

  blame(path?: string): Promise<readonly Blame[]> {
    return reached(async () => {
      if (path !== undefined) checkText('the path that blame() takes', path)
      return this.engine.blame(this.id, path)
    })
  }

  revert(to: Point, options: RevertOptions = NONE): Promise<Reverted> {
    return reached(async () => {
      checked('revert()', options, known.REVERT)
      const { id, type } = this
      return this.engine.revert({ ...options, id, type, to: resolvePoint(to), meta: metaOf(this.as, options) })
    })
  }

  log(query?: LogQuery<string>): Items<never> {
    return items((signal) => {
      const { type, from, to, ...rest } = checked('log()', query, known.LOG)
      const range = { from: resolved(from), to: resolved(to), signal }
      return this.engine.log({ ...rest, ...range, id: this.id, types: listOf(type) }) as AsyncIterable<never>
    }, query?.signal)
  }

  export(): Promise<EntityExport> {
    return reached(() => exportEntity(this.engine, this.id))
  }

  delete(options?: DeleteOptions): Promise<Receipt> {
    return reached(async () => {
      const { reason } = checked('delete()', options, known.DELETE)
      const by = this.as?.['by']
      return this.engine.erase([this.id], { reason, by: typeof by === 'string' ? by : undefined })
    })
  }
}

const NONE: AppendOptions = {}

function metaOf(as: Meta | undefined, { meta }: AppendOptions): Meta | undefined {
  return as && isObject(meta) ? { ...as, ...meta } : meta === undefined ? as : meta
}

function executedOf({ events, state, ...appended }: ExecuteResult): Executed {
  return { ...asAppended(appended), events: events as Executed['events'], state }
}

function resolved(point: Point | undefined) {
  return point === undefined ? undefined : resolvePoint(point)
}

/** Without what only the engine tells. */
function asAppended({ version, position, at }: Appended): Appended {
  return { version, position, at }
}
