import type { Definition } from './define-entity.ts'
import { CREATED } from './fold.ts'
import { checkId } from './id.ts'
import { cleanJson, type JsonObject } from './json.ts'
import { anything, undeclared, validate } from './schema.ts'

/**
 * The data of a new event as it will be stored: what its schema makes of it, as clean JSON. `Created` need not be
 * declared, but then it comes first.
 * @throws KUMA_INVALID_EVENT, KUMA_INVALID_DATA, KUMA_INVALID_ID
 */
export function checkEvent(
  definition: Definition,
  { type, data = {} }: { readonly type: string; readonly data?: unknown },
  version: number,
): JsonObject {
  checkId(type, 'an event type')
  const schema = definition.schema(type) ?? (type === CREATED && version === 1 ? anything : undefined)
  if (schema === undefined) throw undeclared('event', definition.type, type, definition.events)
  return cleanJson(validate(schema, type, data), `data of ${type}`)
}
