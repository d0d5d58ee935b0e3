import * as Args from '@oclif/core/args'
import { findBackup } from '../../backup/places.ts'
import { verifyBackup } from '../../backup/verify-backup.ts'
import { BaseCommand } from '../../cli/base-command.ts'
import { megabytes } from '../../cli/bytes.ts'
import { EXIT } from '../../cli/exit-codes.ts'
import { interruptible } from '../../cli/interrupted.ts'
import { note, print, visible } from '../../cli/output.ts'
import { progressBar } from '../../cli/progress.ts'

export default class BackupVerify extends BaseCommand {
  static override summary = 'Check that a backup is whole and as it was recorded.'
  static override description =
    "The manifest's own hash, every file's size and SHA-256, what the manifest says of each shard, and then all that `verify` checks of a store. Exit code 6 if something is wrong."
  static override examples = [
    '<%= config.bin %> backup verify',
    '<%= config.bin %> backup verify 2026-11-25T07-15-03Z',
    '<%= config.bin %> backup verify /mnt/disk2/kuma/2026-11-25T07-15-03Z',
  ]
  static override args = {
    backup: Args.string({ description: 'its name or its folder (default: the newest)', ignoreStdin: true }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { args, flags } = await this.parse(BackupVerify)
    const path = await findBackup(args.backup, async () => (await this.locate(flags)).path)
    const bar = progressBar('events')
    const report = await interruptible(
      (signal) =>
        verifyBackup(path, {
          signal,
          onProgress: ({ events, eventsTotal }) => bar.update(events, events / Math.max(1, eventsTotal)),
        }),
      'the backup is not verified',
    ).finally(() => bar.stop())
    if (report === null) return
    const { problems, shards, entities, events, bytes } = report
    for (const problem of problems) note(visible(problem))
    if (problems.length > 0) process.exitCode = EXIT.corrupt
    if (flags.json) return void (await print(JSON.stringify(report)))
    const counts = `${shards} shards, entities ${entities.toLocaleString('en')}, events ${events.toLocaleString('en')}, ${megabytes(bytes)}`
    await print(problems.length === 0 ? `verified: ${counts}` : `NOT verified: problems ${problems.length}`)
  }
}
