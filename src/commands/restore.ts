import { readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type { Config } from '../api.ts'
import { readBackupManifest } from '../backup/backup-manifest.ts'
import type { Erased } from '../backup/erase-from.ts'
import { isErasedIn, knownErasures, parseErasures } from '../backup/known-erasures.ts'
import { findBackup } from '../backup/places.ts'
import { beginningOf, restore } from '../backup/restore.ts'
import { restoreEntity } from '../backup/restore-entity.ts'
import { BaseCommand, type GlobalFlags, pointOf, timeIn } from '../cli/base-command.ts'
import { checkWord, usage } from '../cli/event-data.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { interruptible } from '../cli/interrupted.ts'
import { isTerminal, note, print, visible } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'
import { storePath } from '../cli/store-path.ts'
import { TIME_MAX } from '../entity/time.ts'
import { isKumaError, KumaError } from '../errors.ts'
import { openEngine } from '../kuma.ts'
import { ioError } from '../store/directory.ts'
import { holdsKeysOf, keyFilePath } from '../store/key-file.ts'
import { Keys, keyFileFor } from '../store/keys.ts'
import { readManifest } from '../store/manifest.ts'
import { masterKeyFor } from '../store/master-key.ts'
import { Readers } from '../store/readers.ts'

export default class Restore extends BaseCommand {
  static override summary = 'Make a store of a backup, or bring one entity back.'
  static override description =
    'The backup is verified first. What was erased since it was taken, as the store that it is of knows or a file says, is erased again before the new store can be opened. Never leaves half a store under its name. With --entity, its events are recorded in the store that there is, under --into or where there is no such entity (or only a beginning of them); a document that went another way gets one event more, which makes its state what it was. A restore that finds nothing to do says so, and ends with exit code 1.'
  static override examples = [
    '<%= config.bin %> restore 2026-11-25T07-15-03Z restored',
    '<%= config.bin %> restore /mnt/disk2/kuma/2026-11-25T07-15-03Z restored --at "2026-11-24 18:00"',
    '<%= config.bin %> restore 2026-11-25T07-15-03Z --entity user_1 --at v12 --into user_1_then',
    '<%= config.bin %> restore /mnt/backups/2026-11-25T07-15-03Z data --erasures erasures.ndjson --if-not-exists',
  ]
  static override args = {
    backup: Args.string({ description: 'its name or its folder', required: true, ignoreStdin: true }),
    store: Args.string({
      description: 'where the store is to be: a new or empty folder',
      ignoreStdin: true,
    }),
  }
  static override flags = {
    at: Flags.string({
      description: 'as it was at this time of recording; an entity: at this POINT',
      helpValue: 'TIME',
    }),
    entity: Flags.string({ description: 'only this entity, into the store that there is', helpValue: 'ID' }),
    into: Flags.string({
      description: 'with --entity: the id that it gets',
      helpValue: 'NEWID',
      dependsOn: ['entity'],
    }),
    erasures: Flags.string({ description: 'what `kuma erasures --json` wrote', helpValue: 'FILE' }),
    keys: Flags.string({
      description: 'of an encrypted backup: what `kuma backup --keys-to` wrote (default: the keys of its store)',
      helpValue: 'FILE',
    }),
    'if-not-exists': Flags.boolean({ description: 'leave a store that is there already as it is' }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Restore)
    if ((args.store === undefined) !== (flags.entity !== undefined)) throw usage('give either NEWDIR or --entity')
    checkWord(flags.into ?? flags.entity, 'the id')
    if (flags.entity !== undefined) return this.runEntity(args.backup, flags.entity, flags)
    const to = resolve(args.store!)
    if (flags['if-not-exists'] && isStore(to)) return note(`${to} is a store already: it stays as it is`)
    const at = timeIn(flags.at, 'a whole store')
    const backup = await findBackup(args.backup, async () => (await this.locate(flags)).path)
    const beginning = at === undefined ? null : beginningOf(backup)
    if (beginning !== null && at! < beginning) return nothingBefore(beginning, to, flags.json || !isTerminal())
    const erased = await this.erasedSince(backup, flags)
    const keys = await this.keysFor(backup, flags)
    const bar = progressBar('events')
    const restored = await interruptible(
      (signal) =>
        restore(backup, to, {
          at: at === TIME_MAX ? undefined : at, // now: all of it
          erased,
          keys,
          signal,
          onProgress: ({ events, eventsTotal }) => bar.update(events, events / Math.max(1, eventsTotal)),
        }),
      'nothing was restored',
    ).finally(() => bar.stop())
    if (restored === null) return
    const { path, entities, events, erasedAgain } = restored
    if (erasedAgain > 0) note(`erased again: ${erasedAgain} entities that were erased since the backup was taken`)
    if (flags.json || !isTerminal()) await print(JSON.stringify({ path, entities, events, erasedAgain }))
    else await print(`ok ${path}: entities ${entities}, events ${events}`)
  }

  private async runEntity(
    given: string,
    id: string,
    flags: GlobalFlags & { at?: string | undefined; into?: string | undefined; keys?: string | undefined },
  ): Promise<void> {
    const { path, config } = await this.locate(flags)
    const backup = await findBackup(given, async () => path)
    const at = pointOf(flags.at)
    const keyFile = await this.keysFor(backup, flags)
    const isErased = isErasedIn(path, backup, id, openKeys(backup, keyFile, config))
    if (isErased && flags.into === undefined) throw wasErased(id)
    const from = await openEngine({ ...config, path: backup }, { access: 'read', keyFile })
    const readers = new Readers(backup, readManifest(backup), openKeys(backup, keyFile, config))
    try {
      if (isErased && (await from.find(id)) === null) throw keyDestroyed(id)
      if (isErased) note(`${id} was erased from the store, on request: this brings it back under another id`)
      await this.withEngine(flags, { access: 'write', committer: 'inline' }, async (to) => {
        const reason = `restored from backup ${basename(backup)}${flags.at === undefined ? '' : ` at ${flags.at}`}`
        const { entity, version, events } = await restoreEntity({ from, readers }, to, {
          id,
          at,
          into: flags.into,
          reason,
        })
        if (flags.json) await print(JSON.stringify({ entity, version, events }))
        else await print(`ok ${visible(entity)} v${version}, events ${events}`)
        if (events > 0) return
        const { version: last } = await from.inspect(id, at)
        const here = version > last ? `is further on here, at v${version}` : 'is the same here'
        nothing(`v${last} of the backup is there, and ${entity} ${here}`)
      })
    } finally {
      readers.close()
      await from.close()
    }
  }

  /** From the file, and from the store that the backup is of, if that is within reach. */
  private async erasedSince(backup: string, flags: GlobalFlags & { erasures?: string | undefined }): Promise<Erased[]> {
    const { store } = readBackupManifest(backup)
    const candidates = await this.storesNear(backup, flags)
    const given = flags.erasures === undefined ? [] : parseErasures(read(flags.erasures), flags.erasures)
    const known = candidates.map((path) => knownErasures(path, store)).find((found) => found !== null)
    if (known === undefined && flags.erasures === undefined)
      note('the store that the backup is of is not there: what was erased since, it cannot say (see --erasures)')
    for (const shard of known?.unread ?? [])
      note(`shard ${shard} of the store cannot be read: what was erased there since, it cannot say (see --erasures)`)
    return [...given, ...(known?.erased ?? [])]
  }

  /** Where the store may be that a backup is of: its own place is in it; and whatever names a store here. */
  private async storesNear(backup: string, flags: GlobalFlags): Promise<string[]> {
    const { path } = await this.locate(flags)
    const { config } = await this.loadConfig(flags) // that of `locate` says what --dir does
    const cwd = process.cwd()
    const named = process.env['KUMA_DIR']
    return [dirname(dirname(backup)), path, ...(named ? [resolve(named)] : []), storePath(undefined, config, cwd), cwd]
  }

  /** Of an encrypted backup: the file given, or that of its store, if that is within reach. */
  private async keysFor(
    backup: string,
    flags: GlobalFlags & { keys?: string | undefined },
  ): Promise<string | undefined> {
    const manifest = readManifest(backup)
    if (flags.keys !== undefined || manifest.encryption === undefined) return flags.keys
    return (await this.storesNear(backup, flags)).map(keyFilePath).find((path) => holdsKeysOf(path, manifest))
  }
}

/** A script goes by the exit code: what it asked for was not done. */
function nothing(why: string): void {
  note(visible(`nothing was restored: ${why}`))
  process.exitCode = EXIT.error
}

async function nothingBefore(beginning: number, to: string, json: boolean): Promise<void> {
  nothing(`the first of the backup was recorded at ${new Date(beginning).toISOString()}, after --at; ${to} is not made`)
  if (json) await print(JSON.stringify({ path: null, entities: 0, events: 0, erasedAgain: 0 }))
}

/** Null if the backup is not encrypted. @throws KUMA_MASTER_KEY, KUMA_NO_KEYS */
function openKeys(backup: string, keyFile = keyFileFor(backup), config: Config): Keys | null {
  const manifest = readManifest(backup)
  const masterKey = masterKeyFor(backup, manifest, config)
  return masterKey && Keys.open(keyFile, manifest, masterKey, 'read')
}

function keyDestroyed(id: string): KumaError<'KUMA_ERASED'> {
  const hint = 'only a copy of the keys from before that no erasure has reached could still open it: --keys FILE'
  return new KumaError('KUMA_ERASED', `${id} was erased, and its key destroyed`, { entity: id }, { hint })
}

function wasErased(id: string): KumaError<'KUMA_ERASED'> {
  const hint = 'with --into and another id it comes back all the same'
  return new KumaError('KUMA_ERASED', `${id} was erased from the store, on request`, { entity: id }, { hint })
}

function isStore(path: string): boolean {
  try {
    readManifest(path)
    return true
  } catch (error) {
    if (isKumaError(error, 'KUMA_NOT_A_STORE')) return false
    throw error
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw ioError(cause, file)
  }
}
