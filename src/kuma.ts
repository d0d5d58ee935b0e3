/**
 * The composition root: opens the parts of an engine, wires them and closes them. `start` puts the interface that
 * programs use on top.
 */
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Definitions } from './actor/definitions.ts'
import { Router } from './actor/router.ts'
import type { Config, EntitiesQuery, Kuma } from './api.ts'
import { type Committer, InlineCommitter } from './commit/committer.ts'
import { GroupCommit } from './commit/group-commit.ts'
import { WorkerCommitter } from './commit/worker-committer.ts'
import { contextOf } from './context.ts'
import type { Engine } from './engine.ts'
import { isKumaError, KumaError } from './errors.ts'
import { entities } from './history/entities.ts'
import { inspectAt } from './history/inspect-at.ts'
import { find } from './history/locate.ts'
import { log } from './history/log.ts'
import { replay } from './history/replay.ts'
import { createStore } from './store/create.ts'
import { checkDirectory } from './store/directory.ts'
import { takeLock } from './store/lock.ts'
import { type Manifest, readManifest } from './store/manifest.ts'
import { Readers } from './store/readers.ts'

const CREATE_TRIES = 100
const CREATE_WAIT_MS = 20

export interface EngineOptions {
  /** `read` takes no lock, writes nothing, and works beside a writer. */
  readonly access: 'read' | 'write'
  /** `inline` for a process that lives for a moment. Default: `worker`. */
  readonly committer?: 'worker' | 'inline' | undefined
  /** Make the store if there is none. */
  readonly create?: boolean | undefined
}

/**
 * Opens the store for programs. It is made if it does not exist.
 * @throws KUMA_LOCKED, KUMA_INVALID_CONFIG, KUMA_UNSAFE_DIRECTORY, KUMA_NEWER_FORMAT, KUMA_CORRUPT, KUMA_IO, KUMA_DRIVER
 */
export async function start(config: Config = {}): Promise<Kuma> {
  const engine = await openEngine(config, { access: 'write', create: true })
  const close = () => engine.close()
  return { ...contextOf(engine), close, [Symbol.asyncDispose]: close }
}

/** The engine in this process. @throws what `start` throws; KUMA_NOT_A_STORE unless `create` */
export async function openEngine(config: Config, options: EngineOptions): Promise<Engine> {
  const path = resolve(config.path ?? 'kuma-data')
  const definitions = new Definitions([...(config.entities ?? []), ...Object.values(config.ids ?? {})])
  if (options.create) await createUnlessThere(path, config.shards)
  checkDirectory(path)
  const manifest = readManifest(path)
  const readers = new Readers(path, manifest)
  return options.access === 'read'
    ? readingEngine(readers, definitions)
    : writingEngine(readers, definitions, manifest, config, options)
}

async function createUnlessThere(path: string, shards: number | undefined): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      readManifest(path)
      return
    } catch (error) {
      if (!isKumaError(error, 'KUMA_NOT_A_STORE')) throw error
    }
    try {
      await createStore(path, { shards })
      return
    } catch (error) {
      // somebody else is making it: that takes milliseconds
      if (!isKumaError(error, 'KUMA_STORE_EXISTS') || tries === CREATE_TRIES) throw error
      await setTimeout(CREATE_WAIT_MS)
    }
  }
}

/** What reading and writing engines have in common: the past is read from disk. */
function historyOf(readers: Readers, definitions: Definitions) {
  return {
    path: readers.path,
    replay: (id, range) => replay(readers, definitions, id, range),
    log: (query) => log(readers, query),
    entities: (query?: EntitiesQuery) => entities(readers, query),
  } satisfies Partial<Engine>
}

function readingEngine(readers: Readers, definitions: Definitions): Engine {
  const { path } = readers
  return {
    ...historyOf(readers, definitions),
    append: async () => {
      throw new KumaError('KUMA_READ_ONLY', `${path} was opened for reading`, { path })
    },
    find: async (id) => {
      const found = find(readers, id)
      return found && { id, type: found.entity.type, version: found.head.version, updatedAt: found.head.at }
    },
    inspect: (id, point) => inspectAt(readers, definitions, id, point),
    close: async () => readers.close(),
  }
}

async function writingEngine(
  readers: Readers,
  definitions: Definitions,
  manifest: Manifest,
  { lockTimeoutMs, signal }: Config,
  { committer }: EngineOptions,
): Promise<Engine> {
  const { path } = readers
  const lock = await takeLock(path, lockTimeoutMs, signal)
  let committing: Committer
  try {
    committing = committer === 'inline' ? new InlineCommitter(path, manifest) : new WorkerCommitter(path, manifest)
  } catch (error) {
    lock.release()
    throw error
  }
  const router = new Router(readers, new GroupCommit(committing), definitions)
  let closing: Promise<void> | undefined
  return {
    ...historyOf(readers, definitions),
    append: (request) => router.append(request),
    find: (id) => router.find(id),
    inspect: (id, point) => (point === undefined ? router.inspect(id) : inspectAt(readers, definitions, id, point)),
    close: () => (closing ??= closeAll()),
  }

  /** The lock goes last: until then nobody else may write. */
  async function closeAll(): Promise<void> {
    try {
      await router.close()
    } finally {
      readers.close()
      lock.release()
    }
  }
}
