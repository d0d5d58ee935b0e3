/** What all commands share: the global flags, how the store is opened, and how an error is told. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from '@oclif/core/command'
import type { Config as OclifConfig } from '@oclif/core/config'
import * as Flags from '@oclif/core/flags'
import type { Config } from '../api.ts'
import { type LoadedConfig, loadConfig, typeForId } from '../config.ts'
import type { Client, Target } from '../daemon/client.ts'
import type { Engine } from '../engine.ts'
import type { Meta } from '../entity/event.ts'
import { parsePoint, type ResolvedPoint, timeOf } from '../entity/time.ts'
import type { KumaError } from '../errors.ts'
import { type EngineOptions, openEngine } from '../kuma.ts'
import { SOCKET } from '../store/manifest.ts'
import { parseDuration } from './duration.ts'
import { checkWord, parsePairs, usage } from './event-data.ts'
import { exitCodeOf } from './exit-codes.ts'
import { keepOutput, note } from './output.ts'
import { reportError } from './report-error.ts'
import { STORE_FILE, storePath } from './store-path.ts'

const GLOBAL = 'GLOBAL'
/** They say which store is meant. */
const NAMING = ['--dir', '--url', '--config']

export interface GlobalFlags {
  readonly dir?: string | undefined
  readonly config?: string | undefined
  readonly json: boolean
  readonly 'lock-timeout'?: number | undefined
  readonly 'master-key-file'?: string | undefined
  readonly url?: string | undefined
  readonly 'token-file'?: string | undefined
}

export interface Located {
  readonly config: Config
  readonly path: string
  /** What the config says that a new entity of that id is, if it does. */
  readonly typeFor: (id: string) => string | undefined
  /** Is the config another by now? */
  readonly isStale: () => boolean
}

/** Flags of commands that write. */
export const writeFlags = {
  as: Flags.string({
    description: 'who does this: `by` in the meta of every event',
    env: 'KUMA_AS',
    helpValue: 'NAME',
  }),
  reason: Flags.string({ description: 'why: `reason` in the meta of every event', helpValue: 'TEXT' }),
}

export const expectVersionFlag = {
  'expect-version': Flags.custom<number | 'exists'>({
    aliases: ['expected-version'], // as the library calls it
    description: 'refuse unless the entity is at this version; 0: it must not exist; exists: it must',
    helpValue: 'N',
    parse: async (text) => expectedVersionOf(text),
  })(),
}

function expectedVersionOf(text: string): number | 'exists' {
  if (text === 'exists') return text
  const version = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(version)) return version
  throw usage(`--expect-version takes a whole number from 0 on, or \`exists\`, not ${JSON.stringify(text)}`)
}

export const requestKeyFlag = {
  'request-key': Flags.string({ description: 'the same key again records nothing and gives the first answer' }),
}

export const metaFlag = {
  meta: Flags.string({
    description: 'key=text or key:=json; may be repeated',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'KEY=VALUE',
  }),
}

interface RequestFlags {
  readonly type?: string | undefined
  readonly 'request-key'?: string | undefined
  readonly meta?: readonly string[] | undefined
  readonly as?: string | undefined
  readonly reason?: string | undefined
}

/** The meta of what is asked of an entity, once its flags were looked at. @throws KUMA_USAGE if they are not what was typed */
export function requestMeta({ meta = [], ...flags }: RequestFlags): Meta {
  checkWord(flags.type, "the entity's type")
  checkWord(flags['request-key'], 'the request key')
  for (const pair of meta) checkWord(pair, 'the meta')
  return writeMeta(flags, parsePairs(meta) as never)
}

export function writeMeta(
  { as, reason }: { as?: string | undefined; reason?: string | undefined },
  more: Meta = {},
): Meta {
  checkAuthor({ as, reason })
  const named = { ...(as === undefined ? {} : { by: as }), ...(reason === undefined ? {} : { reason }) }
  const twice = Object.keys(named).find((field) => field in more)
  if (twice !== undefined) throw usage(`${twice} is given twice: by --meta, and by a flag or KUMA_AS of its own`)
  return { ...named, ...more }
}

/** @throws KUMA_USAGE if they are not what was typed */
export function checkAuthor({ as, reason }: { as?: string | undefined; reason?: string | undefined }): void {
  checkWord(as, 'the name (--as, KUMA_AS)')
  checkWord(reason, 'the reason')
}

/** An engine that several commands use, one after the other. */
export interface Session {
  readonly engine: Engine
  readonly located: Located
}

export abstract class BaseCommand extends Command {
  /** Of `kuma shell`: used by every command that does not name another store. */
  static session: Session | null = null

  /** oclif's own reads all that it knows of the command line a second time. */
  static override run<T extends Command>(
    this: new (
      argv: string[],
      config: OclifConfig,
    ) => T,
    argv: string[],
    config: OclifConfig,
  ): Promise<ReturnType<T['run']>> {
    return new this(argv, config)['_run']()
  }

  static override baseFlags = {
    dir: Flags.string({
      description: 'the store (default: KUMA_DIR, the config, ./kuma-data or one above)',
      env: 'KUMA_DIR',
      helpGroup: GLOBAL,
      helpValue: 'DIR',
    }),
    config: Flags.string({
      description: 'the config file (default: kuma.config.ts here or above)',
      env: 'KUMA_CONFIG',
      helpGroup: GLOBAL,
      helpValue: 'FILE',
    }),
    json: Flags.boolean({ description: 'print JSON, errors too', helpGroup: GLOBAL, default: false }),
    'lock-timeout': Flags.custom<number>({
      description: 'how long to wait for another writer: 500ms, 5s (default), or milliseconds',
      env: 'KUMA_LOCK_TIMEOUT',
      helpGroup: GLOBAL,
      helpValue: 'TIME',
      parse: async (text) => parseDuration(text),
    })(),
    'master-key-file': Flags.string({
      description: 'of an encrypted store: the file with its master key (or KUMA_MASTER_KEY)',
      env: 'KUMA_MASTER_KEY_FILE',
      helpGroup: GLOBAL,
      helpValue: 'FILE',
    }),
    url: Flags.string({
      description: 'a daemon that listens elsewhere, instead of a store here: tcp://HOST:PORT',
      env: 'KUMA_URL',
      helpGroup: GLOBAL,
      helpValue: 'URL',
    }),
    'token-file': Flags.string({
      description: "with --url, or to --listen: the file with the daemon's token",
      env: 'KUMA_TOKEN_FILE',
      helpGroup: GLOBAL,
      helpValue: 'FILE',
    }),
  }

  /** Does it need the definitions, or anything else that only the config tells? */
  protected readonly needsConfig: boolean = true
  private isWithout = false

  /** The config, and the store that it or a flag names. @throws KUMA_USAGE if that is a daemon elsewhere */
  protected async locate(flags: GlobalFlags): Promise<Located> {
    if (this.urlOf(flags) === undefined) return this.locateHere(flags)
    const hint = 'give --dir DIR, or run it on that machine'
    throw usage(`${this.id} works on the files of a store, not through a daemon elsewhere (--url, KUMA_URL)`, hint)
  }

  private async locateHere(flags: GlobalFlags): Promise<Located> {
    const { config, isStale, broken } = await this.loadConfig(flags)
    const path = storePath(flags.dir, config, process.cwd())
    if (broken !== undefined) this.goOnWithout(broken, path, flags)
    const lockTimeoutMs = flags['lock-timeout'] ?? config.lockTimeoutMs
    // a flag comes before the config, also before what it says in another way
    const key = flags['master-key-file']
    const given = key === undefined ? {} : { masterKey: undefined, masterKeyFile: key }
    return {
      config: { ...config, ...given, path, lockTimeoutMs },
      path,
      typeFor: (id) => typeForId(config, id),
      isStale,
    }
  }

  /** The config that it goes by. @throws KUMA_INVALID_CONFIG */
  protected async loadConfig({ config }: GlobalFlags): Promise<LoadedConfig> {
    keepOutput()
    return loadConfig({ cwd: process.cwd(), file: config, canDoWithout: !this.needsConfig })
  }

  /** The config would say which store is meant: without it only one that is named, or there, is taken. @throws broken */
  private goOnWithout(broken: KumaError, path: string, flags: GlobalFlags): void {
    const url = this.urlOf(flags)
    if (url === undefined && flags.dir === undefined && !existsSync(join(path, STORE_FILE))) throw broken
    if (this.isWithout) return
    this.isWithout = true
    note(`${broken.message.split('\n')[0]}\n  this needs no config: it goes on with ${url ?? path}`)
  }

  /** Of a daemon elsewhere. A --dir that was typed comes before a KUMA_URL. @throws KUMA_USAGE */
  protected urlOf({ url }: GlobalFlags): string | undefined {
    const [typedDir, typedUrl] = [hasFlag(this.argv, '--dir'), hasFlag(this.argv, '--url')]
    if (typedDir && typedUrl) throw usage('give --dir or --url, not both')
    return typedDir ? undefined : url
  }

  /** What speaks for the daemon: elsewhere, or that of the store here. */
  protected async target(flags: GlobalFlags): Promise<Target> {
    const url = this.urlOf(flags)
    if (url === undefined) return (await this.locateHere(flags)).path
    const [{ parseUrl }, { readToken }] = await Promise.all([
      import('../daemon/address.ts'),
      import('../daemon/token.ts'),
    ])
    const file = flags['token-file']
    return { address: parseUrl(url), token: file === undefined ? undefined : readToken(file) }
  }

  /** Runs `use` on the store's engine, that of its daemon if there is one, and closes it whatever happens. */
  protected async withEngine<T>(
    flags: GlobalFlags,
    options: EngineOptions,
    use: (engine: Engine, located: Located) => Promise<T>,
  ): Promise<T> {
    const { session } = BaseCommand
    if (session !== null && !NAMING.some((flag) => hasFlag(this.argv, flag)))
      return use(session.engine, session.located)
    const { engine, located } = await this.open(flags, options)
    try {
      return await use(engine, located)
    } finally {
      await engine.close()
    }
  }

  /** To be closed by who asks for it. */
  protected async open(flags: GlobalFlags, options: EngineOptions): Promise<Session> {
    const located = await this.locateHere(flags)
    if (this.urlOf(flags) === undefined) {
      const engine = (await daemonOf(located.path)) ?? (await openEngine(located.config, options))
      return { engine, located }
    }
    const engine = await daemonAt(await this.target(flags))
    return { engine, located: { ...located, path: engine.path } }
  }

  /** Never rethrows: oclif would print the error in its own way and call process.exit, which cuts pipes short. */
  protected override async catch(error: unknown): Promise<void> {
    this.parsed = true // oclif warns of a command that did not parse, also when it could not
    process.exitCode = exitCodeOf(error)
    const { flags, baseFlags } = this.ctor
    reportError(error, hasFlag(this.argv, '--json'), Object.keys({ ...baseFlags, ...flags }))
  }
}

/** Null if there is none. Its socket may have been left behind by one that was killed. */
async function daemonOf(path: string): Promise<Engine | null> {
  if (!existsSync(join(path, SOCKET))) return null
  const { Client, engineOf } = await import('../daemon/client.ts')
  const client = await Client.find(path)
  return client && engineOf(warned(client))
}

/** @throws KUMA_NOT_RUNNING, KUMA_PROTOCOL, KUMA_UNAUTHORIZED */
async function daemonAt(target: Target): Promise<Engine> {
  const { Client, engineOf } = await import('../daemon/client.ts')
  return engineOf(warned(await Client.connect(target)))
}

function warned(client: Client): Client {
  if (client.greeting.isConfigStale)
    note('the config has changed since the daemon was started, which goes by the old one: `kuma stop`, `kuma start`')
  return client
}

/** Not in words after `--`, which belong to someone else. */
export function hasFlag(argv: readonly string[], flag: string): boolean {
  const end = argv.indexOf('--')
  return (end === -1 ? argv : argv.slice(0, end)).some((word) => word === flag || word.startsWith(`${flag}=`))
}

/** @throws KUMA_INVALID_POINT */
export function pointOf(text: string | undefined): ResolvedPoint | undefined {
  return text === undefined ? undefined : parsePoint(text)
}

/** The same where a version makes no sense. @param what "a list" @throws KUMA_INVALID_POINT */
export function timeIn(text: string | undefined, what: string): number | undefined {
  return text === undefined ? undefined : timeOf(parsePoint(text), what)
}
