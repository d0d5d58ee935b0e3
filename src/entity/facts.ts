/** What the compiler knows of a definition, by name, and how it works that out from the schemas declared. */
import type { StandardSchemaV1 } from '@standard-schema/spec'

/** What a definition knows, by name. Hovering a definition shows this. */
export interface Facts {
  type: string
  // biome-ignore-start lint/suspicious/noExplicitAny: each definition says what these are
  state: any
  /** data as it is stored and folded */
  events: any
  /** data as it is appended (differs where a schema has defaults or transforms) */
  input: any
  /** data as a command is given it */
  commands: any
  // biome-ignore-end lint/suspicious/noExplicitAny: each definition says what these are
}

/** What JSON cannot give back (Date, Map, bigint, functions) turns into a sentence that the compiler prints. Looks four levels deep. */
export type JsonSafe<T, Depth extends 0[] = []> = 0 extends 1 & T
  ? T
  : Depth['length'] extends 4
    ? T
    : T extends string | number | boolean | null | undefined
      ? T
      : T extends
            | Date
            | bigint
            | symbol
            | ((...args: never) => unknown)
            | ReadonlyMap<unknown, unknown>
            | ReadonlySet<unknown>
        ? 'Kuma stores JSON: give this field as a string, number, boolean, array or plain object'
        : T extends object
          ? { [K in keyof T]: JsonSafe<T[K], [...Depth, 0]> }
          : T

/** Nothing of it can be changed, however deep: how a model is given a state, and may give one back. */
export type DeepReadonly<T> = unknown extends T
  ? T
  : T extends string | number | boolean | bigint | symbol | null | undefined | Date | ((...args: never) => unknown)
    ? T
    : T extends readonly (infer Item)[]
      ? number extends T['length']
        ? readonly DeepReadonly<Item>[] // written so, it is worked out when it is looked at: JSON's own type has no end
        : { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T extends ReadonlyMap<infer Key, infer Value>
        ? ReadonlyMap<DeepReadonly<Key>, DeepReadonly<Value>>
        : T extends ReadonlySet<infer Value>
          ? ReadonlySet<DeepReadonly<Value>>
          : T extends object
            ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
            : T

/** The facts of a definition whose events may be made of parts of a state. */
export interface ReadonlyInput<F extends Facts> extends Facts {
  input: DeepReadonly<F['input']>
}

type In<S> = S extends StandardSchemaV1<infer I, infer _> ? I : never
export type Out<S> = S extends StandardSchemaV1<infer _, infer O> ? O : never
type Simplify<T> = { [K in keyof T]: T[K] } & unknown

/** `Created` is there in any case: what `spawn` records. */
export type EventsOut<E, S> = 'Created' extends keyof E
  ? { [K in keyof E]: Out<E[K]> }
  : Simplify<{ Created: Partial<S> } & { [K in keyof E]: Out<E[K]> }>
// conditional only so that editors print the result and not the alias
export type AllIn<E> = E extends unknown ? { [K in keyof E]: In<E[K]> } : never
export type AllOut<E> = E extends unknown ? { [K in keyof E]: Out<E[K]> } : never

type AllKeys<S> = S extends unknown ? keyof S : never
/** The keys of R that no member of the union S has. */
export type Extra<R, S> = R extends unknown ? Exclude<keyof R, AllKeys<S>> & string : never
