/** How a definition says what an event or a command carries: any validator that speaks Standard Schema, or a bare TypeScript type. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { KumaError, type KumaErrorDetails, quoted } from '../errors.ts'
import { nearest } from '../nearest.ts'

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
  // biome-ignore lint/complexity/noBannedTypes: what is without data may leave it out
  Extract<U, { readonly type: K }> extends { readonly data: infer D } ? D : {}

const UNION = Symbol.for('kuma.union')

/** The same for a whole union of events or commands that already exists: `kuma.union<AccountEvent>()`. */
export function union<U extends { readonly type: string; readonly data?: unknown }>(): {
  readonly [K in U['type']]: Schema<DataIn<U, K>, DataIn<U, K>>
} {
  return { [UNION]: true } as never // its names exist for the compiler only
}

/** Are there names among these that only the compiler knows? */
export function isUnion(schemas: Schemas): boolean {
  return UNION in schemas
}

/** What a schema is the schema of. */
export type Declared = 'event' | 'command'

/**
 * What the schema makes of `data`: defaults filled in, values coerced. That output is what gets stored, or decided on.
 * @throws KUMA_INVALID_EVENT (KUMA_INVALID_COMMAND) with the validator's issues, or if it throws or answers with a
 * promise
 */
export function validate(schema: Schema, name: string, data: unknown, what: Declared = 'event'): unknown {
  const result = answerOf(schema, name, data, what)
  if ('then' in result) {
    result.then(undefined, () => {}) // its outcome is of no interest, and must not end the process
    const message = `an asynchronous validator cannot be used: ${what}s are validated in order`
    throw invalid(what, name, [{ message }])
  }
  if (result.issues !== undefined) throw invalid(what, name, result.issues)
  return result.value
}

type Answer = ReturnType<Schema['~standard']['validate']>

function answerOf(schema: Schema, name: string, data: unknown, what: Declared): Answer {
  try {
    return schema['~standard'].validate(data)
  } catch (cause) {
    const message = `the validator threw: ${cause instanceof Error ? cause.message : String(cause)}`
    throw invalid(what, name, [{ message }], cause)
  }
}

function invalid(what: Declared, name: string, issues: readonly StandardSchemaV1.Issue[], cause?: unknown): KumaError {
  // Array.from, since the `map` of a validator's own kind of array makes another of that kind
  const plain = Array.from(issues, ({ message, path }) => ({ message, path: path && Array.from(path, plainKey) }))
  const first = plain[0]
  const where = first?.path?.length ? ` at .${first.path.join('.')}` : ''
  const message = `${name} is not valid${where}: ${first?.message ?? 'no reason given'}`
  return refusal(what, name, message, plain, cause === undefined ? {} : { cause })
}

/** The definition of that entity type declares no event, or no command, of that name. */
export function undeclared(what: Declared, type: string, name: string, known: readonly string[]): KumaError {
  const message = `${JSON.stringify(type)} has no ${what} ${quoted(name)}`
  const meant = nearest(name, known)
  const hint = meant === undefined ? `it has ${known.join(', ') || 'none'}` : `did you mean ${meant}?`
  return refusal(what, name, message, [{ message }], { hint })
}

type Issues = KumaErrorDetails['KUMA_INVALID_EVENT']['issues']

function refusal(
  what: Declared,
  name: string,
  message: string,
  issues: Issues,
  options: { cause?: unknown; hint?: string },
): KumaError {
  return what === 'event'
    ? new KumaError('KUMA_INVALID_EVENT', message, { type: name, issues }, options)
    : new KumaError('KUMA_INVALID_COMMAND', message, { command: name, issues }, options)
}

function plainKey(part: PropertyKey | StandardSchemaV1.PathSegment): string | number {
  const key = typeof part === 'object' ? part.key : part
  return typeof key === 'symbol' ? String(key) : key
}
