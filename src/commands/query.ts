import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../cli/base-command.ts'
import { parseDuration } from '../cli/duration.ts'
import { progressBar } from '../cli/progress.ts'
import { listRows, noted, type RowFormat } from '../cli/rows.ts'
import { readStdin } from '../cli/stdin.ts'
import { parseParam } from '../projection/query-rows.ts'

export default class Query extends BaseCommand {
  static override summary = 'Ask about many entities at once, in SQL.'
  static override description =
    'There is a table `entities` (id, type, version, created_at, updated_at, state), with readModels.events in the config also `events`, and one for each projection. It reads only. A table on a terminal, NDJSON in a pipe. Without a daemon the tables first catch up with the log. A table whose projection has stopped is refused (exit code 1).'
  static override examples = [
    `<%= config.bin %> query "select id, state->>'plan' as plan from entities where type = 'document'"`,
    `<%= config.bin %> query "select * from accounts where balance < ?" --param :=0`,
    `<%= config.bin %> query "select type, count(*) from entities group by type" --csv`,
    '<%= config.bin %> query - --timeout 5s < report.sql',
  ]
  static override args = {
    sql: Args.string({ description: 'one select, or - to read it from stdin', required: true, ignoreStdin: true }),
  }
  static override flags = {
    param: Flags.string({
      description: 'what goes into the next question mark: a text, or :=json for a number, true, false or null',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'VALUE',
    }),
    after: Flags.string({
      description: 'wait until what was recorded up to this position, which an append prints, is in the tables',
      helpValue: 'POSITION',
    }),
    stale: Flags.boolean({
      description:
        'ask the tables as they are, also those that have stopped; how far behind they are is told on stderr',
      default: false,
    }),
    timeout: Flags.custom<number>({
      description:
        'how long the SQL may take: 500ms, 5s; default: what the config says, or 30s of a daemon, and no bound without one',
      helpValue: 'TIME',
      parse: async (given) => parseDuration(given),
    })(),
    csv: Flags.boolean({
      description:
        "print CSV (RFC 4180), the names of the columns first; a text that a spreadsheet would run begins with ' more",
      exclusive: ['json'],
    }),
    raw: Flags.boolean({ description: 'with --csv: leave texts as they are', dependsOn: ['csv'] }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Query)
    const sql = args.sql === '-' ? await readStdin('the SQL on stdin') : args.sql
    const { after, stale, timeout: timeoutMs } = flags
    const params = (flags.param ?? []).map(parseParam)
    const format: RowFormat = flags.csv ? (flags.raw ? 'raw csv' : 'csv') : flags.json ? 'json' : 'table'
    const bar = progressBar('events')
    let most = 0
    const onCatchUp = (left: number) => {
      most = Math.max(most, left)
      if (most > 0) bar.update(most - left, 1 - left / most)
      if (left === 0) bar.stop()
    }
    await this.withEngine(flags, { access: 'read' }, ({ readModels }) =>
      listRows(noted(readModels.query({ sql, params, after, stale, timeoutMs, onCatchUp })), format),
    ).finally(() => bar.stop())
  }
}
