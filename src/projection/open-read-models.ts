/** Which sink a store's read models are in, by its config and the environment, and which projections fill it. */
import { existsSync } from 'node:fs'
import type { Config } from '../api.ts'
import { KumaError } from '../errors.ts'
import type { Readers } from '../store/readers.ts'
import { ENTITIES, EVENTS } from './built-in.ts'
import { type ProjectionDefinition, projectionOf } from './define-projection.ts'
import { type QueryBounds, type ReadModelsOptions, StoreReadModels } from './read-models.ts'
import { RqliteSink } from './rqlite-sink.ts'
import { parseRqliteUrl } from './rqlite-url.ts'
import { onlyWhile, type Sink } from './sink.ts'
import type { Source } from './source.ts'
import { projectionsPath } from './sqlite-file.ts'
import { sqliteSink } from './sqlite-sink.ts'

const RQLITE_URL = 'KUMA_RQLITE_URL'
const QUERIES_MAX = 4
const QUERY_MEMORY_BYTES_MAX = 512 * 1024 * 1024
const QUERY_TIMEOUT_MS = 30_000

export interface OpenReadModels extends Omit<ReadModelsOptions, 'isInUse' | 'former' | 'queries'> {
  readonly placeOf: (id: string) => { readonly shard: number; readonly entity: number } | null
}

/** Opens nothing yet. @throws KUMA_INVALID_CONFIG */
export function openReadModels(
  readers: Readers,
  source: Source,
  config: Config,
  options: OpenReadModels,
): StoreReadModels {
  const path = projectionsPath(readers.path)
  const url = rqliteUrlOf(config)
  const embedded = () => onlyWhile(() => readers.assertHeld(), sqliteSink(path, options.follows ? 'worker' : 'inline'))
  const sink: Sink = url === undefined ? embedded() : new RqliteSink(parseRqliteUrl(url))
  const isRefused = readers.manifest.encryption !== undefined && !isConfigured(config)
  if (isRefused) refuse(sink, readers.path)
  const isEmbedded = url === undefined && !isRefused
  const { placeOf, ...rest } = options
  return new StoreReadModels(sink, source, definitionsOf(config), placeOf, {
    ...rest,
    queries: queryBoundsOf(config, options.follows),
    isInUse: () => url !== undefined || (isEmbedded && existsSync(path)),
    former: () => (!isEmbedded && existsSync(path) ? embedded() : null),
  })
}

/** Does the config say anything of read models, or is there one already? */
export function hasReadModels(path: string, config: Config): boolean {
  return isConfigured(config) || existsSync(projectionsPath(path))
}

function isConfigured(config: Config): boolean {
  return config.projections !== undefined || config.readModels !== undefined || rqliteUrlOf(config) !== undefined
}

function rqliteUrlOf({ readModels }: Config): string | undefined {
  return process.env[RQLITE_URL] || readModels?.rqliteUrl
}

/** A command that asks once, for its user, who can end it, is bounded only by what the config says. */
function queryBoundsOf({ readModels = {} }: Config, follows: boolean): QueryBounds {
  const { queriesMax = QUERIES_MAX, queryMemoryBytesMax, queryTimeoutMs } = readModels
  return {
    queriesMax,
    queryMemoryBytesMax: queryMemoryBytesMax ?? (follows ? QUERY_MEMORY_BYTES_MAX : null),
    queryTimeoutMs: queryTimeoutMs ?? (follows ? QUERY_TIMEOUT_MS : null),
  }
}

function definitionsOf({ projections = [], readModels }: Config): ProjectionDefinition[] {
  return [ENTITIES, ...(readModels?.events ? [EVENTS] : []), ...projections.map(projectionOf)]
}

/** What is encrypted in the store would stand in the tables as it is: only if that is asked for. */
function refuse(sink: Sink, path: string): void {
  sink.open = async () => {
    const hint = 'if they may, say so in kuma.config.ts: readModels: {}; if not, delete projections.db'
    throw new KumaError(
      'KUMA_USAGE',
      `${path} is encrypted, and read models would hold its contents as they are`,
      {},
      { hint },
    )
  }
}
