import * as Flags from '@oclif/core/flags'
import { createBackup } from '../backup/create-backup.ts'
import { BaseCommand } from '../cli/base-command.ts'
import { megabytes } from '../cli/bytes.ts'
import { parseDuration } from '../cli/duration.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { interruptible } from '../cli/interrupted.ts'
import { isTerminal, note, print, visible } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'

export default class Backup extends BaseCommand {
  static override summary = 'Take a backup while the store is in use.'
  static override description =
    'A folder of plain SQLite files and a manifest with their hashes; `--dir` reads it where it stands. Shards that did not change are links to the files of the backup before. Never leaves a partial backup under its name. With --verify, --keep or --keep-within it is verified before anything is removed: exit code 6, and nothing is removed, if something is wrong.'
  static override examples = [
    '<%= config.bin %> backup',
    '<%= config.bin %> backup --to /mnt/disk2/kuma --keep 7 --keep-within 30d',
    '<%= config.bin %> backup --keys-to /mnt/disk3/kuma.keys',
    '<%= config.bin %> backup verify',
  ]
  static override flags = {
    to: Flags.string({ description: 'the folder for backups (default: `backups` in the store)', helpValue: 'DIR' }),
    link: Flags.boolean({
      description: 'link the files of shards that did not change (--no-link copies them)',
      default: true,
      allowNo: true,
    }),
    'keys-to': Flags.string({
      description: 'of an encrypted store: copy the keys of its entities to this file. Backups do not hold them',
      helpValue: 'FILE',
    }),
    verify: Flags.boolean({
      description: 'verify the new backup: every crc, chain and seal. Always done with --keep and --keep-within',
      default: false,
    }),
    keep: Flags.integer({ description: 'remove all but the newest so many of this history', min: 1, helpValue: 'N' }),
    'keep-within': Flags.custom<number>({
      description:
        'remove what is older than the backup before this one by more: 12h, 30d, 8w. With --keep, what either keeps stays',
      helpValue: 'TIME',
      parse: async (text) => parseDuration(text),
    })(),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { flags } = await this.parse(Backup)
    const { path, config } = await this.locate(flags)
    const bar = progressBar('shards')
    const taken = await interruptible(
      (signal) =>
        createBackup(path, {
          to: flags.to,
          link: flags.link,
          verify: flags.verify,
          keysTo: flags['keys-to'],
          keep: flags.keep,
          keepWithinMs: flags['keep-within'],
          lockTimeoutMs: config.lockTimeoutMs,
          signal,
          onProgress: ({ shards, shardsTotal }) => bar.update(shards, shards / shardsTotal),
        }),
      'there is no new backup',
    ).finally(() => bar.stop())
    if (taken === null) return
    const { path: made, bytes, linked, verified, problems, removed, notReached } = taken
    const isSound = problems.length === 0
    if (!isSound) process.exitCode = EXIT.corrupt
    const counts = `${megabytes(bytes)}, shards unchanged ${linked}${verified && isSound ? ', verified' : ''}`
    if (flags.json || !isTerminal())
      await print(JSON.stringify({ path: made, bytes, linked, verified, problems, removed }))
    else await print(isSound ? `ok ${made}: ${counts}` : `NOT sound ${made}: ${counts}`)
    for (const problem of problems) note(visible(problem))
    if (!isSound) note('the new backup is not sound: nothing was removed; `kuma verify` tells of the store itself')
    for (const name of removed) note(`removed ${name}`)
    for (const { what, remedy } of notReached) note(`what was erased is still in ${what}: ${remedy}`)
  }
}
