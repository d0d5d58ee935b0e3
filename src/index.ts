/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/** The public API. */
export type {
  AnyProjection,
  Appended,
  AppendOptions,
  Backup,
  BackupOptions,
  Behind,
  Blame,
  Column,
  Columns,
  ColumnType,
  Config,
  ConnectOptions,
  Context,
  DaemonBounds,
  DeleteOptions,
  Diff,
  DiffOptions,
  Distribution,
  EntitiesQuery,
  Entity,
  EntityExport,
  EntityOf,
  EntitySummary,
  ErasedEntity,
  Executed,
  FeedFilter,
  FeedItem,
  Fork,
  ForkOptions,
  HistoryRange,
  Inspected,
  Items,
  Kuma,
  LogQuery,
  PatchOperation,
  Projection,
  QueryOptions,
  ReadModelsConfig,
  Receipt,
  ReplayRange,
  Reverted,
  RevertOptions,
  Row,
  RowOf,
  Rows,
  SpawnArgs,
  SpawnOptions,
  Stats,
  Step,
  SubscribeOptions,
  WaitOptions,
} from './api.ts'
export { defineConfig } from './config.ts'
export type { Command, DecideHandlers, Deciding, Decision } from './entity/decide.ts'
export {
  type AnyEntityDefinition,
  type CommandOf,
  defineEntity,
  type EntityDefinition,
  type EntityShape,
  type EventOf,
  type FactsFrom,
  type NewEventOf,
  type StateOf,
} from './entity/define-entity.ts'
export { type AnyFacts, document } from './entity/document.ts'
export type { Event, Meta, MetaFilter, NewEvent, Position } from './entity/event.ts'
export type { DeepReadonly, Facts, JsonSafe } from './entity/facts.ts'
export type { EvolveHandlers } from './entity/fold.ts'
export type { EarlierEvent, Given } from './entity/given.ts'
export type { Json, JsonObject } from './entity/json.ts'
export { type Schema, type Schemas, type, union } from './entity/schema.ts'
export { type StreamFacts, stream } from './entity/stream.ts'
export type { Point } from './entity/time.ts'
export type { StoredEvent, Upcasted } from './entity/upcast.ts'
export { isKumaError, KumaError, type KumaErrorCode, type KumaErrorDetails, type KumaErrorOf } from './errors.ts'
export { connect, start } from './kuma.ts'
export {
  type DefinedProjection,
  defineProjection,
  type Projected,
  type ProjectedEvent,
  type ProjectionShape,
  type Table,
  type TableStatement as Statement,
} from './projection/define-projection.ts'
