/**
 * The composition root: opens the parts of an engine, wires them and closes them. `start` puts the interface that
 * programs use on top.
 */
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Census } from './actor/census.ts'
import { Definitions } from './actor/definitions.ts'
import { Router } from './actor/router.ts'
import type { Backup, BackupOptions, Config, ConnectOptions, Fork, ForkOptions, Kuma, Stats } from './api.ts'
import { remember } from './backup/places.ts'
import { reached, reaching } from './callers-line.ts'
import { type Committer, InlineCommitter } from './commit/committer.ts'
import { GroupCommit } from './commit/group-commit.ts'
import { WorkerCommitter } from './commit/worker-committer.ts'
import { checkConfig, typeForId } from './config.ts'
import { contextOf } from './context.ts'
import type { Engine, LiveEngine, OwnEngine } from './engine.ts'
import { DOCUMENT } from './entity/document.ts'
import { isKumaError, KumaError } from './errors.ts'
import { committedEnds, type Ends, lookedUpEnds } from './feed/ends.ts'
import { feed } from './feed/feed.ts'
import type { CheckOptions, CheckReport } from './history/check-models.ts'
import { entities } from './history/entities.ts'
import { inspectAll } from './history/inspect-all.ts'
import { inspectAt } from './history/inspect-at.ts'
import { find } from './history/locate.ts'
import { log } from './history/log.ts'
import type { RebuildOptions, RebuildReport } from './history/rebuild-snapshots.ts'
import { replay } from './history/replay.ts'
import { BACKUP, CONNECT, checked, checkText, FORK } from './options.ts'
import { type EraseParts, erase, resumeErasures } from './privacy/erase.ts'
import { openReadModels } from './projection/open-read-models.ts'
import type { ProjectorOptions } from './projection/projector.ts'
import type { StoreReadModels } from './projection/read-models.ts'
import { Source } from './projection/source.ts'
import { Statistics, shardsOf } from './statistics.ts'
import { createStore } from './store/create.ts'
import { checkDirectory, tighten } from './store/directory.ts'
import { Keys, keyFileFor } from './store/keys.ts'
import { type Lock, takeLock } from './store/lock.ts'
import { type Manifest, readManifest } from './store/manifest.ts'
import { masterKeyFor, masterKeyFrom } from './store/master-key.ts'
import { Readers } from './store/readers.ts'
import { upgradedManifest } from './store/upgrade.ts'
import { gone, poisonedText, type Span } from './store/watch.ts'

const CREATE_TRIES = 100
const CREATE_WAIT_MS = 20
const COMMITTERS_MIN = 1
const COMMITTERS_MAX = 4
const ACTORS_MAX = 100_000
const ACTOR_IDLE_MS = 300_000
const DECIDE_TIMEOUT_MS = 30_000
/** When more appends than that wait for the disk, read models wait for their turn. */
const BUSY_APPENDS = 32

export interface EngineOptions {
  /** `read` takes no lock, writes nothing, and works beside a writer. */
  readonly access: 'read' | 'write'
  /** `inline` for a process that lives for a moment. Default: `worker`. */
  readonly committer?: 'worker' | 'inline' | undefined
  /** Make the store if there is none. */
  readonly create?: boolean | undefined
  /** Keep the read models up to date from the beginning, and not from their first use on. */
  readonly projects?: boolean | undefined
  /** Of an encrypted store: where the keys of its entities are. Default: in it; of a backup, in its store. */
  readonly keyFile?: string | undefined
}

/**
 * Opens the store for programs. It is made if it does not exist.
 * @throws KUMA_LOCKED, KUMA_INVALID_CONFIG, KUMA_UNSAFE_DIRECTORY, KUMA_NEWER_FORMAT, KUMA_CORRUPT, KUMA_IO, KUMA_DRIVER;
 * of an encrypted store KUMA_MASTER_KEY, KUMA_NO_KEYS
 */
export async function start(config: Config = {}): Promise<Kuma> {
  return reached(async () => {
    const projects = config.projections !== undefined
    const engine = await openEngine(config, { access: 'write', create: true, projects })
    return kumaOf(config.serve ? await served(engine, config) : engine, config, () => engine.assertHeld())
  })
}

async function served(engine: LiveEngine, config: Config): Promise<LiveEngine> {
  try {
    const [{ serveEmbedded }] = await Promise.all([import('./daemon/embedded.ts'), loadHistory()])
    return await serveEmbedded(engine, (id) => typeForId(config, id) ?? DOCUMENT, config.daemon)
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** What is loaded when it is first asked for: at once, where the package may be replaced in the meantime. */
export async function loadHistory(): Promise<void> {
  await Promise.all([import('./history/diff.ts'), import('./history/blame.ts'), import('./history/revert.ts')])
}

/**
 * The same interface to a store that a daemon (`kuma start`) has open. Definitions are the daemon's: here they only give
 * types. When the connection is lost it is made anew; questions, and appends with a request key, are asked again.
 * `stats` are those that were there when they were last asked for. Over TCP there is no `backup` and no `fork`, which work
 * on the store's files.
 * @param target path of the store, or `tcp://HOST:PORT`
 * @throws KUMA_NOT_RUNNING, KUMA_PROTOCOL; over TCP KUMA_UNAUTHORIZED, KUMA_USAGE
 */
export async function connect(target: string, options?: ConnectOptions): Promise<Kuma> {
  return reached(() => connectTo(target, options))
}

async function connectTo(target: string, options: ConnectOptions | undefined): Promise<Kuma> {
  const { token, tokenFile, signal } = checked('connect()', options, CONNECT)
  checkText('what connect() takes, the path of a store or tcp://HOST:PORT,', target)
  signal?.throwIfAborted()
  const [{ Client, engineOf }, { isUrl, parseUrl }] = await Promise.all([
    import('./daemon/client.ts'), // for who needs it
    import('./daemon/address.ts'),
  ])
  const isRemote = isUrl(target)
  const shown =
    token ?? (tokenFile === undefined ? undefined : (await import('./daemon/token.ts')).readToken(tokenFile))
  const client = await Client.connect(isRemote ? { address: parseUrl(target), token: shown } : resolve(target))
  const engine = engineOf(client, await client.call<Stats>('stats'))
  if (signal?.aborted) await engine.close()
  signal?.throwIfAborted()
  const connected = kumaOf(engine, { path: engine.path })
  return isRemote ? { ...connected, backup: () => notHere(target), fork: () => notHere(target) } : connected
}

async function notHere(target: string): Promise<never> {
  const message = `${target} is somewhere else: a backup or a fork is made of the store's files`
  throw new KumaError('KUMA_USAGE', message, {}, { hint: 'run it on that machine' })
}

/** @param assertHeld that what is at the store's path is what the engine has open */
function kumaOf(engine: Engine, config: Config, assertHeld = () => {}): Kuma {
  const close = () => engine.close()
  const backup = reaching(async (options?: BackupOptions) => {
    checked('backup()', options, BACKUP)
    assertHeld()
    return soundBackup(engine.path, options)
  })
  const fork = reaching(async (to: string, options?: ForkOptions) => {
    checked('fork()', options, FORK)
    checkText('the folder that fork() takes', to)
    assertHeld()
    return forkStore({ ...config, path: engine.path }, to, options)
  })
  return { ...contextOf(engine), stats: () => engine.stats(), backup, fork, close, [Symbol.asyncDispose]: close }
}

async function soundBackup(store: string, options?: BackupOptions): Promise<Backup> {
  const { createBackup } = await import('./backup/create-backup.ts')
  const { problems, ...taken } = await createBackup(store, options)
  if (problems.length === 0) return taken
  const { path } = taken
  const hint = 'all older backups are still there; `kuma verify` tells whether the store itself is damaged'
  throw new KumaError('KUMA_CORRUPT', `the new backup ${path} is not sound: ${problems[0]}`, { path }, { hint })
}

/** The engine in this process. @throws what `start` throws; KUMA_NOT_A_STORE unless `create` */
export async function openEngine(config: Config, options: EngineOptions & { access: 'write' }): Promise<LiveEngine>
export async function openEngine(config: Config, options: EngineOptions): Promise<OwnEngine>
export async function openEngine(config: Config, options: EngineOptions): Promise<OwnEngine> {
  const path = resolve(config.path ?? 'kuma-data')
  checkConfig(config, null)
  const definitions = definitionsOf(config)
  if (options.create) await createUnlessThere(path, config)
  checkDirectory(path)
  if (options.access === 'read') {
    const manifest = readManifest(path)
    const masterKey = masterKeyOf(path, manifest, config)
    return readingEngine(openReaders(path, manifest, masterKey, options.keyFile), definitions, config, options)
  }
  const opened = await openLocked(path, config, options.keyFile)
  try {
    return await writingEngine(opened, definitions, config, options)
  } catch (error) {
    opened.readers.close()
    opened.lock.release()
    throw error
  }
}

/** A store that is held for writing. */
interface Opened {
  readonly lock: Lock
  readonly readers: Readers
  /** of an encrypted store */
  readonly masterKey: Uint8Array | null
}

/** Takes the lock and brings the store up to date. What does not fit is told before anything is touched. */
async function openLocked(path: string, config: Config, keyFile?: string): Promise<Opened> {
  const found = readManifest(path)
  const masterKey = masterKeyOf(path, found, config)
  openReaders(path, found, masterKey, keyFile).close()
  const lock = await takeLock(path, config.lockTimeoutMs, config.signal)
  try {
    tighten(path)
    const readers = openReaders(path, upgradedManifest(path), masterKey, keyFile)
    readers.hold(lock)
    return { lock, readers, masterKey }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Null if the store is not encrypted. @throws KUMA_MASTER_KEY, KUMA_INVALID_CONFIG if it should be */
function masterKeyOf(path: string, manifest: Manifest, config: Config): Uint8Array | null {
  if (config.encryption === undefined || manifest.encryption === config.encryption)
    return masterKeyFor(path, manifest, config)
  const hint = 'that is chosen when a store is made: export what is in it, and import it into a new one'
  throw new KumaError('KUMA_INVALID_CONFIG', `the contents of ${path} are not encrypted`, { path: null }, { hint })
}

function openReaders(
  path: string,
  manifest: Manifest,
  masterKey: Uint8Array | null,
  keyFile = keyFileFor(path),
): Readers {
  return new Readers(path, manifest, masterKey && Keys.open(keyFile, manifest, masterKey, 'read'))
}

/** Makes all snapshots anew. @throws what `openEngine` throws, and what folding a history throws */
export async function repairSnapshots(config: Config, options: RebuildOptions = {}): Promise<RebuildReport> {
  const path = resolve(config.path ?? 'kuma-data')
  const definitions = definitionsOf(config)
  checkDirectory(path)
  const { readers, lock } = await openLocked(path, config)
  try {
    const { rebuildSnapshots } = await import('./history/rebuild-snapshots.ts')
    return await rebuildSnapshots(readers, lock, definitions, options)
  } finally {
    readers.close()
    lock.release()
  }
}

/**
 * Holds what is recorded against the models of the config. Takes no lock, and writes nothing.
 * @throws what opening a store to read throws, KUMA_CORRUPT
 */
export async function checkStore(config: Config, options: CheckOptions = {}): Promise<CheckReport> {
  return reading(config, async (readers) => {
    const { checkModels } = await import('./history/check-models.ts')
    return checkModels(readers, definitionsOf(config), options)
  })
}

/** Takes no lock: the store may be in use. @throws what `fork` throws, and what opening a store to read throws */
export async function forkStore(config: Config, to: string, options: ForkOptions = {}): Promise<Fork> {
  return reading(config, async (readers, masterKey) => {
    const { fork } = await import('./history/fork.ts')
    const noted = (made: Fork) => remember(readers.path, { fork: made.path, store: made.store })
    return fork(readers, masterKey, to, options, noted)
  })
}

/** Runs `use` on what is recorded, beside whoever writes. */
async function reading<T>(
  config: Config,
  use: (readers: Readers, masterKey: Uint8Array | null) => Promise<T>,
): Promise<T> {
  const path = resolve(config.path ?? 'kuma-data')
  checkDirectory(path)
  const manifest = readManifest(path)
  const masterKey = masterKeyOf(path, manifest, config)
  const readers = openReaders(path, manifest, masterKey)
  try {
    return await use(readers, masterKey)
  } finally {
    readers.close()
  }
}

/** @throws KUMA_INVALID_CONFIG if two share a type */
export function definitionsOf({ entities = [], ids = {}, stateBytesMax }: Config): Definitions {
  return new Definitions([...entities, ...Object.values(ids)], stateBytesMax)
}

/** A key and its shard. Null if there is no such entity. */
function placeOf(readers: Readers, id: string) {
  const found = find(readers, id)
  return found && { shard: found.reader.shard, entity: found.entity.key }
}

async function createUnlessThere(path: string, { shards, encryption, ...source }: Config): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      readManifest(path)
      return
    } catch (error) {
      if (!isKumaError(error, 'KUMA_NOT_A_STORE')) throw error
    }
    try {
      await createStore(path, { shards, encryption, masterKey: encryption && masterKeyFrom(source) })
      return
    } catch (error) {
      // somebody else is making it: that takes milliseconds
      if (!isKumaError(error, 'KUMA_STORE_EXISTS') || tries === CREATE_TRIES) throw error
      await setTimeout(CREATE_WAIT_MS)
    }
  }
}

/** What reading and writing engines have in common: the past is read from disk. */
function historyOf(readers: Readers, definitions: Definitions, ends: Ends) {
  return {
    path: readers.path,
    store: readers.manifest.store,
    replay: (id, range) => replay(readers, definitions, id, range),
    diff: async (request, signal) => (await import('./history/diff.ts')).diff(readers, definitions, request, signal),
    blame: async (id, path, signal) =>
      (await import('./history/blame.ts')).blame(readers, definitions, id, path, signal),
    log: (query) => log(readers, definitions, query),
    feed: (request) => feed(readers, ends, definitions, request),
    entities: (query) => entities(readers, query),
    inspectAll: (query) => inspectAll(readers, definitions, query),
  } satisfies Partial<Engine>
}

function readingEngine(
  readers: Readers,
  definitions: Definitions,
  config: Config,
  { projects = false }: EngineOptions,
): OwnEngine {
  const { path } = readers
  const ends = lookedUpEnds(readers)
  const readModels = openReadModels(readers, new Source(readers, definitions, ends), config, {
    follows: projects,
    placeOf: (id) => placeOf(readers, id),
    isBusy: () => false,
    onFailed: () => {},
    onLeftOut: warnOfLeftOut,
    onReached: () => rememberSink(path, readModels),
  })
  return {
    ...historyOf(readers, definitions, ends),
    append: async () => readOnly(path),
    appendCopy: async () => readOnly(path),
    execute: async () => readOnly(path),
    erase: async () => readOnly(path),
    revert: async (request, signal) =>
      request.dryRun
        ? (await import('./history/revert.ts')).revert(readers, definitions, request, null, signal)
        : readOnly(path),
    stats: () => readOnly(path),
    shards: () => shardsOf(readers, ends, null),
    find: async (id) => {
      const found = find(readers, id)
      return found && { id, type: found.entity.type, version: found.head.version, updatedAt: found.head.at }
    },
    inspect: (id, point, signal) => inspectAt(readers, definitions, id, point, signal),
    readModels,
    close: async () => {
      ends.close()
      await readModels.close()
      readers.close()
    },
  }
}

/** So that an erasure names it when the config does no more. */
function rememberSink(path: string, { nodes }: StoreReadModels): void {
  if (nodes.length > 0) remember(path, { rqlite: nodes })
}

function readOnly(path: string): never {
  throw new KumaError('KUMA_READ_ONLY', `${path} was opened for reading`, { path })
}

/** More threads than processors have something to do, since most of a commit is waiting for the disk. */
function committersOf(
  { readers: { path, manifest }, masterKey, lock: { held } }: Opened,
  kind: EngineOptions['committer'],
  count = Math.min(COMMITTERS_MAX, Math.max(COMMITTERS_MIN, availableParallelism() - 1)),
): Committer[] {
  if (kind === 'inline') return [new InlineCommitter(path, manifest, masterKey, held)]
  const threads = Math.min(count, manifest.shards)
  return Array.from({ length: threads }, () => new WorkerCommitter(path, manifest, masterKey, held))
}

async function writingEngine(
  opened: Opened,
  definitions: Definitions,
  config: Config,
  { committer, projects }: EngineOptions,
): Promise<LiveEngine> {
  const { committers } = config
  const { actorsMax = ACTORS_MAX, actorIdleMs = ACTOR_IDLE_MS, decideTimeoutMs = DECIDE_TIMEOUT_MS } = config
  const { readers, lock } = opened
  const { path } = readers
  const commits = new GroupCommit(committersOf(opened, committer, committers))
  const ends = committedEnds(readers, commits)
  const router = new Router(readers, commits, definitions, { actorsMax, actorIdleMs, decideTimeoutMs })
  const statistics = new Statistics(readers, commits, router, definitions, ends)
  const census = new Census(router)
  const readModels = openReadModels(readers, new Source(readers, definitions, ends), config, {
    follows: committer !== 'inline',
    placeOf: (id) => placeOf(readers, id),
    isBusy: () => commits.load.appends > BUSY_APPENDS,
    onFailed: (name, failure) => onProjectionFailed(name, failure),
    onLeftOut: (name, entity) => onLeftOut(name, entity),
    onReached: () => {
      lock.assertHeld()
      rememberSink(path, readModels)
      void resumeErasures(parts)
    },
  })
  const parts: EraseParts = {
    readers,
    router,
    commits,
    readModels,
    underWay: new Set(),
    failed: new Set(),
  }
  let onProjectionFailed: ProjectorOptions['onFailed'] = warnOfProjection
  let onLeftOut: ProjectorOptions['onLeftOut'] = warnOfLeftOut
  let onLost: (error: KumaError) => void = ({ message }) => process.emitWarning(message, 'KumaWarning')
  let lost: KumaError | null = null
  let closing: Promise<void> | undefined
  commits.onPoisoned = warnOfLoss
  commits.onGone = (what) => lock.lose(gone(path, what))
  lock.onLost = lose
  try {
    await resumeErasures(parts)
    if (projects) await readModels.follow()
  } catch (error) {
    await closeAll()
    throw error
  }
  return {
    ...historyOf(readers, definitions, ends),
    append: (request, caller) => router.append(request, caller),
    appendCopy: (request) => router.appendCopy(request),
    execute: (request, caller) => router.execute(request, caller),
    revert: async (request, signal) =>
      (await import('./history/revert.ts')).revert(
        readers,
        definitions,
        request,
        request.dryRun ? null : (decided) => router.revert(decided),
        signal,
      ),
    erase: (ids, options) => erase(parts, ids, options),
    stats: () => {
      lock.look() // so that whoever asks how it does is told the truth
      return statistics.now()
    },
    shards: () => statistics.shards(),
    projections: () => readModels.now(),
    queries: () => readModels.queries,
    actors: (query, signal) => census.page(query, signal),
    actor: (id) => census.one(id),
    passivate: (id) => router.passivate(id),
    snapshot: (id) => router.snapshot(id),
    onPoisoned: (told) => {
      commits.onPoisoned = told
    },
    onProjectionFailed: (told) => {
      onProjectionFailed = told
    },
    onLeftOut: (told) => {
      onLeftOut = told
    },
    onFlawedFold: (told) => {
      definitions.onFlawedFold = told
    },
    onLost: (told) => {
      onLost = told
      if (lost !== null) told(lost)
    },
    assertHeld: () => lock.assertHeld(),
    giveUpDecisions: (why) => router.giveUpDecisions(why),
    readModels,
    find: (id) => router.find(id),
    inspect: (id, point, signal) =>
      point === undefined ? router.inspect(id) : inspectAt(readers, definitions, id, point, signal),
    close: () => (closing ??= closeAll()),
  }

  /** What is at the path is not the store that was opened: nothing is taken, and nothing read any more. */
  function lose(error: KumaError<'KUMA_POISONED'>): void {
    lost = error
    router.lose(error)
    commits.lose(error, readers.manifest.shards)
    readers.lose(error)
    ends.close(error)
    void readModels.close()
    onLost(error)
  }

  /**
   * The lock goes last: until then nobody else may write. The readers go after the writers: whichever connection is the last
   * of its file, SQLite has it copy the WAL that it has open and remove the one of that name. Where those are two, what
   * others wrote would be gone; a reader may not write, and so does neither.
   */
  async function closeAll(): Promise<void> {
    statistics.close()
    try {
      await router.close()
    } catch (error) {
      if (lock.look()) throw error // that was told when it happened
    } finally {
      ends.close()
      await readModels.close()
      readers.close()
      lock.release()
    }
  }
}

function warnOfLoss(shard: number, why: string, lost: Span | null): void {
  if (lost !== null) process.emitWarning(poisonedText(shard, why, lost), 'KumaWarning')
}

function warnOfProjection(name: string, { message }: { readonly message: string }): void {
  process.emitWarning(`the projection ${name} stopped: ${message}`, 'KumaWarning')
}

function warnOfLeftOut(name: string, { id }: { readonly id: string }): void {
  process.emitWarning(`the projection ${name} leaves out ${id}: its state is too large`, 'KumaWarning')
}
