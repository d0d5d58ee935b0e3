/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/** The public API. */
export type {
  Appended,
  AppendOptions,
  Config,
  Context,
  EntitiesQuery,
  Entity,
  EntityOf,
  EntitySummary,
  Inspected,
  Items,
  Kuma,
  LogQuery,
  ReplayRange,
  SpawnArgs,
  SpawnOptions,
  Step,
} from './api.ts'
export { defineConfig } from './config.ts'
export {
  type AnyEntityDefinition,
  defineEntity,
  type EntityDefinition,
  type EntityShape,
  type EventOf,
  type EvolveHandlers,
  type Facts,
  type FactsFrom,
  type JsonSafe,
  type NewEventOf,
  type StateOf,
} from './entity/define-entity.ts'
export { type AnyFacts, document } from './entity/document.ts'
export type { Event, Meta, NewEvent, Position } from './entity/event.ts'
export type { Json, JsonObject } from './entity/json.ts'
export { type Schema, type Schemas, type, union } from './entity/schema.ts'
export type { Point } from './entity/time.ts'
export { isKumaError, KumaError, type KumaErrorCode, type KumaErrorDetails, type KumaErrorOf } from './errors.ts'
export { start } from './kuma.ts'
