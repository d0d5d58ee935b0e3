/** The OpenAPI document of the daemon's HTTP side, made of its routes. Times are milliseconds since 1970 but where it says else. */
import type { Route } from './routes.ts'

const JSON_TYPE = 'application/json'

type Schema = { readonly [keyword: string]: unknown }

const text: Schema = { type: 'string' }
const integer: Schema = { type: 'integer' }
const anything: Schema = { type: 'object' }
const list = (items: Schema): Schema => ({ type: 'array', items })
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })
const nullable = (type: string): Schema => ({ type: [type, 'null'] })

/** @param optional those of the properties that may be missing */
function object(properties: { readonly [name: string]: Schema }, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object', properties, required, additionalProperties: false }
}

const id = { ...text, minLength: 1, maxLength: 512 }
const version = { ...integer, minimum: 1 }
const position = { ...text, pattern: '^\\d{3}:\\d+(,\\d{3}:\\d+)*(@[0-9a-f]{8})?$' }
const decided = {
  type: { ...text, description: 'the type that the entity must be of' },
  expectedVersion: {
    oneOf: [{ ...integer, minimum: 0 }, { const: 'exists' }],
    description: 'refuse unless it is at this version; 0: it must not exist; exists: refuse if it does not',
  },
  requestKey: { ...text, description: 'the same key again records nothing and gives the first answer' },
  meta: anything,
}
const AT = 'of a historical event: milliseconds since 1970, or ISO 8601 text (before March 1973 only text)'
const DECIDED = Object.keys(decided)
const newType = { ...text, description: 'what a new entity becomes' }
const appended = { version, position, at: integer, repeated: { const: true } }

const SCHEMAS: { readonly [name: string]: Schema } = {
  NewEvent: object(
    { type: text, data: anything, meta: anything, at: { type: ['integer', 'string'], description: AT } },
    ['data', 'meta', 'at'],
  ),
  Append: object({ ...decided, newType, events: list(ref('NewEvent')) }, [...DECIDED, 'newType']),
  Appended: object(appended, ['repeated']),
  Execute: object({ ...decided, newType, command: object({ type: text, data: anything }, ['data']) }, [
    ...DECIDED,
    'newType',
  ]),
  Executed: object(
    {
      ...appended,
      version: { ...integer, minimum: 0, description: '0: there is no such entity, and nothing came of the command' },
      events: list(ref('Event')),
      state: anything,
    },
    ['repeated'],
  ),
  Event: object({
    entity: id,
    entityType: text,
    version,
    type: text,
    at: integer,
    position,
    data: anything,
    meta: anything,
  }),
  Summary: object({ id, type: text, version, createdAt: integer, updatedAt: integer }),
  Inspected: object({ id, type: text, version, at: integer, position, state: anything }),
  FeedItem: {
    oneOf: [
      object({ kind: { const: 'event' }, position, entityKey: text, event: ref('Event') }),
      object({ kind: { const: 'erased' }, position, entityKey: text, entityType: text }),
    ],
  },
  Export: {
    type: 'object',
    description: 'as fixtures/export.schema.json tells',
    required: ['format', 'id', 'type', 'version', 'state', 'events', 'sha256'],
    properties: {
      format: { const: 'kuma-export/1' },
      id,
      version,
      state: anything,
      events: list(ref('Event')),
      sha256: text,
    },
  },
  Receipt: object(
    {
      format: { const: 'kuma-receipt/1' },
      receipt: text,
      store: text,
      requestedAt: { ...text, format: 'date-time' },
      completedAt: { ...text, format: 'date-time' },
      by: nullable('string'),
      reason: nullable('string'),
      erased: integer,
      entities: list(object({ shard: integer, entity: integer, position, events: integer, witness: text })),
      seals: list(object({ shard: integer, commit: integer, head: text })),
      files: list(object({ file: text, pages: integer, dirty: list(integer) })),
      keysDestroyed: integer,
      reached: list(text),
      notReached: list(object({ what: text, remedy: text })),
      sha256: text,
    },
    ['keysDestroyed'],
  ),
  Row: { type: 'object', description: 'by the names of its columns' },
  Health: object({ status: { enum: ['healthy', 'unhealthy'] } }),
  Error: object({ error: object({ code: text, message: text, hint: nullable('string'), details: anything }) }),
}

const MEANING: { readonly [status: number]: string } = {
  400: 'the request makes no sense',
  401: 'over TCP: no token, or a wrong one',
  403: "from a web page, or under a name that is not the daemon's",
  404: 'there is no such entity',
  409: 'it is not as the request expects',
  413: 'the body is too long, or the state is or would be too large',
  415: 'the body is not declared as JSON, or not as UTF-8',
  422: 'the rules of the entity do not allow the command',
  503: 'not now',
}

export function openApi(version: string, routes: readonly Route[]): Schema {
  const paths: { [path: string]: { [method: string]: Schema } } = {}
  for (const route of routes) {
    const path = route.path.replace(':id', '{id}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Kuma', version, description: 'A store over HTTP: on its Unix socket, or over TCP with a token.' },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: { schemas: SCHEMAS, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  }
}

function operation(route: Route): Schema {
  const { path, about, query = {}, body, answer, type = JSON_TYPE, isOpen, errors = [] } = route
  const parameters = Object.entries(query).map(([name, { about: description, kind }]) => {
    const schema = kind === 'texts' ? list(text) : { type: kind ?? 'string' }
    return { name, in: 'query', description, schema }
  })
  const inPath = path.includes(':id') ? [{ name: 'id', in: 'path', required: true, schema: id }] : []
  // any query may have a parameter that is not known
  const failed = new Set([400, ...(isOpen ? [] : [401]), 403, ...(body === undefined ? [] : [415]), ...errors])
  return {
    operationId: nameOf(route),
    summary: about,
    ...(isOpen ? { security: [] } : {}),
    parameters: [...inPath, ...parameters],
    ...(body === undefined ? {} : { requestBody: { required: true, content: { [JSON_TYPE]: { schema: ref(body) } } } }),
    responses: {
      200: { description: 'done', content: { [type]: { schema: answer === undefined ? {} : ref(answer) } } },
      ...Object.fromEntries(
        [...failed].map((status) => [status, failure(status, status === 503 ? answer : undefined)]),
      ),
    },
  }
}

/** What a client that is made of the document calls it: `postEntitiesByIdEvents`. */
function nameOf({ method, path }: Route): string {
  const words = path.split(/[/.]/).filter((word) => word !== '' && word !== 'v1')
  const inCamelCase = words.map((word) => (word === ':id' ? 'ById' : word[0]!.toUpperCase() + word.slice(1)))
  return method.toLowerCase() + inCamelCase.join('')
}

function failure(status: number, answer: string | undefined): Schema {
  const schema = answer === 'Health' ? ref(answer) : ref('Error')
  return { description: MEANING[status], content: { [JSON_TYPE]: { schema } } }
}
