/** How a definition says what an event carries: any validator that speaks Standard Schema, or a bare TypeScript type. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { KumaError } from '../errors.ts'

/** Any validator that speaks Standard Schema: zod, valibot, arktype ... or `kuma.type<T>()`. */
// biome-ignore lint/suspicious/noExplicitAny: what a schema takes and gives is inferred where it is used
export type Schema<In = any, Out = any> = StandardSchemaV1<In, Out>
export type Schemas = { readonly [name: string]: Schema }

/** A type without a run-time check: `kuma.type<{ amount: number }>()`. */
export function type<T>(): Schema<T, T> {
  return anything
}

/** Accepts whatever it is given, as it is. */
export const anything: Schema = {
  '~standard': { version: 1, vendor: 'kuma', validate: (value) => ({ value }) },
}

type DataIn<U, K> =
  // biome-ignore lint/complexity/noBannedTypes: an event without data may leave it out
  Extract<U, { readonly type: K }> extends { readonly data: infer D } ? D : {}

/** The same for a whole union of events that already exists: `kuma.union<AccountEvent>()`. */
export function union<U extends { readonly type: string; readonly data?: unknown }>(): {
  readonly [K in U['type']]: Schema<DataIn<U, K>, DataIn<U, K>>
} {
  return {} as never // its names exist for the compiler only
}

/**
 * What the schema makes of `data`: defaults filled in, values coerced. That output is what gets stored.
 * @throws KUMA_INVALID_EVENT with the validator's issues, or if it throws or answers with a promise
 */
export function validate(schema: Schema, event: string, data: unknown): unknown {
  const result = answerOf(schema, event, data)
  if ('then' in result) {
    result.then(undefined, () => {}) // its outcome is of no interest, and must not end the process
    throw invalid(event, [{ message: 'an asynchronous validator cannot be used: events are validated in order' }])
  }
  if (result.issues !== undefined) throw invalid(event, result.issues)
  return result.value
}

type Answer = ReturnType<Schema['~standard']['validate']>

function answerOf(schema: Schema, event: string, data: unknown): Answer {
  try {
    return schema['~standard'].validate(data)
  } catch (cause) {
    const message = `the validator threw: ${cause instanceof Error ? cause.message : String(cause)}`
    throw invalid(event, [{ message }], cause)
  }
}

function invalid(
  type: string,
  issues: readonly StandardSchemaV1.Issue[],
  cause?: unknown,
): KumaError<'KUMA_INVALID_EVENT'> {
  // Array.from, since the `map` of a validator's own kind of array makes another of that kind
  const plain = Array.from(issues, ({ message, path }) => ({ message, path: path && Array.from(path, plainKey) }))
  const first = plain[0]
  const where = first?.path?.length ? ` at .${first.path.join('.')}` : ''
  return new KumaError(
    'KUMA_INVALID_EVENT',
    `${type} is not valid${where}: ${first?.message ?? 'no reason given'}`,
    { type, issues: plain },
    cause === undefined ? {} : { cause },
  )
}

function plainKey(part: PropertyKey | StandardSchemaV1.PathSegment): string | number {
  const key = typeof part === 'object' ? part.key : part
  return typeof key === 'symbol' ? String(key) : key
}
