import { BaseCommand } from '../cli/base-command.ts'
import { iso, timed } from '../cli/output.ts'
import { type Column, list } from '../cli/table.ts'
import { type ListedErasure, listErasures } from '../privacy/erasures.ts'

const COLUMNS: readonly Column<ListedErasure>[] = [
  { head: 'erased', text: ({ at }) => iso(at) },
  { head: 'position', text: ({ position }) => position },
  { head: 'events', text: ({ events }) => events.toLocaleString('en'), align: 'right' },
  { head: 'by', text: ({ by }) => by ?? '' },
  {
    head: 'receipt',
    text: ({ receipt, isFinished }) => (isFinished ? receipt! : `${receipt ?? ''} (not finished)`.trim()),
  },
  { head: 'reason', text: ({ reason }) => reason ?? '' },
]

export default class Erasures extends BaseCommand {
  static override summary = 'List what was erased, without saying whom.'
  static override description =
    'Each entity is named by where its erasure is recorded. Written as NDJSON, the list is what `restore --erasures` takes.'
  static override examples = ['<%= config.bin %> erasures', '<%= config.bin %> erasures --json > erasures.ndjson']

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { flags } = await this.parse(Erasures)
    const { path } = await this.locate(flags)
    await list(erasures(path, flags.json), COLUMNS, flags.json)
  }
}

async function* erasures(path: string, json: boolean): AsyncGenerator<ListedErasure> {
  for await (const erasure of listErasures(path)) yield json ? timed(erasure) : erasure
}
