import { KumaError } from '../errors.ts'
import type { Definition } from './define-entity.ts'
import { CREATED } from './fold.ts'
import { checkId } from './id.ts'
import { cleanJson, type JsonObject } from './json.ts'
import { anything, undeclared, validate } from './schema.ts'

type Given = { readonly type: string; readonly data?: unknown }

/**
 * May an entity that is new begin with these events? Where commands say what may happen, a state that is handed in as the
 * data of an undeclared `Created` would pass them by. What was recorded so before is folded as ever.
 * @throws KUMA_INVALID_EVENT
 */
export function checkBeginning(definition: Definition, [first]: readonly Given[]): void {
  if (first?.type !== CREATED || definition.commands.length === 0 || definition.schema(CREATED) !== undefined) return
  if (Object.values(first.data ?? {}).every((value) => value === undefined)) return
  const message = `${JSON.stringify(definition.type)} takes commands, so none of its entities can begin with a state that is handed in`
  const hint = 'begin it with a command (ctx.execute, kuma execute), or declare `Created` among its events'
  throw new KumaError('KUMA_INVALID_EVENT', message, { type: CREATED, issues: [{ message }] }, { hint })
}

/**
 * The data of a new event as it will be stored: what its schema makes of it, as clean JSON. `Created` need not be
 * declared, but then it comes first.
 * @throws KUMA_INVALID_EVENT, KUMA_INVALID_DATA, KUMA_INVALID_ID
 */
export function checkEvent(definition: Definition, { type, data = {} }: Given, version: number): JsonObject {
  checkId(type, 'an event type')
  const schema = definition.schema(type) ?? (type === CREATED && version === 1 ? anything : undefined)
  if (schema === undefined) throw undeclared('event', definition.type, type, definition.events)
  return cleanJson(validate(schema, type, data), `data of ${type}`)
}
