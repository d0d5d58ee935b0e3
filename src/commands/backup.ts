import * as Flags from '@oclif/core/flags'
import { createBackup } from '../backup/create-backup.ts'
import { BaseCommand } from '../cli/base-command.ts'
import { megabytes } from '../cli/bytes.ts'
import { parseDuration } from '../cli/duration.ts'
import { interruptible } from '../cli/interrupted.ts'
import { isTerminal, note, print } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'

export default class Backup extends BaseCommand {
  static override summary = 'Take a backup while the store is in use.'
  static override description =
    'A folder of plain SQLite files and a manifest with their hashes; `--dir` reads it where it stands. Shards that did not change are links to the files of the backup before. Never leaves a partial backup under its name.'
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
    keep: Flags.integer({ description: 'remove all but the newest so many', min: 1, helpValue: 'N' }),
    'keep-within': Flags.custom<number>({
      description: 'remove what is older: 12h, 30d, 8w. With --keep, what either keeps stays',
      helpValue: 'TIME',
      parse: async (text) => parseDuration(text),
    })(),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Backup)
    const { path, config } = await this.locate(flags)
    const bar = progressBar('shards')
    const taken = await interruptible(
      (signal) =>
        createBackup(path, {
          to: flags.to,
          link: flags.link,
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
    const { bytes, linked, removed, notReached } = taken
    if (flags.json || !isTerminal()) await print(JSON.stringify({ path: taken.path, bytes, linked, removed }))
    else await print(`ok ${taken.path}: ${megabytes(bytes)}, shards unchanged ${linked}`)
    for (const name of removed) note(`removed ${name}`)
    for (const { what, remedy } of notReached) note(`what was erased is still in ${what}: ${remedy}`)
  }
}
