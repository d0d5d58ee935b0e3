import * as Flags from '@oclif/core/flags'
import { type ListedBackup, listBackups } from '../../backup/list-backups.ts'
import { BaseCommand } from '../../cli/base-command.ts'
import { megabytes } from '../../cli/bytes.ts'
import { type Column, list } from '../../cli/table.ts'

const COLUMNS: readonly Column<ListedBackup>[] = [
  { head: 'backup', text: ({ backup }) => backup },
  { head: 'age', text: ({ age_s }) => (age_s === null ? '' : ageOf(age_s)), align: 'right' },
  { head: 'size', text: ({ bytes }) => megabytes(bytes), align: 'right' },
  { head: 'its own', text: ({ own_bytes }) => megabytes(own_bytes), align: 'right' },
  { head: 'events', text: ({ events }) => events?.toLocaleString('en') ?? '', align: 'right' },
  { head: 'restores to', text: ({ recorded_at, problem }) => problem ?? recorded_at ?? 'an empty store' },
  { head: 'verified', text: ({ soundness }) => soundness },
  { head: 'history', text: ({ history }) => (history === 'of this history' ? '' : history) },
  { head: 'place', text: ({ place }) => place },
]

export default class BackupLs extends BaseCommand {
  static override summary = 'List the backups of the store.'
  static override description =
    'In its own folder and in every place that it ever wrote one to, or only in the one given. `its own` is what removing it would free; the rest it shares with others. `verified` says what was found when it was taken with --verify, --keep or --keep-within. One of another history, from before a restore or of a copy of the store that went its own way, is never counted and never removed.'
  static override examples = ['<%= config.bin %> backup ls', '<%= config.bin %> backup ls --to /mnt/disk2/kuma --json']
  static override flags = {
    to: Flags.string({ description: 'only those in this folder', helpValue: 'DIR' }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { flags } = await this.parse(BackupLs)
    const { path } = await this.locate(flags)
    await list(listBackups(path, flags.to), COLUMNS, flags.json)
  }
}

function ageOf(seconds: number): string {
  const [per, unit] =
    seconds < 120 ? [1, 's'] : seconds < 7_200 ? [60, 'm'] : seconds < 172_800 ? [3_600, 'h'] : [86_400, 'd']
  return `${Math.floor(seconds / (per as number))} ${unit}`
}
