/**
 * kuma.config.ts: the definitions that a shell needs, and where the store is. Looked for from the working directory
 * upwards, loaded as TypeScript, and checked before anything else is done. It is code, so one that was only found is
 * loaded only where nobody else could have put it: `lookUpwards` tells the rule.
 */
import { existsSync, lstatSync, type Stats, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Config, DaemonBounds, ReadModelsConfig } from './api.ts'
import { type AnyEntityDefinition, definitionOf } from './entity/define-entity.ts'
import { isKumaError, KumaError } from './errors.ts'
import { nearest } from './nearest.ts'
import { projectionOf } from './projection/define-projection.ts'
import { parseRqliteUrl } from './projection/rqlite-url.ts'
import { bundled } from './store/bundled.ts'
import { isMine, makePrivateDirectory } from './store/directory.ts'
import { foreignness, foreignnessOfFile } from './store/foreign.ts'

type Range = readonly [min: number, max: number]

/** In such a folder nobody can remove or rename what is somebody else's. */
const STICKY = 0o1000
const NAMES = ['kuma.config.ts', 'kuma.config.mts', 'kuma.config.js', 'kuma.config.mjs']
const TSCONFIG = 'tsconfig.json'
/** Settings that are numbers: their least and greatest values. */
const NUMBERS = {
  shards: [1, 999],
  committers: [1, 64],
  actorsMax: [1, Number.MAX_SAFE_INTEGER],
  stateBytesMax: [1, Number.MAX_SAFE_INTEGER],
  // timers take 31 bits
  actorIdleMs: [4, 2 ** 31 - 1],
  decideTimeoutMs: [1, 2 ** 31 - 1],
} as const
/** Those of `daemon`. */
const DAEMON_NUMBERS: { readonly [name in keyof DaemonBounds]-?: Range } = {
  clientsMax: [1, 1_000_000],
  unauthorizedMax: [1, 1_000_000],
  callsMax: [1, 1_000_000],
  slowCallsMax: [1, 1_000_000],
  slowCallsOfAllMax: [1, 1_000_000],
  unreadBytesMax: [1, Number.MAX_SAFE_INTEGER],
  logBytesMax: [4_096, Number.MAX_SAFE_INTEGER],
}
/** Those of `readModels`. */
const READ_MODELS_NUMBERS = {
  queriesMax: [1, 64],
  // half of it is the process's own
  queryMemoryBytesMax: [128 * 1024 * 1024, Number.MAX_SAFE_INTEGER],
  queryTimeoutMs: [1, 2 ** 31 - 1],
} as const satisfies { readonly [name in keyof ReadModelsConfig]: Range }
const READ_MODELS_KEYS = ['events', 'rqliteUrl', ...Object.keys(READ_MODELS_NUMBERS)]
const KEYS = [
  'path',
  'entities',
  'projections',
  'readModels',
  'serve',
  'daemon',
  'ids',
  'encryption',
  'masterKey',
  'masterKeyFile',
  'lockTimeoutMs',
  'signal',
  ...Object.keys(NUMBERS),
]

/** Checks a config and gives it back, so that an editor knows its type. @throws KUMA_INVALID_CONFIG */
export function defineConfig(config: Config): Config {
  checkConfig(config, null)
  return Object.freeze({ ...config })
}

export interface LoadedConfig {
  /** `path` is absolute. Empty if there is no config file. */
  readonly config: Config
  readonly file: string | null
  /** Has the file changed since it was loaded, or a file that it imports? Or is there one now that would be loaded? */
  readonly isStale: () => boolean
  /** Why the file that is there is not gone by: then the config is empty. Only for who can do without. */
  readonly broken?: KumaError
}

interface LoadOptions {
  readonly cwd: string
  /** One that must exist, instead of looking for one. It was named, so it may be anybody's. */
  readonly file?: string | undefined
  /** Goes on without one that does not load, or that says what none may. */
  readonly canDoWithout?: boolean
}

/** @throws KUMA_INVALID_CONFIG */
export async function loadConfig({ cwd, file, canDoWithout }: LoadOptions): Promise<LoadedConfig> {
  const found = file === undefined ? lookUpwards(cwd, NAMES) : { file: resolve(cwd, file), problem: null }
  if (found === null) return { config: {}, file: null, isStale: () => lookUpwards(cwd, NAMES)?.problem === null }
  if (found.problem !== null) throw notTrusted(found.file, found.problem)
  if (!existsSync(found.file)) throw invalid(found.file, `there is no config file ${found.file}`)
  try {
    return await loadFile(found.file)
  } catch (error) {
    if (!canDoWithout || !isKumaError(error, 'KUMA_INVALID_CONFIG')) throw error
    return { config: {}, file: found.file, isStale: () => false, broken: error }
  }
}

async function loadFile(file: string): Promise<LoadedConfig> {
  const { config, files } = await load(file)
  checkConfig(config, file)
  const stamp = stampOf(files)
  const absolute: { -readonly [K in 'path' | 'masterKeyFile']?: string } = {}
  for (const name of ['path', 'masterKeyFile'] as const)
    if (config[name] !== undefined) absolute[name] = resolve(dirname(file), config[name])
  return { config: { ...config, ...absolute }, file, isStale: () => stampOf(files) !== stamp }
}

interface Found {
  readonly file: string
  /** why it is not loaded */
  readonly problem: string | null
}

/**
 * The nearest one. It goes up through folders that belong to who runs this, or to root, and that nobody else can write
 * to. It ends at the first other one: a config in that is not loaded, which is an error, since it may be meant. A folder
 * for everybody's files (/tmp) is passed by who has a folder in it, and so is a config there that is not his own: else
 * anybody could stop him.
 */
function lookUpwards(cwd: string, names: readonly string[]): Found | null {
  let below: Stats | null = null
  for (let folder = cwd; ; folder = dirname(folder)) {
    const stats = statsOf(folder)
    if (stats === null) return null
    const isPassed = below !== null && isMine(below) && (stats.mode & STICKY) !== 0
    const file = names.map((name) => join(folder, name)).find((path) => existsSync(path))
    if (file !== undefined) {
      const problem = foreignnessOfFile(file)
      if (problem === null || !isPassed || isMine(lstatSync(file))) return { file, problem }
    }
    if ((foreignness(stats) !== null && !isPassed) || dirname(folder) === folder) return null
    below = stats
  }
}

/** Null if that cannot be seen. */
function statsOf(folder: string): Stats | null {
  try {
    return statSync(folder)
  } catch {
    return null
  }
}

/** Another one if any of the files was written anew. */
function stampOf(files: readonly string[]): string {
  return files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0).join()
}

/** @returns also the files that were loaded for it: those that people write, not packages */
async function load(file: string): Promise<{ config: Config; files: readonly string[] }> {
  // loaded here and not above: a command without a config does not pay for it
  const { createJiti } = await import('jiti')
  const tsconfig = tsconfigFor(file)
  const loader = (tsconfigPaths: string | false) =>
    createJiti(pathToFileURL(file).href, {
      // the config means this installation when it says 'kuma', also in a folder that has none
      alias: { kuma: bundled('index') },
      interopDefault: false,
      fsCache: cacheFolder(),
      tsconfigPaths,
    })
  let jiti: ReturnType<typeof loader>
  let hint: string | undefined
  try {
    jiti = loader(tsconfig ?? false)
  } catch (error) {
    // what it extends is often not there where programs run, and need not be if no alias is used
    jiti = loader(false)
    hint = `the aliases of ${tsconfig} are not known: ${(error as Error).message}`
  }
  let module: { default?: unknown }
  try {
    module = await jiti.import<{ default?: unknown }>(file)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    const place = userFrame(cause)
    throw invalid(file, `${file} does not load: ${message}${place === null ? '' : `\n    at ${place}`}`, hint, cause)
  }
  if (typeof module.default === 'object' && module.default !== null) {
    const own = dirname(bundled('index'))
    const files = Object.keys(jiti.cache).filter((path) => !path.includes('/node_modules/') && !path.startsWith(own))
    return { config: module.default as Config, files: [file, ...files, ...(tsconfig === null ? [] : [tsconfig])] }
  }
  throw invalid(
    file,
    `${file} has no config as its default export`,
    'end it with `export default defineConfig({ ... })`',
  )
}

/**
 * What says which files the aliases of imports stand for. That decides which code is run, so it is looked for as the config
 * is, and not gone by where somebody else could have written it.
 */
function tsconfigFor(file: string): string | null {
  const found = lookUpwards(dirname(file), [TSCONFIG])
  return found?.problem === null ? found.file : null
}

/**
 * Where what was compiled is kept, to be run again: only where nobody else gets, and so not in the shared temporary folder.
 * False for nowhere, as with the home of another user (sudo).
 */
function cacheFolder(): string | false {
  try {
    const own = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'kuma')
    const path = join(own, 'config')
    let above = own
    while (!existsSync(above)) above = dirname(above)
    if (foreignness(statSync(above)) !== null) return false
    for (const folder of [own, path]) makePrivateDirectory(folder)
    return path
  } catch {
    return false
  }
}

/** The first line of a stack that is the user's own. */
function userFrame(error: unknown): string | null {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const own = dirname(bundled('index'))
  for (const line of stack.split('\n')) {
    const match = /(?:\(|at )((?:file:\/\/)?\/[^()]+:\d+:\d+)\)?$/.exec(line.trim())
    const place = match?.[1]?.replace('file://', '')
    if (place !== undefined && !place.includes('/node_modules/') && !place.startsWith(own)) return place
  }
  return null
}

/** @param file where it was found, for the messages. @throws KUMA_INVALID_CONFIG */
export function checkConfig(config: Config, file: string | null): void {
  const bad = (problem: string, hint?: string) =>
    invalid(file, `the config${file === null ? '' : ` ${file}`}: ${problem}`, hint)
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw bad('must be an object')
  for (const key of Object.keys(config)) {
    if (KEYS.includes(key)) continue
    const meant = nearest(key, KEYS)
    throw bad(
      `has no setting ${JSON.stringify(key)}`,
      meant === undefined ? `it knows ${KEYS.join(', ')}` : `did you mean ${meant}?`,
    )
  }
  const { path, entities = [], ids = {}, lockTimeoutMs, serve } = config
  if (serve !== undefined && typeof serve !== 'boolean') throw bad('serve must be true or false')
  if (path !== undefined && (typeof path !== 'string' || path === '')) throw bad('path must name a directory')
  checkNumbers(config, NUMBERS, '', bad)
  if (lockTimeoutMs !== undefined && !(Number.isFinite(lockTimeoutMs) && lockTimeoutMs >= 0))
    throw bad('lockTimeoutMs must be 0 or more')
  checkEncryption(config, bad)
  checkDaemon(config, bad)
  if (!Array.isArray(entities)) throw bad('entities must be an array of definitions')
  if (typeof ids !== 'object' || ids === null) throw bad('ids must be an object from patterns to definitions')
  checkDefinitions(entities, Object.values(ids), bad)
  checkReadModels(config, bad)
}

/** @param where they stand, for the messages: `daemon.` */
function checkNumbers(
  given: object,
  numbers: { readonly [name: string]: Range },
  where: string,
  bad: (problem: string) => KumaError,
): void {
  const values = given as { readonly [name: string]: unknown }
  for (const [name, [min, max]] of Object.entries(numbers)) {
    const value = values[name]
    if (value === undefined || (Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max)) continue
    throw bad(`${where}${name} must be ${min.toLocaleString('en')} to ${max.toLocaleString('en')}`)
  }
}

function checkDaemon({ daemon = {} }: Config, bad: (problem: string) => KumaError): void {
  if (typeof daemon !== 'object' || daemon === null) throw bad('daemon must be an object')
  const names = Object.keys(DAEMON_NUMBERS)
  const other = Object.keys(daemon).find((name) => !names.includes(name))
  if (other !== undefined) throw bad(`daemon has no setting ${JSON.stringify(other)}: it knows ${names.join(', ')}`)
  checkNumbers(daemon, DAEMON_NUMBERS, 'daemon.', bad)
}

function checkReadModels({ projections = [], readModels = {} }: Config, bad: (problem: string) => KumaError): void {
  if (!Array.isArray(projections)) throw bad('projections must be an array of projections')
  const names = projections.map((projection) => projectionOf(projection).name.toLowerCase())
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice !== undefined) throw bad(`two projections have the name ${JSON.stringify(twice)}`)
  if (typeof readModels !== 'object' || readModels === null) throw bad('readModels must be an object')
  const { events, rqliteUrl } = readModels
  const other = Object.keys(readModels).find((name) => !READ_MODELS_KEYS.includes(name))
  if (other !== undefined)
    throw bad(`readModels has no setting ${JSON.stringify(other)}: it knows ${READ_MODELS_KEYS.join(', ')}`)
  checkNumbers(readModels, READ_MODELS_NUMBERS, 'readModels.', bad)
  if (events !== undefined && typeof events !== 'boolean') throw bad('readModels.events must be true or false')
  if (rqliteUrl !== undefined) parseRqliteUrl(rqliteUrl)
}

/** That a key is one is found out where it is used: here a message could not keep it to itself. */
function checkEncryption(
  { encryption, masterKey, masterKeyFile }: Config,
  bad: (problem: string, hint?: string) => KumaError,
): void {
  if (encryption !== undefined && encryption !== 'entity-keys')
    throw bad(`encryption can be 'entity-keys', not ${JSON.stringify(encryption)}`, 'leave it out for none')
  if (masterKeyFile !== undefined && typeof masterKeyFile !== 'string') throw bad('masterKeyFile must name a file')
  if (masterKey !== undefined && masterKeyFile !== undefined) throw bad('has both masterKey and masterKeyFile')
}

function checkDefinitions(
  entities: readonly AnyEntityDefinition[],
  more: readonly AnyEntityDefinition[],
  bad: (problem: string) => KumaError,
): void {
  const types = new Map<string, unknown>()
  for (const definition of [...entities, ...more]) {
    const { type } = definitionOf(definition)
    if (types.has(type) && types.get(type) !== definition)
      throw bad(`two definitions have the type ${JSON.stringify(type)}`)
    types.set(type, definition)
  }
}

/** The entity type that `ids` gives to an id: the first pattern that matches. `*` stands for any run of characters. */
export function typeForId(config: Config, id: string): string | undefined {
  for (const [glob, definition] of Object.entries(config.ids ?? {})) {
    if (matches(glob, id)) return definitionOf(definition).type
  }
  return undefined
}

/** Piece by piece, each at its first possible place: never a regular expression made from what someone wrote. */
function matches(glob: string, id: string): boolean {
  const [first = '', ...rest] = glob.split('*')
  const last = rest.pop()
  if (last === undefined) return glob === id
  if (!id.startsWith(first) || !id.endsWith(last) || id.length < first.length + last.length) return false
  let at = first.length
  for (const piece of rest) {
    const found = id.indexOf(piece, at)
    if (found === -1 || found + piece.length > id.length - last.length) return false
    at = found + piece.length
  }
  return true
}

function notTrusted(file: string, problem: string): KumaError<'KUMA_INVALID_CONFIG'> {
  const hint = 'it is code that somebody else may have written: name it with --config FILE if it is meant'
  return invalid(file, `${file} is not loaded: ${problem}`, hint)
}

function invalid(
  path: string | null,
  message: string,
  hint?: string,
  cause?: unknown,
): KumaError<'KUMA_INVALID_CONFIG'> {
  return new KumaError('KUMA_INVALID_CONFIG', message, { path }, { hint, ...(cause === undefined ? {} : { cause }) })
}
