import { BaseCommand } from '../cli/base-command.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { isTerminal, note, print, visible } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'
import { type Column, table } from '../cli/table.ts'
import { type HeldReceipt, verifyReceipts } from '../privacy/verify-receipt.ts'
import { masterKeyFrom } from '../store/master-key.ts'
import { verifyStore } from '../store/verify.ts'
import type { ShardReport } from '../store/verify-shard.ts'

const COLUMNS: readonly Column<ShardReport>[] = [
  { head: 'shard', text: ({ shard }) => String(shard).padStart(3, '0') },
  { head: 'entities', text: ({ entities }) => entities.toLocaleString('en'), align: 'right' },
  { head: 'events', text: ({ events }) => events.toLocaleString('en'), align: 'right' },
  { head: 'commits', text: ({ commits }) => commits.toLocaleString('en'), align: 'right' },
  { head: 'head', text: ({ head }) => head.slice(0, 16) },
  { head: 'problems', text: ({ problems }) => (problems.length === 0 ? 'none' : String(problems.length)) },
]

export default class Verify extends BaseCommand {
  static override summary = 'Check that everything is as it was recorded.'
  static override description =
    "SQLite's own check, every crc, versions without a gap, pointers, heads, request keys, and the seal that chains the commits; every receipt of an erasure that the store keeps; and with the master key of an encrypted store, that each value opens, and that whoever wrote a commit had the key. Never writes, and works beside a writer. Exit code 6 if something is wrong."
  static override examples = ['<%= config.bin %> verify', '<%= config.bin %> verify --json']

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { flags } = await this.parse(Verify)
    const { path, config } = await this.locate(flags)
    const bar = progressBar('events')
    const reports: ShardReport[] = []
    try {
      for await (const report of verifyStore(path, {
        masterKey: () => masterKeyFrom(config),
        onProgress: ({ events, eventsTotal }) => bar.update(events, events / Math.max(1, eventsTotal)),
      })) {
        reports.push(report)
        if (flags.json) await print(JSON.stringify(report))
      }
    } finally {
      bar.stop()
    }
    const receipts = await verifyReceipts(path)
    if (flags.json) for (const receipt of receipts) await print(JSON.stringify(receipt))
    else if (isTerminal()) await print(await table(reports, COLUMNS))
    await this.conclude(reports, receipts, flags.json)
  }

  private async conclude(
    reports: readonly ShardReport[],
    receipts: readonly HeldReceipt[],
    json: boolean,
  ): Promise<void> {
    for (const { shard, problems } of reports)
      for (const problem of problems) note(visible(`shard ${shard}: ${problem}`))
    for (const { receipt, problems } of receipts)
      for (const problem of problems) note(visible(`receipt ${receipt}: ${problem}`))
    const unfinished = reports.reduce((total, report) => total + report.unfinished, 0)
    if (unfinished > 0) note(`erasures ${unfinished} are not finished: opening the store to write goes on with them`)
    const sum = (of: 'entities' | 'events' | 'commits') =>
      reports.reduce((total, report) => total + report[of], 0).toLocaleString('en')
    const wrong = [...reports, ...receipts].reduce((total, { problems }) => total + problems.length, 0)
    if (wrong > 0) process.exitCode = EXIT.corrupt
    if (json) return
    const counts = `${reports.length} shards, entities ${sum('entities')}, events ${sum('events')}, commits ${sum('commits')}${receipts.length === 0 ? '' : `, receipts ${receipts.length.toLocaleString('en')}`}`
    await print(wrong === 0 ? `verified: ${counts}` : `NOT verified: problems ${wrong}, in ${counts}`)
  }
}
