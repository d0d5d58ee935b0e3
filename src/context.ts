/** What programs hold, on top of any engine: the store in someone's name, and a handle on one entity. */

import { notFound, typeMismatch } from './actor/actor.ts'
import type { Appended, Context, EntitiesQuery, Entity, Inspected, Items, SpawnOptions, Step } from './api.ts'
import type { AppendRequest, Engine, EngineLogQuery } from './engine.ts'
import { type AnyEntityDefinition, definitionOf } from './entity/define-entity.ts'
import type { Event, Meta, NewEvent } from './entity/event.ts'
import { CREATED } from './entity/fold.ts'
import { type Point, resolvePoint } from './entity/time.ts'
import { isKumaError, KumaError } from './errors.ts'

export function contextOf(engine: Engine, as?: Meta): Context {
  return {
    spawn: async (definition, id, ...args) => {
      const [created, options = {}] = args as [created?: unknown, options?: SpawnOptions]
      const { type } = definitionOf(definition)
      const existing = (await engine.find(id)) ?? (await create(engine, type, id, created, options, as))
      if (existing === null) return entityOf(engine, id, type, as)
      if (existing.type !== type) throw typeMismatch(id, type, existing.type)
      if (options.ifExists === 'error') throw alreadyExists(id, existing.version)
      return entityOf(engine, id, type, as)
    },
    entity: async (definitionOrId: AnyEntityDefinition | string, given?: string) => {
      const id = typeof definitionOrId === 'string' ? definitionOrId : given!
      const found = await engine.find(id)
      if (found === null) throw notFound(id)
      const type = typeof definitionOrId === 'string' ? found.type : definitionOf(definitionOrId).type
      if (type !== found.type) throw typeMismatch(id, type, found.type)
      return entityOf(engine, id, type, as)
    },
    entities: (query?: EntitiesQuery) => items(() => engine.entities(query)),
    as: (meta) => contextOf(engine, { ...as, ...meta }),
  }
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

function entityOf(engine: Engine, id: string, type: string, as: Meta | undefined): Entity {
  const append = async (events: readonly NewEvent[], options: Partial<AppendRequest> = {}): Promise<Appended> => {
    const { expectedVersion, requestKey, meta } = options
    const request = {
      id,
      type,
      events,
      expectedVersion,
      requestKey,
      meta: as && meta ? { ...as, ...meta } : (as ?? meta),
    }
    const { version, position, at } = await engine.append(request)
    return { version, position, at }
  }
  const inspect = (point?: Point): Promise<Inspected> =>
    engine.inspect(id, point === undefined ? undefined : resolvePoint(point))
  return {
    id,
    type,
    append: (event, options) => append([event], options),
    appendAll: (events, options) => append([...events], options),
    read: async (point) => (await inspect(point)).state,
    inspect,
    replay: ({ from, to, signal } = {}) =>
      items(
        () =>
          engine.replay(id, {
            from: from && resolvePoint(from),
            to: to && resolvePoint(to),
            signal,
          }) as AsyncIterable<Step>,
      ),
    log: ({ type: event, from, to, ...rest } = {}) => {
      const types = event === undefined ? undefined : typeof event === 'string' ? [event] : event
      const query: EngineLogQuery = { ...rest, id, types, from: from && resolvePoint(from), to: to && resolvePoint(to) }
      return items(() => engine.log(query) as AsyncIterable<Event<never>>) as never
    },
  }
}

/** A fresh iteration each time. */
function items<T>(iterate: () => AsyncIterable<T>): Items<T> {
  return {
    [Symbol.asyncIterator]: () => iterate()[Symbol.asyncIterator](),
    toArray: async () => {
      const all: T[] = []
      for await (const item of iterate()) all.push(item)
      return all
    },
  }
}
